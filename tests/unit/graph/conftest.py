"""The honest project of the planted leaks, with other files, as a search for leaks sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lichen.graph.arrival import Arrivals
from lichen.graph.build import build_graph
from lichen.graph.edges import project_lineage
from lichen.graph.late import Late, Roots, late
from lichen.graph.leaks import Leak, leaks
from lichen.graph.lineage import AssetColumn
from lichen.spec import read_project
from lichen.testing.leaks.shipping import BASE, shipping_rows


class Looked:
    """A project's graph and lineage, and what is found in them."""

    def __init__(self, root: Path, files: Mapping[str, str]) -> None:
        for name, text in {**BASE, **files}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        self.spec = read_project(root, {}, {"files": {"path": "where"}})
        heads = {name: text.partition("\n")[0].split(",") for name, text in shipping_rows().items()}
        self.graph = build_graph(self.spec)
        columns = {name: heads[f"data/{name}.csv"] for name in self.spec.sources}
        self.lineage = project_lineage(self.graph, self.spec, columns)
        self.arrivals = Arrivals(self.graph, self.lineage.columns, Roots(self.lineage).of)

    @property
    def leaks(self) -> list[Leak]:
        return leaks(self.graph, self.spec, self.lineage)

    @property
    def late(self) -> Late:
        found = late("late", self.spec.models["late"], self.graph, Roots(self.lineage), self.arrivals)
        assert found is not None
        return found

    def ways(self, table: str, column: str) -> dict[str, tuple[int | None, int | None, str]]:
        """Each way into a column: its source column, by how much it is later, and where rows meet on it."""
        return {
            str(one.column): (one.least, one.most, " ".join(sorted(s.role for s in one.sites if s.role != "relation")))
            for one in self.arrivals.of(AssetColumn(f"table.{table}", column))
        }


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., Looked]:
    def of(files: Mapping[str, str] = {}) -> Looked:
        return Looked(tmp_path, files)

    return of
