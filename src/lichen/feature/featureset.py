"""The features of one model: its views, what a request brings, and the expressions over both."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from lichen.errors import FoundWrong, Where, did_you_mean
from lichen.feature.prior import PriorFeature, is_part, priors
from lichen.feature.reading import Reading, RelationFacts, WhereIs
from lichen.feature.request import Expression, compile_expression
from lichen.graph.dialect import DIALECT
from lichen.graph.prior import with_parents
from lichen.graph.volatile import refuse_volatile_value
from lichen.ports import Column, Engine

if TYPE_CHECKING:
    from lichen.feature.view import View
    from lichen.spec import FeatureView

__all__ = ["PREDICTION_TIME", "FeatureSet", "RelationFacts", "feature_set"]

PREDICTION_TIME = "prediction_time"
"""What an expression calls the instant at which the prediction is asked for."""

_INSTANT = "TIMESTAMP WITH TIME ZONE"


@dataclass(frozen=True)
class FeatureSet:
    """What a model reads of the world.

    `views` are those of the model's list over tables, then those of which a feature stands in for one of theirs.
    `request` is what a request brings: the keys of all views, then the columns of the request views, each once.
    `features` are the qualified features (`carrier.delay_mean_7d`, `trip.distance`, `trip.hour`) in the order of the
    model's list; `expressions` stand in an order in which each finds what it reads.
    """

    views: tuple[View, ...]
    expressions: tuple[Expression, ...]
    request: tuple[Column, ...]
    features: tuple[Column, ...]

    @cached_property
    def request_features(self) -> tuple[tuple[str, str], ...]:
        """The features that are a request's columns: the qualified name and the column's."""
        computed = {f"{view.name}.{column.name}" for view in self.views for column in view.features}
        computed |= {expression.name for expression in self.expressions}
        names = (column.name for column in self.features)
        return tuple((name, name.partition(".")[2]) for name in names if name not in computed)

    @cached_property
    def levels(self) -> tuple[tuple[Expression, ...], ...]:
        """The expressions in as few steps as there are: each reads the request and what earlier steps give."""
        depth: dict[str, int] = {}
        for one in self.expressions:
            depth[one.name] = 1 + max((depth.get(name, 0) for name in one.reads), default=0)
        steps = range(1, max(depth.values(), default=0) + 1)
        return tuple(tuple(one for one in self.expressions if depth[one.name] == step) for step in steps)


def feature_set(
    names: Sequence[str],
    specs: Mapping[str, FeatureView],
    relations: Mapping[str, RelationFacts],
    *,
    where: WhereIs,
    engine: Engine,
) -> FeatureSet:
    """Understand the feature views a model names.

    `where(asset, *path)` is the place in the project to point at (`ProjectSpec.where`). Nothing is read: types are
    asked of the engine on empty relations. Whatever does not fit is `FoundWrong`: an unknown view, table or column, a
    type that cannot be a key or cannot be added up, keys that disagree, expressions that need each other. Views that
    stand in for others, by a prior, are added.
    """
    for name in names:
        if name not in specs:
            raise FoundWrong("LCH-2620", f"there is no feature view `{name}`", fix=did_you_mean(name, specs))
    standing_in = priors(names, specs, where)
    reading = Reading(relations, where, engine)
    every = with_parents(names, specs)
    views = tuple(reading.view(name, specs[name]) for name in every if specs[name].on is None)
    request = _request(names, specs, views, reading)
    expressions = _Expressions(names, specs, views, request, standing_in, where).compiled()
    types = {f"{view.name}.{column.name}": column.type for view in views for column in view.features}
    types |= {expression.name: expression.type for expression in expressions}
    brought = {column.name: column.type for column in request}
    qualified = ((name, feature) for name in names for feature in specs[name].feature_names())
    features = tuple(
        Column(f"{name}.{feature}", types.get(f"{name}.{feature}") or brought[feature]) for name, feature in qualified
    )
    return FeatureSet(views, expressions, request, features)


def _request(
    names: Sequence[str], specs: Mapping[str, FeatureView], views: Sequence[View], reading: Reading
) -> tuple[Column, ...]:
    """What a request brings."""
    brought: dict[str, tuple[Column, str]] = {}
    wanted = [(f"feature.{view.name}", "entity", column) for view in views for column in view.entity]
    for name in names:
        for short, written in specs[name].columns.items():
            found = reading.type_of(f"feature.{name}", ("columns", short), f"CAST(NULL AS {written})")
            wanted.append((f"feature.{name}", "columns", Column(short, found)))
    for asset, key, column in wanted:
        known, first = brought.setdefault(column.name, (column, asset))
        if known.type != column.type:
            raise FoundWrong(
                "LCH-2629", f"`{column.name}` is {column.type} here and {known.type} in `{first}`",
                where=reading.where(asset, key, column.name),
                why="a request brings it once, for both", fix="give it the same type in both",
            )  # fmt: skip
        if column.name == PREDICTION_TIME:
            raise FoundWrong(
                "LCH-2630", f"`{PREDICTION_TIME}` cannot be a request's column",
                where=reading.where(asset, key, column.name, key=True),
                why="it is what expressions call the instant at which the prediction is asked for",
                fix="rename the column, or read `prediction_time` without declaring it",
            )  # fmt: skip
    return tuple(column for column, _ in brought.values())


class _Expressions:
    """The expressions of a feature set: those of views of the request, and those that priors are."""

    def __init__(
        self,
        names: Sequence[str],
        specs: Mapping[str, FeatureView],
        views: Sequence[View],
        request: Sequence[Column],
        standing_in: Sequence[PriorFeature],
        where: WhereIs,
    ) -> None:
        self.where = where
        self.priors = {one.name: one for one in standing_in}
        self.texts = {f"{name}.{short}": text for name in names for short, text in specs[name].expressions.items()}
        self.known = {column.name: column.type for column in request}
        self.known |= {f"{n}.{c}": self.known[c] for n in names for c in specs[n].columns}
        every = {f"{view.name}.{column.name}": column.type for view in views for column in view.features}
        self.known |= {name: type_ for name, type_ in every.items() if not is_part(name)}
        self.known[PREDICTION_TIME] = _INSTANT
        self.with_parts = ChainMap(self.known, {name: type_ for name, type_ in every.items() if is_part(name)})

    def compiled(self) -> tuple[Expression, ...]:
        """The expressions, each after those it reads."""
        for name in self.texts:
            if name.endswith(f".{PREDICTION_TIME}"):
                raise FoundWrong(
                    "LCH-2634", f"an expression cannot be called `{PREDICTION_TIME}`",
                    where=self.where(f"feature.{name.partition('.')[0]}", "expressions", PREDICTION_TIME, key=True),
                    why="it is what expressions call the instant at which the prediction is asked for",
                    fix="give it another name; expressions read `prediction_time` without declaring it",
                )  # fmt: skip
        made = []
        for name in self._ordered():
            expression = self._prior(self.priors[name]) if name in self.priors else self._written(name)
            self.known[name] = expression.type
            made.append(expression)
        return tuple(made)

    def _written(self, name: str) -> Expression:
        try:
            refuse_volatile_value(self.texts[name], self._place(name), of_a_feature=True)
            return compile_expression(name, self.texts[name], self.known)
        except FoundWrong as wrong:
            place = wrong.where or self._place(name)
            raise FoundWrong(wrong.code, wrong.what, where=place, why=wrong.why, fix=wrong.fix) from wrong

    def _prior(self, one: PriorFeature) -> Expression:
        try:
            return compile_expression(one.name, one.text, self.with_parts)
        except FoundWrong as wrong:
            other = f"`{one.other}` is {self.known[one.other]}" if one.other in self.known else f"{one.other} a number"
            raise FoundWrong(
                "LCH-2653", f"the prior of `{one.name}` is of a type that does not fit", where=self.where(*one.at),
                why=f"the window's own is {self.with_parts[one.own]}, and {other}",
                fix="name a feature of the same type, or cast the values that both are computed of",
            ) from wrong  # fmt: skip

    def _place(self, name: str) -> Where:
        if name in self.priors:
            return self.where(*self.priors[name].at)
        view, _, short = name.partition(".")
        return self.where(f"feature.{view}", "expressions", short)

    def _ordered(self) -> list[str]:
        texts = {**self.texts, **{name: one.text for name, one in self.priors.items()}}
        reads = {name: features_in(text) & set(texts) for name, text in texts.items()}
        try:
            return list(TopologicalSorter(reads).static_order())
        except CycleError as cycle:
            ring = list(reversed(cycle.args[1]))
            what = "these priors need each other" if ring[0] in self.priors else "these expressions need each other"
            raise FoundWrong(
                "LCH-2631", what, where=self._place(cycle.args[1][0]), why=" -> ".join(ring),
                fix="write one of them without the other",
            ) from cycle  # fmt: skip


def features_in(text: str) -> set[str]:
    """The features that an expression names, with their views; none where it cannot be read (compiling it says why).

    >>> sorted(features_in("carrier.delay_7d / greatest(distance, 1)"))
    ['carrier.delay_7d']
    """
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(text, dialect=DIALECT)
    except sqlglot.errors.SqlglotError:
        return set()
    return {f"{column.table}.{column.name}" for column in tree.find_all(exp.Column) if column.table}
