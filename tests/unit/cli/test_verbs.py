from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from processes import Nursery

from lichen.cli.verbs import NOT_YET, instant, lichen
from lichen.errors import WrongUsage

ASKED = """
SELECT invoice::VARCHAR AS id, issued_at AS at, customer, amount, terms_days FROM invoice_labels
WHERE issued_at >= '2026-01-01'
"""
CONTEXT = click.Context(lichen, info_name="lichen")


@pytest.mark.parametrize("name", lichen.commands)
def test_every_verbs_help_has_an_example(name: str) -> None:
    verb = lichen.commands[name]
    text = verb.get_help(click.Context(verb, info_name=name, parent=CONTEXT))
    assert f"lichen {name}" in text.partition("Example:")[2]
    assert {"--json", "--debug"} <= {word for line in text.splitlines() for word in line.split()}


def test_the_help_lists_the_verbs_in_the_order_a_project_meets_them() -> None:
    text = CONTEXT.get_help().partition("Commands:")[2]
    assert text.index("\n  init ") < text.index("\n  check ") < text.index("\n  run ") < text.index("\n  schema ")
    assert "Not there yet: explain," in text


@pytest.mark.parametrize(
    ("words", "said", "verb"),
    [
        (["quury"], "there is no verb `quury`; did you mean `query`?", ""),
        (["run", "--wiat", "3"], "No such option '--wiat'. Did you mean '--wait'?", "run"),
        (["serve", "--port", "99999"], "Invalid value for '--port': 99999 is not in the range 0<=x<=65535.", "serve"),
        (["init"], "Missing argument 'FOLDER'.", "init"),
        (["query", "x", "--limit", "-1"], "Invalid value for '--limit': -1 is not in the range x>=0.", "query"),
        (["replay"], "Missing option '--from'.", "replay"),
    ],
)
def test_words_that_are_no_command(nursery: Nursery, tmp_path: Path, words: list[str], said: str, verb: str) -> None:
    ended = nursery.lichen(tmp_path, *words)
    assert (ended.code, ended.out) == (2, "")
    assert f"Error: {said}\n" in ended.err
    ended = nursery.lichen(tmp_path, *words, "--json")
    assert (ended.code, ended.err) == (2, "")
    assert ended.facts["verb"] == verb
    assert ended.error["code"] == "LCH-1029"
    assert ended.error["what"] == said


@pytest.mark.parametrize("name", ["explain", "erase"])
def test_a_verb_that_is_not_there_yet_says_so(nursery: Nursery, tmp_path: Path, name: str) -> None:
    ended = nursery.lichen(tmp_path, name, "a", "--deep")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        f"LCH-1019: `{name}` is not there yet\n  why: a later version brings it: it {NOT_YET[name]}\n"
        "  fix: lichen --help lists what works\n"
    )
    assert nursery.lichen(tmp_path, name, "--json").error["code"] == "LCH-1019"


@pytest.mark.parametrize(
    "words", [["check"], ["plan"], ["run"], ["status"], ["history"], ["query", "SELECT 1"], ["rollback"]]
)
def test_outside_a_project(nursery: Nursery, tmp_path: Path, words: list[str]) -> None:
    ended = nursery.lichen(tmp_path, *words, "--json")
    assert (ended.code, ended.error["code"], ended.facts["verb"]) == (2, "LCH-1009", words[0])


def test_an_instant_is_a_day_or_a_time_in_utc() -> None:
    assert instant("2026-01-02", "--at") == datetime(2026, 1, 2, tzinfo=UTC)
    assert instant("2026-01-02T03:00:00+01:00", "--at") == datetime(2026, 1, 2, 2, tzinfo=UTC)
    assert instant(None, "--at") is None


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "1e9"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        instant(text, "--at")
    assert str(refused.value) == (
        f"LCH-1020: --at: `{text}` is no instant\n  fix: write a day, 2013-12-01, or 2013-12-01T06:00:00+00:00"
    )


def test_verbs_of_a_project_before_its_first_run(nursery: Nursery, fresh: Any) -> None:
    root = fresh.root
    ended = nursery.lichen(root, "run", "--wait", "soon")
    assert ended.code == 2
    assert ended.err.startswith("LCH-1021: --wait: ")
    assert nursery.lichen(root, "check", "--json").facts["errors"] == []
    planned = nursery.lichen(root, "plan", "--env", "trial", "--json").facts
    assert (planned["environment"], planned["release"], len(planned["steps"])) == ("trial", None, 10)
    assert nursery.lichen(root, "query", "SELECT 1").err == (
        "LCH-1018: `prod` has no release yet\n  fix: build one: lichen run --env prod\n"
    )
    ended = nursery.lichen(root, "status")
    assert (ended.code, ended.out, ended.err) == (0, "shop: `prod` has no release yet\n", "next: lichen run\n")
    ended = nursery.lichen(root, "status", "--env", "trial")
    assert (ended.out, ended.err) == ("shop: `trial` has no release yet\n", "next: lichen run --env trial\n")
    assert nursery.lichen(root, "query", "--env", "trial", "SELECT 1").err == (
        "LCH-1018: `trial` has no release yet\n  fix: build one: lichen run --env trial\n"
    )
    ended = nursery.lichen(root, "history")
    assert (ended.out, ended.err) == ("no release yet\n", "next: lichen run\n")
    for verb in ("serve", "monitor"):
        ended = nursery.lichen(root, verb, "--json")
        assert (ended.code, ended.error["code"]) == (2, "LCH-1018")
        assert ended.error["what"] == "no release holds the service `late_payment` yet"
    assert nursery.lichen(root, "status", "--env", "../x", "--json").error["code"] == "LCH-1028"


def test_all_that_check_finds_is_told(nursery: Nursery, fresh: Any) -> None:
    fresh.edit("models/late_payment.yaml", "learner: logistic", "learner: logistik")
    fresh.edit("models/late_payment.yaml", "value: late ", "value: lete ")
    ended = nursery.lichen(fresh.root, "check")
    assert ended.code == 1
    assert ended.out == "2 sources  2 tables  3 features  1 model  1 service  1 monitor\n"
    assert "LCH-2504" in ended.err
    assert ended.err.endswith("2 errors: mend what is said above and check again\n")
    ended = nursery.lichen(fresh.root, "check", "--json")
    assert (ended.code, [one["code"] for one in ended.facts["errors"]]) == (1, ["LCH-2501", "LCH-2504"])
    ended = nursery.lichen(fresh.root, "run", "--json")
    assert (ended.code, [one["code"] for one in ended.facts["errors"]]) == (1, ["LCH-2501", "LCH-2504"])


def test_verbs_of_a_project_that_goes_round(nursery: Nursery, answered: Any) -> None:
    root = answered.root
    moved = nursery.lichen(root, "run", "--json").facts["release"]  # a copied project reads its sources again
    again = nursery.lichen(root, "run", "--json")
    assert (again.code, again.facts["nothing"], again.facts["release"]) == (0, True, moved)
    nothing = f"nothing to do: `prod` is at release {moved}, and nothing changed since\n"
    assert nursery.lichen(root, "plan").out == nothing
    releases = nursery.lichen(root, "history", "--json").facts["releases"]
    assert [release["number"] for release in releases][-2:] == [2, 1]
    facts = nursery.lichen(root, "status", "--json").facts
    assert (facts["verb"], facts["release"], facts["project"]) == ("status", moved, "shop")
    asked = nursery.lichen(root, "monitor", "--at", "2026-07-05", "--json")
    assert (asked.code, asked.facts["asked"][0]["watch"]["findings"]) == (0, [])
    ended = nursery.lichen(root, "replay", "--from", "2099-01-01", "--json")
    assert (ended.code, ended.error["code"]) == (1, "LCH-3202")


def test_verbs_that_move_a_pointer(nursery: Nursery, shop: Any) -> None:
    root = shop.root
    said = nursery.lichen(root, "promote", "dev", "prod")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("LCH-1045: `dev` has nothing to promote")
    ended = nursery.lichen(root, "run", "--env", "dev")
    assert ended.out.startswith("10 steps in ")
    assert "10 shared\n`dev` is now at release 2\n" in ended.out
    assert nursery.lichen(root, "plan", "--env", "dev").out.startswith("nothing to do: `dev` is at release 2")
    nothing = "nothing to do: `prod` is at release 1, which holds what release 2 of `dev` holds\n"
    assert nursery.lichen(root, "promote", "dev", "prod").out == nothing
    shop.write("tables/more.sql", "SELECT customer, count(*) AS invoices FROM invoices GROUP BY customer")
    assert nursery.lichen(root, "run", "--env", "dev", "--json").facts["release"] == 3
    ended = nursery.lichen(root, "promote", "dev", "prod")
    assert ended.out == (
        "  1 asset changed: table.more\n"
        "`prod` is now at release 4, which holds what release 3 of `dev` holds; nothing was built\n"
    )
    assert ended.err == "next: lichen status\n"
    ended = nursery.lichen(root, "rollback", "--json")
    assert (ended.facts["release"], ended.facts["of"], ended.facts["left"]) == (
        *(5, {"environment": "prod", "release": 1}, ["table.more"]),
    )
    assert nursery.lichen(root, "rollback", "--to", "4", "--json").facts["entered"] == ["table.more"]
    releases = nursery.lichen(root, "history", "--json").facts["releases"]
    assert [(one["number"], one["what"], one["kept"]) for one in releases] == [
        *((6, "rollback", True), (5, "rollback", True), (4, "promote", True), (1, "run", True)),
    ]


def test_a_monitor_that_finds_something_ends_with_1(nursery: Nursery, shop: Any) -> None:
    shop.answer(ASKED, missing="customer_payments.")
    ended = nursery.lichen(shop.root, "monitor", "--at", "2026-07-05")
    assert ended.code == 1
    assert (
        "  ! `customer_payments` (days_late_60d, days_late_all, late_share_60d and 1 more) is missing in" in ended.out
    )


def test_a_held_gate_ends_with_1_and_says_what_stays(nursery: Nursery, shop: Any) -> None:
    shop.edit("models/late_payment.yaml", "min: 0.7,", "min: 0.99,")
    ended = nursery.lichen(shop.root, "run")
    assert ended.code == 1
    assert "HELD by its gate; roc auc 0.758; roc_auc is 0.7582, wanted at least 0.99" in ended.out
    assert "held by its gate: model.late_payment; `prod` stays at release 1\n" in ended.out
    assert "to hand round: .lichen/reports/run-" in ended.out
    assert "! the last run was held by its gate: model.late_payment: roc auc" in nursery.lichen(shop.root, "status").out


def test_schemas_are_printed(nursery: Nursery, tmp_path: Path) -> None:
    assert json.loads(nursery.lichen(tmp_path, "schema", "model").out)["title"] == "Model"
    assert list(nursery.lichen(tmp_path, "schema", "model", "--json").facts["schemas"]) == ["model"]
    ended = nursery.lichen(tmp_path, "schema", "modle")
    assert (ended.code, ended.err) == (2, "LCH-1022: there is no kind of file `modle`\n  fix: did you mean `model`?\n")
    ended = nursery.lichen(tmp_path, "schema", "--write", "s")
    assert ended.err.startswith("wrote s/project.schema.json\n")


def test_a_folder_is_quoted_for_the_shell(nursery: Nursery, tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    ended = nursery.lichen(tmp_path, "init", "a b/shop")
    assert ended.err == "next: cd 'a b/shop' && lichen run\n"


def lichen_process(root: Path, *words: str, **more: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lichen", *words]
    return subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True, **more)


@pytest.mark.parametrize("words", [["query", "FROM range(300000)", "--limit", "0"], ["schema"]])
def test_an_output_that_nobody_reads_ends_quietly(shop: Any, words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    with lichen_process(shop.root, *words, stdout=write) as process:
        os.close(write)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (141, "")


@pytest.fixture
def serving(shop: Any) -> Iterator[subprocess.Popen[str]]:
    with lichen_process(shop.root, "serve", "--port", "0", "--json", stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_service_answers_until_it_is_stopped(serving: subprocess.Popen[str]) -> None:
    assert serving.stdout is not None
    told = json.loads(serving.stdout.readline())
    assert (told["verb"], told["service"], told["release"]) == ("serve", "late_payment", 1)
    body = json.dumps({"customer": "C01", "amount": 100.0, "terms_days": 14}).encode()
    head = {"content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{told['address']}/predict", body, head), timeout=30) as answer:
        assert 0 < json.load(answer)["score"] < 1
    serving.send_signal(signal.SIGINT)
    rest, said = serving.communicate(timeout=30)
    assert (serving.returncode, rest, said) == (0, "", "")


def test_a_run_that_is_interrupted_says_so_and_is_recorded(fresh: Any) -> None:
    with lichen_process(fresh.root, "run", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert "collect" in process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said == "stopped; what was released before stands\n"
    facts = fresh.open().status()
    assert (facts["run"]["status"], facts["errors"][0]["what"]) == ("failed", "the run was stopped")
    assert facts["errors"][0]["code"] == "LCH-3996"
