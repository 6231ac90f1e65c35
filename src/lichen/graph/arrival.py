"""How the values of a column arrive in it: of which source columns, how much later, and through which rows.

Lineage says *that* a column reaches another. What may be known when asks for more: a `known` that is `arrived_at + 1
hour` is later than `arrived_at`, one that is its day is earlier; a mean over all rows of a group is known with the last
of them. This is read from the statements themselves; what cannot be read raises `Unread`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lichen.graph.build import Graph
from lichen.graph.dialect import DIALECT
from lichen.graph.lineage import AssetColumn
from lichen.graph.origin import ROWS
from lichen.graph.scope import Unread
from lichen.graph.shift import STAYS, Span, shift

MOST = 400
"""The most ways into one column that are told apart."""

Role = Literal["key", "last", "value", "window", "relation", "filter"]


class Site(NamedTuple):
    """A place of a statement where a value meets rows other than its own, or passes by them.

    `key`, `last` and `value` stand for a SELECT that groups: the value is its key, the greatest of the group's, or
    another aggregate. `window` is a window, `filter` the condition of one aggregate, `relation` a relation of a FROM.
    `node` finds it in its `Arrivals`.
    """

    asset: str
    node: int
    role: Role


@dataclass(frozen=True)
class Arrival:
    """One way from a source's column into another.

    `least` and `most` say by how many microseconds an instant is later than the one it comes from; None where it is no
    instant that was only moved. `sites` are the places it came through.
    """

    column: AssetColumn
    least: int | None = 0
    most: int | None = 0
    sites: frozenset[Site] = frozenset()

    @property
    def mixed(self) -> bool:
        """Whether it came through a sum over a group or a window, where values of several rows meet."""
        return any(site.role in ("value", "last", "window") for site in self.sites)

    @property
    def summed(self) -> bool:
        """Whether it is an aggregate of a group that need not be the group's last."""
        return any(site.role == "value" for site in self.sites)

    def moved(self, by: Span | None) -> Arrival:
        """The same, so many microseconds later."""
        if by is None or self.least is None or self.most is None:
            return Arrival(self.column, None, None, self.sites)
        return Arrival(self.column, self.least + by[0], self.most + by[1], self.sites)

    def through(self, *sites: Site) -> Arrival:
        """The same, through more places."""
        return Arrival(self.column, self.least, self.most, self.sites | set(sites))


@dataclass(frozen=True)
class Frame:
    """What the names in a SELECT mean: its relations by alias, the queries beside it, the SELECT around it."""

    asset: str
    select: exp.Select
    relations: Mapping[str, exp.Expr]
    queries: Mapping[str, Frame | tuple[exp.Expr, Mapping[str, object]]]
    outer: Frame | None = None

    @cached_property
    def aliases(self) -> dict[str, exp.Expr]:
        """The SELECT's own columns by the names that it gives them."""
        return {item.alias.lower(): item.this for item in self.select.expressions if isinstance(item, exp.Alias)}

    @cached_property
    def groups(self) -> bool:
        """Whether the SELECT makes one row of many."""
        return bool(self.select.args.get("group")) or any(
            is_aggregate(node) for item in self.select.expressions for node in own_nodes(item)
        )

    def conditions(self) -> Iterator[exp.Expr]:
        """What the SELECT's rows have to be: WHERE, HAVING, QUALIFY, and the ON of its joins."""
        for key in ("where", "having", "qualify"):
            if self.select.args.get(key) is not None:
                yield self.select.args[key].this
        for join in self.select.args.get("joins") or ():
            if join.args.get("on") is not None:
                yield join.args["on"]


def own_nodes(node: exp.Expr) -> Iterator[exp.Expr]:
    """An expression's nodes without those of queries inside it."""
    yield node
    for child in node.iter_expressions():
        if not isinstance(child, exp.Query):
            yield from own_nodes(child)


def is_aggregate(node: exp.Expr) -> bool:
    """Whether a node is an aggregate over a group, not over a window."""
    if not isinstance(node, exp.AggFunc):
        return False
    above = node.parent
    while isinstance(above, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
        above = above.parent
    return not isinstance(above, exp.Window)


@dataclass
class Arrivals:
    """Reads how values arrive, each column once."""

    graph: Graph
    columns: Mapping[str, Sequence[str]]
    places: dict[int, tuple[Frame, exp.Expr]] = field(default_factory=dict)
    """For the `node` of each site met so far: the SELECT it stands in, and the node."""

    _known: dict[AssetColumn, tuple[Arrival, ...] | None] = field(default_factory=dict)

    def of(self, column: AssetColumn) -> tuple[Arrival, ...]:
        """All ways into a table's or a source's column."""
        if column not in self._known:
            self._known[column] = None  # a column that is met again while it is read cannot be read
            self._known[column] = self._read(column)
        found = self._known[column]
        if found is None:
            raise Unread(f"{column} is made of itself")
        return found

    def of_text(self, asset: str, text: str) -> tuple[Arrival, ...]:
        """All ways into an SQL expression over an asset's row."""
        try:
            tree = sqlglot.parse_one(text, dialect=DIALECT)
        except (SqlglotError, RecursionError) as error:
            raise Unread(str(error)) from error
        table = exp.to_table(self.graph[asset].name)
        frame = Frame(asset, exp.select(), {table.name.lower(): table}, {})
        return _few(self._value(tree, frame))

    def of_part(self, node: exp.Expr, frame: Frame) -> tuple[Arrival, ...]:
        """All ways into an expression of a SELECT."""
        return _few(self._value(node, frame))

    def owner(self, frame: Frame, name: str) -> str | None:
        """The alias of the relation of a FROM to which a column without a table belongs."""
        return next((alias for alias in frame.relations if name in self._columns_of(frame, alias)), None)

    def is_declared(self, column: AssetColumn) -> bool:
        """Whether a source or table says that this column is when its rows happened or became known."""
        spec = self.graph[column.asset].spec
        said = " ".join(filter(None, (getattr(spec, "time", None), getattr(spec, "known", None))))
        return re.search(rf"\b{re.escape(column.column)}\b", said, re.IGNORECASE) is not None

    def _read(self, column: AssetColumn) -> tuple[Arrival, ...]:
        statement = self.graph[column.asset].statement
        if statement is None or column.column == ROWS:
            return (Arrival(column),)
        return _few(self._query(statement.tree, column.column.lower(), None, column.asset, {}, None))

    # ------------------------------------------------------------------------------------------- queries

    def _query(
        self,
        query: exp.Expr,
        name: str | None,
        place: int | None,
        asset: str,
        queries: Mapping[str, object],
        outer: Frame | None,
    ) -> Iterator[Arrival]:
        """The ways into a query's column, found by its name or its place."""
        inner = query.args.get("with_")
        if inner is not None:
            if inner.args.get("recursive"):
                raise Unread("a recursive query")
            queries = dict(queries)
            for cte in inner.expressions:
                queries[cte.alias.lower()] = (
                    cte.this,
                    dict(queries),
                    [c.name.lower() for c in cte.args["alias"].columns],
                )
        if isinstance(query, exp.Subquery):
            yield from self._query(query.this, name, place, asset, queries, outer)
        elif isinstance(query, exp.SetOperation):
            if place is None:
                names = self._names(query.left, queries)
                if name not in names:
                    raise Unread(f"no column {name}")
                place = names.index(name)
            yield from self._query(query.left, None, place, asset, queries, outer)
            yield from self._query(query.right, None, place, asset, queries, outer)
        elif isinstance(query, exp.Select):
            yield from self._select(query, name, place, asset, queries, outer)
        else:
            raise Unread(query.key)

    def _select(
        self,
        select: exp.Select,
        name: str | None,
        place: int | None,
        asset: str,
        queries: Mapping[str, object],
        outer: Frame | None,
    ) -> Iterator[Arrival]:
        frame = Frame(asset, select, _relations(select), queries, outer)  # type: ignore[arg-type]
        if place is not None and place < len(select.expressions) and not select.is_star:
            yield from self._grouped(self._value(select.expressions[place].unalias(), frame), frame)
            return
        if place is not None and name is None:
            names = self._names(select, queries)
            name = names[place] if place < len(names) else None
        for item in select.expressions:
            star = item.this if isinstance(item, exp.Column) else item
            if isinstance(star, exp.Star):
                if any(star.args.get(key) for key in ("replace", "rename")):
                    raise Unread("a * that changes columns")
                within = [item.table.lower()] if isinstance(item, exp.Column) and item.table else list(frame.relations)
                left_out = {one.name.lower() for one in star.args.get("except_") or ()}
                for alias in within:
                    if name not in left_out and name in self._columns_of(frame, alias):
                        yield from self._grouped(self._from(frame, alias, str(name)), frame)
                        return
            elif item.alias_or_name.lower() == name:
                yield from self._grouped(self._value(item.unalias(), frame), frame)
                return
        raise Unread(f"no column {name}")

    def _names(self, query: exp.Expr, queries: Mapping[str, object]) -> list[str]:
        if isinstance(query, exp.Subquery):
            return self._names(query.this, queries)
        if isinstance(query, exp.SetOperation):
            return self._names(query.left, queries)
        frame = Frame("", query, _relations(query), queries)  # type: ignore[arg-type]
        names: list[str] = []
        for item in query.expressions:
            star = item.this if isinstance(item, exp.Column) else item
            if isinstance(star, exp.Star):
                within = [item.table.lower()] if isinstance(item, exp.Column) and item.table else list(frame.relations)
                left_out = {one.name.lower() for one in star.args.get("except_") or ()}
                names += [one for alias in within for one in self._columns_of(frame, alias) if one not in left_out]
            else:
                names.append(item.alias_or_name.lower())
        return names

    def _grouped(self, found: Iterable[Arrival], frame: Frame) -> Iterator[Arrival]:
        """What comes out of a SELECT that groups, and is none of its aggregates, is the same in the whole group."""
        if not frame.groups:
            yield from found
            return
        own = id(frame.select)
        self.places[own] = (frame, frame.select)
        for one in found:
            if any(site.node == own and site.role in ("last", "value") for site in one.sites):
                yield one
            else:
                yield one.through(Site(frame.asset, own, "key"))

    # ----------------------------------------------------------------------------------------- relations

    def _columns_of(self, frame: Frame, alias: str) -> list[str]:
        relation = frame.relations[alias]
        if isinstance(relation, exp.Table):
            known = frame.queries.get(relation.name.lower())
            if known is not None:
                tree, queries, renamed = known  # type: ignore[misc]
                return renamed or self._names(tree, queries)
            asset = self.graph.relation(relation.name.lower())
            return [one.lower() for one in self.columns.get(asset.id, ())] if asset is not None else []
        if isinstance(relation, exp.Subquery):
            renamed = [one.name.lower() for one in getattr(relation.args.get("alias"), "columns", ())]
            return renamed or self._names(relation.this, frame.queries)
        return []

    def _from(self, frame: Frame, alias: str, name: str) -> Iterator[Arrival]:
        """The ways into a column of a relation in FROM."""
        relation = frame.relations[alias]
        self.places[id(relation)] = (frame, relation)
        site = Site(frame.asset, id(relation), "relation")
        if isinstance(relation, exp.Table):
            known = frame.queries.get(relation.name.lower())
            if known is not None:
                tree, queries, renamed = known  # type: ignore[misc]
                at = renamed.index(name) if renamed and name in renamed else None
                found = self._query(tree, None if at is not None else name, at, frame.asset, queries, frame.outer)
            else:
                asset = self.graph.relation(relation.name.lower())
                if asset is None:
                    raise Unread(relation.name)
                spelled = {one.lower(): one for one in self.columns.get(asset.id, ())}
                found = iter(self.of(AssetColumn(asset.id, spelled.get(name, name))))
        elif isinstance(relation, exp.Subquery):
            renamed = [one.name.lower() for one in getattr(relation.args.get("alias"), "columns", ())]
            at = renamed.index(name) if name in renamed else None
            lateral = frame if isinstance(relation.parent, exp.Lateral) else frame.outer
            found = self._query(
                relation.this, None if at is not None else name, at, frame.asset, frame.queries, lateral
            )
        else:
            raise Unread(relation.key)
        for one in found:
            yield one.through(site)

    def _column(self, column: exp.Column, frame: Frame) -> Iterator[Arrival]:
        name, table = column.name.lower(), column.table.lower()
        around: Frame | None = frame
        while around is not None:
            if table:
                if table in around.relations:
                    yield from self._from(around, table, name)
                    return
            else:
                for alias in around.relations:
                    if name in self._columns_of(around, alias):
                        yield from self._from(around, alias, name)
                        return
                if name in around.aliases:
                    yield from self._value(around.aliases[name], around)
                    return
            around = around.outer
        raise Unread(f"no column {column.sql()}")

    # --------------------------------------------------------------------------------------- expressions

    def _value(self, node: exp.Expr, frame: Frame) -> Iterator[Arrival]:
        if isinstance(node, exp.Column):
            yield from self._column(node, frame)
            return
        if isinstance(node, exp.Query):
            yield from self._query(node, None, 0, frame.asset, frame.queries, frame)
            return
        if isinstance(node, exp.Window):
            yield from self._over(node, frame)
            return
        if isinstance(node, exp.Filter):
            node = node.this  # what lets rows in is no value
        if is_aggregate(node):
            yield from self._aggregated(node, frame)
            return
        by = shift(node)
        for child, moved in by if by is not None else ((child, None) for child in node.iter_expressions()):
            for one in self._value(child, frame):
                yield one.moved(moved)

    def _over(self, node: exp.Window, frame: Frame) -> Iterator[Arrival]:
        self.places[id(node)] = (frame, node)
        sites = [Site(frame.asset, id(node), "window")]
        if isinstance(node.this, exp.Filter):
            sites += self._filtered(node.this.this, frame)
        for one in self._inside(node.this, frame):
            yield one.moved(None).through(*sites)

    def _inside(self, node: exp.Expr, frame: Frame) -> Iterator[Arrival]:
        """The values of an aggregate's arguments, and the rows that a count counts."""
        while isinstance(node, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
            node = node.this
        for child in node.iter_expressions():
            if isinstance(child, exp.Star):
                for alias, relation in frame.relations.items():
                    self.places[id(relation)] = (frame, relation)
                    asset = self.graph.relation(relation.name.lower()) if isinstance(relation, exp.Table) else None
                    if asset is not None and alias:
                        yield Arrival(AssetColumn(asset.id, ROWS), None, None).through(
                            Site(frame.asset, id(relation), "relation")
                        )
            else:
                yield from self._value(child, frame)

    def _aggregated(self, node: exp.Expr, frame: Frame) -> Iterator[Arrival]:
        own = id(frame.select)
        self.places[own] = (frame, frame.select)
        greatest = isinstance(node, exp.Max)
        sites = [Site(frame.asset, own, "last" if greatest else "value"), *self._filtered(node, frame)]
        for one in self._inside(node, frame):
            # What another SELECT grouped before keeps the role that it had there.
            yield one.moved(STAYS if greatest else None).through(*sites)

    def _filtered(self, node: exp.Expr, frame: Frame) -> Iterator[Site]:
        """The condition of an aggregate, where it has one of its own."""
        above = node.parent
        if isinstance(above, exp.Filter):
            self.places[id(above)] = (frame, above)
            yield Site(frame.asset, id(above), "filter")


def _few(found: Iterable[Arrival]) -> tuple[Arrival, ...]:
    kept: dict[Arrival, None] = {}
    for one in found:
        kept[one] = None
        if len(kept) > MOST:
            raise Unread("too many ways")
    return tuple(kept)


def _relations(select: exp.Select) -> dict[str, exp.Expr]:
    """A SELECT's relations by their aliases, in order."""
    origin = select.args.get("from_")
    first = [origin.this] if origin is not None else []
    joined = [join.this for join in select.args.get("joins") or ()]
    found: dict[str, exp.Expr] = {}
    for relation in [*first, *joined]:
        inner = relation.this if isinstance(relation, exp.Lateral) else relation
        if any(inner.args.get(part) for part in ("pivots", "joins")):
            raise Unread("a relation of several")
        found[relation.alias_or_name.lower()] = inner
    return found
