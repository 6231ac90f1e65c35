"""What a view's features are asked of its rows, as the numbers that compiled loops read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from lichen.feature import frequency as f
from lichen.feature import sweep as s
from lichen.feature.view import ADDED, COUNTED, PLACED, RAW, SPREAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lichen.feature.view import Measure, View, WindowAggregate

FREQUENCIES = {"count_distinct": f.DISTINCT, "mode": f.MOST, "quantile": f.QUANTILE}


@dataclass(frozen=True)
class Slots:
    """Where the arrays of a view's measures stand, -1 where one has none; `holed` says which measures have nulls.

    `whole` holds prefix counts, then prefix sums of whole numbers; `pairs` two prefix sums for each measure that adds
    doubles, four where squares are asked too; `keys` the least, then the greatest; `raw` doubles; `numbers` values by
    number, for buckets apart from those for distinct values.
    """

    measures: tuple[Measure, ...]
    holed: tuple[bool, ...]

    def _places(self, widths: Sequence[int], start: int = 0) -> tuple[tuple[int, ...], int]:
        places = []
        for width in widths:
            places.append(start if width else -1)
            start += width
        return tuple(places), start

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """The prefix counts of rows with a value."""
        return self._places([int(holes) for holes in self.holed])[0]

    @cached_property
    def ints(self) -> tuple[int, ...]:
        """The prefix sums of whole numbers."""
        return self._places([int(_adds(m) and m.kind == "int") for m in self.measures], sum(self.holed))[0]

    @property
    def wholes(self) -> int:
        """How many rows of prefix sums of whole numbers there are."""
        return sum(self.holed) + sum(_adds(m) and m.kind == "int" for m in self.measures)

    @cached_property
    def _paired(self) -> tuple[tuple[int, ...], int]:
        return self._places(
            [4 if m.functions & SPREAD else 2 * (_adds(m) and m.kind == "double") for m in self.measures]
        )

    @property
    def pairs(self) -> tuple[int, ...]:
        """The prefix sums of doubles."""
        return self._paired[0]

    @cached_property
    def _keyed(self) -> tuple[tuple[int, ...], int]:
        asked = chain(("min" in m.functions for m in self.measures), ("max" in m.functions for m in self.measures))
        return self._places([int(one) for one in asked])

    @property
    def keys(self) -> tuple[int, ...]:
        """The keys of the least of each measure, then those of the greatest."""
        return self._keyed[0]

    @cached_property
    def _rawed(self) -> tuple[tuple[int, ...], int]:
        return self._places([int(bool(m.functions & RAW)) for m in self.measures])

    @property
    def raw(self) -> tuple[int, ...]:
        """The values as doubles."""
        return self._rawed[0]

    @cached_property
    def _numbered(self) -> tuple[tuple[int, ...], int]:
        asked = chain((m.is_coded for m in self.measures), ("quantile" in m.functions for m in self.measures))
        return self._places([int(one) for one in asked])

    @property
    def numbers(self) -> tuple[int, ...]:
        """The values by number, of each measure whose equal values are asked for, then of those put into buckets."""
        return self._numbered[0]

    @cached_property
    def sizes(self) -> tuple[int, int, int, int, int]:
        """How many rows there are of whole numbers, of pairs, keys, raw values and numbered values."""
        return self.wholes, self._paired[1], self._keyed[1], self._rawed[1], self._numbered[1]


def _adds(measure: Measure) -> bool:
    return bool(measure.functions & ADDED)


@dataclass(frozen=True)
class Asked:
    """The operations of a view: `ops` for `sweep`, `counts` and `shares` for `frequencies`.

    `places` says for each windowed feature, in the order of the view's, in which of the two it is answered (0, 1) and
    at which operation.
    """

    ops: Any
    counts: Any
    shares: Any
    frames: Any
    places: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, view: View, slots: Slots) -> Asked:
        """What a view asks of the rows whose arrays stand in these slots."""
        frames = {frame: place for place, frame in enumerate(view.frames)}
        plain: list[tuple[tuple[int, ...], int]] = []
        counted: list[tuple[tuple[int, int, int, int], float, int]] = []
        feature = 0
        for aggregate in view.aggregates:
            measure = view.measure_of(aggregate)
            for span in view.spans:
                frame = frames[span, aggregate.lag_us]
                if aggregate.function in FREQUENCIES:
                    shift = len(view.measures) if aggregate.function == "quantile" else 0
                    code = FREQUENCIES[aggregate.function]
                    counted.append(
                        ((code, frame, slots.numbers[shift + measure], slots.raw[measure]), aggregate.at, feature)
                    )
                else:
                    code, slot, back = _operation(aggregate, view.measures, measure, slots)
                    plain.append(((code, frame, slots.counts[measure], slot, back), feature))
                feature += 1
        # Frame after frame: the window of each is looked for once.
        plain.sort(key=lambda one: one[0][s.FRAME])
        places: dict[int, tuple[int, int]] = {of: (0, at) for at, (_, of) in enumerate(plain)}
        places |= {of: (1, at) for at, (*_, of) in enumerate(counted)}
        return cls(
            np.array([op for op, _ in plain], np.int64).reshape(-1, 5),
            np.array([op for op, *_ in counted], np.int64).reshape(-1, 4),
            np.array([share for _, share, _ in counted], np.float64),
            np.array(view.frames, np.int64).reshape(-1, 2),
            tuple(places[of] for of in range(feature)),
        )


def layout(view: View, holed: tuple[bool, ...]) -> tuple[Slots, Asked]:
    """A view's slots and operations, where these measures have nulls; made once for each view."""
    found = view.layouts.get(holed)
    if found is None:
        slots = Slots(view.measures, holed)
        found = view.layouts[holed] = (slots, Asked.of(view, slots))
    return found


def _operation(aggregate: WindowAggregate, measures: Sequence[Measure], at: int, slots: Slots) -> tuple[int, int, int]:
    """What an aggregate asks, where what it reads stands, and how it looks at it."""
    kind, function = measures[at].kind, aggregate.function
    if function in ADDED:
        added = kind != "int"
        code = (s.ADD if added else s.SUM) if function == "sum" else (s.MEAN_ADD if added else s.MEAN)
        return code, (slots.pairs if added else slots.ints)[at], 0
    if function in ("min", "max"):
        flip = function == "max"
        return s.LEAST, slots.keys[at + len(measures) * flip], flip + 2 * (kind == "double")
    if function in SPREAD:
        return (s.VAR if function == "var" else s.STD), slots.pairs[at], 0
    if function == "rate":
        return s.RATE, slots.raw[at], 0
    code = {"count": s.COUNT, "first": s.FIRST, "last": s.LAST, "since": s.SINCE}[function]
    return code, -1, aggregate.back


def is_real(aggregate: WindowAggregate, measure: Measure) -> bool:
    """Whether an aggregate's answer is a double, and not a whole number or a position."""
    if aggregate.function in ("sum", "min", "max"):
        return measure.kind == "double"
    return aggregate.function not in PLACED | COUNTED
