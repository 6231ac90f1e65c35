"""Admission: how many requests are let in at a time, so that those who are let in are answered soon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lichen.deploy.limits import Limits
from lichen.ground.clock import Clock

CALM_SECONDS = 1.0
"""An overload is over once nobody had to be sent away for so long."""

_WINDOW_SECONDS = 0.02
_TURNS = 1.5
"""A request waits for half of the event loop's turn in which it came, on average, and then for its own turn."""

_FEWEST = 3
"""One that is answered and two that wait: with fewer the processor would idle between two."""


class Admission:
    """Decides, for each request as its headers are there, whether it is let in.

    In calm, up to `requests` are let in, however long that takes: a burst, or that many clients that each wait for
    their answer. Once more than these are there at a time, more comes than can be answered. From then on only so many
    are let in as are answered within `wait_seconds`, by the rate at which answers left in the last moments; that ends
    when nobody had to be sent away for a second. The rate counts all that the process does, sending away included.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.limits, self.clock = limits, clock
        self.waiting = 0
        self.overloaded = False
        self._allowed = float(limits.requests)
        self._last_sent_away = self._window_began = 0.0
        self._answered = 0

    def admits(self) -> bool:
        """Whether one more is let in now."""
        if self.waiting < (self._allowed if self.overloaded else self.limits.requests):
            return True
        now = self.clock.seconds()
        if not self.overloaded:
            self.overloaded = True
            self._allowed = float(min(self.limits.requests, 2 * _FEWEST))
            self._window_began, self._answered = now, 0
        self._last_sent_away = now
        return False

    def entered(self) -> None:
        """Count a request that is there as a whole and waits for its answer."""
        self.waiting += 1

    def left(self) -> None:
        """Count a request out that was answered, or whose client left."""
        self.waiting -= 1
        if self.overloaded:
            self._answered += 1
            self._learn(self.clock.seconds())

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """While a request waits for what is not this process's work, as for the disk, it is not counted."""
        self.waiting -= 1
        try:
            yield
        finally:
            self.waiting += 1

    def _learn(self, now: float) -> None:
        """From how many were answered in the last moments: how many are answered within the wait."""
        took = now - self._window_began
        if took < _WINDOW_SECONDS:
            return
        if now - self._last_sent_away > CALM_SECONDS:
            self.overloaded = False
            return
        found = self.limits.wait_seconds / _TURNS * self._answered / took
        smoothed = (self._allowed + found) / 2
        self._allowed = min(max(smoothed, _FEWEST), self.limits.requests)
        self._window_began, self._answered = now, 0
