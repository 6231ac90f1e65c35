"""Follows the environment while a service answers: a release that would answer otherwise takes its place."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from lichen.deploy.rollout import Breach, Outcome, Tried
from lichen.deploy.served import Served
from lichen.deploy.standing import NotTaken, Standing
from lichen.deploy.trial import Trial
from lichen.errors import LichenError, WrongUsage
from lichen.ground.clock import Clock

_logger = logging.getLogger(__name__)
_LONGEST_PAUSE = 60.0


class Environment(Protocol):
    """What a service follows."""

    def standing(self) -> Standing:
        """How what `newest` gave last stands to the environment now; raises `LichenError` where that is unreadable."""
        ...

    def newest(self) -> Served:
        """What the environment's release answers with; raises `LichenError` where it cannot be loaded."""
        ...

    def stable(self) -> Served | None:
        """What answered before a release that is being tried, where that goes on from before this process began."""
        ...

    def begin(self, stable: int, candidate: int) -> tuple[int, Outcome]:
        """When the trial of a release began, in microseconds since 1970, and how it stands; begins it if need be."""
        ...

    def state(self) -> Outcome | None:
        """How the trial of the newest release stands; None where there is none."""
        ...

    def complete(self, trial: Trial, counts: Tried) -> None:
        """Note that a release stood its trial."""
        ...

    def go_back(self, to: int | None, asked_by: str) -> dict[str, Any]:
        """Roll the environment back to one of its releases, as somebody asked; raises `LichenError` where it cannot."""
        ...

    def roll_back(self, trial: Trial, counts: Tried, broken: Breach) -> None:
        """Roll the environment back from a release that broke a guard; raises `LichenError` where it cannot now."""
        ...


class Follower:
    """Holds what is served now, and looks again and again, in a thread of its own, for what came since.

    `serving` changes between two requests: each keeps what it fetched. A release that cannot be loaded is not taken
    up: `standing` tells why, and the one before answers on; it is tried again after one second, two, four, and so on,
    and at once where another release came. `taken` hears of each that is taken up, and `each` is called after every
    look. `stale` is why the online store cannot be read, while it cannot.

    A release that asks for a rollout is tried beside the one before: `trial` holds both, `serving` stays, until it
    stood its time or broke a guard. `counts` gives what the sides did, of all workers.
    """

    def __init__(
        self,
        served: Served,
        environment: Environment | None,
        clock: Clock,
        *,
        seconds: float,
        taken: Callable[[Served], None] = lambda _: None,
        each: Callable[[], None] = lambda: None,
        own: Counter[tuple[int, str, str]] | None = None,
        counts: Callable[[], Tried] | None = None,
    ) -> None:
        self.serving = served
        self.trial: Trial | None = None
        self._own: Counter[tuple[int, str, str]] = Counter() if own is None else own
        self.counts: Callable[[], Tried] = counts or (lambda: self._own)
        self.standing: Standing | None = None
        self.stale: LichenError | None = None
        self._environment, self._clock, self._seconds, self._taken = environment, clock, seconds, taken
        self._each = each
        self._unseen = False
        self._refused: NotTaken | None = None
        self._pause = self._again_at = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look once, then go on in a thread."""
        self._see()
        self._resume()
        if self._environment is not None or self.serving.path.deployed.refresh is not None:
            self._thread = threading.Thread(target=self._follow, name="lichen-follower", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread, once what it is loading is loaded."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> None:
        """See the online store's newest generations, and take up the environment's release where it is another."""
        self._refresh()
        self._see()
        if self.standing is not None and self.standing.behind:
            self._take_up(self.standing)
        elif self.trial is not None:
            self._judge(self.trial)

    def go_back(self, to: int | None, asked_by: str) -> dict[str, Any]:
        """Roll the environment back to a release, the one before if None; raises `LichenError` where that cannot be."""
        if self._environment is None:
            raise WrongUsage("LCH-1921", "a replay answers with one release to its end", fix="ask a live service")
        return self._environment.go_back(to, asked_by)

    def _follow(self) -> None:
        while not self._stop.wait(self._seconds):
            self.look()
            self._each()

    def _refresh(self) -> None:
        sides = [self.serving, *([self.trial.candidate] if self.trial else [])]
        try:
            for side in sides:
                if side.path.deployed.refresh is not None:
                    side.path.deployed.refresh()
            self.stale = None
        except LichenError as failed:
            if self.stale is None:
                _logger.error("%s", failed)
            self.stale = failed

    def _see(self) -> None:
        """See how what is served stands to its environment; where that cannot be read, nothing is said of it."""
        if self._environment is None:
            return
        try:
            standing = self._environment.standing()
            self._unseen = False
        except LichenError as failed:
            if not self._unseen:
                _logger.error("%s", failed)
            self.standing, self._unseen = None, True
            return
        if not standing.behind:
            self._refused, self._pause = None, 0.0
        self.standing = replace(standing, not_taken=self._refused)

    def _take_up(self, standing: Standing) -> None:
        assert self._environment is not None
        another = self._refused is None or self._refused.release != standing.release
        if not another and self._clock.seconds() < self._again_at:
            return
        before = self.serving.path.deployed.release
        try:
            served = self._environment.newest()
        except LichenError as failed:
            if another:
                _logger.error("release %d is not taken up, release %d answers on: %s", standing.release, before, failed)
            self._refused = NotTaken(standing.release, failed.code, failed.what)
            self._pause = 1.0 if another else min(2 * self._pause, _LONGEST_PAUSE)
            self._again_at = self._clock.seconds() + self._pause
            self.standing = replace(standing, not_taken=self._refused)
            return
        if served.rollout is None or not self._begin(served):
            self._replace(served)
        self._see()

    def _replace(self, served: Served) -> None:
        before = self.serving.path.deployed.release
        self.serving, self.stale, self.trial = served, None, None
        self._taken(served)
        _logger.info("release %d answers in place of release %d", served.path.deployed.release, before)

    def _begin(self, candidate: Served) -> bool:
        """Try a release beside the one that answers; False where that cannot be, or it stood its trial elsewhere."""
        assert self._environment is not None
        assert candidate.rollout is not None
        stable, release = self.serving.path.deployed, candidate.path.deployed.release
        if candidate.path.deployed.request != stable.request:
            _logger.warning("release %d is not tried: its requests have other fields", release)
            return False
        try:
            began_us, state = self._environment.begin(stable.release, release)
        except LichenError as failed:
            _logger.error("%s", failed)
            return False
        if state == "completed":
            return False
        self.trial = Trial(candidate.rollout, self.serving, candidate, began_us, self._own)
        _logger.info("release %d is tried beside release %d", release, stable.release)
        return True

    def _resume(self) -> None:
        """Go on with the trial that this process found under way as it began."""
        if self._environment is None or self.serving.rollout is None:
            return
        candidate = self.serving
        try:
            stable = self._environment.stable()
        except LichenError as failed:
            _logger.error("%s", failed)
            return
        if stable is not None:
            self.serving = stable
            if self._begin(candidate):
                self._taken(stable)
            else:
                self.serving = candidate

    def _judge(self, trial: Trial) -> None:
        """Take the candidate up where it stood its time, and back where it broke a guard, whichever worker saw that."""
        assert self._environment is not None
        counts = self.counts()
        try:
            state = self._environment.state()
            if state == "completed":
                self._replace(trial.candidate)
            elif state == "running":
                trial.stopped = trial.stopped or trial.breach(counts)
                if trial.stopped is not None:
                    self._environment.roll_back(trial, counts, trial.stopped)
                    _logger.error("release %d is rolled back: %s", trial.release, trial.stopped)
                elif trial.candidate.path.now_us() - trial.began_us >= 1e6 * trial.plan.seconds:
                    self._environment.complete(trial, counts)
                    self._replace(trial.candidate)
        except LichenError as failed:
            _logger.error("%s", failed)
