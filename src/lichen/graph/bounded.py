"""Whether a statement that looks at other rows looks only at those that were known then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sqlglot import exp

from lichen.graph.arrival import Arrivals
from lichen.graph.frame import Frame, parts_of
from lichen.graph.late import Late
from lichen.graph.origin import ROWS
from lichen.graph.samerow import is_named, outside, owner_of, reads, seen_from, tied
from lichen.graph.scope import Unread
from lichen.graph.shift import Span
from lichen.graph.way import Arrival, covered


class _Bound(NamedTuple):
    """What bounds a value's rows: an instant, the SELECT in which it is written, and at which of the value's places."""

    place: int
    instant: exp.Expr
    frame: Frame


_LESS = (exp.LT, exp.LTE)
_MORE = (exp.GT, exp.GTE)


def windows_bounded(
    one: Arrival, late: Late, arrivals: Arrivals, *, asked: bool = False, guards: Iterable[Arrival] = (), since: int = 0
) -> bool:
    """Whether each window that a value came through ends at its own row, in the order in which rows became known.

    The order is that of what is known with the label, or of `guards`. With `asked` the order in which rows were asked
    about does as well: for what is known from then on. The windows before the place `since` are not looked at.
    """
    for place, site in enumerate(one.sites):
        if site.role == "window" and place >= since:
            frame, window = arrivals.places[site.node]
            ways = _order(window, frame, arrivals)
            own = [way for way in ways if tied(one.before(place), way, (), arrivals)]
            if not late.ordered(own, guards) and not (asked and _by_question(ways, late)):
                return False
    return True


def _order(window: exp.Expr, frame: Frame, arrivals: Arrivals) -> Sequence[Arrival]:
    """What a window's rows go by, if it ends at its own row; nothing where it does not, or cannot be read."""
    order, spec = _said(window, frame, "order"), _said(window, frame, "spec")
    if order is None or any(_looks_ahead(node) for node in window.this.walk()):
        return ()
    first = order.expressions[0]
    if first.args.get("desc") or (spec is not None and "FOLLOWING" in str(spec.args.get("end_side"))):
        return ()
    try:
        return arrivals.of_part(first.this, frame)
    except Unread:
        return ()


def _said(window: exp.Expr, frame: Frame, part: str) -> exp.Expr | None:
    """A part of a window, its own or that of the named one that it stands on."""
    named = {one.name.lower(): one for one in frame.select.args.get("windows") or ()}
    seen: set[str] = set()
    at: exp.Expr | None = window
    while at is not None:
        found = at.args.get(part)
        if isinstance(found, exp.Expr):
            return found
        alias = at.args.get("alias")
        name = alias.name.lower() if alias is not None else ""
        at = named.get(name) if name not in seen else None
        seen.add(name)
    return None


def _looks_ahead(node: exp.Expr) -> bool:
    """Whether a window's function reads rows behind its own: LEAD, and LAG by what is no written number."""
    if isinstance(node, exp.Lead):
        return True
    offset = node.args.get("offset") if isinstance(node, exp.Lag) else None
    return offset is not None and not (isinstance(offset, exp.Literal) and offset.name.isdigit())


def _by_question(ways: Sequence[Arrival], late: Late) -> bool:
    """Whether rows go in the order in which they were asked about."""
    made = {at.same.made for at in late.at_arrivals}
    own = [one for one in ways if one.of_own_rows and one.column in late.asked]
    return covered(one for one in own if one.same.made in made or one.is_bare)


def grouped_apart(one: Arrival, guards: Iterable[Arrival]) -> bool:
    """Whether a value was summed up over rows of which the guarding instants tell nothing."""
    return not _summed(one) <= _keyed(guards)


def _summed(one: Arrival) -> set[int]:
    """The groups over which a value was summed up."""
    return {site.node for site in one.sites if site.role in ("value", "last")}


def _keyed(guards: Iterable[Arrival]) -> set[int]:
    """The groups of which instants are a key, or the greatest."""
    return {site.node for guard in guards for site in guard.sites if site.role in ("key", "last")}


def rows_bounded(
    one: Arrival, late: Late, arrivals: Arrivals, *, guards: Sequence[Arrival] = (), asked: bool = False
) -> bool:
    """Whether a condition lets a value's rows in only where they were known at `at`, or at what `guards` a view's rows.

    The instant that bounds them is one of the row that asks, or that is guarded: where a window then goes over several
    such rows, it ends at its own. With `asked` it is enough that the rows were asked about before.
    """
    return _is_own_count(one, arrivals) or any(
        windows_bounded(one, late, arrivals, asked=True, guards=guards, since=bound.place)
        for bound in _bounds(one, late, arrivals, guards, asked)
    )


def _bounds(one: Arrival, late: Late, arrivals: Arrivals, guards: Sequence[Arrival], asked: bool) -> Iterator[_Bound]:
    """What bounds a value's rows."""
    bounding = _Bounding(one, late, arrivals, guards, asked)
    filters = [arrivals.places[site.node] for site in one.sites if site.role == "filter"]
    for place, site in enumerate(one.sites):
        if site.role != "relation":
            continue
        frame, relation = arrivals.places[site.node]
        alias = frame.alias_of(relation)
        conditions = list(frame.conditions(alias, windowed=_in_window(one, place, frame, arrivals)))
        conditions += [node.expression.this for at, node in filters if at.select is frame.select]
        for less, more in (pair for condition in conditions for pair in _comparisons(condition)):
            try:
                own = _of(less, alias, frame, arrivals) and not _of(more, alias, frame, arrivals)
                if own and bounding.holds(less, more, frame, one.before(place + 1)):
                    yield _Bound(place, more, frame)
            except Unread:
                continue


def _in_window(one: Arrival, place: int, frame: Frame, arrivals: Arrivals) -> bool:
    """Whether a value goes through a window of a SELECT."""
    after = (arrivals.places[site.node][0] for site in one.sites[place:] if site.role == "window")
    return any(other.select is frame.select for other in after)


def _is_own_count(one: Arrival, arrivals: Arrivals) -> bool:
    """Whether a `count(*)` counts, of a relation, one row alone, for its group names that by its key."""
    if one.column.column != ROWS or not one.sites:
        return False
    frame, relation = arrivals.places[one.sites[0].node]
    alias = frame.alias_of(relation)
    return bool(alias) and is_named(str(alias), frame, frame, arrivals)


def let_in_by(known: Sequence[Arrival], one: Arrival, late: Late, arrivals: Arrivals) -> bool:
    """Whether a value is of other rows, of which a condition lets in only those that were known by `known`."""
    if not covered(known) or not windows_bounded(one, late, arrivals, guards=known):
        return False
    apart = [arrivals.places[node][0] for node in _summed(one) - _keyed(known)]
    return any(
        all(_same_for_all(bound, group, arrivals) for group in apart)
        for bound in _bounds(one, late, arrivals, known, asked=False)
    )


def _same_for_all(bound: _Bound, group: Frame, arrivals: Arrivals) -> bool:
    """Whether an instant is the same for all rows of a group: of a row around its SELECT, or of one that it names."""
    try:
        owners = [owner_of(column, bound.frame, arrivals) for column in bound.instant.find_all(exp.Column)]
    except Unread:
        return False
    around = [one.select for one in outside(group)]
    return bool(owners) and all(
        owner is not None
        and (any(owner[0].select is one for one in around) or is_named(owner[1], owner[0], group, arrivals))
        for owner in owners
    )


def _comparisons(condition: exp.Expr) -> Iterator[tuple[exp.Expr, exp.Expr]]:
    """What a condition demands to be less than what: only what all of it demands."""
    for node in parts_of(condition):
        if isinstance(node, _LESS):
            yield node.this, node.expression
        elif isinstance(node, _MORE):
            yield node.expression, node.this
        elif isinstance(node, exp.Between):
            yield node.this, node.args["high"]
        elif isinstance(node, exp.Not) and isinstance(node.this.unnest(), (*_LESS, *_MORE)):
            other = node.this.unnest()
            less = isinstance(other, _MORE)
            yield (other.this, other.expression) if less else (other.expression, other.this)
        elif isinstance(node, exp.EQ):
            yield node.this, node.expression
            yield node.expression, node.this


def _of(node: exp.Expr, alias: str | None, frame: Frame, arrivals: Arrivals) -> bool:
    """Whether an expression reads a relation's columns."""
    return any(reads(column, alias, frame, arrivals) for column in node.find_all(exp.Column))


class _Bounding:
    """What it takes to bound the rows of one value."""

    def __init__(self, one: Arrival, late: Late, arrivals: Arrivals, guards: Sequence[Arrival], asked: bool) -> None:
        self.one, self.late, self.arrivals, self.guards, self.asked = one, late, arrivals, guards, asked

    def holds(self, less: exp.Expr, more: exp.Expr, frame: Frame, own: Arrival) -> bool:
        """Whether `less < more` leaves no row that became known later; `own` is the value as it comes to it."""
        try:
            low, high = self.arrivals.of_part(less, frame), self.arrivals.of_part(more, frame)
        except Unread:
            return False
        tells = own.column in self.late.telling | self.late.told | self.late.rows
        if tells:
            if not windows_bounded(own, self.late, self.arrivals, guards=low):
                return False
            same = (way for way in low if tied(own, way, (), self.arrivals))
            low = tuple(way for way in same if not grouped_apart(own, [way]))
        ahead = self._ahead(low, declared=self.asked or not tells)
        if ahead is None:
            return False
        if not high and not self.late.asked and not self.guards:
            return self._is_at(more, frame)  # the questions are asked at instants of no source
        needed = [one.moved(Span(-ahead, -ahead)) for one in high]
        return bool(needed) and all(self._not_after(one) for one in needed) and _whole(needed)

    def _ahead(self, low: Sequence[Arrival], *, declared: bool) -> int | None:
        """By how much a row's instant is later than the row became known, at least; None where that is not shown.

        What its relation declares counts with `declared`: what tells the label comes later than its row.
        """
        late, kinds = self.late, [self.late.guards, self.late.rows]
        for kind in kinds:
            found = {one: one.least for one in low if one.column in kind and one.of_own_rows and one.least is not None}
            if covered(found):
                return min(found.values())
        of_label = {
            one: after for one in low if one.of_own_rows and (after := _behind(one, late.known_arrivals)) is not None
        }
        if covered(of_label):
            return min(of_label.values())
        if not declared:
            return None
        # A row of another relation is bounded by an instant of its own, whichever its relation declares.
        said = [one for one in low if self.arrivals.is_declared(one.column) and one.of_own_rows]
        if self.asked:
            said += [one for one in low if one.column in late.asked or one.column.asset in late.tables]
            of_question = {one: after for one in low if (after := _behind(one, late.at_arrivals)) is not None}
            if covered(of_question):
                return min(of_question.values())
        own = {one: one.least for one in said if one.least is not None}
        return min(own.values()) if covered(own) else None

    def _not_after(self, one: Arrival) -> bool:
        """Whether an instant is no later than the question, or than what guards, and of the same row."""
        full = seen_from(one, self.one, self.arrivals)
        among = [self.one, full]
        if self.guards and any(
            one.no_later(guard) and tied(full, guard, among, self.arrivals) for guard in self.guards
        ):
            return True
        if self.guards and not covered(self.late.guard(self.guards, self.arrivals)):
            return False  # what is seen from another instant on is no question's own
        ats = self.late.not_after(one)
        rows = self.guards or ats
        return bool(ats) and any(tied(full, row, among, self.arrivals) for row in rows)

    def _is_at(self, more: exp.Expr, frame: Frame) -> bool:
        """Whether an expression is the very column `label.at` in the list of the label's statement."""
        at = self.late.at
        tree = self.arrivals.graph[at.asset].statement
        around: Frame | None = frame
        while around is not None and isinstance(more, exp.Column) and tree is not None:
            if around.select is tree.tree:
                shown = {item.alias_or_name.lower(): item.unalias() for item in around.select.expressions}
                own = shown.get(at.column.lower())
                return own == more or (not more.table and more.name.lower() == at.column.lower() and own is not None)
            around = around.outer
        return False


def _behind(one: Arrival, others: Iterable[Arrival]) -> int | None:
    """By how much an instant is later than others at least, where it is made of the very same."""
    found = [after for other in others if (after := one.after(other.same)) is not None]
    return min(found, default=None)


def _whole(ways: Sequence[Arrival]) -> bool:
    """Whether something is known of each branch: a constant in one of them could be any instant."""
    return covered(ways)
