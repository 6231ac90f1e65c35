from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import pytest

from lichen.contract.adopt import adopt
from lichen.errors import SystemFailed
from lichen.ground import failpoint
from lichen.ports import Column
from lichen.run.recorded import MOST_FILES, _together, land_predictions, record_folder, record_folders

NAME = "late_payment"
ASKED = "SELECT invoice::VARCHAR AS id, issued_at AS at, customer, amount, terms_days FROM invoice_labels"
COUNT = f"SELECT count(*), count(DISTINCT prediction_id) FROM predictions_{NAME}"


def land(shop: Any, environment: str = "prod") -> int | None:
    project = shop.open(environment)
    landed = land_predictions(NAME, project.releases, environment, project.workshop)
    return landed[1] if landed else None


def test_without_an_answer_nothing_is_landed(shop: Any) -> None:
    assert land(shop) is None
    assert [release.number for release in shop.open().history()] == [1]


def test_answers_land_once_whatever_is_asked_again(shop: Any) -> None:
    assert shop.answer(f"{ASKED} ORDER BY 1 LIMIT 5") == 5
    assert land(shop) == 5
    assert land(shop) is None
    shop.answer(f"{ASKED} ORDER BY 1 LIMIT 7")
    assert land(shop) == 2
    shop.answer(f"{ASKED} ORDER BY 1 LIMIT 7", folder="replay")
    assert land(shop) == 0
    assert shop.rows(COUNT) == [(7, 7)]
    newest = shop.open().history()[0].release
    assert newest.facts == {"recorded": {NAME: 0}}
    assert len(shop.open().status()["tables"]) == 5


def test_a_move_that_was_lost_loses_and_doubles_nothing(shop: Any) -> None:
    shop.answer(f"{ASKED} ORDER BY 1 LIMIT 5")
    project = shop.open()
    stale = project.releases.current("prod")
    assert stale is not None

    class Late(type(project.releases)):  # type: ignore[misc]
        """Releases as one sees them who was overtaken between reading and moving."""

        def current(self, environment: str) -> Any:
            return stale

    other = [*project.releases.versions(stale).values()]
    project.releases.move("prod", other, at="2026-07-05T00:00:00+00:00", expected=stale, facts={})
    with pytest.raises(SystemFailed) as lost:
        land_predictions(NAME, Late(project.workshop.state), "prod", project.workshop)
    assert str(lost.value).startswith("LCH-3911: `prod` was moved by another run meanwhile\n")
    assert land(shop) == 5
    assert shop.rows(COUNT) == [(5, 5)]


def test_what_was_landed_is_discarded_and_a_crash_before_it_is_mended(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.answer(f"{ASKED} ORDER BY 1 LIMIT 5")
    monkeypatch.setattr(failpoint, "_armed", failpoint._parse("release.moved=enospc"))
    with pytest.raises((SystemFailed, OSError)):
        land(shop)
    monkeypatch.setattr(failpoint, "_armed", failpoint._parse(""))
    assert land(shop) is None
    shop.answer(f"{ASKED} ORDER BY 1 DESC LIMIT 3")
    assert land(shop) == 3
    assert shop.rows(COUNT) == [(8, 8)]
    (folder,) = record_folders(NAME, "prod", shop.open().workshop)
    assert [path.name for path in sorted(folder.glob("*.log"))] == ["00000002.log"]


def test_many_files_become_one(shop: Any) -> None:
    for place in range(MOST_FILES + 1):
        shop.answer(f"{ASKED} ORDER BY 1 LIMIT 1 OFFSET {place}")
        assert land(shop) == 1
    project = shop.open()
    landed = project.releases.versions(project.releases.current("prod"))[f"predictions.{NAME}"]
    assert len(landed.files) == 1
    assert shop.rows(COUNT) == [(MOST_FILES + 1, MOST_FILES + 1)]


def test_each_environment_has_answers_of_its_own(shop: Any) -> None:
    shop.open("trial").run()
    shop.answer(f"{ASKED} ORDER BY 1 LIMIT 5", environment="trial")
    assert land(shop) is None
    assert land(shop, "trial") == 5
    assert shop.rows(COUNT, "trial") == [(5, 5)]
    assert f"predictions.{NAME}" not in shop.open().history()[0].release.versions
    assert record_folder(NAME, "trial", shop.open().workshop) == shop.root / ".lichen/records/trial" / NAME


def test_answers_of_releases_with_other_features_live_in_one_table(shop: Any) -> None:
    shop.answer(f"{ASKED} ORDER BY 1 LIMIT 5")
    assert land(shop) == 5
    shop.edit("features/invoice.yaml", "log_amount: ln(amount)", "log_amount: ln(amount)\n  weeks: terms_days / 7")
    shop.edit("features/customer.yaml", "[country, size]", "[size]")
    assert shop.open().run().release is not None
    shop.answer(f"{ASKED} ORDER BY 1 DESC LIMIT 3")
    assert land(shop) == 3
    select = 'count("feature.customer.country"), count("feature.invoice.weeks"), count("feature.invoice.log_amount")'
    found = shop.rows(f"SELECT release, {select} FROM predictions_{NAME} GROUP BY 1 ORDER BY 1")
    assert [row[1:] for row in found] == [(5, 0, 5), (0, 3, 3)]


def test_columns_of_two_releases() -> None:
    old = [Column("a", "BIGINT"), Column("b", "BIGINT"), Column("c", "VARCHAR")]
    new = [Column("a", "BIGINT"), Column("b", "DOUBLE"), Column("c", "BIGINT"), Column("d", "DATE")]
    assert _together(old, new) == (
        Column("a", "BIGINT"),
        Column("b", "DOUBLE"),
        Column("c", "VARCHAR"),
        Column("d", "DATE"),
    )


def test_vectors_of_two_releases() -> None:
    old = [Column("a", "FLOAT[8]"), Column("b", "FLOAT[8]"), Column("c", "FLOAT[8]"), Column("d", "DOUBLE[2]")]
    new = [Column("a", "FLOAT[8]"), Column("b", "DOUBLE[8]"), Column("c", "FLOAT[16]"), Column("d", "DOUBLE")]
    assert [column.type for column in _together(old, new)] == ["FLOAT[8]", "DOUBLE[8]", "VARCHAR", "VARCHAR"]


def test_a_run_brings_the_answers_of_a_live_server_in(shop: Any) -> None:
    assert shop.open().run().nothing
    shop.answer(f"{ASKED} ORDER BY 1 LIMIT 5")
    run = shop.open().run()
    assert (run.nothing, run.landed, run.release.number) == (True, {NAME: 5}, 2)
    assert shop.rows(COUNT) == [(5, 5)]
    (shop.root / "services/late_payment.yaml").unlink()
    (shop.root / "monitors/late_payment.yaml").unlink()
    shop.answer(f"{ASKED} ORDER BY 1 LIMIT 7")
    run = shop.open().run()
    assert (run.landed, run.release.number) == ({NAME: 2}, 4)
    assert shop.rows(COUNT) == [(7, 7)]
    ((_, version),) = (pair for pair in shop.open().releases.versions(run.release).items() if "predictions" in pair[0])
    assert [model for model, _ in version.facts["answered_by"]] == ["late_payment"]


def test_a_damaged_record_is_told_after_the_run_did_its_work(shop: Any) -> None:
    shop.answer(f"{ASKED} ORDER BY 1 LIMIT 5")
    project = shop.open()
    (segment,) = (record_folder(NAME, "prod", project.workshop) / "live").glob("*.log")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    (shop.root / "tables/extra.sql").write_text("SELECT 1 AS n")
    with pytest.raises(SystemFailed, match="the record of answers is damaged"):
        shop.open().run()
    assert shop.rows("FROM extra") == [(1,)]


def test_a_record_is_known_by_its_id_wherever_its_folder_is(shop: Any) -> None:
    shop.answer(f"{ASKED} ORDER BY 1 LIMIT 5")
    assert land(shop) == 5
    home = record_folder(NAME, "prod", shop.open().workshop)
    (home / "live").rename(home / "aside")
    shop.answer(f"{ASKED} ORDER BY 1 LIMIT 7")
    assert land(shop) == 2
    assert "records_gone" not in shop.open().history()[0].release.facts
    shutil.rmtree(home / "aside")
    shop.answer(f"{ASKED} ORDER BY 1 LIMIT 8")
    assert land(shop) == 1
    assert len(shop.open().history()[0].release.facts["records_gone"]) == 1
    shop.answer(f"{ASKED} ORDER BY 1 LIMIT 9")
    assert land(shop) == 1
    assert "records_gone" not in shop.open().history()[0].release.facts
    assert shop.rows(COUNT) == [(9, 9)]


def test_a_table_from_before_gets_the_columns_that_answers_have_since(shop: Any) -> None:
    shop.answer(f"{ASKED} ORDER BY 1 LIMIT 3")
    assert land(shop) == 3
    project = shop.open()
    current = project.releases.current("prod")
    versions = project.releases.versions(current)
    table, later = versions[f"predictions.{NAME}"], ("probability", "interval_low", "interval_high")
    names = [column.name for column in table.columns if column.name not in later]
    assert len(names) == len(table.columns) - len(later)
    folder = project.workshop.tables.staging(table.relation)
    columns = ", ".join(f'"{name}"' for name in names)
    inputs = {"t": project.workshop.relation(table)}
    staged = project.workshop.engine.sql(f"SELECT {columns} FROM t", inputs, folder)
    kept = tuple(column for column in table.columns if column.name not in later)
    files = adopt(table.relation, kept, folder, staged, project.workshop.engine, project.workshop.tables)
    older = replace(table, version="older", columns=kept, files=files)
    project.releases.keep(older)
    versions[older.asset] = older
    project.releases.move("prod", versions.values(), at="2026-01-01T00:00:00", expected=current, facts={})
    shop.answer(f"{ASKED} ORDER BY 1 DESC LIMIT 2")
    assert land(shop) == 2
    counted = f"SELECT count(*), count(score), count(probability), count(interval_low) FROM predictions_{NAME}"
    assert shop.rows(counted) == [(5, 5, 2, 0)]
    assert shop.rows(f"SELECT count(*) FROM predictions_{NAME} WHERE probability <> score") == [(0,)]
