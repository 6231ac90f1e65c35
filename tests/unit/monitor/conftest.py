"""Real rows in Parquet files, made with DuckDB, and the real engine over them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arro3.core import Array, Table

from lichen.backends.duckdb import DuckDBEngine
from lichen.ground.quoting import identifier
from lichen.ports import Relation

Store = Callable[..., Relation]


@pytest.fixture
def engine(tmp_path: Path) -> DuckDBEngine:
    return DuckDBEngine(scratch=tmp_path / "scratch", threads=2)


@pytest.fixture
def store(engine: DuckDBEngine, tmp_path: Path) -> Store:
    """Columns as a relation of Parquet files; those in `instants` are microseconds (-1: null) that become instants."""
    numbers = itertools.count()

    def keep(columns: dict[str, Any], instants: tuple[str, ...] = ("at",)) -> Relation:
        arrays = [
            Array.from_numpy(values) if isinstance(values, np.ndarray) else Array(values, kind_of(values))
            for values in columns.values()
        ]
        rows = Relation(arrow=Table.from_arrays(arrays, names=list(columns)))
        quoted = {name: identifier(name) for name in columns}
        shown = [
            f"make_timestamptz(nullif({text}, -1)) AS {text}" if name in instants else text
            for name, text in quoted.items()
        ]
        select = "SELECT " + ", ".join(shown) + " FROM rows"
        into = tmp_path / f"rows{next(numbers)}"
        into.mkdir()
        files = engine.sql(select, {"rows": rows}, into)
        kinds = engine.describe(select, {"rows": rows})
        return Relation(kinds, tuple(str(into / file.path) for file in files))

    return keep


def kind_of(values: list[Any]) -> Any:
    from arro3.core import DataType

    known = [value for value in values if value is not None]
    if known and isinstance(known[0], str):
        return DataType.string()
    return DataType.bool() if known and isinstance(known[0], bool) else DataType.float64()
