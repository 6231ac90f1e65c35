"""What the names in a SELECT mean: its relations, the queries beside it, and what it demands of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlglot import exp

from lichen.graph.expression import is_aggregate
from lichen.graph.scope import Unread


@dataclass(frozen=True)
class Named:
    """A query of a WITH: its tree, the queries that it sees itself, and the names that it gives its columns."""

    tree: exp.Expr
    queries: Mapping[str, Named]
    columns: Sequence[str]


@dataclass(frozen=True)
class Wanted:
    """A column that is wanted of a query, by its name or else its place, and what the query sees around it."""

    name: str | None
    place: int | None
    asset: str
    queries: Mapping[str, Named]
    outer: Frame | None


@dataclass(frozen=True)
class Frame:
    """What the names in a SELECT mean: its relations by alias, the queries beside it, the SELECT around it."""

    asset: str
    select: exp.Select
    relations: Mapping[str, exp.Expr]
    queries: Mapping[str, Named]
    outer: Frame | None = None

    @cached_property
    def aliases(self) -> dict[str, exp.Expr]:
        """The SELECT's own columns by the names that it gives them."""
        return {item.alias.lower(): item.this for item in self.select.expressions if isinstance(item, exp.Alias)}

    def alias_of(self, relation: exp.Expr) -> str | None:
        """The alias of a relation of its FROM."""
        return next((alias for alias, other in self.relations.items() if other is relation), None)

    @cached_property
    def groups(self) -> bool:
        """Whether the SELECT makes one row of many."""
        return bool(self.select.args.get("group")) or any(
            is_aggregate(node, over_group=True) for item in self.select.expressions for node in own_nodes(item)
        )

    @cached_property
    def missing(self) -> frozenset[int]:
        """The relations of which an outer join also gives no row."""
        found: set[int] = set()
        before: list[int] = []
        for relation, join in joined(self.select):
            own = id(relation.this if isinstance(relation, exp.Lateral) else relation)
            side = str(join.side).upper() if join is not None else ""
            found |= {"LEFT": {own}, "RIGHT": set(before), "FULL": {own, *before}}.get(side, set())
            before.append(own)
        return frozenset(found)

    def conditions(self, alias: str | None, *, every: bool = False, windowed: bool = False) -> Iterator[exp.Expr]:
        """What the rows of one relation have to be to come through: WHERE, HAVING, QUALIFY, and ON.

        The ON of an outer join lets in all rows of the side that it keeps; `every` gives it all the same. What a window
        saw (`windowed`) no QUALIFY kept from it. The ON of an ANTI JOIN is what rows are not.
        """
        for key in ("where", "having") if windowed else ("where", "having", "qualify"):
            if self.select.args.get(key) is not None:
                yield self.select.args[key].this
        before: set[str] = set()
        for relation, join in joined(self.select):
            if join is not None and str(join.kind).upper() == "ANTI":
                continue
            own = relation.alias_or_name.lower()
            side = str(join.side).upper() if join is not None else ""
            chosen = {"LEFT": alias == own, "RIGHT": alias in before, "FULL": False}.get(side, True) or every
            if join is not None and chosen and join.args.get("on") is not None:
                yield join.args["on"]
            if join is not None and chosen:
                yield from _shared(join, own, before)
            before.add(own)


def _shared(join: exp.Join, own: str, before: Iterable[str]) -> Iterator[exp.Expr]:
    """The columns of USING as the conditions that they stand for."""
    for name in join.args.get("using") or ():
        for other in before:
            yield exp.EQ(this=exp.column(name.name, table=own), expression=exp.column(name.name, table=other))


def own_nodes(node: exp.Expr) -> Iterator[exp.Expr]:
    """An expression's nodes without those of queries inside it."""
    yield node
    for child in node.iter_expressions():
        if not isinstance(child, exp.Query):
            yield from own_nodes(child)


def parts_of(condition: exp.Expr) -> Iterator[exp.Expr]:
    """The conditions that one demands together."""
    for part in condition.flatten() if isinstance(condition, exp.And) else [condition]:
        node = part.unnest()
        if isinstance(node, exp.And):
            yield from parts_of(node)
        else:
            yield node


def joined(select: exp.Expr) -> Iterator[tuple[exp.Expr, exp.Join | None]]:
    """A SELECT's relations in order, each with the join that brings it; those of a join in parentheses one by one."""
    origin = select.args.get("from_")
    if origin is not None:
        yield from _relations_in(origin.this, None)
    for join in select.args.get("joins") or ():
        yield from _relations_in(join.this, join)


def _relations_in(relation: exp.Expr, join: exp.Join | None) -> Iterator[tuple[exp.Expr, exp.Join | None]]:
    if (
        isinstance(relation, exp.Subquery)
        and isinstance(relation.this, exp.Table | exp.Subquery)
        and not relation.alias
    ):
        yield from _relations_in(relation.this, join)
    else:
        yield relation, join
    for inner in relation.args.get("joins") or ():
        yield from _relations_in(inner.this, inner)


def relations_of(select: exp.Select) -> dict[str, exp.Expr]:
    """A SELECT's relations by their aliases, in order."""
    found: dict[str, exp.Expr] = {}
    for relation, _ in joined(select):
        inner = relation.this if isinstance(relation, exp.Lateral) else relation
        if inner.args.get("pivots") or (isinstance(inner, exp.Subquery) and isinstance(inner.this, exp.Table)):
            raise Unread("a relation of several")
        found[relation.alias_or_name.lower()] = inner
    return found
