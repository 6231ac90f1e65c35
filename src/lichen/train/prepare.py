"""Turns feature values into the numbers that learners read, the same for a batch and for one row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from arro3.core import Array, Table

from lichen.errors import FoundWrong, ProjectErrors, Where, did_you_mean
from lichen.feature.featureset import FeatureSet
from lichen.ground.quoting import identifier, literal
from lichen.ground.types import vector_of
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
    """How each feature becomes a number: its own value, its place in a list of categories, or a vector's elements.

    `features` are what the model reads, in order; `columns` are the matrix's columns: a vector has one for each of its
    elements, `view.embedding[0]` and so on. Missing is NaN, or -1 for a category; so is a category that training never
    saw. Where a vector is null all its elements are missing. `cut` counts, for each category column, the training
    values beyond the most that are kept.
    """

    features: tuple[Column, ...]
    categories: Mapping[str, tuple[str, ...]]
    cut: Mapping[str, int]

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in their order."""
        return tuple(column.name for column in self.features)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the matrix's columns, in their order."""
        return tuple(name for feature in self.features for name in columns_of(feature))

    @property
    def numeric(self) -> tuple[str, ...]:
        """The columns that are numbers."""
        return tuple(name for name in self.columns if name not in self.categories)

    def by_feature(self, shares: Mapping[str, float]) -> dict[str, float]:
        """Importances of the matrix's columns as those of the features: a vector has the sum of its elements'."""
        return {feature.name: sum(shares[name] for name in columns_of(feature)) for feature in self.features}

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
        wanted = [sql for feature in self.features for sql in self._encoded(feature)]
        if label is not None:
            wanted.append(f"{label} AS {identifier(LABEL)}")
        parts = ["SELECT", ", ".join(wanted), "FROM rows WHERE", where]
        table = Table.from_arrow(engine.query(" ".join(parts), {"rows": rows}))
        return Matrix(table, self.columns, {name: len(values) for name, values in self.categories.items()})

    def _encoded(self, feature: Column) -> list[str]:
        column = identifier(feature.name)
        if vector_of(feature.type):
            return [_as_number(f"{column}[{at}]", name) for at, name in enumerate(columns_of(feature), 1)]
        if feature.name not in self.categories:
            return [_as_number(column, feature.name)]
        values = self.categories[feature.name]
        if not values:
            return [f"CAST(-1 AS INTEGER) AS {column}"]
        kind = "ENUM(" + ", ".join(map(literal, values)) + ")"
        return [f"CAST(coalesce(enum_code(TRY_CAST({column} AS {kind})), -1) AS INTEGER) AS {column}"]

    def row(self, values: Sequence[Any]) -> list[float]:
        """Encode one row's values, given in the order of `names`; equal to `matrix` to the bit."""
        if not self._vectors:
            coded = list(values)
            for place, places in self._coded:
                coded[place] = places.get(coded[place], -1)
            try:
                return [*map(float, coded)]
            except TypeError:
                return [*map(_number, coded)]
        encoded = [encode(value) for encode, value in zip(self._encoders, values, strict=True)]
        row: list[float] = []
        for place, one in enumerate(encoded):
            if place in self._vectors:
                row += one
            else:
                row.append(one)
        return row

    def of_columns(self, columns: Sequence[Sequence[Any]]) -> Matrix:
        """Encode many rows' values, a column for each of `names`; equal to `row` to the bit."""
        arrays: list[Array] = []
        for place, (feature, values) in enumerate(zip(self.features, columns, strict=True)):
            if place in self._vectors:
                elements = np.array([self._encoders[place](value) for value in values], np.float64)
                arrays += [Array.from_numpy(np.ascontiguousarray(column)) for column in elements.T]
            elif feature.name in self.categories:
                encode = self._encoders[place]
                arrays.append(Array.from_numpy(np.array([encode(value) for value in values], np.int32)))
            else:
                # None becomes NaN, and every number what `float` makes of it.
                arrays.append(Array.from_numpy(np.array(values, np.float64)))
        table = Table.from_arrays(arrays, names=list(self.columns))
        return Matrix(table, self.columns, {name: len(values) for name, values in self.categories.items()})

    @cached_property
    def _coded(self) -> tuple[tuple[int, Mapping[Any, float]], ...]:
        coded = [(place, name) for place, name in enumerate(self.names) if name in self.categories]
        return tuple((place, _places(self.categories[name])) for place, name in coded)

    @cached_property
    def _vectors(self) -> frozenset[int]:
        return frozenset(place for place, feature in enumerate(self.features) if vector_of(feature.type))

    @cached_property
    def _encoders(self) -> tuple[Callable[[Any], Any], ...]:
        return tuple(self._encoder(feature) for feature in self.features)

    def _encoder(self, feature: Column) -> Callable[[Any], Any]:
        vector = vector_of(feature.type)
        if vector:
            return _elements(vector[1])
        return _category(self.categories[feature.name]) if feature.name in self.categories else _number


def columns_of(feature: Column) -> tuple[str, ...]:
    """The names of a feature's columns in the matrix: its own, or one for each element of a vector.

    >>> columns_of(Column("v.x", "DOUBLE")), columns_of(Column("v.y", "FLOAT[2]"))
    (('v.x',), ('v.y[0]', 'v.y[1]'))
    """
    vector = vector_of(feature.type)
    return tuple(f"{feature.name}[{at}]" for at in range(vector[1])) if vector else (feature.name,)


def _as_number(value: str, name: str) -> str:
    return f"coalesce(CAST({value} AS DOUBLE), CAST('nan' AS DOUBLE)) AS {identifier(name)}"


def _elements(size: int) -> Callable[[Any], list[float]]:
    missing = [math.nan] * size

    def elements(value: Any) -> list[float]:
        if value is None:
            return missing
        return [*map(float, value)] if None not in value else [_number(one) for one in value]

    return elements


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _places(values: Sequence[str]) -> dict[Any, float]:
    return {value: place for place, value in enumerate(values)}


def _category(values: Sequence[str]) -> Callable[[Any], float]:
    places = _places(values)

    def place(value: Any) -> float:
        return places.get(value, -1)

    return place


def is_encodable(kind: str) -> bool:
    """Whether a column of this type can be a model's feature."""
    decimal = kind.startswith("DECIMAL") and not kind.endswith("]")
    return kind in _NUMBERS or kind == "VARCHAR" or decimal or vector_of(kind) is not None


def read_features(model: Model, features: FeatureSet) -> tuple[Column, ...]:
    """The features a model reads: those of its views, without what it excludes."""
    return tuple(column for column in features.features if column.name not in model.exclude)


def check_features(
    model: Model, features: FeatureSet, exclude: Where | None = None, place: Where | None = None
) -> tuple[Column, ...]:
    """The features a model reads, each seen to be a number, a boolean, a text or a vector; all else is told at once.

    `exclude` and `place` are where the model's `exclude` and `features` stand, for the errors.
    """
    known = [column.name for column in features.features]
    kept = read_features(model, features)
    wrong = [*_unknown(model, known, exclude), *_unreadable(kept, place), *_alike(kept, place)]
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
        if is_encodable(column.type):
            continue
        why = "an instant or a list has no size that a model could compare"
        fix = (
            f"name `{column.name}` in `exclude`, and where it matters compute a number of it in an expression, "
            "as in `date_part('hour', ...)`"
        )
        if column.type.endswith("[]") and vector_of(column.type[:-1] + "1]"):
            why = "a list has another length in each row, and a model reads the same numbers of each"
            fix = f"give it its length where it is declared, as in `{column.type[:-1]}384]`"
        yield FoundWrong(
            "LCH-2912",
            f"the feature `{column.name}` is {column.type}, and a model reads numbers, booleans, texts and vectors",
            where=place,
            why=why,
            fix=fix,
        )


def _alike(kept: Sequence[Column], place: Where | None) -> Iterator[FoundWrong]:
    """A vector's elements are columns of the matrix, and no other feature may be called like one."""
    whose: dict[str, str] = {}
    for feature in kept:
        for name in columns_of(feature):
            first = whose.setdefault(name, feature.name)
            if first != feature.name:
                yield FoundWrong(
                    "LCH-2913",
                    f"the features `{first}` and `{feature.name}` both have a column `{name}`",
                    where=place,
                    why="a vector's elements are columns of what a model reads, named so",
                    fix="rename the column in its table",
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
