"""`kill -9` at random moments: what was released before stands or what comes after does, and nothing is lost."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Container
from pathlib import Path
from typing import Any

import pytest
from facts import (
    audit_is_whole,
    balance_is_whole,
    face_equals_release,
    little_is_left_over,
    one_release,
    released,
    tables_hold_what_was_sent,
)
from processes import KILLED, Born, Nursery
from small_project import SmallProject, Visit

from lichen import Project
from lichen.graph.version import Version
from lichen.run.execute import RUNS

PHASES = ("collect", "transform", "train", "deploy", "release")
PHASE = {"feature": "train", "monitor": "deploy"}
"""Making a feature view or a monitor is a line in the store: their moments count with the stage beside them."""


class Kills:
    """Rounds of: send rows, kill runs, let one end, look at everything."""

    def __init__(self, small: SmallProject, nursery: Nursery, seed: int) -> None:
        self.small, self.nursery, self.random = small, nursery, random.Random(seed)
        self.phases: Counter[str] = Counter()
        self.seen: list[str] = []
        self.span, self.passages = 2.0, 100
        for _ in range(4):
            self._attempt()
        self._complete()
        self.visits: Version | None = None
        self.sent: list[Visit] = []
        self._look()
        small.grow(10)
        begun = time.monotonic()
        trace = small.root / "trace"
        trace.unlink()
        assert nursery.lichen(small.root, "run", "--json", trace=trace).code == 0
        self.span, self.passages = time.monotonic() - begun, trace.read_bytes().count(b"\n")
        self._look()

    @property
    def kills(self) -> int:
        return self.phases.total()

    def round(self, attempts: int) -> None:
        """Send rows, kill up to `attempts` runs, and let one end; a reader looks on."""
        small = self.small
        small.grow(self.random.randrange(5, 30))
        reader = self.nursery.reader(small.root)
        for _ in range(attempts):
            if self.random.random() < 0.1:
                small.grow(self.random.randrange(5, 30))
            ended = self._attempt()
            self._balance()
            if ended:
                small.grow(self.random.randrange(5, 30))
        self._complete()
        self._heard(reader)
        self._look()

    def _attempt(self) -> bool:
        """Kill a run at a random moment, by the clock or by how far it has come, for the last steps are short.

        Returns whether the run ended before that.
        """
        trace = self.small.root / "trace"
        trace.write_bytes(b"")
        before = self._runs()
        child = self.nursery.start(self.small.root, "run", "--json", trace=trace)
        if self.random.random() < 0.5:
            child.wait(self.random.uniform(0, self.span))
        else:
            passages = self.random.randrange(self.passages)
            while trace.read_bytes().count(b"\n") < passages and child.wait(0.002) is None:
                pass
            child.wait(self.random.uniform(0, 0.01))
        ended = child.kill()
        if ended.code == KILLED:
            self.phases[self._phase(before)] += 1
        else:
            assert ended.code == 0, ended.err + ended.out
        return ended.code != KILLED

    def _complete(self) -> None:
        ended = self.nursery.lichen(self.small.root, "run", "--json")
        assert (ended.code, ended.err) == (0, ""), ended
        assert ended.facts["held"] == []
        again = self.nursery.lichen(self.small.root, "run")
        number = released(self.small.root)[0].number
        assert (again.code, again.err) == (0, "")
        assert again.out == f"nothing to do: `prod` is at release {number}, and nothing changed since\n"

    def _heard(self, reader: Born) -> None:
        """What the reader saw in the meantime: one release at a time, and rows that only become more."""
        ended = reader.kill()
        assert (ended.code, ended.err) == (KILLED, ""), ended
        lines = ended.out.splitlines(keepends=True)
        whole = [one_release(line) for line in lines if line.endswith("\n")]
        assert whole, "the reader saw nothing"
        self.seen += whole

    def _look(self) -> None:
        small = self.small
        self._balance()
        tables_hold_what_was_sent(small)
        face_equals_release(small.root)
        audit_is_whole(small.root)
        little_is_left_over(small.root)
        self._record_ends()

    def _balance(self) -> None:
        """A release that came, be it of a run that was killed right after, has met just the rows it must have met."""
        visits = released(self.small.root)[1]["source.visits"]
        if self.visits is None or visits.version != self.visits.version:
            balance_is_whole(self.small, self.visits, self.sent)
            self.visits, self.sent = visits, list(self.small.sent)

    def _record_ends(self) -> None:
        """The newest run ended well; each run released at most once."""
        runs = list(self._runs().values())
        with Project(self.small.root) as project:
            released_by = Counter(release.facts["run"] for release in project.history())
        assert max(runs, key=lambda run: run["started"])["status"] == "done"
        assert max(released_by.values()) == 1

    def _runs(self) -> dict[str, Any]:
        with Project(self.small.root) as project:
            return dict(project.workshop.state.scan(RUNS))

    def _phase(self, before: Container[str]) -> str:
        """Where the kill fell, by what the killed run recorded last; `before` are the runs that there were."""
        runs = {key: run for key, run in self._runs().items() if key not in before}
        if not runs:
            return "start"
        run = max(runs.values(), key=lambda run: run["started"])
        if run["status"] == "done":  # its release is recorded, its published face and its end are not
            return "release"
        steps, done = run["plan"]["steps"], len(run["outcomes"])
        if done == len(steps):
            return "release"
        stage = steps[done]["stage"]
        return PHASE.get(stage, stage)


def _kill(root: Path, nursery: Nursery, *, seed: int, kills: int, attempts: int) -> None:
    begun = time.monotonic()
    made = Kills(SmallProject(root, seed=seed), nursery, seed)
    rounds = 0
    while made.kills < kills:
        made.round(attempts)
        rounds += 1
        assert made.kills * 4 > rounds * attempts, "runs end before they are killed"
    numbers = len(set(made.seen))
    print(
        f"\n{made.kills} kills in {rounds} rounds, {time.monotonic() - begun:.0f} s (a run takes {made.span:.1f} s): "
        + ", ".join(f"{phase} {made.phases[phase]}" for phase in ("start", *PHASES))
        + f"; {len(made.seen)} looks of a reader at {numbers} states; 0 lost, 0 doubled, 0 torn, 0 stuck"
    )
    for phase in PHASES:
        assert made.phases[phase] >= made.kills / 100, f"only {made.phases[phase]} kills fell into {phase}"


@pytest.mark.parametrize("seed", [1, 2])
def test_runs_killed_at_random_moments(seed: int, tmp_path: Path, nursery: Nursery) -> None:
    _kill(tmp_path, nursery, seed=seed, kills=100, attempts=12)


@pytest.mark.soak
def test_a_thousand_runs_killed_at_random_moments(tmp_path: Path, nursery: Nursery) -> None:
    _kill(tmp_path, nursery, seed=3, kills=1000, attempts=8)
