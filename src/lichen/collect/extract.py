"""Extracts a source's rows through its connector into a staging folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arro3.core import Table as ArrowTable

from lichen.collect.staged import Staged, staging
from lichen.collect.types import engine_types
from lichen.errors import FoundWrong, Where
from lichen.ground.failpoint import fp
from lichen.ground.quoting import sql
from lichen.ground.secret import Secret
from lichen.ground.types import lake_columns
from lichen.ports import Arrow, Column, Connector, Engine, Relation, Since, TableStore
from lichen.spec import Source

ROW, FILE = "_row", "_file"
PROVENANCE = (Column(ROW, "BIGINT"), Column(FILE, "VARCHAR"))
"""The columns that say where an extracted row came from; they stay in staging."""

EXTRACT = "extract"


@dataclass(frozen=True)
class Extracted:
    """What one reading of a source gave: staged rows, and the records that could not be read.

    `earlier` holds the keys and cursors of the rows below the place from which it started, where they were seen; `cut`
    how many instants of each column were finer than a microsecond, and were cut to it.
    """

    staged: Staged
    columns: tuple[Column, ...]
    rejects: Arrow
    rejected: int
    earlier: Arrow | None = None
    cut: Mapping[str, int] = field(default_factory=dict)


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


def declared_types(source: Source, engine: Engine, where: Mapping[str, Where]) -> dict[str, str]:
    """The type that the contract says for each column it says one for."""
    written = {name: promise.type for name, promise in source.contract.columns.items() if promise.type}
    return engine_types(written, engine, where)


def stored_columns(
    options: Mapping[str, Any], connector: Connector, types: Mapping[str, str]
) -> tuple[tuple[Column, ...], Mapping[str, str]]:
    """A source's columns as a table can hold them, and the types to demand of the connector so that it gives them so.

    A UUID becomes a text, an unsigned number the next wider one, an instant in nanoseconds one in microseconds. It is
    the connector that makes them, so that a value which does not fit exactly is a reject.
    """
    found = [(column.name, column.type) for column in connector.columns(options, types)]
    try:
        stored = lake_columns(found)
    except FoundWrong as error:
        fix = "give it another in the contract, and it is read as that: columns: {name: {type: varchar}}"
        raise FoundWrong(error.code, error.what, where=error.where, why=error.why, fix=fix) from error
    demanded = {name: kind for (name, kind), (_, old) in zip(stored, found, strict=True) if kind != old}
    return tuple(Column(name, kind) for name, kind in stored), {**types, **demanded}


def extract(
    name: str,
    options: Mapping[str, Any],
    connector: Connector,
    engine: Engine,
    tables: TableStore,
    *,
    types: Mapping[str, str],
    since: Since | None = None,
) -> Extracted:
    """Read a source into staging; `since` says from where on an incremental reading starts."""
    columns, types = stored_columns(options, connector, types)
    read = connector.read(options, types, since)
    with staging(tables.staging(name)) as folder:
        files = engine.sql(sql("SELECT * FROM", EXTRACT), {EXTRACT: Relation(arrow=read.rows)}, folder)
        fp("collect.extracted")
        rejects = ArrowTable.from_arrow(read.rejects())
        earlier = read.earlier() if read.earlier is not None else None
        cut = read.cut() if read.cut is not None else {}
    return Extracted(Staged(folder, files, (*columns, *PROVENANCE)), columns, rejects, rejects.num_rows, earlier, cut)
