"""Which source columns tell a model's label, and which instants say when they became known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlglot import exp

from lichen.graph.arrival import Arrivals
from lichen.graph.build import Graph
from lichen.graph.lineage import AssetColumn, Lineage
from lichen.graph.origin import ROWS, How
from lichen.graph.scope import Unread
from lichen.graph.way import Arrival, covered
from lichen.spec import Model

Columns = frozenset[AssetColumn]
_DECIDES = How.FILTER | How.JOIN | How.GROUP | How.WINDOW | How.DISTINCT | How.LIMIT


@dataclass
class Roots:
    """The source columns that columns of tables are made of, by value, and those that decide of which rows."""

    lineage: Lineage
    _found: dict[tuple[AssetColumn, bool], Columns] = field(default_factory=dict)

    def of(self, column: AssetColumn, *, own_row: bool = False) -> Columns:
        """The source columns; with `own_row` only those whose values come from the row itself, not from others."""
        key = (column, own_row)
        if key not in self._found:
            self._found[key] = frozenset()
            above = [
                edge
                for edge in self.lineage.into(column)
                if edge.kind == "value" and edge.within is None and edge.source.column != ROWS
            ]
            kept = [edge.source for edge in above if not (own_row and edge.how.mixes_rows)]
            found = frozenset[AssetColumn]().union(*(self.of(one, own_row=own_row) for one in kept))
            self._found[key] = found if above or column.asset.startswith("table.") else frozenset([column])
        return self._found[key]

    def all(self, columns: Iterable[AssetColumn]) -> Columns:
        """The source columns of several."""
        return frozenset[AssetColumn]().union(*(self.of(one) for one in columns))

    def choosing(self, column: AssetColumn) -> Columns:
        """The source columns that decide, on the way of a value, which rows it is made of."""
        found: Columns = frozenset()
        waiting, met = [column], {column}
        for at in waiting:
            for edge in self.lineage.into(at):
                if edge.within is not None:
                    continue
                if edge.kind == "value":
                    waiting += [edge.source] if edge.source not in met else []
                    met.add(edge.source)
                elif edge.source.column == ROWS:
                    found |= self.row_filters(edge.source, How.FILTER | How.JOIN) if edge.how & How.JOIN else found
                elif edge.how & _DECIDES:
                    found |= self.of(edge.source)
        return found

    def row_filters(self, rows: AssetColumn, by: How = How.FILTER | How.LIMIT) -> Columns:
        """The source columns by which an asset's rows are let in."""
        found: Columns = frozenset()
        for edge in self.lineage.into(rows):
            if edge.how & by and edge.source.column != ROWS:
                found |= self.of(edge.source)
            elif edge.source.column == ROWS:
                found |= self.row_filters(edge.source, by)
        return found


@dataclass(frozen=True)
class Late:
    """What is known of a label's row only once its label is.

    `told` are the source columns of the row that tell the label, the instant at which it was known among them: what is
    made of one of them, or of all of `of`, tells it. Where a label is computed of several columns, one of them at least
    comes late, and which one the project does not always show: then `told` is empty. `rows` are the columns of other
    rows that the label is computed of. `guards` are the columns of which an instant is made that is no earlier than
    the label's.
    """

    model: str
    value: AssetColumn
    at: AssetColumn
    known: AssetColumn
    of: Columns
    told: Columns
    rows: Columns
    tables: frozenset[str]
    """The sources and tables of whose rows the label is computed, besides its own."""

    guards: Columns
    asked: Columns
    """What `at` is made of."""

    at_arrivals: tuple[Arrival, ...]
    known_arrivals: tuple[Arrival, ...]

    def tells(self, roots: Columns) -> bool:
        """Whether what is made of these source columns tells the label of its own row."""
        return bool(roots & self.told) or bool(self.of and roots >= self.of)

    def tells_by_rows(self, roots: Columns) -> bool:
        """Whether what is made of these source columns of any rows tells the label."""
        return self.tells(roots) or bool(self.rows and roots >= self.rows)

    @property
    def telling(self) -> Columns:
        """The columns to follow: those that tell, or all that together do."""
        return self.told or self.of or self.rows

    def guard(self, ways: Iterable[Arrival], arrivals: Arrivals) -> list[Arrival]:
        """Those of an instant's ways that make it no earlier than the label's row was known.

        Where another instant stands in for one that is null, that nothing happened shows by the row's being there.
        """
        return [one for one in ways if self._guards(one) and (not one.filled or self._is_said(one, arrivals))]

    def _is_said(self, one: Arrival, arrivals: Arrivals) -> bool:
        """Whether an instant is never null, or what stands in for it is what stands in for it in `label.known`."""
        own = (one.after(known.same) for known in self.known_arrivals)
        return any(after is not None and after >= 0 for after in own) or arrivals.is_there(one)

    def _guards(self, one: Arrival) -> bool:
        if not one.of_own_rows:
            return False
        if one.column in self.guards:
            return (one.least is not None and one.least >= 0) or self._of_label(one)
        return self.horizon and any(known.no_later(one) for known in self.known_arrivals if known.column == one.column)

    def _of_label(self, one: Arrival) -> bool:
        """Whether it is no earlier than what `label.known` itself is, however that is made."""
        return any(known.no_later(one) for known in self.known_arrivals)

    def ordered(self, arrivals: Iterable[Arrival], guards: Iterable[Arrival]) -> bool:
        """Whether rows in the order of an instant are in that in which they became known.

        An instant of the guards goes in their order, a day or a month of it does not.
        """
        exact = {one.same.made for one in (*self.known_arrivals, *guards)} - {"", "?"}
        ways = [one for one in arrivals if one.of_own_rows]
        plain = [one for one in ways if one.column in self.guards and one.same.made == "" and one.least is not None]
        return covered([*plain, *(one for one in ways if one.same.made in exact)])

    @property
    def horizon(self) -> bool:
        """Whether the label is known a while after `at`, whatever happened."""
        return {one.column for one in self.known_arrivals} <= self.asked

    def not_after(self, one: Arrival) -> list[Arrival]:
        """The ways of `at` than which an instant is no later, if both are of the same row."""
        if one.column in self.guards or one.column not in self.asked:
            return []
        return [at for at in self.at_arrivals if at.column == one.column and one.no_later(at)]


def late(name: str, model: Model, graph: Graph, roots: Roots, arrivals: Arrivals) -> Late | None:
    """What of a model's label is late; None where its table does not have the columns."""
    table = graph.relation(model.label.from_)
    if table is None:
        return None
    label = model.label
    value, at, known = (AssetColumn(table.id, one) for one in (label.value, label.at, label.known))
    asked = roots.of(at)
    own = roots.of(value, own_row=True)
    of = own - asked
    known_ways = _ways(arrivals, known, roots)
    told = _told(of, graph) | {one.column for one in known_ways if one.least == 0 and one.column not in asked}
    rows = roots.of(value) - own - asked
    ways = _ways(arrivals, value, roots)
    tables = frozenset(one.column.asset for one in ways if one.mixed) | {one.asset for one in rows}
    known_roots = roots.of(known)
    guards = told or of
    if not known_roots & guards:
        guards = guards | (known_roots - asked - (of - told if told else frozenset()))
    return Late(name, value, at, known, of, told, rows, tables, guards, asked, _ways(arrivals, at, roots), known_ways)


def _ways(arrivals: Arrivals, column: AssetColumn, roots: Roots) -> tuple[Arrival, ...]:
    try:
        return arrivals.of(column)
    except Unread:
        return tuple(Arrival.unread(one) for one in roots.of(column))


def _told(of: Columns, graph: Graph) -> Columns:
    """Those of the columns that a label is computed of that come late, as far as the statements show which."""
    if len(of) <= 1:
        return of
    tested = {one for one in of if one.column.lower() in _tested(graph)}
    return frozenset(tested if tested < of else ())


def _tested(graph: Graph) -> frozenset[str]:
    """The names of columns that some statement looks whether they are there: `paid_on IS NOT NULL`, `coalesce(...)`.

    A column that is empty until something happened is one that comes late.
    """
    found: set[str] = set()
    for asset in graph:
        if asset.statement is None:
            continue
        for test in asset.statement.tree.find_all(exp.Is, exp.Coalesce):
            if isinstance(test, exp.Coalesce) or isinstance(test.expression, exp.Null):
                found |= {column.name.lower() for column in test.this.find_all(exp.Column)}
    return frozenset(found)
