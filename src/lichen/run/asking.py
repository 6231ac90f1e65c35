"""A service asked in this process, without HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

from arro3.core import Table

from lichen.deploy.answer import Answer, RowPath
from lichen.deploy.arrow_stream import BEYOND
from lichen.deploy.batch import Batch, is_one, one_by_one
from lichen.deploy.refused import Refused
from lichen.deploy.stream import table_of
from lichen.ports import Arrow
from lichen.run.deployed import compiled
from lichen.run.release import Releases
from lichen.run.workshop import Workshop

MANY = 1_000
"""How many rows are answered at a time."""


class Asking:
    """A service of the release in force, asked in this process; its answers are those that it gives over HTTP.

    They are not recorded: what a service answered is what its monitors judge, and nobody was answered here.
    """

    def __init__(self, service: str, releases: Releases, environment: str, workshop: Workshop) -> None:
        self.deployed = compiled(service, releases, environment, workshop, workshop.online).deployed
        self.path = RowPath(self.deployed, workshop.clock)

    def __repr__(self) -> str:
        return f"Asking({self.deployed.service!r}, release={self.deployed.release})"

    @overload
    def predict(self, rows: Mapping[str, Any]) -> dict[str, Any]: ...

    @overload
    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]: ...

    @overload
    def predict(self, rows: Arrow) -> Arrow: ...

    def predict(
        self, rows: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Arrow
    ) -> dict[str, Any] | list[dict[str, Any]] | Arrow:
        """The answer to one row, the answers to many in their order, or a table of answers to a table of rows.

        Prediction time is now. Raises `Refused`, which names the field and the row, where a row is wrong.
        """
        if isinstance(rows, Mapping):
            return self.path.shown(self.path.answer(dict(rows), None, self.path.clock.seconds()))
        if isinstance(rows, Arrow) and not isinstance(rows, list | tuple):
            told = [self.path.shown(answer) for answer in self.answers(rows_of(Table.from_arrow(rows)))]
            table: Arrow = table_of({name: [row[name] for row in told] for name in told[0]} if told else {})
            return table
        return [self.path.shown(answer) for answer in self.answers([dict(row) for row in rows])]

    def answers(self, rows: Sequence[dict[str, Any]]) -> list[Answer]:
        """The answers to rows; a `Refused` names the first that is wrong."""
        found: list[Answer] = []
        for first in range(0, len(rows), MANY):
            part = rows[first : first + MANY]
            try:
                found += self._answered(part)
            except Refused as refused:
                refused.row = first + (refused.row or 0)
                raise
        return found

    def _answered(self, rows: Sequence[dict[str, Any]]) -> list[Answer]:
        started = self.path.clock.seconds()
        if not is_one(self.path, rows):
            return list(one_by_one(self.path, rows, None, started))
        batch = Batch(self.path, rows, None, started)
        return batch.answers([batch.score(part) for part in batch.parts()])


def rows_of(table: Any) -> list[dict[str, Any]]:
    """A table's rows as plain values by name."""
    names = table.column_names
    columns = [_values(table.column(name)) for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _values(column: Any) -> list[Any]:
    """A column's values; an instant that Python has not becomes one that no field admits."""
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        return [_value(column, place) for place in range(len(column))]
    return values


def _value(column: Any, place: int) -> Any:
    try:
        return column[place].as_py()
    except (ValueError, OverflowError):
        return BEYOND
