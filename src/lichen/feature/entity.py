"""One entity's past, ready to be asked about one instant after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from lichen.errors import WrongUsage
from lichen.feature.asked import Asked, Slots, is_real
from lichen.feature.history import calls, history, room_for
from lichen.feature.state import Rows, events_in, unpack
from lichen.feature.value import from_wire, instant
from lichen.feature.view import PLACED

if TYPE_CHECKING:
    from lichen.feature.view import View

_ENTITY = np.zeros(1, np.int64)


class Past:
    """One entity's rows, summed up, with the loops that answer of them; one thread asks at a time."""

    __slots__ = ("_calls", "_counted", "_found", "_instant", "_some", "lead", "since", "texts")

    def __init__(self, view: View, rows: Rows) -> None:
        past = history(view, events_in(view, rows))
        found = room_for(past, 1)
        self._instant = np.zeros(1, np.int64)
        self._calls = calls(view, past, _ENTITY, self._instant, found)
        self._counted, self._found = len(past.asked.counts) > 0, found
        self.since, self.texts, self.lead = rows.since, rows.texts, int(rows.dawn is not None)

    def at(self, t: int) -> tuple[list[int], list[float], list[bool], int]:
        """What each operation answers at an instant: as a whole number, as a double, whether at all; the latest row."""
        self._instant[0] = t
        for loop, arguments in self._calls:
            loop(*arguments)
        found = self._found
        out, some = found.out[:, 0], found.some[:, 0].tolist()
        whole, real = out.tolist(), out.view(np.float64).tolist()
        if self._counted:
            more = found.counted[:, 0]
            whole += more.tolist()
            real += more.view(np.float64).tolist()
            some += found.counted_some[:, 0].tolist()
        return whole, real, some, int(found.latest[0])


class Answers:
    """Answers for one view from an entity's past, in the order of the view's features."""

    def __init__(self, view: View) -> None:
        self._view = view
        asked = Asked.of(view, Slots(view.measures, (False,) * len(view.measures)))
        after = len(asked.ops)
        self._plan: list[tuple[bool, int]] = []
        self._touched: list[tuple[int, Callable[[Any], Any]]] = []
        self._placed: list[tuple[int, int, Callable[[Any], Any] | None]] = []
        columns = [at for at, measure in enumerate(view.measures) if measure.is_placed]
        windowed = [aggregate for aggregate in view.aggregates for _ in view.spans]
        for feature, aggregate in enumerate(windowed):
            counted, op = asked.places[feature]
            at = view.measure_of(aggregate)
            real = is_real(aggregate, view.measures[at])
            self._plan.append((real, op + after * counted))
            touch = from_wire(aggregate.type)
            if aggregate.function in PLACED:
                self._placed.append((feature, len(view.latest) + columns.index(at), touch))
            elif aggregate.function in ("min", "max") and not real and touch is not None:
                self._touched.append((feature, touch))
        self._latest = [from_wire(column.type) for column in view.latest]
        self._shown = len(windowed)
        always = ("count", "count_distinct")
        self.unseen: list[Any] = [
            *(0 if a.function in always else None for a in windowed), *(None for _ in view.latest)
        ]  # fmt: skip
        self.missing: list[Any] = [None] * len(view.features)

    def past(self, blob: bytes) -> Past:
        """An entity's past from its bytes."""
        return Past(self._view, unpack(self._view, blob))

    def at(self, past: Past, t: int) -> list[Any]:
        """The features at an instant."""
        if t < past.since:
            raise WrongUsage(
                "LCH-2641",
                f"the online state of `{self._view.name}` answers from {instant(past.since)} on",
                why=f"it was asked as of {instant(t)}, and what only earlier instants need was left out",
                fix="materialize it with an earlier `since`",
            )
        whole, real, some, newest = past.at(t)
        values: list[Any] = [(real[op] if is_ else whole[op]) if some[op] else None for is_, op in self._plan]
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
