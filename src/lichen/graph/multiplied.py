"""Whether a join of a statement can give a row several times."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from lichen.graph.build import Asset, Graph
from lichen.spec import Source, Table


def multiplied(asset: Asset, graph: Graph) -> tuple[str, tuple[int, int]] | None:
    """The first relation that a table's statement joins without one of its keys, with its place; None if there is none.

    Only the statement's own SELECT is read: what a query in FROM gives is taken as one row a group where it groups.
    """
    if asset.statement is None or not isinstance(asset.statement.tree, exp.Select):
        return None
    select = asset.statement.tree
    if select.args.get("group") or select.args.get("distinct"):
        return None
    queries = {cte.alias.lower(): cte.this for cte in getattr(select.args.get("with_"), "expressions", ())}
    where = select.args.get("where")
    for join in select.args.get("joins") or ():
        if join.kind in ("SEMI", "ANTI") or join.method == "ASOF":
            continue
        conditions = [
            one for one in (join.args.get("on"), where.this if where is not None else None) if one is not None
        ]
        alias = join.this.alias_or_name.lower()
        tied = {one.name.lower() for one in join.args.get("using") or ()}
        tied |= {name for condition in conditions for name in _tied(condition, alias)}
        if not any(key <= tied for key in _keys(join.this, graph, queries)):
            return join.this.name or alias, _place(join.this, asset.statement.text)
    return None


def _tied(condition: exp.Expr, alias: str) -> Iterator[str]:
    """The columns of a relation that a condition holds equal to something else."""
    for part in condition.flatten() if isinstance(condition, exp.And) else [condition]:
        node = part.unnest()
        if isinstance(node, exp.And):
            yield from _tied(node, alias)
        elif isinstance(node, exp.EQ | exp.NullSafeEQ):
            for one, other in ((node.this, node.expression), (node.expression, node.this)):
                own = isinstance(one, exp.Column) and one.table.lower() in (alias, "")
                if own and not any(column.table.lower() == alias for column in other.find_all(exp.Column)):
                    yield one.name.lower()


def _keys(relation: exp.Expr, graph: Graph, queries: dict[str, exp.Expr]) -> list[set[str]]:
    """The keys that name at most one row of a relation; an empty one where it has at most one row."""
    inner = relation.this if isinstance(relation, exp.Subquery | exp.Lateral) else queries.get(relation.name.lower())
    if isinstance(inner, exp.Subquery):
        inner = inner.this
    if isinstance(inner, exp.Select):
        return _keys_of_query(inner, graph, queries)
    asset = graph.relation(relation.name.lower()) if isinstance(relation, exp.Table) else None
    if asset is None or not isinstance(asset.spec, Source | Table):
        return []
    contract = asset.spec.contract
    found = [contract.key, asset.spec.grain if isinstance(asset.spec, Table) else ()]
    found += [(column,) for column, promise in contract.columns.items() if promise.unique]
    return [{name.lower() for name in key} for key in found if key]


def _keys_of_query(query: exp.Select, graph: Graph, queries: dict[str, exp.Expr]) -> list[set[str]]:
    limit = query.args.get("limit")
    if limit is not None and limit.expression is not None and limit.expression.name == "1":
        return [set()]
    group = query.args.get("group")
    if group is not None:
        if group.args.get("all"):
            return [{one.alias_or_name.lower() for one in query.selects if not one.find(exp.AggFunc)}]
        items = {one.unalias().sql(): one.alias_or_name.lower() for one in query.selects}
        places = {str(place + 1): one.alias_or_name.lower() for place, one in enumerate(query.selects)}
        return [{items.get(one.sql()) or places.get(one.sql()) or one.name.lower() for one in group.expressions}]
    if query.args.get("distinct"):
        return [{one.alias_or_name.lower() for one in query.selects}]
    if any(one.find(exp.AggFunc) and not one.find(exp.Window) for one in query.selects):
        return [set()]
    origin = query.args.get("from_")
    if origin is None or query.args.get("joins"):
        return []
    shown = {one.unalias().name.lower(): one.alias_or_name.lower() for one in query.selects}
    below = _keys(origin.this, graph, queries)
    return [{shown.get(name, name) for name in key} for key in below if query.is_star or key <= set(shown)]


def _place(node: exp.Expr, text: str) -> tuple[int, int]:
    start = min((part.meta["start"] for part in node.walk() if "start" in part.meta), default=0)
    return text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
