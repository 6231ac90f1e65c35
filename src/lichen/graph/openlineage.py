"""A project's lineage as OpenLineage events: a JobEvent for each asset that is made, with the columns of what it makes.

Written by hand after the specification 2-0-2. Where a column reaches all others by way of the rows, it stands once for
the whole output, in `dataset`. What OpenLineage has no facet for stands in facets of our own, `lichen_model` and
`lichen_view`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from lichen.graph.build import Asset, Graph
from lichen.graph.lineage import AssetColumn, Edge, Lineage
from lichen.graph.origin import ROWS, How
from lichen.spec import FeatureView, Model

_SPEC = "https://openlineage.io/spec"
_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/JobEvent"
_INDIRECT = {
    How.JOIN: "JOIN",
    How.GROUP: "GROUP_BY",
    How.DISTINCT: "GROUP_BY",
    How.FILTER: "FILTER",
    How.LIMIT: "FILTER",
    How.COUNT: "FILTER",
    How.ORDER: "SORT",
    How.WINDOW: "WINDOW",
    How.LABEL: "LABEL",
}
"""What OpenLineage calls each influence; it has no word for what a model learned from."""


def job_events(graph: Graph, lineage: Lineage, *, project: str, version: str, at: datetime) -> Iterator[dict[str, Any]]:
    """The events of a project's assets, each after those it reads; `version` is Lichen's, `at` the time they tell."""
    made = _Events(graph, lineage, f"lichen://{project}", f"urn:lichen:{version}")
    for asset in graph:
        if asset.kind != "monitor":
            yield made.event(asset, at)


class _Events:
    """What all events of one project share."""

    def __init__(self, graph: Graph, lineage: Lineage, namespace: str, producer: str) -> None:
        self.graph, self.lineage, self.namespace, self.producer = graph, lineage, namespace, producer

    def event(self, asset: Asset, at: datetime) -> dict[str, Any]:
        """The event of one asset."""
        outputs = [{**self._named(asset.id), "facets": dict(self._output_facets(asset))}]
        return {
            "eventTime": at.isoformat(),
            "producer": self.producer,
            "schemaURL": _EVENT,
            "job": {**self._named(asset.id), "facets": dict(self._job_facets(asset))},
            "inputs": [self._named(name) for name in self._inputs(asset)],
            "outputs": outputs,
        }

    def _named(self, asset: str) -> dict[str, Any]:
        return {"namespace": self.namespace, "name": asset}

    def _inputs(self, asset: Asset) -> list[str]:
        """What an asset reads: its declared inputs, and what its columns are made of beyond them."""
        columns = [AssetColumn(asset.id, one) for one in (*self.lineage.columns[asset.id], ROWS)]
        read = [edge.source.asset for column in columns for edge in self.lineage.into(column)]
        return [name for name in dict.fromkeys([*asset.inputs, *read]) if name != asset.id]

    def _facet(self, url: str, **content: Any) -> dict[str, Any]:
        return {"_producer": self.producer, "_schemaURL": url, **content}

    def _official(self, name: str, version: str, **content: Any) -> dict[str, Any]:
        return self._facet(f"{_SPEC}/facets/{version}/{name}.json#/$defs/{name}", **content)

    def _job_facets(self, asset: Asset) -> Iterator[tuple[str, Any]]:
        processing = "SERVICE" if asset.kind == "service" else "BATCH"
        yield (
            "jobType",
            self._official(
                "JobTypeJobFacet", "2-0-3", processingType=processing, integration="LICHEN", jobType=asset.kind.upper()
            ),
        )
        if asset.statement is not None:
            yield "sql", self._official("SQLJobFacet", "1-1-0", query=asset.statement.text, dialect="duckdb")
        if isinstance(asset.spec, Model):
            yield "lichen_model", self._facet("urn:lichen:facet:model:1", **_told(asset.spec, _MODEL))
        if isinstance(asset.spec, FeatureView):
            yield "lichen_view", self._facet("urn:lichen:facet:view:1", **_told(asset.spec, _VIEW))

    def _output_facets(self, asset: Asset) -> Iterator[tuple[str, Any]]:
        columns = self.lineage.columns[asset.id]
        yield "schema", self._official("SchemaDatasetFacet", "1-1-1", fields=[{"name": name} for name in columns])
        fields = {name: {"inputFields": self._fields(AssetColumn(asset.id, name))} for name in columns}
        rows = self._fields(AssetColumn(asset.id, ROWS))
        if rows or any(field["inputFields"] for field in fields.values()):
            yield (
                "columnLineage",
                self._official(
                    "ColumnLineageDatasetFacet", "1-2-0", fields=fields, **({"dataset": rows} if rows else {})
                ),
            )

    def _fields(self, column: AssetColumn) -> list[dict[str, Any]]:
        """The columns that reach one; whole relations are inputs, and no fields."""
        found: dict[AssetColumn, list[dict[str, Any]]] = {}
        for edge in self.lineage.into(column):
            if edge.source.column != ROWS:
                found.setdefault(edge.source, []).extend(_transformations(edge))
        return [
            {**self._named(source.asset), "field": source.column, "transformations": transformations}
            for source, transformations in found.items()
        ]


def _transformations(edge: Edge) -> Iterator[dict[str, Any]]:
    how = edge.how
    if how & How.VALUE:
        mixes = how & (How.AGGREGATED | How.WINDOWED)
        direct = "AGGREGATION" if mixes else "TRANSFORMATION" if how & (How.COMPUTED | How.OPAQUE) else "IDENTITY"
        yield {"type": "DIRECT", "subtype": direct, "description": " ".join(how.words), "masking": False}
    for subtype in dict.fromkeys(name for one, name in _INDIRECT.items() if how & one):
        yield {"type": "INDIRECT", "subtype": subtype, "description": " ".join(how.words), "masking": False}


_MODEL = ("task", "learner", "label", "features", "exclude", "gate")
_VIEW = ("entity", "on", "grain", "windows", "ttl", "static")


def _told(spec: Model | FeatureView, keys: tuple[str, ...]) -> Mapping[str, Any]:
    words = spec.model_dump(mode="json", by_alias=True)
    return {key: words[key] for key in keys if words[key] not in (None, [], {}, False)}
