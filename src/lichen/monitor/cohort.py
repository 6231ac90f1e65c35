"""Time in equal cohorts: predictions asked in the same span are judged together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from lichen.errors import FoundWrong
from lichen.ground.duration import microseconds
from lichen.ground.instant import from_us, told_us
from lichen.monitor.sample import DAY

MOST = 10_000
"""The most cohorts of one monitor."""


def instant(value: int | datetime) -> int:
    """An instant in microseconds since 1970 UTC.

    >>> instant(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    return told_us(value)


def shown(at: int) -> str:
    """An instant for people: the date alone where it is midnight.

    >>> shown(86_400_000_000), shown(90_000_000_000)
    ('1970-01-02', '1970-01-02 01:00')
    """
    moment = from_us(at)
    return f"{moment:%Y-%m-%d}" if at % DAY == 0 else f"{moment:%Y-%m-%d %H:%M}"


def span(start: int, end: int) -> str:
    """A span of time for people.

    >>> span(0, 86_400_000_000)
    '1970-01-01 to 1970-01-02'
    """
    return f"{shown(start)} to {shown(end)}"


def _long_enough(whole: int) -> str:
    """A length of cohorts of which a span of time holds a thousand at most, as it is written."""
    hours = -(-whole // 1000 // (DAY // 24))
    lengths = ((1, "1h"), (24, "1d"), (7 * 24, "7d"), (28 * 24, "28d"))
    return next((written for length, written in lengths if hours <= length), "52w")


@dataclass(frozen=True)
class Cohorts:
    """Cohort `i` covers `[origin + i * length, origin + (i + 1) * length)`; the last may still be open.

    All in microseconds. The origin is a first instant of a UTC day.
    """

    origin: int
    length: int
    count: int

    @classmethod
    def between(cls, first: int, now: int, length: timedelta) -> Self:
        """The cohorts from the UTC day of `first` up to `now`; so many that nobody could look at them are refused.

        >>> Cohorts.between(instant(datetime(2013, 1, 1, 7, tzinfo=UTC)), instant(datetime(2013, 1, 9, tzinfo=UTC)),
        ...     timedelta(days=7)).count
        2
        """
        origin, span = first // DAY * DAY, microseconds(length)
        count = max(0, -((origin - now) // span))
        if count > MOST:
            raise FoundWrong(
                "LCH-2805",
                f"the monitor would judge {count:,} cohorts, and {MOST:,} are the most",
                why=f"it cuts {shown(origin)} to {shown(now)} into cohorts as long as `every`",
                fix=f"let `every` be longer: `every: {_long_enough(now - origin)}`, say",
            )
        return cls(origin, span, count)

    def bounds(self, index: int) -> tuple[int, int]:
        """The first instant of a cohort and the first after it."""
        start = self.origin + index * self.length
        return start, start + self.length
