"""The features of one model: its views, what a request brings, and the expressions over both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from lichen.errors import FoundWrong, Where, did_you_mean
from lichen.feature.request import Expression, compile_expression
from lichen.feature.statement import select
from lichen.feature.value import KEY_TYPES, is_storable, value_kind
from lichen.feature.view import View, WindowAggregate
from lichen.graph.volatile import refuse_volatile_value
from lichen.ground.duration import microseconds
from lichen.ground.quoting import identifier, written_as_a_name
from lichen.ports import Column, Engine, Relation

if TYPE_CHECKING:
    from lichen.spec import Aggregate, FeatureView

PREDICTION_TIME = "prediction_time"
"""What an expression calls the instant at which the prediction is asked for."""

_INSTANT = "TIMESTAMP WITH TIME ZONE"


@dataclass(frozen=True)
class RelationFacts:
    """What is known of a source or a table: its columns, and by which SQL its rows happen and become known."""

    columns: tuple[Column, ...]
    time: str | None = None
    known: str | None = None


@dataclass(frozen=True)
class FeatureSet:
    """What a model reads of the world.

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


WhereIs = Callable[..., Where]


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
    type that cannot be a key or cannot be added up, keys that disagree, expressions that need each other.
    """
    for name in names:
        if name not in specs:
            raise FoundWrong("LCH-2620", f"there is no feature view `{name}`", fix=did_you_mean(name, specs))
    reading = _Reading(relations, where, engine)
    views = tuple(reading.view(name, specs[name]) for name in names if specs[name].on is None)
    request = reading.request(names, specs, views)
    expressions = reading.expressions(names, specs, views, request)
    types = {f"{view.name}.{column.name}": column.type for view in views for column in view.features}
    types |= {expression.name: expression.type for expression in expressions}
    brought = {column.name: column.type for column in request}
    qualified = ((name, feature) for name in names for feature in specs[name].feature_names())
    features = tuple(
        Column(f"{name}.{feature}", types.get(f"{name}.{feature}") or brought[feature]) for name, feature in qualified
    )
    return FeatureSet(views, expressions, request, features)


class _Reading:
    """One reading of feature views, with what it needs to ask."""

    def __init__(self, relations: Mapping[str, RelationFacts], where: WhereIs, engine: Engine) -> None:
        self.relations, self.where, self.engine = relations, where, engine

    def view(self, name: str, spec: FeatureView) -> View:
        """A view over a table."""
        asset, table = f"feature.{name}", spec.from_ or ""
        facts = self.relations.get(table)
        if facts is None:
            raise FoundWrong(
                "LCH-2621", f"there is no table or source `{table}`", where=self.where(asset, "from"),
                fix=did_you_mean(table, self.relations),
            )  # fmt: skip
        columns = {column.name: column for column in facts.columns}
        for place, wanted in [*((("entity", n), n) for n in spec.entity or {}), *(_latest_places(spec))]:
            if wanted not in columns:
                raise FoundWrong(
                    "LCH-2622", f"`{table}` has no column `{wanted}`", where=self.where(asset, *place, key=True),
                    fix=did_you_mean(wanted, columns),
                )  # fmt: skip
        entity = tuple(self._key(asset, column, type_) for column, type_ in (spec.entity or {}).items())
        time, known = self._times(asset, spec, facts)
        aggregates = tuple(self._aggregate(asset, facts, n, a) for n, a in spec.aggregates.items())
        latest = tuple(self._latest(asset, place, columns[n]) for place, n in _latest_places(spec))
        windowed = [Column(f"{a.name}_{w}", _result_type(a)) for a in aggregates for w in spec.windows]
        ttl = None if spec.ttl is None else microseconds(spec.ttl)
        return View(
            name, entity, table, time, known, aggregates, spec.windows, latest, ttl, spec.static, (*windowed, *latest)
        )

    def _type(self, asset: str, path: Sequence[str | int], sql: str, facts: RelationFacts | None = None) -> str:
        """The type of an expression over a relation's row, as DuckDB calls it."""
        refuse_volatile_value(sql, self.where(asset, *path), of_a_feature=True)
        relation = Relation(facts.columns if facts is not None else (Column("_none", "BIGINT"),))
        try:
            return self.engine.describe(select([(sql, "value")], identifier("row")), {"row": relation})[0].type
        except FoundWrong as wrong:
            name = sql.removeprefix("(").removesuffix(")").strip()
            is_a_column = facts is not None and any(column.name == name for column in facts.columns)
            fix = written_as_a_name(name) if is_a_column else wrong.fix
            raise FoundWrong(wrong.code, wrong.what, where=self.where(asset, *path), why=wrong.why, fix=fix) from wrong

    def _key(self, asset: str, name: str, type_: str) -> Column:
        found = self._type(asset, ("entity", name), f"CAST(NULL AS {type_})")
        if found not in KEY_TYPES:
            raise FoundWrong(
                "LCH-2623", f"a key cannot be of type {found}", where=self.where(asset, "entity", name),
                why="an entity is found by its key's exact value", fix="cast the column in its table, to VARCHAR say",
            )  # fmt: skip
        return Column(name, found)

    def _times(self, asset: str, spec: FeatureView, facts: RelationFacts) -> tuple[str | None, str | None]:
        if spec.static:
            if facts.time is not None:
                raise FoundWrong(
                    "LCH-2632", f"`{spec.from_}` has a time, so a view of it cannot be static",
                    where=self.where(asset, "static"),
                    why="its rows become known one after another; taken as known always, they tell the future",
                    fix="take `static: true` away: the view then sees what was known",
                )  # fmt: skip
            return None, None
        time = spec.time or facts.time
        if time is None:
            raise FoundWrong(
                "LCH-2624", f"`{spec.from_}` has no event time", where=self.where(asset, "from"),
                why="without it nothing tells which rows an instant may see",
                fix="give the view or the table a `time`, or say `static: true` if the rows never change",
            )  # fmt: skip
        known = spec.known or facts.known
        if known is None:
            raise FoundWrong(
                "LCH-2633", f"`{asset.partition('.')[2]}` has a `time` and nothing says when its rows became known",
                where=self.where(asset, "time", key=True),
                why="a row that is taken as known when it happened may tell the future",
                fix=f"add `known:`; it is `known: {time}` if a row is known the moment it happens",
            )  # fmt: skip
        for path, sql in (("time", time), ("known", known)):
            found = self._type(asset, (path,), f"({sql})", facts)
            if not found.startswith("TIMESTAMP") and found != "DATE":
                raise FoundWrong(
                    "LCH-2625", f"`{path}` is of type {found}, not an instant", where=self.where(asset, path),
                    fix="name a TIMESTAMP WITH TIME ZONE column, or cast to one",
                )  # fmt: skip
        return time, known

    def _aggregate(self, asset: str, facts: RelationFacts, name: str, spec: Aggregate) -> WindowAggregate:
        if spec.value == "*":
            if spec.function != "count" or spec.clip:
                raise FoundWrong(
                    "LCH-2626", f"`{spec.function}` of `*` has no meaning", where=self.where(asset, "aggregates", name),
                    fix="name a column or an expression; `*` is for `count` alone, without `clip`",
                )  # fmt: skip
            return WindowAggregate(name, "count", "*")
        type_ = self._type(asset, ("aggregates", name), f"({spec.value})", facts)
        kind = value_kind(type_)
        fitting = {"int": True, "double": True, "instant": spec.function in ("count", "min", "max") and not spec.clip}
        if not fitting.get(kind, spec.function == "count" and not spec.clip):
            raise FoundWrong(
                "LCH-2627", f"`{spec.function}` of a {type_} is not a feature",
                where=self.where(asset, "aggregates", name),
                why="numbers are added up and clipped, numbers and instants have a least and a greatest",
                fix="cast the value to a number, or count it",
            )  # fmt: skip
        if spec.clip and kind == "int" and not all(float(bound).is_integer() for bound in spec.clip):
            type_ = "DOUBLE"
        return WindowAggregate(name, spec.function, spec.value, spec.clip, type_)

    def _latest(self, asset: str, place: tuple[str | int, ...], column: Column) -> Column:
        if not is_storable(column.type):
            raise FoundWrong(
                "LCH-2628", f"`{column.name}` is of type {column.type}, which no feature can be",
                where=self.where(asset, *place), fix="cast it in its table, to VARCHAR say",
            )  # fmt: skip
        return column

    def request(
        self, names: Sequence[str], specs: Mapping[str, FeatureView], views: Sequence[View]
    ) -> tuple[Column, ...]:
        """What a request brings."""
        brought: dict[str, tuple[Column, str]] = {}
        wanted = [(f"feature.{view.name}", "entity", column) for view in views for column in view.entity]
        for name in names:
            for short, written in specs[name].columns.items():
                found = self._type(f"feature.{name}", ("columns", short), f"CAST(NULL AS {written})")
                wanted.append((f"feature.{name}", "columns", Column(short, found)))
        for asset, key, column in wanted:
            known, first = brought.setdefault(column.name, (column, asset))
            if known.type != column.type:
                raise FoundWrong(
                    "LCH-2629", f"`{column.name}` is {column.type} here and {known.type} in `{first}`",
                    where=self.where(asset, key, column.name),
                    why="a request brings it once, for both", fix="give it the same type in both",
                )  # fmt: skip
            if column.name == PREDICTION_TIME:
                raise FoundWrong(
                    "LCH-2630", f"`{PREDICTION_TIME}` cannot be a request's column",
                    where=self.where(asset, key, column.name, key=True),
                    why="it is what expressions call the instant at which the prediction is asked for",
                    fix="rename the column, or read `prediction_time` without declaring it",
                )  # fmt: skip
        return tuple(column for column, _ in brought.values())

    def expressions(
        self, names: Sequence[str], specs: Mapping[str, FeatureView], views: Sequence[View], request: Sequence[Column]
    ) -> tuple[Expression, ...]:
        """The expressions, each after those it reads."""
        texts = {f"{name}.{short}": text for name in names for short, text in specs[name].expressions.items()}
        for name in texts:
            if name.endswith(f".{PREDICTION_TIME}"):
                raise FoundWrong(
                    "LCH-2634", f"an expression cannot be called `{PREDICTION_TIME}`",
                    where=self.where(f"feature.{name.partition('.')[0]}", "expressions", PREDICTION_TIME, key=True),
                    why="it is what expressions call the instant at which the prediction is asked for",
                    fix="give it another name; expressions read `prediction_time` without declaring it",
                )  # fmt: skip
        known = {column.name: column.type for column in request}
        known |= {f"{n}.{c}": known[c] for n in names for c in specs[n].columns}
        known |= {f"{view.name}.{column.name}": column.type for view in views for column in view.features}
        known[PREDICTION_TIME] = _INSTANT
        compiled = []
        for name in self._ordered(texts):
            try:
                refuse_volatile_value(texts[name], self._where_expression(name), of_a_feature=True)
                expression = compile_expression(name, texts[name], known)
            except FoundWrong as wrong:
                place = wrong.where or self._where_expression(name)
                raise FoundWrong(wrong.code, wrong.what, where=place, why=wrong.why, fix=wrong.fix) from wrong
            known[name] = expression.type
            compiled.append(expression)
        return tuple(compiled)

    def _where_expression(self, name: str) -> Where:
        view, _, short = name.partition(".")
        return self.where(f"feature.{view}", "expressions", short)

    def _ordered(self, texts: Mapping[str, str]) -> list[str]:
        reads = {name: _names_in(text) & set(texts) for name, text in texts.items()}
        try:
            return list(TopologicalSorter(reads).static_order())
        except CycleError as cycle:
            ring = " -> ".join(reversed(cycle.args[1]))
            raise FoundWrong(
                "LCH-2631", "these expressions need each other", where=self._where_expression(cycle.args[1][0]),
                why=ring, fix="write one of them without the other",
            ) from cycle  # fmt: skip


def _names_in(text: str) -> set[str]:
    """The qualified names in an expression; none where it cannot be read (compiling it says why)."""
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(text, dialect="duckdb")
    except sqlglot.errors.SqlglotError:
        return set()
    return {f"{column.table}.{column.name}" for column in tree.find_all(exp.Column)}


def _latest_places(spec: FeatureView) -> list[tuple[tuple[str | int, ...], str]]:
    return [(("latest", place), name) for place, name in enumerate(spec.latest)]


def _result_type(aggregate: WindowAggregate) -> str:
    kind = value_kind(aggregate.type) if aggregate.type else "rows"
    if aggregate.function == "count":
        return "BIGINT"
    if aggregate.function == "avg":
        return "DOUBLE"
    if aggregate.function == "sum" or aggregate.type.startswith("DECIMAL"):
        return "BIGINT" if kind == "int" else "DOUBLE"
    return aggregate.type
