"""A project's graph and what its leaks are looked for in, of files that tests write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from lichen.graph.arrival import Arrivals
from lichen.graph.build import Graph, build_graph
from lichen.graph.edges import project_lineage
from lichen.graph.late import Late, Roots, late
from lichen.graph.leaks import Leak, leaks
from lichen.graph.lineage import AssetColumn, Lineage
from lichen.spec import ProjectSpec, read_project
from lichen.testing.leaks.shipping import BASE, shipping_rows


class Looked(NamedTuple):
    """A project as a search for leaks sees it."""

    spec: ProjectSpec
    graph: Graph
    lineage: Lineage

    @property
    def arrivals(self) -> Arrivals:
        return Arrivals(self.graph, self.lineage.columns)

    @property
    def leaks(self) -> list[Leak]:
        return leaks(self.graph, self.spec, self.lineage)

    def late(self, model: str = "late") -> Late:
        found = late(model, self.spec.models[model], self.graph, Roots(self.lineage), self.arrivals)
        assert found is not None
        return found

    def ways(self, name: str) -> dict[str, tuple[int | None, int | None, str]]:
        """Each way into a column: its source column, by how much it is later, and the places where rows meet."""
        column = AssetColumn("table." + name.partition(".")[0], name.partition(".")[2])
        return {
            str(one.column): (one.least, one.most, " ".join(sorted(s.role for s in one.sites if s.role != "relation")))
            for one in self.arrivals.of(column)
        }


def look(root: Path, files: Mapping[str, str]) -> Looked:
    """The honest project of the planted leaks with other files."""
    for name, text in {**BASE, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    spec = read_project(root, {}, {"files": {"path": "where"}})
    heads = {name: text.partition("\n")[0].split(",") for name, text in shipping_rows().items()}
    columns = {name: heads[f"data/{name}.csv"] for name in spec.sources}
    graph = build_graph(spec)
    return Looked(spec, graph, project_lineage(graph, spec, columns))
