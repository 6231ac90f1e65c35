"""The rows of many entities as arrays, and what is kept of them so that any question is answered by a few reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lichen.errors import FoundWrong
from lichen.feature.asked import Asked, Slots, layout
from lichen.feature.compute import BLOCK, NONE
from lichen.feature.frequency import FEW, REGISTERS
from lichen.feature.kernels import kernel
from lichen.feature.view import RAW, SPREAD

if TYPE_CHECKING:
    from lichen.feature.view import Measure, View

Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]

_SIGN = np.int64(NONE)
NO_INTS = np.empty(0, np.int64)
NONE_NUMBERED = np.empty((0, 0), np.int64)
_NO_FLAGS = np.empty(0, np.bool_)


@dataclass(frozen=True)
class Events:
    """A view's visible-some-day rows, sorted by (entity, event time, known-time, landing).

    Entity e has the positions `first[e]` up to `first[e + 1]`; `order` gives the row at each position and `times` its
    event time. All else is of the rows as they came: when they became known (`known`; `lag` after their time where that
    is a number) and until when (`until`, None where no row follows another of its event). For each measure `values`
    holds numbers (int64, or float64 for doubles; None where they are not needed), `missing` tells the nulls (None where
    there are none) and `hashes` tells equal values from others (None where that is not asked).
    """

    first: Ints
    order: Ints
    times: Ints
    known: Ints | None
    until: Ints | None
    lag: int | None
    values: tuple[NDArray[Any] | None, ...]
    missing: tuple[NDArray[np.bool_] | None, ...]
    hashes: tuple[Ints | None, ...]
    dawn: Dawn | None = None


@dataclass(frozen=True)
class Dawn:
    """What rows that are left out add up to, for each measure a column.

    The rows of `whole` are how many values there were, their sum where they are whole numbers, and the keys of the
    least and the greatest; those of `pairs` the sum of doubles and that of their squares, each with what rounding left
    out.
    """

    whole: Ints
    pairs: Doubles

    @classmethod
    def of(cls, past: History, rows: int) -> Dawn:
        """What the first rows of a history of one entity add up to."""
        slots, measures = past.slots, len(past.slots.measures)
        whole, pairs = np.zeros((4, measures), np.int64), np.zeros((4, measures))
        for at in range(measures):
            counted = slots.counts[at] >= 0
            whole[0, at] = past.whole[slots.counts[at], rows] if counted else rows
            whole[1, at] = past.whole[slots.ints[at], rows] if slots.ints[at] >= 0 else 0
            for place, slot in ((2, slots.keys[at]), (3, slots.keys[at + measures])):
                whole[place, at] = past.keys[slot, :rows].min(initial=NONE) if slot >= 0 else NONE
            if slots.pairs[at] >= 0:
                width = 4 if slots.measures[at].functions & SPREAD else 2
                pairs[:width, at] = past.pairs[slots.pairs[at] : slots.pairs[at] + width, rows]
        return cls(whole, pairs)

    @staticmethod
    def size(measures: int) -> int:
        """How many numbers of eight bytes it is."""
        return 8 * measures

    def as_array(self) -> Ints:
        """All of it in one array."""
        return np.concatenate((self.whole.ravel(), self.pairs.view(np.int64).ravel()))

    @classmethod
    def from_array(cls, array: Ints) -> Dawn:
        """What `as_array` gave."""
        half = len(array) // 2
        return cls(array[:half].reshape(4, -1), array[half:].view(np.float64).reshape(4, -1))


def constant_lag(times: Ints, known: Ints) -> int | None:
    """How long after its time each row is known, where that is the same for all; None where it is not."""
    if len(times) == 0:
        return 0
    lag = int(known[0] - times[0])
    if not ((known - times) == lag).all():
        return None
    # A row known before its time still has to happen to be counted.
    return max(lag, 0)


@dataclass(frozen=True)
class History:
    """Events with all that answers are made of; the arrays are as `sweep` and `frequencies` take them."""

    slots: Slots
    asked: Asked
    first: Ints
    order: Ints
    times: Ints
    known: Ints
    until: Ints
    ceiling: Ints
    low: Ints
    high: Ints
    lag: int
    whole: Ints
    pairs: Doubles
    keys: Ints
    tables: Ints
    raw: Doubles
    hashes: Ints
    numbers: Ints
    unique: Ints
    widths: Ints
    most: int
    longest: int

    @property
    def blocks(self) -> int:
        """How many blocks the rows fill."""
        return blocks_of(len(self.times))


def blocks_of(rows: int) -> int:
    """How many blocks these many rows fill."""
    return -(-rows // BLOCK)


def to_keys(values: NDArray[Any]) -> Ints:
    """Values as whole numbers of the same order, so that one search for the least serves all types."""
    if values.dtype == np.float64:
        bits = (values + 0.0).view(np.int64)
        values = np.where(bits < 0, bits ^ _SIGN, bits)
    return values


def history(view: View, events: Events) -> History:
    """Sum up a view's events.

    Refuses (`FoundWrong`) integers of one entity whose magnitudes add up to 2**63 or more, since their sum might not
    fit, and doubles that are not finite or whose sum is not: one of them would make every later window meaningless.
    """
    holed = tuple(missing is not None or events.dawn is not None for missing in events.missing)
    slots, asked = layout(view, holed)
    made = _Sums(view, events, slots)
    for place in range(len(view.measures)):
        made.add(place)
    known, until, ceiling, low, high = _visibility(events)
    return History(
        slots=slots, asked=asked, first=events.first, order=events.order, times=events.times,
        known=known, until=until, ceiling=ceiling, low=low, high=high, lag=-1 if events.lag is None else events.lag,
        whole=made.whole, pairs=made.pairs, keys=made.keys, tables=made.tables, raw=made.raw, hashes=made.hashes,
        numbers=made.numbers, unique=made.unique, widths=made.widths, most=made.most, longest=made.longest,
    )  # fmt: skip


def _visibility(events: Events) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Known-times and ends by position, their running maximum, and their extremes by block; empty where not needed."""
    if events.lag is not None:
        return (NO_INTS,) * 5
    assert events.known is not None
    known = events.known[events.order]
    until = NO_INTS if events.until is None else events.until[events.order]
    ceiling = np.empty_like(known)
    kernel("ceiling")(events.first, known, until, ceiling)
    low = np.empty(blocks_of(len(known)), np.int64)
    high = np.empty_like(low)
    kernel("extent")(known, until, low, high)
    return known, until, ceiling, low, high


class _Sums:
    """The arrays of a history, filled measure by measure."""

    def __init__(self, view: View, events: Events, slots: Slots) -> None:
        self.view, self.events, self.slots = view, events, slots
        rows, entities = len(events.order), len(events.first) - 1
        wholes, pairs, keys, raws, numbers = slots.sizes
        # One row at least: compiled loops index the first even of none.
        self.whole = np.empty((max(1, wholes), rows + entities), np.int64)
        self.pairs = np.empty((pairs, rows + entities), np.float64)
        self.keys = np.empty((keys, rows), np.int64)
        self.longest = int(np.diff(events.first).max(initial=0))
        blocks = blocks_of(rows)
        self.tables = np.empty((keys, max(1, blocks_of(self.longest).bit_length()) * blocks), np.int64)
        self.raw = np.empty((raws, rows), np.float64)
        self.numbers, self.unique = np.empty((numbers, rows), np.int64), np.empty((numbers, rows), np.int64)
        self.widths = np.zeros((numbers, entities), np.int64)
        coded = sum(measure.is_coded for measure in view.measures)
        self.hashes = np.empty((coded, _landed(events)), np.int64)
        self.most = 0

    def add(self, place: int) -> None:
        """Add what is kept of a measure."""
        measure, events = self.view.measures[place], self.events
        missing, dawn = events.missing[place], events.dawn
        if dawn is not None:
            weights = np.ones(len(events.order), np.int64) if missing is None else (~missing).astype(np.int64)
            weights[0] = dawn.whole[0, place]
            kernel("whole")(events.first, events.order, weights, self.whole[self.slots.counts[place]])
        elif missing is not None:
            row = self.whole[self.slots.counts[place]]
            kernel("whole")(events.first, events.order, (~missing).view(np.int8), row)
        values = events.values[place]
        if values is not None:
            if dawn is not None and measure.kind == "int":
                values[0] = dawn.whole[1, place]
            self._add_values(place, measure, values, missing)
        hashes = events.hashes[place]
        if hashes is not None:
            slot = self.slots.numbers[place]
            self.hashes[slot] = hashes
            self._number(slot, hashes, missing, _NO_DOUBLES)

    def _add_values(self, place: int, measure: Measure, values: NDArray[Any], missing: Any) -> None:
        events, slots = self.events, self.slots
        if measure.kind == "double" and not np.isfinite(values).all():
            raise _not_finite(self.view, measure)
        if measure.functions & RAW and not np.isfinite(2.0 * float(np.abs(values.astype(np.float64)).max(initial=0.0))):
            raise _too_large(self.view, measure, "DOUBLE")
        if slots.ints[place] >= 0:
            row = self.whole[slots.ints[place]]
            if not np.isfinite(kernel("whole")(events.first, events.order, values, row)):
                raise _too_large(self.view, measure, "BIGINT")
        doubles = values if measure.kind == "double" else values.astype(np.float64)
        if slots.pairs[place] >= 0:
            for squared in range(1 + bool(measure.functions & SPREAD)):
                at = slots.pairs[place] + 2 * squared
                seed = _NO_DOUBLES if events.dawn is None else events.dawn.pairs[2 * squared : 2 * squared + 2, place]
                sums = kernel("pairs")(
                    events.first, events.order, doubles, bool(squared), np.ascontiguousarray(seed), self.pairs[at],
                    self.pairs[at + 1],
                )  # fmt: skip
                if not np.isfinite(sums):
                    raise _too_large(self.view, measure, "DOUBLE")
        for flip, slot in enumerate((slots.keys[place], slots.keys[place + len(slots.measures)])):
            if slot >= 0:
                flags = _NO_FLAGS if missing is None else missing
                kernel("keyed")(events.order, to_keys(values), flags, bool(flip), self.keys[slot])
                if events.dawn is not None:
                    self.keys[slot, 0] = events.dawn.whole[2 + flip, place]
                kernel("table")(self.keys[slot], blocks_of(len(events.order)), self.tables[slot])
        if slots.raw[place] >= 0:
            self.raw[slots.raw[place]] = doubles[events.order]
        if "quantile" in measure.functions:
            slot = slots.numbers[place + len(slots.measures)]
            self._number(slot, NO_INTS, missing, self.raw[slots.raw[place]])

    def _number(self, slot: int, values: Ints, missing: Any, raw: Doubles) -> None:
        events = self.events
        flags = _NO_FLAGS if missing is None else missing
        room = np.empty(self.longest, np.int64)
        most = kernel("codes")(
            events.first, events.order, values, flags, raw, room, self.numbers[slot], self.unique[slot],
            self.widths[slot],
        )  # fmt: skip
        self.most = max(self.most, most)


_NO_DOUBLES = np.empty(0, np.float64)


def _landed(events: Events) -> int:
    """How many rows came."""
    return next((len(hashes) for hashes in events.hashes if hashes is not None), 0)


def _named(view: View, measure: Measure) -> str:
    names = [a.name for a in view.aggregates if (a.value, a.clip) == (measure.value, measure.clip)]
    return f"feature view `{view.name}`: `{names[0]}`"


def _not_finite(view: View, measure: Measure) -> FoundWrong:
    return FoundWrong(
        "LCH-2611",
        f"{_named(view, measure)} is computed of values that are not all finite numbers",
        why=f"`{measure.value}` gives NaN or infinity for some row, and no later window could be told from it",
        fix=f"make such values null: CASE WHEN isfinite({measure.value}) THEN {measure.value} END",
    )


def _too_large(view: View, measure: Measure, type_: str) -> FoundWrong:
    return FoundWrong(
        "LCH-2612",
        f"{_named(view, measure)} adds up to more than a {type_} holds",
        why=f"the magnitudes of `{measure.value}` over all rows of one entity add up beyond its range",
        fix="scale the value down, clip it, or cast it to DOUBLE if it is a whole number",
    )


# ---------------------------------------------------------------------------------------------- questions


@dataclass(frozen=True)
class Found:
    """What a history answers: for each operation a row of numbers, and where there are any; where the latest row is."""

    out: Ints
    some: NDArray[np.bool_]
    counted: Ints
    counted_some: NDArray[np.bool_]
    latest: Ints


class Room:
    """Working space for a history's questions, so that one after the other is answered without making it anew."""

    def __init__(self, past: History) -> None:
        runs = 2 if past.lag >= 0 else 2 * past.longest + 2
        self.runs, self.cut = np.empty(runs, np.int64), np.empty(runs, np.int64)
        self.at = np.empty(2 * len(past.asked.frames) + 1, np.int64)
        counts = (len(past.asked.counts), past.most)
        if len(past.asked.counts):
            self.last = np.array([-1, 0], np.int64)
            self.held = np.zeros((counts[0], 4), np.int64)
            self.counts, self.seen = np.zeros(counts, np.int64), np.zeros(counts, np.int64)
            self.sorted = np.empty(FEW, np.float64)
            self.registers, self.tally = np.zeros(REGISTERS, np.int64), np.zeros(54, np.int64)


def room_for(past: History, questions: int) -> Found:
    """Room for the answers to a number of questions."""
    plain, counted = (len(past.asked.ops), questions), (len(past.asked.counts), questions)
    return Found(
        np.empty(plain, np.int64), np.empty(plain, np.bool_), np.empty(counted, np.int64),
        np.empty(counted, np.bool_), np.empty(questions, np.int64),
    )  # fmt: skip


def answer(view: View, past: History, entities: Ints, instants: Ints) -> Found:
    """Answer questions that are sorted by entity and instant."""
    found = room_for(past, len(entities))
    for loop, arguments in calls(view, past, entities, instants, found):
        loop(*arguments)
    return found


def calls(
    view: View, past: History, entities: Ints, instants: Ints, found: Found
) -> list[tuple[Callable[..., Any], tuple[Any, ...]]]:
    """The loops that answer these questions, with what they are given; they may be called again for other instants."""
    room, asked = Room(past), past.asked
    seen = (past.first, past.times, past.known, past.until, past.ceiling, past.low, past.high, past.lag, view.reach)
    plain = (
        *seen, asked.frames, -1 if view.ttl_us is None else view.ttl_us, past.whole, past.pairs, past.keys,
        past.tables, past.blocks, past.raw, asked.ops, entities, instants, room.runs, room.cut, room.at,
        found.out, found.out.view(np.float64), found.some, found.latest,
    )  # fmt: skip
    if not len(asked.counts):
        return [(kernel("sweep"), plain)]
    counted = (
        past.first, past.order, *seen[1:], asked.frames, past.numbers, past.unique, past.widths, past.hashes,
        past.raw, asked.counts, asked.shares, entities, instants, room.last, room.runs, room.cut, room.at, room.held,
        room.counts, room.seen, room.sorted, room.registers, room.tally,
        found.counted, found.counted.view(np.float64), found.counted_some,
    )  # fmt: skip
    return [(kernel("sweep"), plain), (kernel("frequencies"), counted)]
