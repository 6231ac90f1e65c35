"""Every named failpoint, failing in every way: one clear error, the old release or the new one, and a rerun completes."""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from facts import audit_is_whole, face_equals_release, little_is_left_over, released, tables_hold_what_was_sent
from processes import KILLED, Ended, Nursery
from small_project import SmallProject

import lichen

SOURCE = Path(lichen.__file__).parent
EXTRA = "tables/extra.sql"
EXTRA_SQL = "SELECT shop, count(*) AS rows FROM purchases GROUP BY shop\n"
TOTALS = "SELECT * FROM totals ORDER BY shop"
REPLAY = ("replay", "buys", "--json", "--from", "2024-01-21T12:00")

NOT_PASSED: dict[str, str] = {}
"""Failpoints that no command of these tests passes, each with the reason."""


def _names() -> dict[str, bool]:
    """Each failpoint in the source, and whether it is given a file that a short write can cut."""
    texts = [path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")]
    stems = {stem for text in texts for stem in re.findall(r'\.writing\("(\w+)"\)', text)}
    names = {}
    for text in texts:
        for name, file in re.findall(r'\bfp\(f?"([a-z_.{}]+)"(, file=)?', text):
            for stem in stems if "{points}" in name else {""}:
                names[name.replace("{points}", stem)] = bool(file)
    return names


NAMES = _names()
CASES = [
    pytest.param(name, action, id=f"{name}-{action}")
    for name, cuts in sorted(NAMES.items())
    if name not in NOT_PASSED
    for action in ("kill", "enospc", "eio", *(["short"] if cuts else []))  # without a file a short write is an EIO
]


class Way(NamedTuple):
    """A project, the command that is made to fail in it, and how often that passes each failpoint."""

    small: SmallProject
    args: tuple[str, ...]
    passages: Counter[str]

    def prepare(self) -> None:
        """Give a run something to do: rows, and a table that comes or goes."""
        extra = self.small.root / EXTRA
        if self.args[0] == "run":
            self.small.grow(5)
            if not extra.exists():
                self.small.write(EXTRA, EXTRA_SQL)
            else:
                extra.unlink()


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Iterator[list[Way]]:
    """The cheapest first: a run of tables alone, of the whole project, and a replay of the whole project."""
    tables = SmallProject(tmp_path_factory.mktemp("tables"), seed=11, rows=200)
    for folder in ("features", "models", "services", "monitors"):
        shutil.rmtree(tables.root / folder)
    whole = SmallProject(tmp_path_factory.mktemp("whole"), seed=12)
    made = []
    for small, args in ((tables, ("run", "--json")), (whole, ("run", "--json")), (whole, REPLAY)):
        small.write(EXTRA, EXTRA_SQL)
        _completes(small, nursery, "run")
        way = Way(small, args, Counter())
        way.prepare()
        trace = small.root / "trace"
        ended = nursery.lichen(small.root, *args, trace=trace)
        assert ended.code == 0, ended
        way.passages.update(trace.read_text().split())
        made.append(way)
    yield made


def test_every_failpoint_is_passed(ways: list[Way]) -> None:
    passed = {name for way in ways for name in way.passages}
    assert set(NAMES) - passed == set(NOT_PASSED)
    assert passed <= set(NAMES)
    print(f"\n{len(NAMES)} failpoints, {len(CASES)} failures of {len(ways)} commands")


@pytest.mark.parametrize(("name", "action"), CASES)
def test_a_failure_at(name: str, action: str, ways: list[Way], nursery: Nursery) -> None:
    way = next(way for way in ways if name in way.passages)
    small = way.small
    if name in ("lake.withdrawn", "face.before_withdraw"):
        small.write(EXTRA, EXTRA_SQL)
        _completes(small, nursery, "run")
    nth = random.Random(f"{name} {action}").randint(1, way.passages[name])
    if name in ("lake.withdrawn", "face.before_withdraw", "lake.swept"):
        nth = 1
    way.prepare()
    number, totals = released(small.root)[0].number, _totals(small, nursery)

    ended = nursery.lichen(small.root, *way.args, failpoints=f"{name}={action}@{nth}")

    _ended_clearly(ended, action)
    if released(small.root)[0].number == number:
        assert _totals(small, nursery) == totals
    else:
        assert way.args[0] == "replay" or _totals(small, nursery) == small.totals()
    _completes(small, nursery, *way.args)
    if way.args[0] == "replay":
        _predictions_are_whole(small, nursery)
    again = nursery.lichen(small.root, "run", "--json")
    assert (again.code, again.facts["nothing"]) == (0, True)
    tables_hold_what_was_sent(small)
    face_equals_release(small.root)
    audit_is_whole(small.root)
    little_is_left_over(small.root)


def _ended_clearly(ended: Ended, action: str) -> None:
    if action == "kill":
        assert (ended.code, ended.out) == (KILLED, "")
        return
    assert ended.code == 3, ended
    assert "Traceback" not in ended.out + ended.err
    assert ended.err == ""
    error = ended.error
    assert error["code"] == ("LCH-3001" if action == "enospc" else "LCH-3002"), error
    assert error["fix"]


def _completes(small: SmallProject, nursery: Nursery, *args: str) -> None:
    ended = nursery.lichen(small.root, *args)
    assert (ended.code, "Traceback" in ended.err) == (0, False), ended


def _totals(small: SmallProject, nursery: Nursery) -> list[list[object]]:
    ended = nursery.lichen(small.root, "query", "--json", TOTALS)
    assert ended.code == 0, ended
    rows: list[list[object]] = ended.facts["rows"]
    return rows


def _predictions_are_whole(small: SmallProject, nursery: Nursery) -> None:
    """Each label row asked about has one answer."""
    sql = (
        "SELECT count(*), count(DISTINCT prediction_id), (SELECT count(*) FROM purchases "
        "WHERE asked_at >= TIMESTAMPTZ '2024-01-21 12:00:00+00') FROM predictions_buys"
    )
    ((rows, distinct, asked),) = nursery.lichen(small.root, "query", "--json", sql).facts["rows"]
    assert rows == distinct == asked
