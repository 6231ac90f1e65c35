"""A project of one asset of each kind, with what a release of it holds and what a plan of it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from one_of_each import PROJECT

from lichen.graph.build import build_graph
from lichen.graph.edges import project_lineage
from lichen.graph.fingerprint import MEANING, fingerprint, meaning
from lichen.graph.version import Version, version_name
from lichen.plan import Cost, Known, Plan, explained, plan
from lichen.ports import Column
from lichen.spec import ProjectSpec, read_project

TOKENS = {"source.flights": "t1"}
COLUMNS = {
    "flights": {"a": "BIGINT", "carrier": "VARCHAR", "arrived": "TIMESTAMP WITH TIME ZONE"},
    "legs": {"b": "BIGINT", "c": "INTEGER"},
}


class Made:
    """A project as written, and what its release would hold and a plan of it say."""

    def __init__(self, project: ProjectSpec, columns: Mapping[str, Mapping[str, str]]) -> None:
        self.project, self.graph = project, build_graph(project)
        self.columns = {name: [Column(*one) for one in given.items()] for name, given in columns.items()}

    def released(self, tokens: Mapping[str, str] = TOKENS) -> dict[str, Version]:
        """What a release holds after a run, as it comes back from the state store."""
        versions: dict[str, Version] = {}
        for asset in self.graph:
            own, inputs = fingerprint(asset), {name: versions[name].version for name in asset.inputs}
            facts = {MEANING: meaning(asset), "token": tokens.get(asset.id)}
            columns = tuple(self.columns.get(asset.name, ())) if asset.kind in ("source", "table") else ()
            version = Version(asset.id, version_name(own, inputs), own, inputs, columns, facts=facts)
            versions[asset.id] = Version.from_dict(json.loads(json.dumps(version.as_dict(), sort_keys=True)))
        return versions

    def plan(
        self,
        released: Mapping[str, Version],
        tokens: Mapping[str, str] = TOKENS,
        costs: Mapping[str, Cost] | None = None,
    ) -> Plan:
        """The plan with its columns."""
        made = plan(
            self.graph, released, tokens, environment="prod", release=1, files=self.project.files, costs=costs or {}
        )
        names = {name: [column.name for column in given] for name, given in self.columns.items()}
        known = Known(project_lineage(self.graph, self.project, names), self.columns)
        return explained(made, self.graph, self.project, released, known)


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Made]:
    """Write a project of one asset of each kind, with the files given changed or, where null, removed."""
    number = 0

    def made_of(files: Mapping[str, str | None] = {}, columns: Mapping[str, Mapping[str, str]] = {}) -> Made:
        nonlocal number
        number += 1
        root = tmp_path / str(number)
        for name, content in {**PROJECT, **files}.items():
            if content is not None:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(content)
        return Made(read_project(root, {}, {"files": {"path": "where"}}), {**COLUMNS, **columns})

    return made_of
