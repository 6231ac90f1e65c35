"""What an environment holds of its sources, and what their columns will be when a run goes on from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lichen.collect.extract import declared_types, located, stored_columns
from lichen.collect.settled import came_and_went, demanded, finer, other_types
from lichen.errors import LichenError
from lichen.graph.build import Asset, Graph
from lichen.graph.fingerprint import fingerprint
from lichen.graph.version import Version
from lichen.ports import Column
from lichen.run.relations import column_places, columns_of, in_source, settled, source_token
from lichen.run.release import Releases
from lichen.run.trunk import trunk_of
from lichen.run.workshop import Workshop
from lichen.spec import ProjectSpec, Source


@dataclass(frozen=True)
class Sources:
    """The versions that an environment holds of its sources; the `shared` are taken as they are of another."""

    versions: Mapping[str, Version] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()

    def of(self, asset: Asset) -> Version | None:
        """The version from which a run goes on; None where the source means something else now."""
        version = self.versions.get(asset.id)
        return version if version is not None and version.fingerprint == fingerprint(asset) else None


NOTHING = Sources()


def sources_of(environment: str, graph: Graph, project: ProjectSpec, workshop: Workshop) -> Sources:
    """What an environment holds of its sources; nothing where there is no state store yet."""
    if not (workshop.root / project.project.state).exists():
        return NOTHING
    releases = Releases(workshop.state)
    released = releases.versions(releases.current(environment))
    trunk = trunk_of(environment, project.project.publish, releases)
    if trunk is None:
        return Sources(released)
    shared = frozenset(asset.id for asset in graph if trunk.brings(asset))
    return Sources({**released, **{name: trunk.versions[name] for name in shared}}, shared)


def source_columns(
    asset: Asset, before: Sources, project: ProjectSpec, workshop: Workshop
) -> tuple[tuple[Column, ...], list[str]]:
    """A source's columns as a run would find them, and what is to be said of those that are not as they were.

    Only what a run would read is looked at.
    """
    source = asset.spec
    assert isinstance(source, Source)
    connector, same = workshop.connector(source.connector), before.of(asset)
    if same is not None and (
        asset.id in before.shared or source_token(asset, same, project, workshop) == same.facts.get("token")
    ):
        return same.columns, []
    try:
        options = located(source, project.root)
        declared = declared_types(source, workshop.engine, column_places(asset, project))
        types = demanded(options, connector, declared, settled(same) if same else ())
        found, _ = stored_columns(options, connector, types)
        looks = connector.columns(options, declared)
        told = [*finer(looks)]
        if same is None:
            return found, told
        told += came_and_went(same.columns, found, stays=source.cursor is not None)
        told += other_types(looks, declared, {column.name: column.type for column in settled(same)})
        return columns_of(source, found, same), told
    except LichenError as error:
        raise in_source(error, asset, project) from error
