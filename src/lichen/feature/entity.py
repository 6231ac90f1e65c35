"""One entity's past, ready to be asked about one instant after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from lichen.errors import WrongUsage
from lichen.feature import unfold as u
from lichen.feature.asked import Asked, Slots, is_real, layout
from lichen.feature.history import NO_INTS, NONE_NUMBERED, History, Ints, blocks_of, calls, history, room_for
from lichen.feature.kernels import kernel
from lichen.feature.state import Head, events_in, one_row, texts_in, unpack
from lichen.feature.statement import same_known
from lichen.feature.value import from_wire, instant
from lichen.feature.view import COUNTED, PLACED, SPREAD

if TYPE_CHECKING:
    from lichen.feature.view import View

_ENTITY = np.zeros(1, np.int64)
_NUMBERS = np.arange(256)
_SUMMED = (u.INTS, u.PAIRS, u.SQUARES, u.LEAST, u.GREATEST, u.RAW)


class Past:
    """One entity's rows, summed up, with the loops that answer of them; one thread asks at a time."""

    __slots__ = ("_calls", "_counted", "_found", "_instant", "lead", "since", "size", "texts")

    def __init__(self, view: View, past: History, since: int, texts: list[bytes], lead: int) -> None:
        found = room_for(past, 1)
        self._instant = np.zeros(1, np.int64)
        self._calls = calls(view, past, _ENTITY, self._instant, found)
        self._counted, self._found = len(past.asked.counts) > 0, found
        self.since, self.texts, self.lead = since, texts, lead
        arrays = {id(one): one.nbytes for _, given in self._calls for one in given if isinstance(one, np.ndarray)}
        self.size = sum(arrays.values()) + sum(map(len, texts))

    @classmethod
    def of(cls, view: View, blob: bytes) -> Past:
        """An entity's past from its bytes."""
        head = Head.of(view, blob)
        if head.is_plain and not view.is_counted:
            past, place = _unfolded(view, head, blob)
            return cls(view, past, head.since, texts_in(blob, place, head.count) if view.is_shown else [], 0)
        rows = unpack(view, blob)
        past = history(view, events_in(view, rows))
        return cls(view, past, rows.since, rows.texts, int(rows.dawn is not None))

    def at(self, t: int) -> tuple[list[Any], NDArray[np.bool_], int]:
        """What the operations answer at an instant: whole numbers, then doubles; whether at all; the latest row."""
        self._instant[0] = t
        for loop, arguments in self._calls:
            loop(*arguments)
        found = self._found
        out, some = found.out[:, 0], found.some[:, 0]
        if self._counted:
            out = np.concatenate((out, found.counted[:, 0]))
            some = np.concatenate((some, found.counted_some[:, 0]))
        both: list[Any] = out.tolist()
        both += out.view(np.float64).tolist()
        return both, some, int(found.latest[0])


def _unfolded(view: View, head: Head, blob: bytes) -> tuple[History, int]:
    """The history in a state of rows that are known when they happen, and where its arrays end."""
    # Copied, for arrays that may not be written would have the loops compiled once more.
    count, words = head.count, np.frombuffer(blob, np.int64, (len(blob) - head.place) // 8, head.place).copy()
    slots, asked, plan = _layout(view, head.holes)
    wholes, pairs, keys, raws, _ = slots.sizes
    blocks, first, room = blocks_of(count), np.array([0, count]), np.empty(count, np.int64)
    order = _NUMBERS[:count] if count <= len(_NUMBERS) else np.arange(count)
    past = History(
        slots, asked, first, order, words[:count], NO_INTS, NO_INTS, NO_INTS, NO_INTS, NO_INTS, 0,
        np.empty((max(1, wholes), count + 1), np.int64), np.empty((pairs, count + 1)),
        np.empty((keys, count), np.int64), np.empty((keys, max(1, blocks.bit_length()) * blocks), np.int64),
        np.empty((raws, count)), NONE_NUMBERED, NONE_NUMBERED, NONE_NUMBERED, NONE_NUMBERED, 0, count,
    )  # fmt: skip
    rest = words[count:]
    read = kernel("unfold")(
        rest, rest.view(np.float64), rest.view(np.uint8), count, plan, first, order, room,
        room.view(np.float64), past.whole, past.pairs, past.keys, past.tables, blocks, past.raw,
    )  # fmt: skip
    return past, head.place + 8 * (count + read)


def _layout(view: View, holes: int) -> tuple[Slots, Asked, Ints]:
    """A view's slots and operations, and what `unfold` does with each array of a state; made once for each view."""
    found = view.layouts.get(("state", holes))
    if found is None:
        slots, asked = layout(view, tuple(bool(holes >> at & 1) for at in range(len(view.measures))))
        found = view.layouts["state", holes] = (slots, asked, _plan(view, slots))
    return found


def _plan(view: View, slots: Slots) -> Ints:
    rows = []
    for name, kind in view.kept:
        at, many = (0 if name == "_x" else int(name[2:])), len(view.measures)
        row = [-1] * 8
        row[u.KIND] = {"int": u.INT, "double": u.DOUBLE, "flag": u.FLAG}[kind]
        if kind == "flag":
            if not slots.holed[at]:
                continue
            row[u.COUNTS] = slots.counts[at]
        elif name[1] == "v":
            squares, keys = int(bool(view.measures[at].functions & SPREAD)), slots.keys
            summed = (slots.ints[at], slots.pairs[at], squares, keys[at], keys[at + many], slots.raw[at])
            for column, value in zip(_SUMMED, summed, strict=True):
                row[column] = value
            row[u.COUNTS] = slots.counts[at]
        rows.append(row)
    return np.array(rows, np.int64).reshape(-1, 8)


def picking(places: Sequence[int]) -> Callable[[list[Any]], list[Any]]:
    """A function that gives what a list holds at these places."""
    if len(places) < 2:
        return lambda values: [values[place] for place in places]
    pick = itemgetter(*places)
    return lambda values: list(pick(values))


class Asking:
    """Asks an entity's past for one view, in the order of the view's features."""

    def __init__(self, view: View) -> None:
        self._view = view
        asked = layout(view, (False,) * len(view.measures))[1]
        after, every = len(asked.ops), len(asked.ops) + len(asked.counts)
        plan: list[int] = []
        self._of: list[int] = [0] * every
        self._touched: list[tuple[int, Callable[[Any], Any]]] = []
        self._placed: list[tuple[int, int, Callable[[Any], Any] | None]] = []
        columns = [at for at, measure in enumerate(view.measures) if measure.is_placed]
        windowed = [aggregate for aggregate in view.aggregates for _ in view.spans]
        for feature, aggregate in enumerate(windowed):
            counted, op = asked.places[feature]
            at = view.measure_of(aggregate)
            real = is_real(aggregate, view.measures[at])
            plan.append(op + after * counted + every * real)
            self._of[op + after * counted] = feature
            touch = from_wire(aggregate.type)
            if aggregate.function in PLACED:
                self._placed.append((feature, len(view.latest) + columns.index(at), touch))
            elif aggregate.function in ("min", "max") and not real and touch is not None:
                self._touched.append((feature, touch))
        self._latest = [from_wire(column.type) for column in view.latest]
        self._pick = picking(plan)
        self.unseen: list[Any] = [
            *(0 if a.function in COUNTED else None for a in windowed), *(None for _ in view.latest)
        ]  # fmt: skip
        self.missing: list[Any] = [None] * len(view.features)

    def warm(self) -> None:
        """Have the loops that answer compiled, or read from their cache, so that no question waits for them."""
        for lag in (0,) if same_known(self._view) else (0, 1):
            for empty in (False, True):
                self.at(self.past(one_row(self._view, lag, empty=empty)), 2)

    def past(self, blob: bytes) -> Past:
        """An entity's past from its bytes."""
        return Past.of(self._view, blob)

    def at(self, past: Past, t: int) -> list[Any]:
        """The features at an instant."""
        if t < past.since:
            raise WrongUsage(
                "LCH-2641",
                f"the online state of `{self._view.name}` answers from {instant(past.since)} on",
                why=f"it was asked as of {instant(t)}, and what only earlier instants need was left out",
                fix="materialize it with an earlier `since`",
            )
        both, some, newest = past.at(t)
        values = self._pick(both)
        if not some.all():
            for op in np.flatnonzero(~some).tolist():
                values[self._of[op]] = None
        for feature, touch in self._touched:
            if values[feature] is not None:
                values[feature] = touch(values[feature])
        for feature, column, decode in self._placed:
            if values[feature] is not None:
                found = msgspec.msgpack.decode(past.texts[values[feature] - past.lead])[column]
                values[feature] = found if decode is None or found is None else decode(found)
        if not self._latest:
            return values
        if newest < past.lead:
            return [*values, *(None for _ in self._latest)]
        row = msgspec.msgpack.decode(past.texts[newest - past.lead])
        touched = zip(row, self._latest, strict=False)
        return [*values, *(v if decode is None or v is None else decode(v) for v, decode in touched)]
