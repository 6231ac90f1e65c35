from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from lichen import Project
from lichen.cli.report import status_document
from lichen.ports import Put
from lichen.run.facts import RUNS
from lichen.run.lease import RUN, owner_name


def test_before_the_first_run(fresh: Any) -> None:
    facts = fresh.open().status()
    assert (facts["release"], facts["tables"], facts["model"], facts["run"], facts["errors"]) == (
        None,
        {},
        None,
        None,
        [],
    )


def test_the_facts_of_a_loop_are_plain_json(answered: Any) -> None:
    facts = answered.open().status()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["release"] == 2
    assert list(facts["tables"])[-1] == "predictions_late_payment"
    assert facts["labelled"] == facts["predictions"] == facts["service"]["predictions"] > 300
    assert {"collect", "train", "replay", "monitor"} <= set(facts["seconds"])
    assert facts["run"]["status"] == "done"


def test_a_run_that_was_cut_short_is_not_running_for_ever(shop: Any) -> None:
    project = shop.open()
    state = project.workshop.state
    (name, run), *_ = state.scan(RUNS)
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    for pid, held_by, status in (
        (os.getpid(), owner_name(), "running"),
        (os.getpid(), None, "killed"),
        (child.pid, owner_name(), "killed"),
        (child.pid, owner_name().replace(str(os.getpid()), str(child.pid)), "killed"),
        (4711, "another-machine:4711:x:y", "running"),
    ):
        gone = {**run, "id": "cut-short", "status": "running", "pid": pid, "started": "2999-01-01T00:00:00"}
        state.write(Put(RUNS, "cut-short", gone))
        if held_by:
            state.lease(RUN, held_by, 60)
        assert project.status()["run"]["status"] == status
        if held_by:
            state.free(RUN, held_by)
    # Where its release came, it did what it was to do.
    state.write(Put(RUNS, name, {**run, "status": "running", "started": "2999-02-01T00:00:00"}))
    assert project.status()["run"]["status"] == "done"


def test_two_services_and_two_monitors_are_counted_apart(answered: Any) -> None:
    answered.write("services/other.yaml", "model: late_payment\n")
    text = (answered.root / "monitors/late_payment.yaml").read_text()
    answered.write("monitors/again.yaml", text)
    assert answered.open().run().release is not None
    before = answered.open().status()
    for name in ("again", "late_payment"):
        answered.open().monitor(name)
    facts = answered.open().status()
    assert set(facts["services"]) == {"late_payment", "other"}
    assert facts["services"]["other"]["predictions"] == facts["services"]["other"]["labelled"] == 0
    assert facts["labelled"] == before["labelled"] == facts["services"]["late_payment"]["labelled"]
    assert set(facts["watches"]) == {"again", "late_payment"}


def test_each_environment_has_facts_of_its_own(answered: Any) -> None:
    answered.open("trial").run()
    facts = answered.open("trial").status()
    assert (facts["watches"], facts["findings"], facts["predictions"]) == ({}, [], 0)
    assert not {"replay", "monitor"} & {stage for stage, spent in facts["seconds"].items() if spent > 1}
    assert answered.open().status()["predictions"] > 300


LATE = "2 late rows in 1 closed interval; lichen run --backfill 2024-01-02..2024-01-02 brings them in"


def test_late_rows_are_told_until_they_are_brought_in_and_by_a_release_that_is_taken_up_again(tmp_path: Path) -> None:
    def project() -> Project:
        return Project(tmp_path)

    def send(*days: int) -> None:
        lines = [f"{number},2024-01-{day:02d}T12:00:00Z" for number, day in enumerate(days)]
        (tmp_path / "f.csv").write_text("\n".join(["id,ts", *lines, ""]), encoding="utf-8")

    def told() -> tuple[int, list[tuple[str, int]], bool]:
        facts = project().status()
        table = facts["tables"]["t"]
        left = [(one["interval"], one["rows"]) for one in table["left_out"]]
        return table["late"], left, LATE in status_document(facts).as_text()

    for folder in ("sources", "tables"):
        (tmp_path / folder).mkdir()
    (tmp_path / "lichen.yaml").write_text("name: late\nmemory: 300MB\n", encoding="utf-8")
    (tmp_path / "sources/f.yaml").write_text("path: f.csv\ncontract: {key: [id], columns: {ts: {type: timestamptz}}}\n")
    (tmp_path / "tables/t.sql").write_text(
        "/* ---\nintervals: {by: day, every: 1d, lateness: 2d}\n--- */\nSELECT id, ts::DATE AS day FROM f\n"
    )
    send(1, 5, 9)
    project().run()
    assert told() == (0, [], False)
    send(1, 5, 9, 2, 2)
    (outcome,) = [one for one in project().run().outcomes if one.asset == "table.t"]
    assert (outcome.state, outcome.notes) == ("same", ("no interval to build", LATE))
    late = (2, [("2024-01-02", 2)], True)
    assert told() == late
    assert not project().plan()
    project().run()
    assert told() == late
    send(1, 5, 9, 2, 2, 9)
    project().run()
    assert told() == late
    project().run(backfill="2024-01-02..2024-01-02")
    assert told() == (0, [], False)
    project().rollback(to=2)
    assert told() == late
    project().rollback(to=1)
    assert told() == (0, [], False)
