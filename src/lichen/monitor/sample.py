"""Rows that a monitor looks at: where they are, when each happened, what a feature is called in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from arro3.core import Table
from numpy.typing import NDArray

from lichen.errors import FoundWrong, did_you_mean
from lichen.ground.quoting import identifier, sql
from lichen.ports import Column, Engine, Relation

Number = TypeVar("Number", np.int64, np.float64)

DAY = 86_400_000_000
"""One day, in microseconds."""


def as_is(feature: str) -> str:
    """The feature's own name: what it is called in training rows."""
    return feature


def recorded(feature: str) -> str:
    """What a feature is called in the `predictions` table.

    >>> recorded("carrier.delay_mean_7d")
    'feature.carrier.delay_mean_7d'
    """
    return f"feature.{feature}"


@dataclass(frozen=True)
class Sample:
    """Rows of features, each with an instant.

    `rows` is read several times, so a relation of Arrow must be one that can be (a table, not a stream). `at` is the
    column of instants; `column` gives the column that holds a feature. With `before` (microseconds) only the rows from
    before that instant are read. `name` is what errors call these rows.
    """

    name: str
    rows: Relation
    at: str
    column: Callable[[str], str] = as_is
    before: int | None = None

    @property
    def source(self) -> str:
        """SQL for the rows to read, called `sample`."""
        if self.before is None:
            return "sample"
        return sql("(SELECT * FROM sample WHERE", self.micros, f"< {self.before}) AS sample")

    @property
    def micros(self) -> str:
        """SQL for a row's instant, in microseconds since 1970."""
        return f"epoch_us({identifier(self.at)})"

    def types(self, features: tuple[str, ...], engine: Engine) -> tuple[Column, ...]:
        """The features with the types they have in these rows; raises `FoundWrong` where one is absent."""
        held = {column.name: column.type for column in engine.describe("FROM sample", {"sample": self.rows})}
        for wanted in (self.at, *map(self.column, features)):
            if wanted not in held:
                raise FoundWrong(
                    "LCH-2801",
                    f"the {self.name} have no column `{wanted}`",
                    why="the monitor compares every feature of the released model",
                    fix=did_you_mean(wanted, held),
                )
        return tuple(Column(feature, held[self.column(feature)]) for feature in features)


def numbers(table: Table, kind: type[Number], *names: str) -> list[NDArray[Number]]:
    """Columns without nulls, as arrays; a table of no rows has no chunks to make them from."""
    if table.num_rows == 0:
        return [np.empty(0, dtype=kind) for _ in names]
    return [np.asarray(table.column(name).to_numpy(), dtype=kind) for name in names]


def fetch(engine: Engine, select: str, rows: Relation) -> list[list[Any]]:
    """A small answer about the relation `sample`, as lists of Python values, one for each column."""
    table = Table.from_arrow(engine.query(select, {"sample": rows}))
    return [table.column(place).to_pylist() for place in range(table.num_columns)]
