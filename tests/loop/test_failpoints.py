"""Every named failpoint, failing in every way: one clear error, the old release or the new, and a rerun completes."""

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

_APART = "its command is killed at each of its failpoints in a test of its own"
_OF_REDIS = "the project keeps its features in a file; the online stores' conformance suite kills there"
NOT_PASSED: dict[str, str] = {
    **dict.fromkeys(("pointer.ready", "pointer.moved", "carry.linked"), _APART),
    **dict.fromkeys(
        ("redis.begun", "redis.added", "redis.written", "redis.flipped", "redis.taken", "redis.tidied"), _OF_REDIS
    ),
}
"""Failpoints that none of the ways below passes, each with the reason."""


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


CUTS_TOO_MUCH = ("record.appended",)
"""Failpoints whose short write would cut what was synced before: half of a whole log, where a real one leaves more."""


def _cases() -> Iterator[object]:
    """Each failpoint with each failure; those of one failure a failpoint, in turn, are not left to `make soak`."""
    for number, name in enumerate(sorted(set(NAMES) - set(NOT_PASSED))):
        cuts = NAMES[name] and name not in CUTS_TOO_MUCH
        actions = ("kill", "enospc", "short" if cuts else "eio")
        for action in (*actions, *(["eio"] if cuts else [])):  # without a file to cut, a short write is an EIO
            marks = () if action == actions[number % 3] else pytest.mark.soak
            yield pytest.param(name, action, id=f"{name}-{action}", marks=marks)


NAMES = _names()
CASES = list(_cases())
PREPARED = ("lake.withdrawn", "face.before_withdraw", "lake.swept")
"""Failpoints that a run passes only where the one before it had work and a table has gone since."""


CUT = "transform.interval_written"
"""The failpoint that a run passes only where it cuts a file of several intervals: one that was built at once."""


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
def ways(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> list[Way]:
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
    return made


def test_every_failpoint_is_passed(ways: list[Way]) -> None:
    passed = {name for way in ways for name in way.passages}
    assert set(NAMES) - passed == set(NOT_PASSED)
    assert passed <= set(NAMES)
    print(f"\n{len(NAMES)} failpoints, {len(CASES)} failures of {len(ways)} commands")


@pytest.mark.parametrize(("name", "action"), CASES)
def test_a_failure_at(name: str, action: str, ways: list[Way], nursery: Nursery) -> None:
    way = next(way for way in ways if name in way.passages)
    small = way.small
    if name in PREPARED:
        small.grow(5)
        small.write(EXTRA, EXTRA_SQL)
        _completes(small, nursery, "run")
    if name == CUT:
        daily = small.root / "tables/daily.sql"
        written = daily.read_text()
        daily.write_text(re.sub(r"lateness: (\d+)w", lambda old: f"lateness: {int(old[1]) + 1}w", written))
        assert daily.read_text() != written
        _completes(small, nursery, "run")
    # How often a server syncs its record hangs on the time that its requests take, how many transactions there are on
    # heartbeats and on what is forgotten, and how many intervals are written on the rows that came.
    often = {"record": 2, "state": way.passages[name] // 2, "transform": 1}.get(name.split(".")[0], way.passages[name])
    most = 1 if name in PREPARED else max(often, 1)
    nth = random.Random(f"{name} {action}").randint(1, most)
    way.prepare()
    number, totals = released(small.root)[0].number, _totals(small, nursery)

    ended = nursery.lichen(small.root, *way.args, failpoints=f"{name}={action}@{nth}")

    _ended_clearly(ended, action, in_server=name.startswith("record."))
    if released(small.root)[0].number == number:
        assert _totals(small, nursery) == totals
    else:
        assert way.args[0] == "replay" or _totals(small, nursery) == small.totals()
    mended = nursery.lichen(small.root, *way.args)
    assert (mended.code, mended.err) == (0, ""), mended
    if way.args[0] == "replay":
        _predictions_are_whole(small, nursery, mended.facts["model_version"])
    elif not mended.facts["nothing"]:
        little_is_left_over(small.root)
    again = nursery.lichen(small.root, "run", "--json")
    assert (again.code, again.facts["nothing"]) == (0, True)
    tables_hold_what_was_sent(small)
    face_equals_release(small.root)
    audit_is_whole(small.root)


APART = {"promote": {"pointer.ready", "pointer.moved"}, "rollback": {"pointer.ready", "pointer.moved"}}
APART["run"] = {"carry.linked"}


def _prepare(verb: str, small: SmallProject, nursery: Nursery) -> tuple[str, ...]:
    """Give a verb something to do: a branch that differs, a release to go back from, or a table with another name."""
    if verb == "run":
        (old,) = (small.root / "tables").glob("extra*.sql")
        old.rename(old.with_stem(f"extra_{released(small.root)[0].number}"))
        return ("run", "--json")
    number = released(small.root)[0].number
    text = (small.root / EXTRA).read_text()
    small.write(EXTRA, text.replace("count(*)", "count(*) + 1"))
    if verb == "rollback":
        _completes(small, nursery, "run")
        return ("rollback", "--json", "--to", str(number))
    _completes(small, nursery, "run", "--env", "dev")
    return ("promote", "--json", "dev", "prod")


@pytest.mark.parametrize("verb", APART)
def test_a_verb_that_is_killed_at_each_of_its_failpoints(verb: str, tmp_path: Path, nursery: Nursery) -> None:
    small = SmallProject(tmp_path / "small", seed=13, rows=60)
    for folder in ("features", "models", "services", "monitors"):
        shutil.rmtree(small.root / folder)
    small.write(EXTRA, EXTRA_SQL)
    _completes(small, nursery, "run")
    words, trace = _prepare(verb, small, nursery), small.root / "trace"
    assert nursery.lichen(small.root, *words, trace=trace).code == 0
    passed = set(trace.read_text().split())
    assert passed >= APART[verb]
    for name in sorted(passed):
        for action in ("kill", "enospc") if name in APART[verb] else ("kill",):
            words = _prepare(verb, small, nursery)
            before = released(small.root)[0]
            ended = nursery.lichen(small.root, *words, failpoints=f"{name}={action}")
            if ended.code == 0 and name not in APART[verb]:
                continue  # a run passes some failpoints only where the one before it left something to sweep
            _ended_clearly(ended, action, in_server=False)
            after = released(small.root)[0]
            assert after == before or after.parent == before.number, name
            mended = nursery.lichen(small.root, *words)
            assert (mended.code, mended.err) == (0, ""), (name, mended)
            assert mended.facts["nothing"] == (after != before), (name, mended)
            assert released(small.root)[0].parent == before.number, name
            face_equals_release(small.root)
            audit_is_whole(small.root)
    print(f"\n{verb}: killed at each of {len(passed)} failpoints")


def _ended_clearly(ended: Ended, action: str, *, in_server: bool) -> None:
    """By the kill, or with one error that says the fix; where a replay's server fails, the replay says that it did."""
    if action == "kill" and not in_server:
        assert (ended.code, ended.out) == (KILLED, "")
        return
    assert ended.code == 3, ended
    assert "Traceback" not in ended.out + ended.err
    assert ended.err == ""
    error = ended.error
    full, broken = "LCH-3001", "LCH-3002"
    expected = {"LCH-1842", "LCH-1843", "LCH-1845"} if in_server else {full if action == "enospc" else broken}
    assert error["code"] in expected, error
    assert error["fix"]


def _completes(small: SmallProject, nursery: Nursery, *args: str) -> None:
    ended = nursery.lichen(small.root, *args)
    assert (ended.code, "Traceback" in ended.err) == (0, False), ended


def _totals(small: SmallProject, nursery: Nursery) -> list[list[object]]:
    ended = nursery.lichen(small.root, "query", "--json", TOTALS)
    assert ended.code == 0, ended
    rows: list[list[object]] = ended.facts["rows"]
    return rows


def _predictions_are_whole(small: SmallProject, nursery: Nursery, model: str) -> None:
    """Each label row that this model was asked about has one answer of it."""
    sql = (
        "SELECT count(*), count(DISTINCT prediction_id), (SELECT count(*) FROM purchases "
        "WHERE asked_at >= TIMESTAMPTZ '2024-01-21 12:00:00+00') "
        f"FROM predictions_buys WHERE model_version = '{model}'"
    )
    ((rows, distinct, asked),) = nursery.lichen(small.root, "query", "--json", sql).facts["rows"]
    assert rows == distinct == asked
