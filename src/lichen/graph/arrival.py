"""How the values of a column arrive in it: of which source columns, how much later, and through which rows.

Lineage says *that* a column reaches another. What may be known when asks for more: a `known` that is `arrived_at + 1
hour` is later than `arrived_at`, one that is its day is earlier; a mean over all rows of a group is known with the last
of them. This is read from the statements themselves; what cannot be read raises `Unread`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lichen.graph.build import Graph
from lichen.graph.dialect import DIALECT
from lichen.graph.expression import is_aggregate
from lichen.graph.frame import Frame, Named, Wanted, joined, parts_of, relations_of
from lichen.graph.lineage import AssetColumn
from lichen.graph.origin import ROWS
from lichen.graph.scope import Unread
from lichen.graph.shift import NO_EARLIER, branches, misread_interval, shift
from lichen.graph.way import Arrival, Site

_COMPARES = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)

MOST = 400
"""The most ways into one column that are told apart."""


@dataclass
class Arrivals:
    """Reads how values arrive, each column once."""

    graph: Graph
    columns: Mapping[str, Sequence[str]]
    made_of: Callable[[AssetColumn], Iterable[AssetColumn]] = lambda _: ()
    """The source columns of which a column is made, by lineage: a way of each has to be found."""

    places: dict[int, tuple[Frame, exp.Expr]] = field(default_factory=dict)
    """For the `node` of each site met so far: the SELECT it stands in, and the node."""

    _known: dict[AssetColumn, tuple[Arrival, ...] | None] = field(default_factory=dict)
    _recursive: set[int] = field(default_factory=set)
    _met: dict[tuple[int, str, str], tuple[Arrival, ...]] = field(default_factory=dict)

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
        _refuse_misread(text)
        try:
            tree = sqlglot.parse_one(text, dialect=DIALECT)
        except (SqlglotError, RecursionError) as error:
            raise Unread(str(error)) from error
        table = exp.to_table(self.graph[asset].name)
        frame = Frame(asset, exp.select(), {table.name.lower(): table}, {})
        own = Site(asset, id(table), "relation")
        return _few(replace(one, sites=tuple(s for s in one.sites if s != own)) for one in self._value(tree, frame))

    def of_part(self, node: exp.Expr, frame: Frame) -> tuple[Arrival, ...]:
        """All ways into an expression of a SELECT."""
        return _few(self._value(node, frame))

    def owner(self, frame: Frame, name: str) -> str | None:
        """The alias of the relation of a FROM to which a column without a table belongs."""
        return next((alias for alias in frame.relations if name in self._columns_of(frame, alias)), None)

    def may_miss(self, one: Arrival) -> bool:
        """Whether a way comes through a relation of which an outer join also gives no row."""
        return any(node in self.places[node][0].missing for node in one.rows)

    def is_there(self, one: Arrival) -> bool:
        """Whether the column of a way is not null in any row that comes through, as a promise or a condition says."""
        promise = getattr(self.graph[one.column.asset].spec, "contract", None)
        said = promise.columns.get(one.column.column) if promise is not None else None
        if said is not None and said.null_share == 0:
            return True
        return any(
            there.column == one.column and there.rows == one.rows[: len(there.rows)]
            for node in one.rows
            for there in self._demanded(self.places[node][0])
        )

    def _demanded(self, frame: Frame) -> Iterator[Arrival]:
        """The columns that are not null in the rows that a SELECT lets through: tested, or compared with something."""
        where = frame.select.args.get("where")
        for node in parts_of(where.this) if where is not None else ():
            test = node.this.unnest() if isinstance(node, exp.Not) else node
            is_null = isinstance(test, exp.Is) and isinstance(test.expression, exp.Null)
            if is_null == isinstance(node, exp.Not) and (is_null or isinstance(test, _COMPARES)):
                for side in (test.this,) if is_null else (test.this, test.expression):
                    if isinstance(side.unnest(), exp.Column):
                        yield from self._column(side.unnest(), frame)

    def is_chosen(self, one: Arrival) -> bool:
        """Whether which row a way is of, or whether there is one, hangs on others: an outer join, a LIMIT."""
        return self.may_miss(one) or any(self.places[node][0].select.args.get("limit") is not None for node in one.rows)

    def is_declared(self, column: AssetColumn) -> bool:
        """Whether a source or table says that this column is when its rows happened or became known."""
        spec = self.graph[column.asset].spec
        said = " ".join(filter(None, (getattr(spec, "time", None), getattr(spec, "known", None))))
        return re.search(rf"\b{re.escape(column.column)}\b", said, re.IGNORECASE) is not None

    def _read(self, column: AssetColumn) -> tuple[Arrival, ...]:
        statement = self.graph[column.asset].statement
        if statement is None or column.column == ROWS:
            return (Arrival(column),)
        _refuse_misread(statement.text)
        found = _few(self._query(statement.tree, Wanted(column.column.lower(), None, column.asset, {}, None)))
        lost = sorted(set(self.made_of(column)) - {one.column for one in found})
        return (*found, *(Arrival.unread(one) for one in lost))

    # ------------------------------------------------------------------------------------------- queries

    def _query(self, query: exp.Expr, wanted: Wanted) -> Iterator[Arrival]:
        """The ways into a query's column."""
        inner = query.args.get("with_")
        if inner is not None:
            queries = dict(wanted.queries)
            for cte in inner.expressions:
                if any(table.name.lower() == cte.alias.lower() for table in cte.this.find_all(exp.Table)):
                    self._recursive |= {id(cte.this)} if inner.args.get("recursive") else set()
                columns = [column.name.lower() for column in cte.args["alias"].columns]
                queries[cte.alias.lower()] = Named(cte.this, dict(queries), columns)
            wanted = replace(wanted, queries=queries)
        if isinstance(query, exp.Subquery):
            yield from self._query(query.this, wanted)
        elif isinstance(query, exp.SetOperation):
            yield from self._sides(query, wanted)
        elif isinstance(query, exp.Select):
            yield from self._select(query, wanted)
        else:
            raise Unread(query.key)

    def _sides(self, union: exp.SetOperation, wanted: Wanted) -> Iterator[Arrival]:
        """The ways into a column of two queries under each other: each row is of one of them."""
        names, name, place = self._names(union.left, wanted.queries), wanted.name, wanted.place
        by_name = union.args.get("by_name")
        if place is None and name in names and not by_name:
            place = names.index(str(name))
        elif place is not None and by_name:
            name = names[place]
        elif place is None and not by_name:
            raise Unread(f"no column {name}")
        for at, side in enumerate((union.left, union.right)):
            if by_name and name not in self._names(side, wanted.queries):
                continue
            here = replace(wanted, name=name if by_name else None, place=None if by_name else place)
            for one in self._query(side, here):
                yield one.choosing(id(union), at, 2, f"{id(union)}", rows=True)

    def _select(self, select: exp.Select, wanted: Wanted) -> Iterator[Arrival]:
        frame = Frame(wanted.asset, select, relations_of(select), wanted.queries, wanted.outer)
        name, place = wanted.name, wanted.place
        if place is not None and place < len(select.expressions) and not select.is_star:
            yield from self._grouped(self._value(select.expressions[place].unalias(), frame), frame)
            return
        if place is not None and name is None:
            names = self._names(select, wanted.queries)
            name = names[place] if place < len(names) else None
        for item in select.expressions:
            star = item.this if isinstance(item, exp.Column) else item
            if isinstance(star, exp.Star):
                found = self._starred(item, star, str(name), frame)
                if found is not None:
                    yield from self._grouped(found, frame)
                    return
            elif item.alias_or_name.lower() == name:
                yield from self._grouped(self._value(item.unalias(), frame), frame)
                return
        raise Unread(f"no column {name}")

    def _starred(self, item: exp.Expr, star: exp.Star, name: str, frame: Frame) -> Iterable[Arrival] | None:
        """The ways into a column that a `*` shows; None where it shows none of that name."""
        if name not in self._shown(item, star, frame):
            return None
        replaced = {one.alias.lower(): one.this for one in star.args.get("replace") or ()}
        if name in replaced:
            return self._value(replaced[name], frame)
        before = {one.alias.lower(): one.this.name.lower() for one in star.args.get("rename") or ()}.get(name, name)
        return next(
            self._from(frame, one, before) for one in _within(item, frame) if before in self._columns_of(frame, one)
        )

    def _shown(self, item: exp.Expr, star: exp.Star, frame: Frame) -> list[str]:
        """The names of the columns that a `*` shows."""
        left_out = {one.name.lower() for one in star.args.get("except_") or ()}
        renamed = {one.this.name.lower(): one.alias.lower() for one in star.args.get("rename") or ()}
        every = [one for alias in _within(item, frame) for one in self._columns_of(frame, alias)]
        return [renamed.get(one, one) for one in every if one not in left_out]

    def _names(self, query: exp.Expr, queries: Mapping[str, Named]) -> Sequence[str]:
        if isinstance(query, exp.Subquery):
            return self._names(query.this, queries)
        if isinstance(query, exp.SetOperation):
            return self._names(query.left, queries)
        if isinstance(query, exp.Values):
            return [f"col{place}" for place, _ in enumerate(query.expressions[0].expressions)]
        if not isinstance(query, exp.Select):
            raise Unread(query.key)
        frame = Frame("", query, relations_of(query), queries)
        names: list[str] = []
        for item in query.expressions:
            star = item.this if isinstance(item, exp.Column) else item
            if isinstance(star, exp.Star):
                names += self._shown(item, star, frame)
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

    def _columns_of(self, frame: Frame, alias: str) -> Sequence[str]:
        relation = frame.relations.get(alias)
        if relation is None:
            raise Unread(f"`{alias}.*` names nothing that is read here")
        if isinstance(relation, exp.Table):
            known = frame.queries.get(relation.name.lower())
            if known is not None:
                return [*known.columns, *self._names(known.tree, known.queries)[len(known.columns) :]]
            asset = self.graph.relation(relation.name.lower())
            return [one.lower() for one in self.columns.get(asset.id, ())] if asset is not None else []
        if isinstance(relation, exp.Subquery | exp.Values):
            inner = relation if isinstance(relation, exp.Values) else relation.this
            names = self._names(inner, frame.queries)
            renamed = [one.name.lower() for one in getattr(relation.args.get("alias"), "columns", ())]
            return [*renamed, *names[len(renamed) :]]
        return []

    def _from(self, frame: Frame, alias: str, name: str) -> tuple[Arrival, ...]:
        """The ways into a column of a relation in FROM; read once, for many expressions name it."""
        key = (id(frame.select), alias, name)
        if key not in self._met:
            self._met[key] = _few(self._of_relation(frame, alias, name))
        return self._met[key]

    def _of_relation(self, frame: Frame, alias: str, name: str) -> Iterator[Arrival]:
        relation = frame.relations[alias]
        self.places[id(relation)] = (frame, relation)
        site = Site(frame.asset, id(relation), "relation")
        if isinstance(relation, exp.Table):
            known = frame.queries.get(relation.name.lower())
            if known is not None:
                if id(known.tree) in self._recursive:
                    raise Unread("a recursive query")
                wanted = _renamed(name, known.columns, frame.asset, known.queries, frame.outer)
                found = self._query(known.tree, wanted)
            else:
                asset = self.graph.relation(relation.name.lower())
                if asset is None:
                    raise Unread(relation.name)
                spelled = {one.lower(): one for one in self.columns.get(asset.id, ())}
                found = iter(self.of(AssetColumn(asset.id, spelled.get(name, name))))
        elif isinstance(relation, exp.Values):
            place = self._columns_of(frame, alias).index(name)
            written = [row.expressions[place] for row in relation.expressions]
            found = (one.moved(None) for value in written for one in self._value(value, frame))
        elif isinstance(relation, exp.Subquery):
            renamed = [one.name.lower() for one in getattr(relation.args.get("alias"), "columns", ())]
            lateral = frame if isinstance(relation.parent, exp.Lateral) else frame.outer
            found = self._query(relation.this, _renamed(name, renamed, frame.asset, frame.queries, lateral))
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
            yield from self._query(node, Wanted(None, 0, frame.asset, frame.queries, frame))
            return
        if isinstance(node, exp.Window):
            yield from self._over(node, frame)
            return
        if isinstance(node, exp.Exists):
            yield from self._found(node.this, frame)
            return
        if isinstance(node, exp.In) and node.args.get("query") is not None:
            yield from (one.moved(None) for one in self._value(node.this, frame))
            yield from self._found(node.args["query"].unnest(), frame)
            return
        if isinstance(node, exp.Filter):
            node = node.this  # what lets rows in is no value
        if is_aggregate(node, over_group=True):
            yield from self._aggregated(node, frame)
            return
        chosen = branches(node)
        if chosen is not None:
            yield from self._chosen(node, chosen, frame)
            return
        by = shift(node)
        made = "" if by is not None and all(s is not None and s[0] == s[1] for _, s in by) else self._made(node, frame)
        for child, moved in by if by is not None else ((child, None) for child in node.iter_expressions()):
            for one in self._value(child, frame):
                yield one.moved(moved, made)

    def _chosen(self, node: exp.Expr, chosen: Sequence[exp.Expr], frame: Frame) -> Iterator[Arrival]:
        """The ways into what is one of several, and into the conditions that choose it."""
        made = self._made(node, frame)
        first = _few(self._value(chosen[0], frame)) if isinstance(node, exp.Coalesce) else ()
        if first and all(choice.rows for one in first for choice in one.choices):
            # Where an instant is null, it says nothing of when anything became known.
            yield from (one.moved(NO_EARLIER, made) for one in first)
            yield from (one.moved(None, made) for rest in chosen[1:] for one in self._value(rest, frame))
            return
        for branch, child in enumerate(chosen):
            for one in self._value(child, frame):
                yield one.choosing(id(node), branch, len(chosen), made)
        for condition in _choosing(node):
            yield from (one.moved(None, made) for one in self._value(condition, frame))

    def _made(self, node: exp.Expr, frame: Frame) -> str:
        """A word for what an expression makes: the same for the same expression over the same columns of a row.

        Over several relations, groups or windows it is that of this place alone.
        """
        self.places[id(node)] = (frame, node)
        if node.find(exp.Query, exp.Window) is not None or any(is_aggregate(one) for one in node.walk()):
            return f"{id(node)}"
        found = {id(column): _few(self._column(column, frame)) for column in node.find_all(exp.Column)}
        ways = [one for several in found.values() for one in several]
        if len({one.sites for one in ways}) != 1 or any(one.choices or one.rows != _nodes(one) for one in ways):
            return f"{id(node)}"
        copy = node.copy()
        for old, new in zip(node.find_all(exp.Column), list(copy.find_all(exp.Column)), strict=True):
            new.set("table", None)
            new.set("this", exp.to_identifier(" ".join(sorted(f"{w.column} {w.same}" for w in found[id(old)]))))
        return sha256(copy.sql(dialect=DIALECT).encode()).hexdigest()

    def _found(self, query: exp.Expr, frame: Frame) -> Iterator[Arrival]:
        """The ways into whether a query finds a row, or a certain one: of its rows, as if it counted them."""
        if not isinstance(query, exp.Select) or query.args.get("with_") is not None:
            raise Unread(query.key)
        inner = Frame(frame.asset, query, relations_of(query), frame.queries, frame)
        self.places[id(query)] = (inner, query)
        read = [query.args["where"].this] if query.args.get("where") is not None else []
        read += [join.args["on"] for _, join in joined(query) if join is not None and join.args.get("on") is not None]
        ways = [self._inside(exp.Count(this=exp.Star()), inner)]
        ways += [self._column(one, inner) for part in (*query.expressions, *read) for one in part.find_all(exp.Column)]
        own, summed = {id(one) for one in inner.relations.values()}, Site(frame.asset, id(query), "value")
        for one in (one for several in ways for one in several):
            found = one.moved(None, f"{id(query)}")
            yield found.through(summed) if own.intersection(one.rows) else found

    def _over(self, node: exp.Window, frame: Frame) -> Iterator[Arrival]:
        self.places[id(node)] = (frame, node)
        sites = [Site(frame.asset, id(node), "window")]
        if isinstance(node.this, exp.Filter):
            sites += self._filtered(node.this.this, frame)
        for one in self._inside(node.this, frame):
            yield one.moved(None, f"{id(node)}").through(*sites)

    def _inside(self, node: exp.Expr, frame: Frame) -> Iterator[Arrival]:
        """The values of an aggregate's arguments, and the rows that a count counts."""
        while isinstance(node, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
            node = node.this
        for child in node.iter_expressions():
            if isinstance(child, exp.Star):
                for alias in frame.relations:
                    yield from self._rows(frame, alias)
            else:
                yield from self._value(child, frame)

    def _rows(self, frame: Frame, alias: str) -> Iterator[Arrival]:
        """The ways of the rows of a relation; those of a query are the rows of which its columns are."""
        relation = frame.relations[alias]
        self.places[id(relation)] = (frame, relation)
        asset = self.graph.relation(relation.name.lower()) if isinstance(relation, exp.Table) else None
        if asset is not None and alias and relation.name.lower() not in frame.queries:
            yield Arrival(AssetColumn(asset.id, ROWS), None, None).through(Site(frame.asset, id(relation), "relation"))
            return
        for name in self._columns_of(frame, alias):
            for one in self._from(frame, alias, name):
                rows = AssetColumn(one.column.asset, ROWS)
                yield Arrival(rows, None, None, one.sites, frozenset(choice for choice in one.choices if choice.rows))

    def _aggregated(self, node: exp.Expr, frame: Frame) -> Iterator[Arrival]:
        own = id(frame.select)
        self.places[own] = (frame, frame.select)
        greatest = isinstance(node, exp.Max) and not node.expressions
        sites = [Site(frame.asset, own, "last" if greatest else "value"), *self._filtered(node, frame)]
        for one in self._inside(node, frame):
            # What another SELECT grouped before keeps the role that it had there.
            yield one.moved(NO_EARLIER if greatest else None, f"{id(node)}").through(*sites)

    def _filtered(self, node: exp.Expr, frame: Frame) -> Iterator[Site]:
        """The condition of an aggregate, where it has one of its own."""
        above = node.parent
        if isinstance(above, exp.Filter):
            self.places[id(above)] = (frame, above)
            yield Site(frame.asset, id(above), "filter")


def _renamed(
    name: str, columns: Sequence[str], asset: str, queries: Mapping[str, Named], outer: Frame | None
) -> Wanted:
    """A column of a query whose own columns, the first of them, are called otherwise outside."""
    if name in columns:
        return Wanted(None, columns.index(name), asset, queries, outer)
    return Wanted(name, None, asset, queries, outer)


def _few(found: Iterable[Arrival]) -> tuple[Arrival, ...]:
    kept: dict[Arrival, None] = {}
    for one in found:
        kept[one] = None
        if len(kept) > MOST:
            raise Unread("too many ways")
    return tuple(kept)


def _within(item: exp.Expr, frame: Frame) -> list[str]:
    """The relations whose columns a `*` shows."""
    return [item.table.lower()] if isinstance(item, exp.Column) and item.table else list(frame.relations)


def _nodes(one: Arrival) -> tuple[int, ...]:
    return tuple(site.node for site in one.sites)


def _choosing(node: exp.Expr) -> Iterator[exp.Expr]:
    """The conditions by which one of several is chosen."""
    if isinstance(node, exp.Case):
        yield from (one for one in (node.this, *(each.this for each in node.args["ifs"])) if one is not None)
    elif isinstance(node, exp.If):
        yield node.this


def _refuse_misread(text: str) -> None:
    found = misread_interval(text)
    if found is not None:
        raise Unread(f"INTERVAL '{found}'")
