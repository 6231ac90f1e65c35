from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lichen.errors import SystemFailed, Where
from lichen.graph.version import Version
from lichen.run.lost import artifact, fault, faults, refuse_loss
from lichen.spec import Source

SELECT = "SELECT i AS k, TIMESTAMPTZ '2020-01-01 00:00:00Z' + to_days(i::INT) AS at FROM range({}, {}) r(i)"
SOURCE = Source.model_validate({"path": "x", "cursor": "at", "contract": {"key": ["k"]}})


def file(world: Any, asset: str) -> Path:
    version = world.versions[asset]
    return world.root / ".lichen/lake" / version.relation / version.files[0].path


def lose(world: Any, version: Version) -> None:
    (world.root / ".lichen/lake" / version.relation / version.files[0].path).unlink()


def test_only_versions_whose_files_are_not_what_was_written_are_told(world: Any) -> None:
    for name in "abc":
        world.put(f"table.{name}", SELECT.format(0, 3))
    world.put("table.d", SELECT.format(0, 3), aside="SELECT 'f' AS file, 1::BIGINT AS row")
    assert faults(world.versions, world.workshop) == {}
    file(world, "table.a").unlink()
    file(world, "table.b").write_bytes(b"PAR1")
    size = world.versions["table.b"].files[0].bytes
    (world.root / ".lichen/lake/d__quarantine" / world.versions["table.d"].quarantine[0].path).unlink()
    assert faults(world.versions, world.workshop) == {
        "table.a": "a file of table `a` is not what was written: it is missing",
        "table.b": f"a file of table `b` is not what was written: it has 4 bytes, {size} were written",
        "table.d": "a file of table `d__quarantine` is not what was written: it is missing",
    }


def test_a_models_files_are_looked_for_too(shop: Any) -> None:
    project = shop.open()
    model = project.releases.versions(project.releases.current("prod"))["model.late_payment"]
    assert fault(model, project.workshop) is None
    (artifact(model, project.workshop) / "manifest.json").unlink()
    assert fault(model, project.workshop) == "its model's files are not what was written: `manifest.json` is missing"


@pytest.mark.parametrize("span", [(0, 10), (0, 12)])
def test_a_source_that_gives_again_what_it_gave_has_lost_nothing(world: Any, span: tuple[int, int]) -> None:
    before, again = world.put("source.s", SELECT.format(0, 10)), world.put("source.s", SELECT.format(*span))
    refuse_loss(SOURCE, before, again, Where("s.yaml", 2, 9), world.workshop)
    lose(world, before)
    refuse_loss(SOURCE, before, again, Where("s.yaml", 2, 9), world.workshop)


@pytest.mark.parametrize(
    ("again", "gone"),
    [
        ("SELECT * FROM (" + SELECT.format(0, 40) + ") WHERE k NOT BETWEEN 3 AND 5", 3),  # new rows make up for none
        ('SELECT k, "at" - INTERVAL 1 HOUR AS "at" FROM (' + SELECT.format(0, 40) + ") ", 10),  # as it was, and older
        ('SELECT k::VARCHAR AS k, "at" FROM (' + SELECT.format(1, 10) + ")", 1),
    ],
)
def test_rows_of_an_edited_source_that_do_not_come_again_are_counted_by_their_key(
    world: Any, again: str, gone: int
) -> None:
    before, made = world.put("source.s", SELECT.format(0, 10)), world.put("source.s", again)
    with pytest.raises(SystemFailed) as caught:
        refuse_loss(SOURCE, before, made, Where("s.yaml", 2, 9), world.workshop)
    assert str(caught.value) == (
        f"LCH-3913: {gone} of the 10 rows of `s` would be lost: its place gives them no more\n"
        "  at s.yaml:2:9\n"
        "  why: it is read anew, for what is written of it changed, and its place keeps new rows alone\n"
        "  fix: put the older files back, or take the change back; to go on without these rows, take `cursor` away"
    )


def test_a_row_that_is_set_aside_now_is_not_lost(world: Any) -> None:
    before = world.put("source.s", SELECT.format(0, 3))
    raw = '{"k":0,"at":"2020-01-01 00:00:00+00"}'
    aside = f"SELECT 'f' AS file, 1::BIGINT AS row, 'k' AS \"column\", 'why' AS reason, '{raw}' AS raw"
    again = world.put("source.s", SELECT.format(1, 9), aside=aside)
    refuse_loss(SOURCE, before, again, Where("s.yaml", 2, 9), world.workshop)
    with pytest.raises(SystemFailed, match="1 of the 3 rows"):
        refuse_loss(SOURCE, before, replace(again, quarantine=()), Where("s.yaml", 2, 9), world.workshop)


@pytest.mark.parametrize(
    ("span", "rows", "first", "last"), [((4, 10), 6, 5, 10), ((5, 20), 15, 6, 20), ((0, 3), 3, 1, 3)]
)
def test_rows_that_do_not_come_again_are_told(world: Any, span: Any, rows: int, first: int, last: int) -> None:
    before, again = world.put("source.s", SELECT.format(0, 10)), world.put("source.s", SELECT.format(*span))
    lose(world, before)
    with pytest.raises(SystemFailed) as caught:
        refuse_loss(SOURCE, before, again, Where("s.yaml", 2, 9), world.workshop)
    assert str(caught.value) == (
        "LCH-3913: rows of `s` would be lost: it had 10, `at` from 2020-01-01 00:00:00+00 to 2020-01-10 00:00:00+00, "
        f"and its place gives {rows}, from 2020-01-{first:02} 00:00:00+00 to 2020-01-{last:02} 00:00:00+00\n"
        "  at s.yaml:2:9\n"
        "  why: it is read anew, for a file of it is gone from the lake, and its place keeps new rows alone\n"
        "  fix: put the older files back; to go on without these rows, take `cursor` away"
    )
