"""What a feature view means: one small description that join, materialize and lookup all read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from lichen.feature.value import value_kind
from lichen.ground.duration import microseconds, parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lichen.ports import Column

ALL = -1
"""The window that reaches back to the first row."""


@dataclass(frozen=True)
class WindowAggregate:
    """One value over the rows of a window.

    `value` is an SQL expression over the table's row (`*` counts rows), `clip` the bounds it is moved into
    first, `type` what it then is in DuckDB's words (empty for `*`).
    """

    name: str
    function: str
    value: str
    clip: tuple[float, float] | None = None
    type: str = ""
    lag_us: int = 0
    at: float = 0.5
    back: int = 0


@dataclass(frozen=True)
class Measure:
    """A row value that aggregates share, with the arrays that are kept for it.

    `kind` is `rows` for `*`, else that of the value's type. `summed`, `least` and `greatest` say which of its
    aggregates are asked for.
    """

    value: str
    clip: tuple[float, float] | None
    type: str
    summed: bool
    least: bool
    greatest: bool

    @property
    def kind(self) -> str:
        """`rows`, `int`, `double`, `instant` or `other`."""
        return value_kind(self.type) if self.type else "rows"

    @property
    def needs_values(self) -> bool:
        """Whether the values themselves are read, or only which are null."""
        return self.summed or self.least or self.greatest


@dataclass(frozen=True)
class View:
    """Features of one entity: what is read, and how it is summed up.

    `time` and `known` are SQL expressions over the columns of `table`; both are None for a static view. A row is
    visible at an instant t where its `known` is before t; a window w holds the visible rows whose `time` is in
    [t - w, t); `latest` is the visible row of greatest `time` before t, and at or after t - `ttl_us`, ties going to the
    later known, then to the row that landed last. A row whose `time` or `known` is null or infinite is never visible.

    A null in a key is a missing entity: every feature is null, counts too. An entity without visible rows has
    counts of 0 and nulls otherwise.
    """

    name: str
    entity: tuple[Column, ...]
    table: str
    time: str | None
    known: str | None
    aggregates: tuple[WindowAggregate, ...]
    windows: tuple[str, ...]
    latest: tuple[Column, ...]
    ttl_us: int | None
    static: bool
    features: tuple[Column, ...]
    grain: tuple[str, ...] = ()
    corrected: bool = False

    @cached_property
    def spans(self) -> tuple[int, ...]:
        """The windows' lengths in microseconds, `ALL` for `all`."""
        return tuple(ALL if window == "all" else microseconds(parse_duration(window)) for window in self.windows)

    @cached_property
    def reach(self) -> int:
        """How far back, in microseconds, a row may matter; `ALL` where any row may."""
        if ALL in self.spans or (self.latest and self.ttl_us is None):
            return ALL
        return max((*self.spans, self.ttl_us or 0))

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """The distinct row values of the aggregates, in order of first use."""
        asked: dict[tuple[str, tuple[float, float] | None, str], set[str]] = {}
        for aggregate in self.aggregates:
            asked.setdefault((aggregate.value, aggregate.clip, aggregate.type), set()).add(aggregate.function)
        return tuple(
            Measure(*key, bool(functions & {"sum", "avg"}), "min" in functions, "max" in functions)
            for key, functions in asked.items()
        )

    def measure_of(self, aggregate: WindowAggregate) -> int:
        """The place of an aggregate's measure among `measures`."""
        key = (aggregate.value, aggregate.clip, aggregate.type)
        return [(m.value, m.clip, m.type) for m in self.measures].index(key)


@dataclass(frozen=True)
class Slots:
    """Where each measure's arrays stand: for each measure the row of its prefix sums or keys, or -1 where it has none.

    `counts` gives 0 for a measure without nulls: all rows count, as they do for `*`.
    """

    counts: tuple[int, ...]
    ints: tuple[int, ...]
    doubles: tuple[int, ...]
    least: tuple[int, ...]
    greatest: tuple[int, ...]

    @classmethod
    def of(cls, measures: Sequence[Measure], holed: Sequence[bool]) -> Slots:
        """The places for these measures; `holed` says which have nulls."""

        def places(wanted: Sequence[bool], start: int = 0, other: int = -1) -> tuple[int, ...]:
            taken = accumulate(wanted, initial=start)
            return tuple(place if want else other for place, want in zip(taken, wanted, strict=False))

        least = [m.least for m in measures]
        return cls(
            counts=places(list(holed), 1, 0),
            ints=places([m.summed and m.kind == "int" for m in measures]),
            doubles=places([m.summed and m.kind == "double" for m in measures]),
            least=places(least),
            greatest=places([m.greatest for m in measures], sum(least)),
        )
