"""Whether two values are of the same row: they came through the same relations, a key ties these, a group names it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlglot import exp

from lichen.graph.arrival import Arrivals
from lichen.graph.frame import Frame, parts_of
from lichen.graph.scope import Unread
from lichen.graph.way import Arrival
from lichen.spec import Source, Table


def seen_from(one: Arrival, value: Arrival, arrivals: Arrivals) -> Arrival:
    """An instant of a condition that a value came by, as it is seen from where the value ends.

    In `WITH q AS (SELECT avg(d.delay) FROM s JOIN d ON d.at < s.at) SELECT ... FROM q` that is `s.at` through `q`.
    """
    tops = [site for site in one.sites if site.role == "relation"]
    if not tops:
        return one
    frame = arrivals.places[tops[-1].node][0]
    inside = [at for at, site in enumerate(value.sites) if _within(arrivals.places[site.node][0], frame)]
    above = value.sites[max(inside) + 1 :] if inside else value.sites
    return one.through(*(site for site in above if site.role == "relation"))


def _within(frame: Frame, other: Frame) -> bool:
    """Whether a SELECT is another, or stands inside it."""
    node: exp.Expr | None = frame.select
    while node is not None:
        if node is other.select:
            return True
        node = node.parent
    return False


def tied(one: Arrival, other: Arrival, among: Iterable[Arrival], arrivals: Arrivals) -> bool:
    """Whether two values are of the same row: through the same relations, or through two that a key holds equal.

    `among` are the ways on which a condition may stand that does. Where an outer join finds no row, the other is null;
    it is none of the same row if something else then stands in its place.
    """
    if one.rows == other.rows:
        return True
    left, right = _apart(one.rows, other.rows)
    if not left or not right or (other.filled and arrivals.may_miss(other)):
        return False
    frames = {
        id(frame.select): frame
        for way in (one, other, *among)
        for site in way.sites
        for frame in _around(arrivals.places[site.node][0])
    }
    pairs = {pair for frame in frames.values() for pair in _equal(frame, left, right, arrivals)}
    mine = {name for name, _ in pairs}
    its = {name for _, name in pairs}
    return _is_key(one.column.asset, mine, arrivals) and _is_key(other.column.asset, its, arrivals)


def _apart(one: Sequence[int], other: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Both without the relations that they came through together at last."""
    left, right = list(one), list(other)
    while left and right and left[-1] == right[-1]:
        left.pop()
        right.pop()
    return tuple(left), tuple(right)


def _around(frame: Frame) -> Iterator[Frame]:
    around: Frame | None = frame
    while around is not None:
        yield around
        around = around.outer


def _equal(
    frame: Frame, left: tuple[int, ...], right: tuple[int, ...], arrivals: Arrivals
) -> Iterator[tuple[str, str]]:
    """The names of the columns that a SELECT holds equal, one of each of two ways through relations."""
    for condition in frame.conditions(None, every=True):
        for test in parts_of(condition):
            if not isinstance(test, exp.EQ):
                continue
            try:
                ends = [arrivals.of_part(part, frame) for part in (test.this, test.expression)]
            except Unread:
                continue
            if any(len(end) != 1 or not end[0].is_bare or not end[0].of_own_rows for end in ends):
                continue
            one, other = ends[0][0], ends[1][0]
            if (one.rows, other.rows) == (left, right):
                yield one.column.column.lower(), other.column.column.lower()
            elif (one.rows, other.rows) == (right, left):
                yield other.column.column.lower(), one.column.column.lower()


def _is_key(asset: str, names: set[str], arrivals: Arrivals) -> bool:
    """Whether columns name one row of a source or table."""
    return any(key and key <= names for key in keys_of(arrivals.graph[asset].spec))


def keys_of(spec: object) -> list[set[str]]:
    """The keys that a source or table declares, each as names in small letters."""
    if not isinstance(spec, Source | Table):
        return []
    found = [spec.contract.key, spec.grain if isinstance(spec, Table) else ()]
    found += [(column,) for column, promise in spec.contract.columns.items() if promise.unique]
    return [{name.lower() for name in key} for key in found if key]


def owner_of(column: exp.Column, frame: Frame, arrivals: Arrivals) -> tuple[Frame, str] | None:
    """The SELECT and the alias of the relation to which a column belongs, its own SELECT's first."""
    for around in (frame, *outside(frame)):
        alias = column.table.lower() or arrivals.owner(around, column.name.lower())
        if alias in around.relations:
            return around, str(alias)
    return None


def outside(frame: Frame) -> Iterator[Frame]:
    """The SELECTs around one."""
    while frame.outer is not None:
        frame = frame.outer
        yield frame


def is_named(alias: str, frame: Frame, group: Frame, arrivals: Arrivals) -> bool:
    """Whether what a SELECT groups by names one row of a relation of its own."""
    relation = frame.relations[alias]
    if frame.select is not group.select or not isinstance(relation, exp.Table):
        return False
    asset = arrivals.graph.relation(relation.name.lower())
    if asset is None or relation.name.lower() in frame.queries:
        return False
    try:
        named = {one.name.lower() for one in group_keys(group) if reads(one, alias, group, arrivals)}
    except Unread:
        return False
    return any(key <= named for key in keys_of(asset.spec))


def group_keys(group: Frame) -> Iterator[exp.Column]:
    """The plain columns that a SELECT groups by."""
    by, shown = group.select.args.get("group"), [item.unalias() for item in group.select.expressions]
    if by is None:
        return
    for one in [*by.expressions, *(shown if by.args.get("all") else ())]:
        place = int(one.name) - 1 if isinstance(one, exp.Literal) and one.name.isdigit() else None
        column = shown[place] if place is not None and 0 <= place < len(shown) else one
        if isinstance(column, exp.Column):
            yield column


def reads(column: exp.Column, alias: str | None, frame: Frame, arrivals: Arrivals) -> bool:
    """Whether a column is of the relation with this alias."""
    if column.table:
        return column.table.lower() == alias
    return alias is not None and arrivals.owner(frame, column.name.lower()) == alias
