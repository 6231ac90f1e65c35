"""A service asked in this process, without HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

from arro3.core import Table

from lichen.deploy.answer import Answer, RowPath
from lichen.deploy.arrow_stream import BEYOND
from lichen.deploy.batch import Batch, is_worth_a_batch, one_by_one
from lichen.deploy.refused import Refused
from lichen.deploy.stream import answers_table
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
    def predict(self, rows: Mapping[str, Any], *, contributions: bool = False) -> dict[str, Any]: ...

    @overload
    def predict(self, rows: Sequence[Mapping[str, Any]], *, contributions: bool = False) -> list[dict[str, Any]]: ...

    @overload
    def predict(self, rows: Arrow, *, contributions: bool = False) -> Arrow: ...

    def predict(
        self, rows: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Arrow, *, contributions: bool = False
    ) -> dict[str, Any] | list[dict[str, Any]] | Arrow:
        """The answer to one row, the answers to many in their order, or a table of answers to a table of rows.

        With `contributions` each tells what every feature and source column contributed to its score. Prediction time
        is now. Raises `Refused`, which names the field and the row, where a row is wrong.
        """
        if isinstance(rows, Mapping):
            answer = self.path.answer(dict(rows), None, self.path.clock.seconds())
            return self.shown([answer], contributions=contributions)[0]
        if isinstance(rows, Arrow) and not isinstance(rows, list | tuple):
            given = rows_of(Table.from_arrow(rows))
            table: Arrow = answers_table(self.shown(self.answers(given), contributions=contributions))
            return table
        return self.shown(self.answers([dict(row) for row in rows]), contributions=contributions)

    def shown(self, answers: Sequence[Answer], *, contributions: bool = False) -> list[dict[str, Any]]:
        """The answers as clients get them; with `contributions`, each with what contributed to it."""
        return self.path.all_shown(answers, self.path.contributions(answers) if contributions else ())

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
        if not is_worth_a_batch(self.path, rows):
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
