from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from lichen.errors import LichenError, SystemFailed
from lichen.project import Project
from lichen.run.execute import Watcher
from lichen.run.facts import RUNS

MODEL = "models/late_payment.yaml"
ASKED_AT = datetime(2026, 7, 5, tzinfo=UTC)


def states(run: Any) -> dict[str, str]:
    return {outcome.asset: outcome.state for outcome in run.outcomes}


def tell_again(shop: Any) -> None:
    """Write a source's file anew with the same rows: what it holds is read again."""
    path = shop.root / "data/invoices.csv"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")


def test_a_run_tells_of_each_step_and_records_itself(shop: Any) -> None:
    heard: list[str] = []
    watcher = Watcher(lambda step: heard.append(f"> {step.asset}"), lambda one: heard.append(f"< {one.asset}"))
    tell_again(shop)
    run = shop.open().run(watcher=watcher)
    assert heard == [f"{sign} {outcome.asset}" for outcome in run.outcomes for sign in "><"]
    assert set(states(run).values()) == {"same"}
    assert run.release == shop.open().history()[0].release
    record = shop.open().workshop.state.get(RUNS, run.id)
    assert (record["status"], len(record["outcomes"])) == ("done", len(run.outcomes))
    assert shop.open().run().nothing


def test_a_held_gate_leaves_the_release_and_is_not_trained_again(shop: Any) -> None:
    shop.edit(MODEL, "min: 0.7,", "min: 0.99,")
    first = shop.open().run()
    assert (first.release, first.held) == (None, ("model.late_payment",))
    second = shop.open().run()
    assert (second.release, second.held) == (None, ("model.late_payment",))
    old, new = ({o.asset: o for o in run.outcomes}["model.late_payment"] for run in (first, second))
    assert (new.state, new.version) == ("held", old.version)
    assert new.seconds < 0.5
    assert shop.open().status()["run"]["held"][0]["asset"] == "model.late_payment"
    assert [release.number for release in shop.open().history()] == [1]


def test_a_dropped_asset_leaves_and_its_answers_stay(answered: Any) -> None:
    (answered.root / "monitors/late_payment.yaml").unlink()
    (answered.root / "services/late_payment.yaml").unlink()
    run = answered.open().run()
    assert {name for name, state in states(run).items() if state == "dropped"} == {
        *("monitor.late_payment", "service.late_payment")
    }
    assert "predictions.late_payment" in run.release.versions


def test_a_failed_run_is_recorded_and_the_release_stands(shop: Any) -> None:
    shop.edit(MODEL, "test: 84d", "test: 4000d")
    with pytest.raises(LichenError) as failed:
        shop.open().run()
    facts = shop.open().status()
    assert (facts["release"], facts["run"]["status"], facts["errors"]) == (1, "failed", [failed.value.as_dict()])


@pytest.mark.parametrize("intervals", ["", "intervals: {by: day, every: 1d}\n"])
def test_a_table_of_which_no_row_is_kept_is_told_by_whether_one_was_there(tmp_path: Path, intervals: str) -> None:
    def kept_between(least: int) -> None:
        contract = f"contract: {{columns: {{n: {{range: [{least}, 9]}}}}}}"
        statement = "SELECT n, day FROM s"
        (tmp_path / "tables/t.sql").write_text(f"/* ---\ngrain: [n, day]\n{intervals}{contract}\n--- */\n{statement}\n")

    def why() -> str | None:
        with pytest.raises(LichenError) as failed:
            Project(tmp_path).run()
        assert failed.value.code == "LCH-2229"
        return failed.value.why

    for folder in ("sources", "tables"):
        (tmp_path / folder).mkdir()
    (tmp_path / "lichen.yaml").write_text("name: p\n")
    (tmp_path / "sources/s.yaml").write_text("path: s.csv\n")
    (tmp_path / "s.csv").write_text("n,day\n1,2026-07-01\n")
    kept_between(5)
    broken = "row 1: n: it is outside [5, 9]; an empty table"
    assert why() == f"{broken} is no result, so nothing was released"
    kept_between(0)
    Project(tmp_path).run()
    kept_between(5)
    assert why() == f"{broken} would have taken the place of what is there, so nothing was released"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "the run was stopped"),
        (ZeroDivisionError("z"), "the run broke off: ZeroDivisionError: z"),
    ],
)
def test_a_run_that_breaks_off_is_recorded_too(shop: Any, error: BaseException, said: str) -> None:
    def stop(_: Any) -> None:
        raise error

    tell_again(shop)
    with pytest.raises(type(error)):
        shop.open().run(watcher=Watcher(stop))
    (found,) = shop.open().status()["errors"]
    assert (found["code"], found["what"]) == ("LCH-3996", said)


def test_a_lost_file_that_comes_out_otherwise_is_a_release_of_its_own(shop: Any) -> None:
    shop.write("tables/sums.sql", "SELECT customer, sum(amount) AS spent FROM invoices GROUP BY customer ORDER BY 1\n")
    first = shop.open().run().release
    # The release's file becomes another with the same rows, as it might have come out of another version of DuckDB.
    project = shop.open()
    version, workshop = project.releases.versions(first)["table.sums"], project.workshop
    folder = workshop.tables.staging("sums")
    made = workshop.engine.sql("FROM sums ORDER BY 2", {"sums": workshop.relation(version)}, folder)
    other = replace(version, files=workshop.tables.adopt("sums", folder, made))
    project.releases.keep(other)
    (shop.root / ".lichen/lake/sums" / other.files[0].path).unlink()
    run = shop.open().run()
    assert states(run) == {"table.sums": "same"}
    assert run.release.versions == first.versions
    assert run.release.since == {**first.since, "table.sums": first.number + 1}
    face = DeltaTable(str(shop.root / ".lichen/lake/sums"))
    assert face.transaction_version("lichen") == first.number + 1
    assert [Path(uri).name for uri in face.file_uris()] == [file.path for file in version.files]
    assert shop.open().run().nothing


def test_a_renamed_table_trains_no_model_and_its_answers_still_count(answered: Any) -> None:
    old, new = answered.root / "tables/invoice_labels.sql", answered.root / "tables/labels.sql"
    old.rename(new)
    answered.edit(MODEL, "from: invoice_labels", "from: labels")
    before = {entry["asset"]: entry for entry in answered.open().plan().as_dict()["steps"]}
    assert before["table.labels"]["action"] == "rename"
    run = answered.open().run()
    assert states(run) == {
        "table.labels": "renamed",
        "model.late_payment": "carried",
        "service.late_payment": "built",
        "monitor.late_payment": "built",
    }
    assert not answered.open().plan()
    versions = answered.open().releases.versions(run.release)
    model = versions["model.late_payment"]
    assert model.facts["label"]["from"] == "labels"
    assert set(model.facts["recipe"]["relations"]) == {"labels", "payments", "customers"}
    assert answered.answer("SELECT 'x' AS id, issued_at AS at, customer, amount, terms_days FROM labels LIMIT 1") == 1
    (asked,) = answered.open().monitor(at=ASKED_AT)
    assert asked.predictions > 100  # those that the model gave under its table's old name are among them


def test_what_the_published_environment_lost_is_mended_there(shop: Any) -> None:
    project = shop.open()
    version = project.releases.versions(project.releases.current("prod"))["table.payments"]
    (place, *_) = project.workshop.tables.locations("payments", version.files)
    Path(place).unlink()
    with pytest.raises(SystemFailed) as refused:
        shop.open("trial").run()
    assert str(refused.value) == (
        "LCH-3922: what `prod` holds of `table.payments` cannot be shared\n"
        "  why: a file of table `payments` is not what was written: it is missing\n"
        "  fix: mend it where it was built: lichen run --env prod"
    )
    assert "table.payments" in states(shop.open().run())
    assert states(shop.open("trial").run())["table.payments"] == "shared"
