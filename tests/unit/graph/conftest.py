# ruff: noqa: E501 (texts in a table are read line by line, and never broken)

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lichen.graph.build import Graph, build_graph
from lichen.spec import read_project

LABEL = "{from: legs, value: late, at: asked, known: arrived}"
PROJECT = {
    "lichen.yaml": "name: p\n",
    "sources/flights.yaml": "path: x.csv\n",
    "tables/legs.sql": "/* ---\ntime: arrived\n--- */\nSELECT a AS b, 7 AS c FROM flights",
    "features/carrier.yaml": "entity: {carrier: varchar, origin: varchar}\nfrom: legs\n"
    "aggregates: {delay: avg(x), number: count(*)}\nwindows: [1h]\n",
    "features/trip.yaml": "on: request\ncolumns: {distance: double}\n",
    "models/late.yaml": f"task: classification\nlabel: {LABEL}\nfeatures: [carrier, trip]\nvalidate: {{early_stop: 30d, test: 92d}}\n",
    "services/late.yaml": "model: late\n",
    "monitors/late.yaml": "watch: late\nevery: 7d\nask: {roc_auc: {drop: 0.03}}\n",
}


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Graph]:
    """Write a project of one asset of each kind, with the files given changed or, where null, removed; build its graph."""
    number = 0

    def graph_of(files: Mapping[str, str | None] = {}) -> Graph:
        nonlocal number
        number += 1
        root = tmp_path / str(number)
        for name, content in {**PROJECT, **files}.items():
            if content is not None:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(content)
        return build_graph(read_project(root, {}, {"files": {"path": "where"}}))

    return graph_of
