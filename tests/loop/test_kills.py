"""`kill -9` at random moments: what was released before stands or what comes after does, and nothing is lost."""

from __future__ import annotations

import random
import time
from collections import Counter
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
from lichen.run.facts import RUNS

PHASES = ("collect", "transform", "feature", "train", "deploy", "release")
PHASE = {"monitor": "deploy"}
"""Making a monitor is a line in the store: its moments count with the stage beside it."""

ROWS = 600
BEFORE = 16
"""Failpoints that a run passes until it is recorded as begun, once it has recorded the end of one that was killed."""
REUSED = 4
"""Failpoints that it passes for a step whose version is there already."""
SPANS = ("early_stop: 3d, test: 6d", "early_stop: 1d, test: 2d")
"""Few rows and short spans: what is shown hangs on where a run is killed, not on how much it reads."""


class Kills:
    """Rounds of: send rows, kill runs, let one end, look at everything."""

    def __init__(self, small: SmallProject, nursery: Nursery, seed: int) -> None:
        self.small, self.nursery, self.random = small, nursery, random.Random(seed)
        self.trace = small.root / "trace"
        self.phases: Counter[str] = Counter()
        self.seen: list[str] = []
        self.runs: dict[str, Any] = {}
        self.visits: Version | None = None
        self.sent: list[Visit] = []
        self.span, self.passages, self.left = 2.0, 100, 100
        for _ in range(4):
            self._attempt()
        self._complete()
        self._look()
        small.grow(10)
        begun = time.monotonic()
        self.trace.unlink()
        assert nursery.lichen(small.root, "run", "--json", trace=self.trace).code == 0
        self.span, self.passages = time.monotonic() - begun, len(self._passed()) - BEFORE
        self._look()

    @property
    def kills(self) -> int:
        return self.phases.total()

    @property
    def missed(self) -> list[str]:
        """The phases that got under one in a hundred of the kills."""
        return [phase for phase in PHASES if self.phases[phase] * 100 < self.kills]

    def round(self, attempts: int) -> None:
        """Send rows, kill up to `attempts` runs, and let one end; a reader looks on."""
        self._send()
        reader = self.nursery.reader(self.small.root, pause=1.0)
        for _ in range(attempts):
            if self.random.random() < 0.2:
                self._send()
            if self._attempt():
                self._send()
        self._complete()
        self._heard(reader)
        self._look()

    def _send(self) -> None:
        self.small.grow(self.random.randrange(5, 30))
        self.left = self.passages

    def _attempt(self) -> bool:
        """Kill a run at a random moment and return whether it ended before that.

        One in ten falls anywhere from the start on, the others into what is left to do: by the clock or, for the last
        steps are short, by how far the run has come.
        """
        self.trace.write_bytes(b"")
        child = self.nursery.start(self.small.root, "run", "--json", trace=self.trace)
        if self.random.random() < 0.1:
            child.wait(self.random.uniform(0, self.span / 4))
        elif self.random.random() < 0.4:
            self._wait_for(child, BEFORE)
            child.wait(self.random.uniform(0, self.span * self.left / self.passages))
        else:
            self._wait_for(child, BEFORE + self.random.randrange(self.left))
            child.wait(self.random.uniform(0, 0.01))
        ended = child.kill()
        self._recorded(killed=ended.code == KILLED)
        self.left = max(1, self.left - self._kept())
        if ended.code != KILLED:
            assert ended.code == 0, ended.err + ended.out
            self._holds_all_that_was_sent()
        return ended.code != KILLED

    def _wait_for(self, child: Born, passages: int) -> None:
        while len(self._passed()) < passages and child.wait(0.005) is None:
            pass

    def _kept(self) -> int:
        """How many failpoints the next run need not pass again, for this one has ended the steps they are of."""
        passed, kept, since = self._passed(), 0, BEFORE
        for place, name in enumerate(passed):
            if name == "run.step_done":
                if "release.version_kept" in passed[since:place]:
                    kept += place - since - REUSED
                since = place
        return kept

    def _passed(self) -> list[str]:
        """The failpoints that the last run passed."""
        return self.trace.read_text(encoding="utf-8").split("\n")[:-1]

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
        self._recorded(killed=False)
        tables_hold_what_was_sent(small)
        face_equals_release(small.root)
        audit_is_whole(small.root)
        little_is_left_over(small.root)
        self._record_ends()

    def _recorded(self, *, killed: bool) -> None:
        """What every run left: the phase it was killed in counts, and a release of it has met just what it must have.

        That goes for the release of a run that was killed right after it, too.
        """
        with Project(self.small.root) as project:
            runs = dict(project.workshop.state.scan(RUNS))
            visits = project.releases.versions(project.releases.current("prod")).get("source.visits")
        if killed:
            self.phases[self._phase([run for key, run in runs.items() if key not in self.runs])] += 1
        self.runs = runs
        if visits is not None and (self.visits is None or visits.version != self.visits.version):
            balance_is_whole(self.small, self.visits, self.sent)
            self.visits, self.sent = visits, list(self.small.sent)

    def _holds_all_that_was_sent(self) -> None:
        """A run that says it ended well has done all there was to do."""
        assert self.visits is not None
        assert self.visits.rows == len(self.small.expected()), "a run ended well and had not done what there was to do"

    def _record_ends(self) -> None:
        """The newest run ended well; each run released at most once."""
        with Project(self.small.root) as project:
            released_by = Counter(entry.release.facts["run"] for entry in project.history())
        assert max(self.runs.values(), key=lambda run: run["started"])["status"] == "done"
        assert max(released_by.values()) == 1

    def _phase(self, runs: list[Any]) -> str:
        """Where the kill fell, by what the killed run recorded and passed last; `runs` is that run, if it began."""
        if not runs:
            return "start"
        run = max(runs, key=lambda run: run["started"])
        if run["status"] == "done":  # its release is recorded, its published face and its end are not
            return "release"
        steps, done = run["plan"]["steps"], len(run["outcomes"])
        if done == len(steps):
            return "release"
        stage = steps[done]["stage"]
        if stage == "train" and "feature.joined" not in self._passed():
            return "feature"  # a view is a line in the store; its values are computed where a model asks for them
        return PHASE.get(stage, stage)


def _kill(root: Path, nursery: Nursery, *, seed: int, kills: int, attempts: int) -> None:
    begun = time.monotonic()
    small = SmallProject(root, seed=seed, rows=ROWS)
    small.edit("models/buys.yaml", *SPANS)
    made = Kills(small, nursery, seed)
    rounds = 0
    while made.kills < kills or (made.missed and made.kills < 2 * kills):
        made.round(attempts)
        rounds += 1
        assert made.kills * 4 > rounds * attempts, "runs end before they are killed"
    numbers = len(set(made.seen))
    print(
        f"\n{made.kills} kills in {rounds} rounds, {time.monotonic() - begun:.0f} s (a run takes {made.span:.1f} s): "
        + ", ".join(f"{phase} {made.phases[phase]}" for phase in ("start", *PHASES))
        + f"; {len(made.seen)} looks of a reader at {numbers} states; "
        + "0 lost, 0 doubled, 0 torn, 0 stuck, 0 silent no-ops"
    )
    assert not made.missed, f"too few kills fell into {', '.join(made.missed)}: {dict(made.phases)}"


@pytest.mark.parametrize("seed", [1, 2])
def test_runs_killed_at_random_moments(seed: int, tmp_path: Path, nursery: Nursery) -> None:
    _kill(tmp_path, nursery, seed=seed, kills=100, attempts=20)


@pytest.mark.soak
def test_a_thousand_runs_killed_at_random_moments(tmp_path: Path, nursery: Nursery) -> None:
    _kill(tmp_path, nursery, seed=3, kills=1000, attempts=20)
