"""Whether a statement that looks at other rows looks only at those that were known then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlglot import exp

from lichen.graph.arrival import Arrival, Arrivals, Frame
from lichen.graph.late import Late
from lichen.graph.scope import Unread

_LESS = (exp.LT, exp.LTE)
_MORE = (exp.GT, exp.GTE)


def windows_bounded(one: Arrival, late: Late, arrivals: Arrivals, *, asked: bool = False) -> bool:
    """Whether each window that a value came through ends at its own row, in the order in which rows became known.

    With `asked` the order in which rows were asked about does as well: for what is known from then on.
    """
    sites = [site for site in one.sites if site.role == "window"]
    return all(_ends_here(*arrivals.places[site.node], late, arrivals, asked=asked) for site in sites)


def _ends_here(frame: Frame, window: exp.Expr, late: Late, arrivals: Arrivals, *, asked: bool) -> bool:
    order, spec = window.args.get("order"), window.args.get("spec")
    if order is None or any(isinstance(node, exp.Lead) for node in window.this.walk()):
        return False
    first = order.expressions[0]
    if first.args.get("desc") or (spec is not None and "FOLLOWING" in str(spec.args.get("end_side"))):
        return False
    try:
        ways = arrivals.of_part(first.this, frame)
        return bool(late.guard(ways)) or (asked and any(way.column in late.asked for way in ways))
    except Unread:
        return False


def grouped_apart(one: Arrival, guards: Iterable[Arrival]) -> bool:
    """Whether a value was summed up over rows of which the guarding instants tell nothing."""
    summed = {site.node for site in one.sites if site.role in ("value", "last")}
    covered = {site.node for guard in guards for site in guard.sites if site.role in ("key", "last")}
    return not summed <= covered


def rows_bounded(one: Arrival, late: Late, arrivals: Arrivals, *, by_guard: bool = False, asked: bool = False) -> bool:
    """Whether a condition lets a value's rows in only where they were known at `at`, or, `by_guard`, at a guard.

    With `asked` it is enough that the rows were asked about before.
    """
    filters = [arrivals.places[site.node] for site in one.sites if site.role == "filter"]
    for site in (site for site in one.sites if site.role == "relation"):
        frame, relation = arrivals.places[site.node]
        alias = next((name for name, other in frame.relations.items() if other is relation), None)
        conditions = [(frame, condition) for condition in frame.conditions()]
        conditions += [(frame, node.expression.this) for at, node in filters if at.select is frame.select]
        if frame.outer is not None:
            conditions += [(frame.outer, condition) for condition in frame.outer.conditions()]
        for around, condition in conditions:
            for less, more in _comparisons(condition):
                own = _of(less, alias, frame, arrivals) and not _of(more, alias, frame, arrivals)
                if own and _bounds(less, more, around, late, arrivals, by_guard=by_guard, asked=asked):
                    return True
    return False


def _comparisons(condition: exp.Expr) -> Iterator[tuple[exp.Expr, exp.Expr]]:
    """What a condition demands to be less than what: only what all of it demands."""
    for part in condition.flatten() if isinstance(condition, exp.And) else [condition]:
        node = part.unnest()
        if isinstance(node, exp.And):
            yield from _comparisons(node)
        elif isinstance(node, _LESS):
            yield node.this, node.expression
        elif isinstance(node, _MORE):
            yield node.expression, node.this
        elif isinstance(node, exp.Between):
            yield node.this, node.args["high"]
        elif isinstance(node, exp.EQ):
            yield node.this, node.expression
            yield node.expression, node.this


def _of(node: exp.Expr, alias: str | None, frame: Frame, arrivals: Arrivals) -> bool:
    """Whether an expression reads a relation's columns."""
    return any(_reads(column, alias, frame, arrivals) for column in node.find_all(exp.Column))


def _reads(column: exp.Column, alias: str | None, frame: Frame, arrivals: Arrivals) -> bool:
    if column.table:
        return column.table.lower() == alias
    return alias is not None and arrivals.owner(frame, column.name.lower()) == alias


def _bounds(
    less: exp.Expr, more: exp.Expr, frame: Frame, late: Late, arrivals: Arrivals, *, by_guard: bool, asked: bool
) -> bool:
    try:
        low, high = arrivals.of_part(less, frame), arrivals.of_part(more, frame)
    except Unread:
        return False
    # A row of another relation is bounded by an instant of its own, whichever its relation declares.
    of_guards = [one for one in low if one.column in late.guards and not one.summed]
    guarding = of_guards or late.guard(low) or ([one for one in low if one.column in late.rows] if late.rows else [])
    guarding = guarding or [one for one in low if arrivals.is_declared(one.column)]
    if asked and not guarding:
        guarding = [one for one in low if one.column in late.asked or one.column.asset in late.tables]
    if not guarding:
        return False
    if by_guard:
        return bool(late.guard(high)) or all(late.not_after(one) for one in high)
    ahead = min((one.least for one in guarding if one.least is not None), default=0)
    if not high and not late.asked and isinstance(more, exp.Column):
        return True  # the questions are asked at instants of no source, and so is this
    return bool(high) and all(late.not_after(one.moved((-ahead, -ahead))) for one in high)
