"""Reads what a feature view over a table means: its key, its times, its grain, its aggregates and latest columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lichen.errors import FoundWrong, Where, did_you_mean
from lichen.feature.aggregate import Asked, result_type, understood
from lichen.feature.prior import split
from lichen.feature.statement import select
from lichen.feature.value import KEY_TYPES, is_storable, storable_instead
from lichen.feature.view import View, WindowAggregate
from lichen.graph.expression import holds_query
from lichen.graph.volatile import refuse_volatile_value
from lichen.ground.duration import microseconds
from lichen.ground.quoting import identifier, written_as_a_name
from lichen.ports import Column, Engine, Relation

if TYPE_CHECKING:
    from lichen.spec import FeatureView

WhereIs = Callable[..., Where]


@dataclass(frozen=True)
class RelationFacts:
    """What is known of a source or a table: its columns, by which SQL its rows happen and become known, its key."""

    columns: tuple[Column, ...]
    time: str | None = None
    known: str | None = None
    key: tuple[str, ...] = ()


class Reading:
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
        grain = [(("grain", place), column) for place, column in enumerate(spec.grain)]
        for place, wanted in [*((("entity", n), n) for n in spec.entity or {}), *grain, *_latest_places(spec)]:
            if wanted not in columns:
                raise FoundWrong(
                    "LCH-2622", f"`{table}` has no column `{wanted}`", where=self.where(asset, *place, key=True),
                    fix=did_you_mean(wanted, columns),
                )  # fmt: skip
        entity = tuple(self._key(asset, column, type_) for column, type_ in (spec.entity or {}).items())
        time, known = self._times(asset, spec, facts)
        aggregates, windowed = self._aggregates(asset, spec, facts)
        latest = tuple(self._latest(asset, place, columns[n]) for place, n in _latest_places(spec))
        ttl = None if spec.ttl is None else microseconds(spec.ttl)
        return View(
            name, entity, table, time, known, aggregates, spec.windows, latest, ttl, spec.static,
            (*windowed, *latest), grain=spec.grain or facts.key, corrected=bool(spec.grain),
        )  # fmt: skip

    def type_of(self, asset: str, path: Sequence[str | int], sql: str, facts: RelationFacts | None = None) -> str:
        """The type of an expression over a relation's row, as DuckDB calls it."""
        refuse_volatile_value(sql, self.where(asset, *path), of_a_feature=True)
        relation = Relation(facts.columns if facts is not None else (Column("_none", "BIGINT"),))
        try:
            found = self.engine.describe(select([(sql, "value")], identifier("row")), {"row": relation})
        except FoundWrong as wrong:
            name = _bare(sql)
            is_a_column = facts is not None and any(column.name == name for column in facts.columns)
            fix = written_as_a_name(name) if is_a_column else wrong.fix
            raise FoundWrong(wrong.code, wrong.what, where=self.where(asset, *path), why=wrong.why, fix=fix) from wrong
        if facts is not None and (len(found) > 1 or not self._is_of_one_row(sql, relation)):
            raise FoundWrong(
                "LCH-2654", f"`{_bare(sql)}` is not computed of one row", where=self.where(asset, *path),
                why="a sum over rows, a window function, a subquery or an `unnest` sees rows that were not known yet",
                fix="compute it of the row's own columns, for the windows sum up what is known; or in a table, whose "
                "`known` says when it was",
            )  # fmt: skip
        return found[0].type

    def _is_of_one_row(self, sql: str, relation: Relation) -> bool:
        """Whether an expression that has a type needs no other row: a condition is what may hold no such thing."""
        if holds_query(sql):
            return False
        try:
            self.engine.describe(select([("1", "one")], identifier("row"), f"WHERE {sql} IS NULL"), {"row": relation})
        except FoundWrong:
            return False
        return True

    def _aggregates(
        self, asset: str, spec: FeatureView, facts: RelationFacts
    ) -> tuple[tuple[WindowAggregate, ...], tuple[Column, ...]]:
        """What is computed over each window, and the features that it is in: aggregate by aggregate, window by window.

        An aggregate with a prior is computed in parts, which only the expression that puts them together reads.
        """
        made, features = list[WindowAggregate](), list[Column]()
        for name, written in spec.aggregates.items():
            at = (asset, "aggregates", name)
            type_of = partial(self._value_type, at, facts)
            one = understood(Asked(name, written, type_of, partial(self.where, *at)))
            for part, aggregate in split(one, written):
                made.append(aggregate)
                features += [Column(f"{name}_{window}{part}", result_type(aggregate)) for window in spec.windows]
        return tuple(made), tuple(features)

    def _value_type(self, at: tuple[str, str, str], facts: RelationFacts, sql: str, keys: Sequence[str]) -> str:
        asset, *path = at
        return self.type_of(asset, (*path, *keys), f"({sql})", facts)

    def _key(self, asset: str, name: str, type_: str) -> Column:
        found = self.type_of(asset, ("entity", name), f"CAST(NULL AS {type_})")
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
            found = self.type_of(asset, (path,), f"({sql})", facts)
            if not found.startswith("TIMESTAMP") and found != "DATE":
                raise FoundWrong(
                    "LCH-2625", f"`{path}` is of type {found}, not an instant", where=self.where(asset, path),
                    fix="name a TIMESTAMP WITH TIME ZONE column, or cast to one",
                )  # fmt: skip
        return time, known

    def _latest(self, asset: str, place: tuple[str | int, ...], column: Column) -> Column:
        if not is_storable(column.type):
            raise FoundWrong(
                "LCH-2628", f"`{column.name}` is of type {column.type}, which no feature can be",
                where=self.where(asset, *place), fix=f"cast it {storable_instead(column.type)}",
            )  # fmt: skip
        return column


def _bare(sql: str) -> str:
    """An expression without the parentheses that it travels in."""
    return sql.removeprefix("(").removesuffix(")").strip()


def _latest_places(spec: FeatureView) -> list[tuple[tuple[str | int, ...], str]]:
    return [(("latest", place), name) for place, name in enumerate(spec.latest)]
