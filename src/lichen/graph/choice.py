"""Whether what decides which rows a value is made of was known as early as the rows themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from lichen.graph.arrival import Arrivals
from lichen.graph.bounded import rows_bounded
from lichen.graph.frame import Frame, joined, parts_of
from lichen.graph.late import Late
from lichen.graph.samerow import group_keys, is_named, owner_of
from lichen.graph.scope import Unread
from lichen.graph.way import Arrival


def choice_bounded(one: Arrival, late: Late, arrivals: Arrivals, *, guards: Sequence[Arrival] = ()) -> bool:
    """Whether a value's rows are bounded, and with them all that tells the label and decides which rows it is made of.

    In `(SELECT count(*) FROM d WHERE d.at < s.at AND s.delay > 60)` the rows are, and what decides is not.
    """
    return rows_bounded(one, late, arrivals, guards=guards) and conditions_bounded(one, late, arrivals, guards=guards)


def conditions_bounded(one: Arrival, late: Late, arrivals: Arrivals, *, guards: Sequence[Arrival] = ()) -> bool:
    """Whether all that tells the label and decides which rows a value is made of is bounded."""
    try:
        return all(rows_bounded(way, late, arrivals, guards=guards) for way in _deciding(one, late, arrivals))
    except Unread:
        return False


def _deciding(one: Arrival, late: Late, arrivals: Arrivals) -> Iterator[Arrival]:
    """The ways of what tells the label into what chooses a value's rows, on to where the value ends."""
    for place, site in enumerate(one.sites):
        frame, _ = arrivals.places[site.node]
        for part in _choosing(one, place, arrivals):
            for column in part.find_all(exp.Column):
                for way in arrivals.of_part(column, frame):
                    if way.column in late.told:
                        yield way.through(*one.sites[place + 1 :])


def _choosing(one: Arrival, place: int, arrivals: Arrivals) -> Iterator[exp.Expr]:
    """What chooses, at a place of a value's way, the rows that it is made of; which rows there are is another thing."""
    site = one.sites[place]
    frame, node = arrivals.places[site.node]
    if site.role == "filter":
        yield node.expression.this
    elif site.role == "window":
        yield from node.args.get("partition_by") or ()
    if site.role != "relation":
        return
    joins = [join for _, join in joined(frame.select) if join is not None and join.args.get("on") is not None]
    outer = [join.args["on"] for join in joins if join.side]
    last = _is_last(one, place, frame, arrivals)
    if last and not _sums_up(one, frame, arrivals):
        # Its rows are handed on one by one.
        yield from outer if site.node in frame.missing else ()
        return
    rows = [frame.select.args[key].this for key in ("where", "having", "qualify") if frame.select.args.get(key)]
    for condition in [*rows, *(join.args["on"] for join in joins if not join.side)]:
        yield from (part for part in parts_of(condition) if not (last and _names_group(part, frame, arrivals)))
    yield from (key for key in group_keys(frame) if not _names_group(key, frame, arrivals))
    if frame.select.args.get("limit") is not None and frame.select.args.get("order") is not None:
        yield from frame.select.args["order"].expressions
    yield from outer


def _is_last(one: Arrival, place: int, frame: Frame, arrivals: Arrivals) -> bool:
    """Whether a SELECT is the last on a value's way."""
    after = (site.node for site in one.sites[place:] if site.role == "relation")
    return frame.outer is None and all(arrivals.places[node][0].select is frame.select for node in after)


def _sums_up(one: Arrival, frame: Frame, arrivals: Arrivals) -> bool:
    """Whether a value is made of several rows in a SELECT, or of chosen ones."""
    roles = {site.role for site in one.sites if arrivals.places[site.node][0].select is frame.select}
    return frame.select.args.get("limit") is not None or not roles.isdisjoint({"value", "last", "window"})


def _names_group(part: exp.Expr, frame: Frame, arrivals: Arrivals) -> bool:
    """Whether an expression is of rows that a group names by their key: it is the same for the whole group."""
    owners = [owner_of(column, frame, arrivals) for column in part.find_all(exp.Column)]
    return all(one is not None and is_named(one[1], one[0], frame, arrivals) for one in owners)
