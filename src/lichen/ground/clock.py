"""Time enters the system here and nowhere else."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time in UTC; every part that needs it is handed one."""

    def now(self) -> datetime:
        """The current instant, with time zone UTC."""
        ...

    def seconds(self) -> float:
        """A counter that only grows, in seconds, to measure durations."""
        ...


@dataclass(frozen=True)
class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current instant, with time zone UTC."""
        return datetime.now(UTC)

    def seconds(self) -> float:
        """A counter that only grows, in seconds."""
        return time.perf_counter()


@dataclass
class FixedClock:
    """A clock that stands still until it is told to move: for replays and tests.

    >>> clock = FixedClock(datetime(2013, 12, 1, tzinfo=UTC))
    >>> clock.now().isoformat()
    '2013-12-01T00:00:00+00:00'
    """

    instant: datetime

    def now(self) -> datetime:
        """The instant it was last told, in UTC; an instant without a time zone is refused."""
        if self.instant.tzinfo is None:
            raise ValueError(f"{self.instant} has no time zone, so it is no instant")
        return self.instant.astimezone(UTC)

    def seconds(self) -> float:
        """The instant as seconds since 1970."""
        return self.now().timestamp()
