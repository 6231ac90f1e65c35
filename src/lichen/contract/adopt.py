"""The schema gate: a file becomes part of a table only if its columns are the table's, in name, order and type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lichen.ground.types import same_columns
from lichen.ports import Column, DataFile, Engine, TableStore


def adopt(
    table: str, columns: Sequence[Column], folder: Path, files: Sequence[DataFile], engine: Engine, tables: TableStore
) -> tuple[DataFile, ...]:
    """Make staged files durable as a table's; one whose columns differ is refused, and none is adopted.

    Parquet readers trust the file: read under another type, a 0.5 kept as a decimal becomes 5 elsewhere, silently.
    """
    declared = [(column.name, column.type) for column in columns]
    for file in files:
        path = str(folder / file.path)
        same_columns(path, [(column.name, column.type) for column in engine.file_columns(path)], declared)
    return tables.adopt(table, folder, files)
