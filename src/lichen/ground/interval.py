"""Intervals of time, all of one length, numbered from the first day of the calendar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lichen.ground.duration import microseconds
from lichen.ground.quoting import literal, sql

FIRST, END = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
"""The first day is a Monday, so that weeks begin on one; what is not between the two is in no interval."""

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Spans:
    """A set of intervals, as ranges of their numbers, both ends in it; `timeless`: the rows in no interval, too."""

    ranges: tuple[tuple[int, int], ...] = ()
    timeless: bool = False

    @classmethod
    def of(cls, numbers: Iterable[int | None]) -> Spans:
        """The set of these numbers; None stands for the rows in no interval.

        >>> Spans.of([3, 1, 2, 7, None])
        Spans(ranges=((1, 3), (7, 7)), timeless=True)
        """
        found = set(numbers)
        return cls.joined(((one, one) for one in found if one is not None), timeless=None in found)

    @classmethod
    def joined(cls, ranges: Iterable[tuple[int, int]], *, timeless: bool = False) -> Spans:
        """The set that these ranges make together."""
        whole: list[tuple[int, int]] = []
        for first, last in sorted(ranges):
            if whole and first <= whole[-1][1] + 1:
                whole[-1] = whole[-1][0], max(whole[-1][1], last)
            else:
                whole.append((first, last))
        return cls(tuple(whole), timeless)

    def __bool__(self) -> bool:
        return bool(self.ranges) or self.timeless

    def __contains__(self, number: int | None) -> bool:
        return self.timeless if number is None else any(first <= number <= last for first, last in self.ranges)

    def __or__(self, other: Spans) -> Spans:
        return self.joined((*self.ranges, *other.ranges), timeless=self.timeless or other.timeless)

    def __sub__(self, other: Spans) -> Spans:
        """What is left without another set.

        >>> Spans(((1, 9),)) - Spans(((3, 4), (8, 12)))
        Spans(ranges=((1, 2), (5, 7)), timeless=False)
        """
        left = list(self.ranges)
        for gone, upto in other.ranges:
            cut: list[tuple[int, int]] = []
            for first, last in left:
                cut += [(first, min(last, gone - 1)), (max(first, upto + 1), last)]
            left = [(first, last) for first, last in cut if first <= last]
        return Spans(tuple(dict.fromkeys(left)), self.timeless and not other.timeless)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def pieces(self) -> Iterator[Spans]:
        """Each range by itself, and the rows in no interval by themselves."""
        yield from (Spans((one,)) for one in self.ranges)
        if self.timeless:
            yield Spans(timeless=True)

    def meets(self, other: Spans) -> bool:
        """Whether an interval is in both."""
        return bool(self) and self - other != self


@dataclass(frozen=True)
class Grid:
    """Intervals of one length on the times of a column whose type is `kind`."""

    every: timedelta
    kind: str = "TIMESTAMP WITH TIME ZONE"

    def number(self, at: datetime) -> int:
        """The number of the interval that an instant is in."""
        return (at - FIRST) // self.every

    def start(self, number: int) -> datetime:
        """When an interval begins."""
        return FIRST + number * self.every

    def name(self, number: int) -> str:
        """An interval by its beginning: a day, and a time where intervals do not begin at midnight.

        >>> Grid(timedelta(days=1)).name(735233), Grid(timedelta(hours=6)).name(2940933)
        ('2013-12-31', '2013-12-31T06:00')
        """
        start = self.start(number)
        if self.every % DAY == timedelta(0):
            return start.strftime("%Y-%m-%d")
        return start.isoformat(timespec="minutes" if not (start.second or start.microsecond) else "auto")[:-6]

    def told(self, spans: Spans, most: int = 3) -> str:
        """A set in words: how many intervals, and which.

        >>> Grid(DAY).told(Spans(((735231, 735233),)))
        '3 intervals: 2013-12-29 .. 2013-12-31'
        """
        names = [self.name(a) if a == b else f"{self.name(a)} .. {self.name(b)}" for a, b in spans.ranges]
        shown = ", ".join(names[:most]) + (f" and {len(names) - most} more spans" if len(names) > most else "")
        said = [f"{len(spans):,} interval{'' if len(spans) == 1 else 's'}: {shown}"] if names else []
        return " and ".join([*said, *(["the rows without a time"] if spans.timeless else [])]) or "no interval"

    def number_sql(self, column: str) -> str:
        """SQL for the number of the interval that a value is in; null where it is in none."""
        since = f"epoch_us({column}) - ({microseconds(FIRST - datetime(1970, 1, 1, tzinfo=UTC))})"
        inside = sql(column, ">=", self._time(FIRST), "AND", column, "<", self._time(END))
        return sql("CASE WHEN", inside, "THEN", f"({since}) // {microseconds(self.every)} END")

    def within_sql(self, column: str, spans: Spans) -> str:
        """SQL that is true of the values in these intervals; plain comparisons, for an engine to read less by."""
        outside = sql(column, "IS NULL OR", column, "<", self._time(FIRST), "OR", column, ">=", self._time(END))
        each = [
            sql(column, ">=", self._time(self.start(first)), "AND", column, "<", self._time(self._after(last)))
            for first, last in spans.ranges
        ]
        hull = []
        if len(each) > 1 and not spans.timeless:
            whole = Spans(((spans.ranges[0][0], spans.ranges[-1][1]),))
            hull = [self.within_sql(column, whole), "AND"]
        each += [outside] if spans.timeless else []
        return sql(*hull, "(", " OR ".join(f"({one})" for one in each) or "false", ")")

    def _after(self, number: int) -> datetime:
        """When an interval ends."""
        return END if (END - FIRST) // self.every <= number else self.start(number + 1)

    def _time(self, at: datetime) -> str:
        return f"CAST({literal(at.isoformat(sep=' '))} AS {self.kind})"
