"""A real project in a folder: its files, its backends, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from arro3.core import Table

from lichen.contract.admit import quarantine_table
from lichen.contract.quarantine import SET_ASIDE
from lichen.graph.build import build_graph
from lichen.graph.version import Version, relation_name
from lichen.ground.clock import FixedClock
from lichen.ground.digest import digest
from lichen.ports import Relation
from lichen.run.relations import make_source, make_table
from lichen.run.release import Release, Releases
from lichen.run.workshop import Workshop, connector_options
from lichen.spec import ProjectFile, read_project

NOW = datetime(2020, 1, 10, 12, tzinfo=UTC)


class World:
    """A project that tests write into; each asset's newest version is kept in `versions`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = FixedClock(NOW)
        self.write("lichen.yaml", "name: p\nmemory: 512MB\n")
        self.workshop = Workshop(root, ProjectFile(name="p", memory="512MB"), self.clock)
        self.releases = Releases(self.workshop.state)
        self.versions: dict[str, Version] = {}

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def publishing(self, environment: str | None) -> Workshop:
        """Another workshop on the same folder, that shows another environment."""
        return Workshop(self.root, ProjectFile(name="p", publish=environment), self.clock)

    def _asset(self, asset: str) -> tuple[Any, Any]:
        project = read_project(self.root, {}, connector_options())
        return build_graph(project)[asset], project

    def collect(self, name: str = "s") -> Version:
        asset, project = self._asset(f"source.{name}")
        version = make_source(asset, self.versions.get(asset.id), project, self.workshop)
        self.versions[asset.id] = version
        balance = version.facts["balance"]
        assert balance["read"] == balance["kept"] + balance["quarantined"] + balance["deduplicated"] + balance["late"]
        assert balance["kept"] == len(self.rows(version))
        assert balance["quarantined"] == len(self.aside(version))
        assert not list((self.root / ".lichen/lake/.staging").glob("*"))
        return version

    def build(self, name: str) -> Version:
        asset, project = self._asset(f"table.{name}")
        version = make_table(asset, {key: self.versions[key] for key in asset.inputs}, project, self.workshop)
        self.versions[asset.id] = version
        return version

    def put(self, asset: str, select: str, aside: str | None = None) -> Version:
        """A version made of a SELECT's rows; `aside` gives the rows of its quarantine."""
        engine, tables, name = self.workshop.engine, self.workshop.tables, relation_name(asset)
        kept = []
        for folder, text in ((name, select), (quarantine_table(name), aside)):
            staging = tables.staging(folder)
            kept.append(tables.adopt(folder, staging, engine.sql(text, {}, staging) if text else ()))
        own = digest([select, aside])[:16]
        version = Version(asset, own, own, {}, engine.describe(select, {}), *kept)
        self.versions[asset] = version
        return version

    def rows(self, version: Version, select: str = "FROM r") -> list[tuple[Any, ...]]:
        return self.fetch(self.workshop.relation(version), select)

    def aside(self, version: Version) -> list[tuple[Any, ...]]:
        files = self.workshop.tables.locations(quarantine_table(version.relation), version.quarantine)
        return self.fetch(Relation(SET_ASIDE, files))

    def fetch(self, relation: Relation, select: str = "FROM r") -> list[tuple[Any, ...]]:
        table = Table.from_arrow(self.workshop.engine.query(select, {"r": relation}))
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def release(self, *assets: str, environment: str = "prod", facts: dict[str, Any] | None = None) -> Release:
        """Release the newest versions of these assets (of all, if none is named)."""
        versions = [self.versions[asset] for asset in assets or self.versions]
        for version in versions:
            self.releases.keep(version)
        expected = self.releases.current(environment)
        at = self.clock.now().isoformat()
        return self.releases.move(environment, versions, at=at, expected=expected, facts=facts or {})

    def close(self) -> None:
        self.workshop.__exit__()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def make_world() -> type[World]:
    """How to make a world in a folder of one's own."""
    return World
