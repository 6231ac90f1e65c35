"""Follows the environment while a service answers: a release that would answer otherwise takes its place."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from lichen.deploy.served import Served
from lichen.deploy.standing import NotTaken, Standing
from lichen.errors import LichenError
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


class Follower:
    """Holds what is served now, and looks again and again, in a thread of its own, for what came since.

    `serving` changes between two requests: each keeps what it fetched. A release that cannot be loaded is not taken
    up: `standing` tells why, and the one before answers on; it is tried again after one second, two, four, and so on,
    and at once where another release came. `taken` hears of each that is taken up, and `each` is called after every
    look. `stale` is why the online store cannot be read, while it cannot.
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
    ) -> None:
        self.serving = served
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

    def _follow(self) -> None:
        while not self._stop.wait(self._seconds):
            self.look()
            self._each()

    def _refresh(self) -> None:
        refresh = self.serving.path.deployed.refresh
        if refresh is None:
            return
        try:
            refresh()
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
        self.serving, self.stale = served, None
        self._taken(served)
        _logger.info("release %d answers in place of release %d", self.serving.path.deployed.release, before)
        self._see()
