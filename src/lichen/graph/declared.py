"""When the rows of a view became known, as it or its relation declares, and what that guards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from lichen.graph.arrival import Arrivals
from lichen.graph.build import Asset, Graph
from lichen.graph.late import Late, Roots
from lichen.graph.lineage import AssetColumn, Lineage
from lichen.graph.origin import ROWS
from lichen.graph.scope import Unread
from lichen.graph.way import Arrival
from lichen.spec import FeatureView


@dataclass(frozen=True)
class Declared:
    """Reads what views and relations declare of when their rows became known."""

    graph: Graph
    lineage: Lineage
    roots: Roots
    arrivals: Arrivals

    def known(self, view: FeatureView) -> str | None:
        """The SQL that says when a view's rows became known."""
        relation = self.graph.relation(view.from_ or "")
        return view.known or getattr(relation.spec if relation else None, "known", None)

    def ways(self, view: FeatureView) -> Sequence[Arrival]:
        """The ways into the instant at which a view's rows became known."""
        relation, known = self.graph.relation(view.from_ or ""), self.known(view)
        return self.ways_of_text(relation, known) if relation is not None and known is not None else ()

    def guards(self, found: Late, view: FeatureView) -> list[Arrival]:
        """Those of these ways that keep back what tells the label until it is known."""
        ways = self.ways(view)
        guards = found.guard(ways, self.arrivals)
        if guards:
            return [*guards, *(one for one in ways if one not in guards and self._untold(found, one))]
        # Where the label is known a while after `at`, come what may, an instant of another kind is believed.
        return [one for one in ways if one.column not in found.asked and one.of_own_rows] if found.horizon else []

    def _untold(self, found: Late, one: Arrival) -> bool:
        """Whether an instant is of a side of a UNION ALL that holds nothing of what tells the label."""
        if not one.sites or not any(choice.rows for choice in one.choices) or not one.of_own_rows:
            return False
        frame = self.arrivals.places[one.sites[0].node][0]
        if not isinstance(frame.select.parent, exp.Union):
            return False
        try:
            columns = frame.select.find_all(exp.Column)
            read = {way.column for column in columns for way in self.arrivals.of_part(column, frame)}
        except Unread:
            return False
        tables = [self.graph.relation(table.name.lower()) for table in frame.select.find_all(exp.Table)]
        filters = [self.roots.row_filters(AssetColumn(table.id, ROWS)) for table in tables if table is not None]
        return None not in tables and not frame.select.is_star and not found.told & read.union(*filters)

    def ways_of_text(self, relation: Asset, text: str) -> Sequence[Arrival]:
        """The ways into an SQL expression over a relation's row; one of each column where it is unread."""
        try:
            return self.arrivals.of_text(relation.id, text)
        except Unread:
            columns = [one for one in self.lineage.columns[relation.id] if one.lower() in text.lower()]
            read = self.roots.all(AssetColumn(relation.id, one) for one in columns)
            return [Arrival.unread(one) for one in read]
