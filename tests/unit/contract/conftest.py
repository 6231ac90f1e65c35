"""The real engine and the real lake, and rows staged in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from arro3.core import Table

from lichen.backends.delta import DeltaTableStore
from lichen.backends.duckdb import DuckDBEngine
from lichen.collect.staged import Staged
from lichen.ports import Column, Relation

PROVENANCE = (Column("_row", "BIGINT"), Column("_file", "VARCHAR"))


@pytest.fixture
def engine(tmp_path: Path) -> DuckDBEngine:
    return DuckDBEngine(scratch=tmp_path / "scratch", memory="512MB", threads=1)


@pytest.fixture
def tables(tmp_path: Path) -> DeltaTableStore:
    return DeltaTableStore(tmp_path / "lake")


@pytest.fixture
def stage(engine: DuckDBEngine, tables: DeltaTableStore) -> Callable[..., Staged]:
    """The rows of a SELECT in a staging folder; with `numbered` as a source's, from a file `f.csv`."""

    def write(select: str, *, numbered: bool = False) -> Staged:
        columns = engine.describe(select, {})
        folder = tables.staging("t")
        if numbered:
            select = f"SELECT *, row_number() OVER () AS _row, 'f.csv' AS _file FROM ({select})"
        return Staged(folder, engine.sql(select, {}, folder), (*columns, *PROVENANCE) if numbered else columns)

    return write


@pytest.fixture
def fetch(engine: DuckDBEngine) -> Callable[..., list[tuple[Any, ...]]]:
    """The rows of a relation, read under the name `r`, as tuples."""

    def read(relation: Relation, select: str = "FROM r") -> list[tuple[Any, ...]]:
        table = Table.from_arrow(engine.query(select, {"r": relation}))
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    return read
