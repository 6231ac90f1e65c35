"""Two runs on one project: one works, the other waits or is refused; nothing is made twice."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from facts import audit_is_whole, face_equals_release, little_is_left_over, released, tables_hold_what_was_sent
from processes import KILLED, Born, Nursery, until
from small_project import SmallProject

from lichen import Project
from lichen.run.facts import RUNS
from lichen.run.lease import LAPSE

HELD_UP = "run.step_done=sleep"
"""Makes a run take a second longer, so that another is sure to meet it."""


@pytest.fixture
def small(tmp_path: Path) -> SmallProject:
    return SmallProject(tmp_path / "small", seed=31)


def _runs_begun(root: Path) -> int:
    if not (root / ".lichen/state.db").exists():
        return 0
    with Project(root) as project:
        return len(list(project.workshop.state.scan(RUNS)))


def test_the_second_run_is_refused_in_words(small: SmallProject, nursery: Nursery) -> None:
    first = nursery.start(small.root, "run", "--json", failpoints=HELD_UP)
    until(lambda: _runs_begun(small.root) == 1)
    second = nursery.lichen(small.root, "run")
    as_json = nursery.lichen(small.root, "run", "--json")
    assert first.wait(0) is None, "the first run ended before it was met"
    assert (second.code, second.out) == (3, "")
    lines = second.err.splitlines()
    assert lines[0].startswith(f"LCH-3912: another run works on this: process {first.pid} on ")
    assert lines[1:] == [
        "  why: it holds run",
        "  fix: wait until it is done, or let this one wait for it: --wait 10m (a dead run's hold ends after 10 s)",
    ]
    assert (as_json.code, as_json.error["code"]) == (3, "LCH-3912")
    assert first.end().code == 0
    tables_hold_what_was_sent(small)


def test_the_second_run_waits_where_told(small: SmallProject, nursery: Nursery) -> None:
    first = nursery.start(small.root, "run", "--json", failpoints=HELD_UP)
    until(lambda: _runs_begun(small.root) == 1)
    second = nursery.lichen(small.root, "run", "--json", "--wait", "2m")
    assert (second.code, second.facts["nothing"], second.facts["release"]) == (0, True, 1)
    assert first.end().facts["release"] == 1
    assert _runs_begun(small.root) == 1


def test_waiting_ends(small: SmallProject, nursery: Nursery) -> None:
    first = nursery.start(small.root, "run", "--json", failpoints="train.trained=sleep;feature.joined=sleep")
    until(lambda: _runs_begun(small.root) == 1)
    second = nursery.lichen(small.root, "run", "--json", "--wait", "1s")
    assert (second.code, second.error["code"]) == (3, "LCH-3912")
    first.kill()


def test_a_killed_run_holds_nobody_up(small: SmallProject, nursery: Nursery) -> None:
    first = nursery.start(small.root, "run", "--json")
    until(lambda: _runs_begun(small.root) == 1)
    assert first.kill().code == KILLED
    begun = time.monotonic()
    second = nursery.lichen(small.root, "run", "--json")
    assert second.code == 0, second
    assert second.facts["seconds"] < time.monotonic() - begun < second.facts["seconds"] + LAPSE
    tables_hold_what_was_sent(small)


def test_readers_do_not_wait_for_a_run(small: SmallProject, nursery: Nursery) -> None:
    assert nursery.lichen(small.root, "run").code == 0
    small.grow(5)
    run = nursery.start(small.root, "run", "--json", failpoints="release.before_move=sleep")
    until(lambda: _runs_begun(small.root) == 2)
    for verb in (("status", "--json"), ("history", "--json"), ("plan", "--json"), ("query", "--json", "FROM totals")):
        assert nursery.lichen(small.root, *verb).code == 0
    assert run.end().facts["release"] == 2


def _runners(small: SmallProject, nursery: Nursery, *, rounds: int, seed: int) -> str:
    chance, ends = random.Random(seed), Counter[str]()
    assert nursery.lichen(small.root, "run").code == 0
    for number in range(rounds):
        small.grow(10)
        before = released(small.root)[0]
        children = [nursery.start(small.root, "run", "--json", "--wait", "2m") for _ in range(8)]
        for child in chance.sample(children, 3):
            child.wait(chance.uniform(0, 0.5))
            ends[_ended(child.kill().code)] += 1
            children.remove(child)
        ends.update(_ended(_well(child)) for child in children)
        after = released(small.root)[0]
        assert after.number == before.number + 1, f"round {number}: released {after.number - before.number} times"
        tables_hold_what_was_sent(small)
    face_equals_release(small.root)
    audit_is_whole(small.root)
    little_is_left_over(small.root)
    _nothing_was_made_twice(small.root)
    return f"{rounds} rounds of 8 runners: {ends['ended']} ended, {ends['killed']} killed; 0 double runs"


def _ended(code: int) -> str:
    assert code in (0, KILLED)
    return "killed" if code == KILLED else "ended"


def _well(child: Born) -> int:
    ended = child.end()
    assert (ended.code, ended.err) == (0, ""), ended
    return ended.code


def _nothing_was_made_twice(root: Path) -> None:
    """Of all runs on record each version was built by one; what another found there it reused."""
    with Project(root) as project:
        runs = [run for _, run in project.workshop.state.scan(RUNS)]
    built = Counter(
        (outcome["asset"], outcome["version"])
        for run in runs
        for outcome in run["outcomes"]
        if outcome["state"] == "built"
    )
    assert max(built.values()) == 1, built.most_common(3)
    assert {run["status"] for run in runs} <= {"done", "killed"}, json.dumps([run["status"] for run in runs])


def test_eight_runners_some_killed(small: SmallProject, nursery: Nursery) -> None:
    print("\n" + _runners(small, nursery, rounds=4, seed=1))


@pytest.mark.soak
def test_eight_runners_for_two_hundred_rounds(small: SmallProject, nursery: Nursery) -> None:
    print("\n" + _runners(small, nursery, rounds=200, seed=2))
