"""Whether a statement can give a row of its input several times."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from lichen.graph.build import Asset, Graph
from lichen.graph.expression import is_aggregate
from lichen.graph.frame import joined, own_nodes, parts_of
from lichen.graph.samerow import keys_of
from lichen.spec import Table

Queries = Mapping[str, exp.Expr]

_MANY = (exp.Unnest, exp.Explode, exp.Posexplode)


@dataclass(frozen=True)
class Doubling:
    """What may give a row twice: in words, and the relation whose key would say that it does not, if there is one.

    `place` is line and column in the statement of `asset`.
    """

    what: str
    asset: str
    place: tuple[int, int]
    relation: str | None = None


def multiplied(asset: Asset, graph: Graph, through: Collection[int] = ()) -> Doubling | None:
    """The first part of a table's statement, or of those it reads, that can give a row twice; None if none can.

    The rows of a SELECT are those of the one relation that is among `through`, by its node, or of the first in FROM:
    every other relation has to be joined by a key of it.
    """
    return _Rows(graph, through).of_table(asset)


@dataclass
class _Rows:
    """One walk from a table's rows to those that they are made of."""

    graph: Graph
    through: Collection[int]
    asset: list[Asset] = field(default_factory=list)

    def of_table(self, asset: Asset) -> Doubling | None:
        """A table's own statement; one that declares a key is checked by that when it runs."""
        if asset.statement is None or any(asset.id == other.id for other in self.asset):
            return None
        self.asset.append(asset)
        found = self._of_query(asset.statement.tree, {})
        self.asset.pop()
        return found

    def _of_query(self, query: exp.Expr, around: Queries) -> Doubling | None:
        queries = {**around, **_named(query)}
        if isinstance(query, exp.Subquery):
            return self._of_query(query.this, queries)
        if isinstance(query, exp.SetOperation):
            return self._of_sides(query, queries)
        if not isinstance(query, exp.Select) or query.args.get("group") or query.args.get("distinct"):
            return None
        if any(is_aggregate(node, over_group=True) for item in query.selects for node in own_nodes(item)):
            return None
        several = next((node for item in query.selects for node in own_nodes(item) if _gives_many(node)), None)
        if several is not None:
            return self._doubling("`unnest` in the list gives a row for each element", several)
        return self._of_joins(query, queries)

    def _of_sides(self, union: exp.SetOperation, queries: Queries) -> Doubling | None:
        if isinstance(union, exp.Union) and not union.args.get("distinct"):
            return self._doubling("a row may stand on both sides of `UNION ALL`", union.right)
        if isinstance(union, exp.Union):
            return None
        return self._of_query(union.left, queries)

    def _of_joins(self, select: exp.Select, queries: Queries) -> Doubling | None:
        relations = list(joined(select))
        if not relations:
            return None
        every = [relation for relation, _ in relations]
        own = next((one for one in every if id(_inner(one)) in self.through), every[0])
        where = select.args.get("where")
        ons = [join.args["on"] for _, join in relations if join is not None and join.args.get("on") is not None]
        conditions = [*ons, *([where.this] if where is not None else [])]
        shared = {one.name.lower() for _, join in relations if join is not None for one in join.args.get("using") or ()}
        for relation, join in relations:
            alias = relation.alias_or_name.lower()
            skipped = join is not None and (join.kind in ("SEMI", "ANTI") or join.method == "ASOF")
            if relation is own or (skipped and relation is not relations[0][0]):
                continue
            tied = shared | {one for condition in conditions for one in _tied(condition, alias)}
            if not any(key <= tied for key in self._keys(relation, queries)):
                called = relation.name or alias
                return self._doubling(f"nothing says that `{called}` has one row for each", relation, called)
        return self._of_relation(own, queries)

    def _of_relation(self, relation: exp.Expr, queries: Queries) -> Doubling | None:
        if _gives_many(relation) or isinstance(relation, exp.Lateral):
            return self._doubling("`unnest` gives a row for each element", relation)
        if isinstance(relation, exp.Subquery):
            return self._of_query(relation.this, queries)
        name = relation.name.lower()
        if name in queries:
            others = {key: one for key, one in queries.items() if key != name}
            return self._of_query(queries[name], others)
        asset = self.graph.relation(name) if isinstance(relation, exp.Table) else None
        if asset is None or not isinstance(asset.spec, Table) or keys_of(asset.spec):
            return None
        return self.of_table(asset)

    def _doubling(self, what: str, node: exp.Expr, relation: str | None = None) -> Doubling:
        asset = self.asset[-1]
        assert asset.statement is not None
        return Doubling(what, asset.id, asset.statement.position(node), relation)

    def _keys(self, relation: exp.Expr, queries: Queries) -> list[set[str]]:
        """The keys that name at most one row of a relation; an empty one where it has at most one row."""
        lateral = isinstance(relation, exp.Subquery | exp.Lateral)
        inner = relation.this if lateral else queries.get(relation.name.lower())
        if isinstance(inner, exp.Subquery):
            inner = inner.this
        if isinstance(inner, exp.Select):
            return self._keys_of_query(inner, queries)
        asset = self.graph.relation(relation.name.lower()) if isinstance(relation, exp.Table) else None
        return keys_of(asset.spec) if asset is not None else []

    def _keys_of_query(self, query: exp.Select, queries: Queries) -> list[set[str]]:
        limit = query.args.get("limit")
        if limit is not None and limit.expression is not None and limit.expression.name == "1":
            return [set()]
        if any(_gives_many(node) for item in query.selects for node in own_nodes(item)):
            return []
        group = query.args.get("group")
        if group is not None:
            return [_grouped_by(query, group)]
        if query.args.get("distinct"):
            return [{one.alias_or_name.lower() for one in query.selects}]
        if any(is_aggregate(node, over_group=True) for one in query.selects for node in own_nodes(one)):
            return [set()]
        origin = query.args.get("from_")
        if origin is None or query.args.get("joins"):
            return []
        shown = {one.unalias().name.lower(): one.alias_or_name.lower() for one in query.selects}
        below = self._keys(origin.this, {**queries, **_named(query)})
        return [{shown.get(name, name) for name in key} for key in below if query.is_star or key <= set(shown)]


def _named(query: exp.Expr) -> dict[str, exp.Expr]:
    return {cte.alias.lower(): cte.this for cte in getattr(query.args.get("with_"), "expressions", ())}


def _gives_many(node: exp.Expr) -> bool:
    return isinstance(node, _MANY) or (isinstance(node, exp.Anonymous) and node.name.lower() == "generate_subscripts")


def _inner(relation: exp.Expr) -> exp.Expr:
    return relation.this if isinstance(relation, exp.Lateral) else relation


def _grouped_by(query: exp.Select, group: exp.Expr) -> set[str]:
    if group.args.get("all"):
        summed = [any(is_aggregate(node) for node in own_nodes(one)) for one in query.selects]
        return {one.alias_or_name.lower() for one, mixes in zip(query.selects, summed, strict=True) if not mixes}
    items = {one.unalias().sql(): one.alias_or_name.lower() for one in query.selects}
    places = {str(place + 1): one.alias_or_name.lower() for place, one in enumerate(query.selects)}
    return {items.get(one.sql()) or places.get(one.sql()) or one.name.lower() for one in group.expressions}


def _tied(condition: exp.Expr, alias: str) -> Iterator[str]:
    """The columns of a relation that a condition holds equal to something else."""
    for node in parts_of(condition):
        if isinstance(node, exp.EQ | exp.NullSafeEQ):
            for one, other in ((node.this, node.expression), (node.expression, node.this)):
                own = isinstance(one, exp.Column) and one.table.lower() in (alias, "")
                if own and not any(column.table.lower() == alias for column in other.find_all(exp.Column)):
                    yield one.name.lower()
