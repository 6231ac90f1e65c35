"""The column lineage of one statement: which columns of its inputs reach which of its own, and how.

A column's *value* edges say what its value is computed of: all that stands in its expression, the conditions of a CASE
too. Its *influence* edges say what decides which rows there are and which rows meet: an aggregate's FILTER, a window's
PARTITION and ORDER; and, for every column alike, WHERE, JOIN, GROUP BY, HAVING, QUALIFY, DISTINCT, ORDER BY, LIMIT.
These are kept once, as where the *rows* come from. What cannot be read for certain is opaque: all inputs reach all
outputs, by value. Rows that a contract sets aside are no lineage: a promise says which rows are right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Self

import sqlglot
from sqlglot.errors import SqlglotError

from lichen.graph.dialect import DIALECT
from lichen.graph.expression import origins_of
from lichen.graph.origin import NOTHING, UNREAD, How, Origin, Origins, merged
from lichen.graph.query import Queries
from lichen.graph.relation import Relations
from lichen.graph.scope import Cell, Item, Scope, Shape, Unread
from lichen.graph.statement import Statement

FORMAT = 2
"""Raised when the same statement starts to give another lineage, so that what was remembered is forgotten."""


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column that a statement makes.

    `origins` are the columns in its own expression; `place` is the line and the column, in the statement's text, of
    that expression.
    """

    name: str
    origins: Origins
    place: tuple[int, int] | None = None


@dataclass(frozen=True)
class StatementLineage:
    """What a statement's columns come from, in their order, and what its rows come from.

    `opaque` says that some part of it could not be read. `columns` is empty where it is so opaque that not even its
    columns are known.
    """

    columns: tuple[OutputColumn, ...]
    rows: Origins = field(default_factory=dict)
    opaque: bool = False

    @classmethod
    def unread(cls, columns: Sequence[str], origins: Origins) -> Self:
        """The lineage of what cannot be read: these origins reach each of these columns, and the rows."""
        return cls(tuple(OutputColumn(name, origins) for name in columns), origins, opaque=True)

    @cached_property
    def _by_name(self) -> dict[str, OutputColumn]:
        return {column.name.lower(): column for column in self.columns}

    def origins(self, column: str) -> Origins:
        """All that reaches a column: by its expression, and by the rows.

        A relation's own rows are there as the column `*`.
        """
        return merged([self._by_name[column.lower()].origins, self.rows])

    def as_dict(self) -> dict[str, Any]:
        """The lineage as JSON."""
        return {
            "columns": [[one.name, one.place, _packed(one.origins)] for one in self.columns],
            "rows": _packed(self.rows),
            "opaque": self.opaque,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """The lineage that `as_dict` wrote."""
        columns = tuple(
            OutputColumn(name, _unpacked(origins), None if place is None else (place[0], place[1]))
            for name, place, origins in value["columns"]
        )
        return cls(columns, _unpacked(value["rows"]), value["opaque"])


def _packed(origins: Origins) -> list[Any]:
    """Origins as one flat list: a list for each would cost more to read than all else."""
    return [part for origin, how in origins.items() for part in (*origin, int(how))]


def _unpacked(packed: Sequence[Any]) -> Origins:
    parts = iter(packed)
    return {_origin(relation, column): _how(how) for relation, column, how in zip(parts, parts, parts, strict=True)}


# One object for each that is read: there are few different ones, and many of each.
_origin = cache(Origin)


@cache
def _how(number: int) -> How:
    return How(number)


def statement_lineage(
    statement: Statement, inputs: Mapping[str, Sequence[str] | None], described: Sequence[str] | None = None
) -> StatementLineage:
    """The lineage of a statement over inputs with these columns (None or absent where they are not known).

    `described` are the statement's columns as the engine tells them, where it was asked: where they are not what was
    read here, the statement is opaque.

    >>> from lichen.errors import Where
    >>> from lichen.graph.statement import parse_statement
    >>> made = parse_statement("SELECT a + 1 AS b FROM t WHERE c", lambda line, column: Where("t.sql", line, column))
    >>> {str(origin): how.kind for origin, how in statement_lineage(made, {"t": ["a", "c"]}).origins("b").items()}
    {'t.a': 'value', 't.*': 'influence', 't.c': 'influence'}
    """
    given = {name.lower(): columns for name, columns in inputs.items()}
    relations = Relations({name: given.get(name) for name in statement.reads})
    shape = Queries(relations).top(statement.tree)
    named = _named(shape, described)
    if named is None:
        whole = dict.fromkeys(merged(_all(relations, statement)), UNREAD)
        return StatementLineage.unread(described or (), whole)
    parts = [shape.rows, *(cell.origins for cell in named)]
    opaque = any(how & How.OPAQUE for origins in parts for how in origins.values())
    columns = tuple(OutputColumn(str(cell.shown), cell.origins, cell.start) for cell in named)
    return StatementLineage(columns, shape.rows, opaque)


def _named(shape: Shape, described: Sequence[str] | None) -> list[Cell] | None:
    """The columns by their names; None where they are not known, or not what the engine says."""
    if shape.cells is None or (shape.ragged and described is None):
        return None
    if described is None:
        return [_shown(cell, place) for place, cell in enumerate(shape.cells)]
    if len(described) != len(shape.cells):
        return None
    if any(cell.name not in (None, name.lower()) for cell, name in zip(shape.cells, described, strict=True)):
        return None
    return [
        Cell(name.lower(), cell.origins, cell.start, name) for cell, name in zip(shape.cells, described, strict=True)
    ]


def _shown(cell: Cell, place: int) -> Cell:
    return cell if cell.shown else Cell(cell.name, cell.origins, cell.start, cell.name or f"_{place}")


def _all(relations: Relations, statement: Statement) -> list[Origins]:
    shapes = [relations.outside(name) for name in statement.reads]
    return [part for shape in shapes for part in (shape.whole(), shape.rows)] or [NOTHING]


def row_origins(text: str, relation: Mapping[str, Sequence[str] | None]) -> Origins:
    """Where the value of an SQL expression over the rows of one relation comes from.

    What cannot be read comes from all of the relation.
    """
    relations = Relations(relation)
    scope = Scope(Queries(relations).read, items=[Item(name, relations.outside(name)) for name in relation])
    try:
        return origins_of(sqlglot.parse_one(text, dialect=DIALECT), scope)
    except (SqlglotError, Unread, RecursionError):
        return dict.fromkeys(
            merged(part for item in scope.items for part in (item.shape.whole(), item.shape.rows)), UNREAD
        )
