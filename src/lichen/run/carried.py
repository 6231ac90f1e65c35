"""Takes a version over under new names: no row is computed again, and none is copied where files can be linked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lichen.collect.staged import staging
from lichen.contract.admit import quarantine_table
from lichen.graph.build import Asset, Graph
from lichen.graph.fingerprint import MEANING, fingerprint, meaning
from lichen.graph.version import Version, relation_name, version_name
from lichen.ground.failpoint import fp
from lichen.ground.files import system_failures
from lichen.ports import DataFile, TableStore
from lichen.run.learned import by_name
from lichen.run.relations import content_of
from lichen.run.workshop import Workshop
from lichen.spec import ProjectSpec

WAS = "was"
"""The fact under which a version keeps the asset and the version whose rows, or model, it took over."""


def carry(
    asset: Asset,
    former: Version,
    graph: Graph,
    versions: Mapping[str, Version],
    project: ProjectSpec,
    workshop: Workshop,
) -> Version:
    """The asset's version that has another version's files, under the asset's name and those of what it reads now."""
    own, relation = fingerprint(asset), relation_name(asset.id)
    inputs = {name: versions[name].version for name in asset.inputs}
    files = _linked(former.relation, relation, former.files, workshop.tables)
    aside = _linked(quarantine_table(former.relation), quarantine_table(relation), former.quarantine, workshop.tables)
    facts = {**former.facts, MEANING: meaning(asset), WAS: [former.asset, former.version]}
    if asset.kind == "model":
        facts |= by_name(asset, graph, versions, project)
    content = content_of(former.columns, files, aside) if asset.kind == "source" else ""
    return Version(asset.id, version_name(own, inputs, content), own, inputs, former.columns, files, aside, facts)


def _linked(old: str, new: str, files: tuple[DataFile, ...], tables: TableStore) -> tuple[DataFile, ...]:
    """The files of one table as another's: the same bytes under two names."""
    if old == new or not files:
        return files
    with staging(tables.staging(new)) as folder:
        for file, place in zip(files, tables.locations(old, files), strict=True):
            staged = folder / file.path
            if not staged.exists():  # a table may hold one file twice
                _link(Path(place), staged)
        fp("carry.linked")
        adopted = {one.path: one for one in tables.adopt(new, folder, tuple({f.path: f for f in files}.values()))}
    return tuple(replace(file, path=adopted[file.path].path) for file in files)


def _link(there: Path, here: Path) -> None:
    with system_failures("take a file over under a new name", here):
        try:
            os.link(there, here)
        except OSError:  # a file system without links, or one file with too many
            shutil.copyfile(there, here)
