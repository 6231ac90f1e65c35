"""The answers to many questions, gathered part by part and told feature by feature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lichen.feature.asked import is_real
from lichen.feature.history import Found, History, Ints
from lichen.feature.view import COUNTED, PLACED
from lichen.ground.beside import side_by_side

if TYPE_CHECKING:
    from lichen.feature.view import View


class Answers:
    """A view's answers to a number of questions, filled part by part in the order that the questions are sorted in.

    `order` is that order; questions that are not in it have no answer.
    """

    def __init__(self, view: View, questions: int, order: Ints) -> None:
        self._view = view
        self._windowed = [aggregate for aggregate in view.aggregates for _ in view.spans]
        # One answer more than are asked: that of the questions that name no entity.
        shape = (len(self._windowed), len(order) + 1)
        self._values, self._some = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
        self._latest = np.full(len(order) + 1, -1, np.int64)
        self._places = np.full(questions, len(order), np.int64)
        self._places[order] = np.arange(len(order))

    def add(self, past: History, rows: Ints | None, found: Found, start: int) -> None:
        """Add what a history answered, from the place `start` in the order on; positions become the rows' numbers."""
        end = start + len(found.latest)
        if self._view.latest and rows is not None:
            self._latest[start:end] = _numbered(past, rows, found.latest)
        for place, aggregate in enumerate(self._windowed):
            counted, op = past.asked.places[place]
            values, some = (found.counted, found.counted_some) if counted else (found.out, found.some)
            own = values[op]
            if aggregate.function in PLACED and rows is not None:
                own = _numbered(past, rows, np.where(some[op], own, -1))
            self._values[place, start:end] = own
            self._some[place, start:end] = some[op]

    def numbers(self, asked: Any, threads: int) -> Iterator[tuple[str, Any, Any]]:
        """The features that are computed: name, values, and where there is one (None: everywhere).

        `asked` tells which questions name an entity and an instant; they are put in order by so many `threads`.
        """
        view, whole = self._view, bool(asked.all())

        def told(place: int) -> tuple[str, Any, Any]:
            aggregate = self._windowed[place]
            measure, values = view.measures[view.measure_of(aggregate)], self._values[place].take(self._places)
            if is_real(aggregate, measure):
                values = values.view(np.float64)
            counted = aggregate.function in COUNTED
            some = (None if whole else asked) if counted else self._some[place].take(self._places)
            return view.features[place].name, values, some

        computed = [place for place, one in enumerate(self._windowed) if one.function not in PLACED]
        return side_by_side(told, computed, threads)

    def placed(self) -> list[tuple[str, int, Ints]]:
        """The features shown as they stand in a row: name, the column's number, the row's number or -1."""
        view = self._view
        columns = [at for at, measure in enumerate(view.measures) if measure.is_placed]
        latest = self._latest.take(self._places)
        found = [(column.name, place, latest) for place, column in enumerate(view.latest)]
        for place, aggregate in enumerate(self._windowed):
            if aggregate.function in PLACED:
                number = len(view.latest) + columns.index(view.measure_of(aggregate))
                rows = np.where(self._some[place], self._values[place], -1).take(self._places)
                found.append((view.features[place].name, number, rows))
        return found


def _numbered(past: History, rows: Ints, positions: Ints) -> Ints:
    """The rows at some positions, by their number in the table; -1 for none."""
    numbers = np.full(len(positions), -1, np.int64)
    seen = positions >= 0
    numbers[seen] = rows[past.order[positions[seen]]]
    return numbers
