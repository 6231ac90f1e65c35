"""Turns feature values into the numbers that learners read, the same for a batch and for one row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from arro3.core import Table

from lichen.errors import FoundWrong, ProjectErrors, Where, did_you_mean
from lichen.feature.featureset import FeatureSet
from lichen.ground.quoting import identifier, literal
from lichen.ports import Column, Engine, Matrix, Relation
from lichen.spec import Model

MOST_CATEGORIES = 10_000
"""The most values of a text column that are told apart; rarer ones count as unseen."""

_NUMBERS = frozenset(
    {
        *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER"),
        *("UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE"),
    }
)
LABEL = "_label"


@dataclass(frozen=True)
class Preparation:
    """How each feature becomes a number: its own value, or its place in a list of categories.

    `features` are what the model reads, in order. Missing is NaN, or -1 for a category; so is a category that
    training never saw. `cut` counts, for each category column, the training values beyond the most that are kept.
    """

    features: tuple[Column, ...]
    categories: Mapping[str, tuple[str, ...]]
    cut: Mapping[str, int]

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in the order of the matrix's columns."""
        return tuple(column.name for column in self.features)

    @property
    def numeric(self) -> tuple[str, ...]:
        """The features that are numbers."""
        return tuple(name for name in self.names if name not in self.categories)

    def as_dict(self) -> dict[str, Any]:
        """The preparation as a JSON object."""
        return {
            "features": [{"name": column.name, "type": column.type} for column in self.features],
            "categories": {name: list(values) for name, values in self.categories.items()},
            "cut": dict(self.cut),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """The preparation that `as_dict` wrote."""
        return cls(
            tuple(Column(column["name"], column["type"]) for column in value["features"]),
            {name: tuple(values) for name, values in value["categories"].items()},
            dict(value["cut"]),
        )

    def matrix(
        self,
        rows: Relation,
        engine: Engine,
        *,
        where: str = "true",
        label: str | None = None,
    ) -> Matrix:
        """Encode a relation's rows, in their order; `where` and `label` are SQL over its columns."""
        wanted = [self._encoded(name) for name in self.names]
        if label is not None:
            wanted.append(f"{label} AS {identifier(LABEL)}")
        parts = ["SELECT", ", ".join(wanted), "FROM rows WHERE", where]
        table = Table.from_arrow(engine.query(" ".join(parts), {"rows": rows}))
        return Matrix(table, self.names, {name: len(values) for name, values in self.categories.items()})

    def _encoded(self, name: str) -> str:
        column = identifier(name)
        if name not in self.categories:
            return f"coalesce(CAST({column} AS DOUBLE), CAST('nan' AS DOUBLE)) AS {column}"
        values = self.categories[name]
        if not values:
            return f"CAST(-1 AS INTEGER) AS {column}"
        kind = "ENUM(" + ", ".join(map(literal, values)) + ")"
        return f"CAST(coalesce(enum_code(TRY_CAST({column} AS {kind})), -1) AS INTEGER) AS {column}"

    def row(self, values: Sequence[Any]) -> list[float]:
        """Encode one row's values, given in the order of `names`; equal to `matrix` to the bit."""
        return [encode(value) for encode, value in zip(self._encoders, values, strict=True)]

    @cached_property
    def _encoders(self) -> tuple[Callable[[Any], float], ...]:
        return tuple(_category(self.categories[name]) if name in self.categories else _number for name in self.names)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _category(values: Sequence[str]) -> Callable[[Any], float]:
    places = {value: place for place, value in enumerate(values)}

    def place(value: Any) -> float:
        return places.get(value, -1)

    return place


def is_encodable(kind: str) -> bool:
    """Whether a column of this type can be a model's feature."""
    return kind in _NUMBERS or kind == "VARCHAR" or kind.startswith("DECIMAL")


def read_features(model: Model, features: FeatureSet) -> tuple[Column, ...]:
    """The features a model reads: those of its views, without what it excludes."""
    return tuple(column for column in features.features if column.name not in model.exclude)


def check_features(
    model: Model, features: FeatureSet, exclude: Where | None = None, place: Where | None = None
) -> tuple[Column, ...]:
    """The features a model reads, each seen to be a number, a boolean or a text; all that is not is told at once.

    `exclude` and `place` are where the model's `exclude` and `features` stand, for the errors.
    """
    known = [column.name for column in features.features]
    kept = read_features(model, features)
    wrong = [*_unknown(model, known, exclude), *_unreadable(kept, place)]
    if not kept:
        wrong.append(
            FoundWrong(
                "LCH-2911", "no feature is left to learn from", where=exclude or place, fix="exclude fewer features"
            )
        )
    if wrong:
        raise ProjectErrors(wrong)
    return kept


def _unknown(model: Model, known: Sequence[str], where: Where | None) -> Iterator[FoundWrong]:
    for name in model.exclude:
        if name not in known:
            yield FoundWrong(
                "LCH-2910", f"`exclude` names `{name}`, which is no feature", where=where, fix=did_you_mean(name, known)
            )


def _unreadable(kept: Sequence[Column], place: Where | None) -> Iterator[FoundWrong]:
    for column in kept:
        if not is_encodable(column.type):
            yield FoundWrong(
                "LCH-2912",
                f"the feature `{column.name}` is {column.type}, and a model reads numbers, booleans and texts",
                where=place,
                why="an instant or a list has no size that a model could compare",
                fix=f"name `{column.name}` in `exclude`, and where it matters compute a number of it in an expression, "
                "as in `date_part('hour', ...)`",
            )


def prepare(features: Sequence[Column], rows: Relation, engine: Engine, *, where: str = "true") -> Preparation:
    """Learn the categories of the text columns, most frequent first, from the rows that `where` (SQL) admits."""
    categories: dict[str, tuple[str, ...]] = {}
    cut: dict[str, int] = {}
    for column in features:
        if column.type != "VARCHAR":
            continue
        name = identifier(column.name)
        grouped = (
            f"SELECT {name} AS v, count(*) AS n, count(*) OVER () AS total",
            f"FROM rows WHERE {name} IS NOT NULL AND ({where})",
            f"GROUP BY {name} ORDER BY n DESC, v LIMIT {literal(MOST_CATEGORIES)}",
        )
        table = Table.from_arrow(engine.query(" ".join(grouped), {"rows": rows}))
        # A text with a NUL character cannot be written in SQL: it counts as unseen, for a batch and for a row.
        categories[column.name] = tuple(value for value in table.column("v").to_pylist() if "\x00" not in value)
        totals = table.column("total").to_pylist()
        if totals and totals[0] > MOST_CATEGORIES:
            cut[column.name] = totals[0] - MOST_CATEGORIES
    return Preparation(tuple(features), categories, cut)
