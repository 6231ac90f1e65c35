"""Extracts a source's rows through its connector into a staging folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arro3.core import Table as ArrowTable

from lichen.collect.staged import Staged, staging
from lichen.collect.types import engine_types
from lichen.errors import Where
from lichen.ground.failpoint import fp
from lichen.ground.quoting import sql
from lichen.ground.secret import Secret
from lichen.ports import Arrow, Column, Connector, Engine, Relation, TableStore
from lichen.spec import Source

ROW, FILE = "_row", "_file"
PROVENANCE = (Column(ROW, "BIGINT"), Column(FILE, "VARCHAR"))
"""The columns that say where an extracted row came from; they stay in staging."""

EXTRACT = "extract"


@dataclass(frozen=True)
class Extracted:
    """What one reading of a source gave: staged rows, and the records that could not be read."""

    staged: Staged
    columns: tuple[Column, ...]
    rejects: Arrow
    rejected: int


def located(source: Source, root: Path) -> dict[str, Any]:
    """A source's options; a path begins at the project's folder, and is shown as it is written."""
    options = source.options
    path = options.get("path")
    if isinstance(path, str | Secret):
        options["path"] = _located(path, root)
    return options


def _located(path: str | Secret, root: Path) -> Secret:
    real = path.reveal() if isinstance(path, Secret) else path
    if "://" not in real and not Path(real).is_absolute():
        real = str(root / real)
    return Secret(real, str(path), path.held if isinstance(path, Secret) else None)


def declared_types(
    source: Source, engine: Engine, where: Mapping[str, Where], earlier: tuple[Column, ...] = ()
) -> dict[str, str]:
    """The type each column must have: as the contract says, else as it was in the version before."""
    written = {name: promise.type for name, promise in source.contract.columns.items() if promise.type}
    types = {column.name: column.type for column in earlier}
    return {**types, **engine_types(written, engine, where)}


def extract(
    name: str,
    source: Source,
    options: Mapping[str, Any],
    connector: Connector,
    engine: Engine,
    tables: TableStore,
    *,
    types: Mapping[str, str],
    since: str | None = None,
) -> Extracted:
    """Read a source into staging; `since` is the cursor's value from which an incremental reading starts."""
    columns = connector.columns(options, types)
    read = connector.read(options, types, (source.cursor, since) if source.cursor and since else None)
    with staging(tables.staging(name)) as folder:
        files = engine.sql(sql("SELECT * FROM", EXTRACT), {EXTRACT: Relation(arrow=read.rows)}, folder)
        fp("collect.extracted")
        rejects = ArrowTable.from_arrow(read.rejects())
    return Extracted(Staged(folder, files, (*columns, *PROVENANCE)), columns, rejects, rejects.num_rows)
