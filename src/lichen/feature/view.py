"""What a feature view means: one small description that join, materialize, update and lookup all read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lichen.feature.value import value_kind
from lichen.ground.duration import microseconds, parse_duration

if TYPE_CHECKING:
    from lichen.ports import Column

ALL = -1
"""The window that reaches back to the first row."""

ADDED = frozenset({"sum", "avg"})
SPREAD = frozenset({"var", "std"})
PLACED = frozenset({"first", "last", "mode"})
"""The functions that answer with the value of one of the window's rows, whatever its type."""
COUNTED = frozenset({"count", "count_distinct"})
"""The functions that have an answer for a window of no rows: 0."""
CODED = frozenset({"count_distinct", "mode"})
"""The functions that ask which rows have the same value."""
RAW = frozenset({"quantile", "rate"})


@dataclass(frozen=True)
class WindowAggregate:
    """One value over the rows of a window.

    `value` is an SQL expression over the table's row (`*` stands for the row), `clip` the bounds it is moved into
    first, `type` what it then is in DuckDB's words (empty for `*`). Its windows end `lag_us` microseconds before
    the instant asked. `at` is the share of a `quantile`; `back` is how many rows further back than the last `last`
    looks.
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
    """A row value that aggregates share, and the functions that are asked of it.

    `kind` is `rows` for `*`, else that of the value's type.
    """

    value: str
    clip: tuple[float, float] | None
    type: str
    functions: frozenset[str]

    @cached_property
    def kind(self) -> str:
        """`rows`, `int`, `double`, `instant` or `other`."""
        return value_kind(self.type) if self.type else "rows"

    @property
    def ordered(self) -> bool:
        """Whether a least or a greatest is asked for."""
        return bool(self.functions & {"min", "max"})

    @property
    def needs_values(self) -> bool:
        """Whether the values are read as numbers, and not only which are null."""
        return self.ordered or bool(self.functions & (ADDED | SPREAD | RAW))

    @property
    def is_coded(self) -> bool:
        """Whether it is read which rows have the same value."""
        return bool(self.functions & CODED)

    @property
    def is_placed(self) -> bool:
        """Whether values are shown as they stand in a row."""
        return bool(self.functions & PLACED)


@dataclass(frozen=True)
class View:
    """Features of one entity: what is read, and how it is summed up.

    `time` and `known` are SQL expressions over the columns of `table`; both are None for a static view. A row is
    visible at an instant t where its `known` is before t; a window w of an aggregate that lags by l holds the visible
    rows whose `time` is in [t - l - w, t - l); `latest` is the visible row of greatest `time` before t, and at or after
    t - `ttl_us`, ties going to the later known, then to the row that landed last. A row whose `time` or `known` is null
    or infinite is never visible.

    `grain` names the columns that tell one event from another. Where the table is `corrected` it may hold an event in
    several rows: of those that are visible the one of greatest (`known`, landing) counts and no other.

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
    def frames(self) -> tuple[tuple[int, int], ...]:
        """The distinct (length, lag) of all windows, in order of first use."""
        pairs = ((span, aggregate.lag_us) for aggregate in self.aggregates for span in self.spans)
        return tuple(dict.fromkeys(pairs))

    @cached_property
    def reach(self) -> int:
        """How far back, in microseconds, a row may matter; `ALL` where any row may."""
        if ALL in self.spans or (self.latest and self.ttl_us is None):
            return ALL
        return max((*(span + lag for span, lag in self.frames), self.ttl_us or 0))

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """The distinct row values of the aggregates, in order of first use."""
        asked: dict[tuple[str, tuple[float, float] | None, str], set[str]] = {}
        for aggregate in self.aggregates:
            asked.setdefault((aggregate.value, aggregate.clip, aggregate.type), set()).add(aggregate.function)
        return tuple(Measure(*key, frozenset(functions)) for key, functions in asked.items())

    @cached_property
    def is_counted(self) -> bool:
        """Whether some feature asks how often values stand in a window."""
        return any(a.function in CODED | {"quantile"} for a in self.aggregates)

    @cached_property
    def is_shown(self) -> bool:
        """Whether some feature shows a value as it stands in a row."""
        return bool(self.latest) or any(measure.is_placed for measure in self.measures)

    @cached_property
    def layouts(self) -> dict[tuple[Any, ...], Any]:
        """Where the arrays of the measures stand, by which of them have nulls; kept here for `asked.layout`."""
        return {}

    @cached_property
    def kept(self) -> tuple[tuple[str, str], ...]:
        """The columns besides the times that a state keeps of a row, with their types: `int`, `double` or `flag`."""
        kept = [("_x", "int")] if self.grain else []
        for place, measure in enumerate(self.measures):
            if measure.kind != "rows":
                kept.append((f"_n{place}", "flag"))
            if measure.needs_values:
                kept.append((f"_v{place}", "double" if measure.kind == "double" else "int"))
            if measure.is_coded:
                kept.append((f"_d{place}", "int"))
        return tuple(kept)

    def measure_of(self, aggregate: WindowAggregate) -> int:
        """The place of an aggregate's measure among `measures`."""
        key = (aggregate.value, aggregate.clip, aggregate.type)
        return [(m.value, m.clip, m.type) for m in self.measures].index(key)
