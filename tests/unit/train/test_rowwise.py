from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arro3.core import Array, Table

from lichen.backends.duckdb import DuckDBEngine
from lichen.backends.lightgbm import LightGBMLearner
from lichen.ports import Column, Matrix, Relation
from lichen.train.prepare import Preparation
from lichen.train.rowwise import agrees, batch_of_one

PREPARATION = Preparation(
    (Column("v.x", "DOUBLE"), Column("v.kind", "VARCHAR"), Column("v.n", "BIGINT")), {"v.kind": ("a", "b")}, {}
)
ROWS = [(0.5, "a", 1), (None, "b", 2), (1.5, None, None), (-2.0, "unseen", 4)] * 50


class Deaf:
    """A model whose single-row entry gives another answer than its batch in the last bit."""

    def __init__(self, fitted: Any) -> None:
        self.predict, self._row = fitted.predict, fitted.compile_row()

    def compile_row(self) -> Any:
        return lambda row: float(np.nextafter(self._row(row), 2.0))


@pytest.fixture
def rows() -> Relation:
    x, kind, n = zip(*ROWS, strict=True)
    from arro3.core import DataType

    arrays = [Array(x, DataType.float64()), Array(kind, DataType.utf8()), Array(n, DataType.int64())]
    return Relation(arrow=Table.from_arrays(arrays, names=["v.x", "v.kind", "v.n"]))


@pytest.fixture
def fitted(rows: Relation, tmp_path: Path) -> Any:
    engine = DuckDBEngine(scratch=tmp_path)
    label = 'coalesce("v.x", 0) > 0'
    matrix = PREPARATION.matrix(rows, engine, label=f"CAST({label} AS INTEGER)")
    params = {"num_iterations": 5, "min_data_in_leaf": 1}
    return LightGBMLearner().fit("classification", matrix, None, params, seed=1, seconds=None)


def test_it_sees_whether_both_entries_give_the_same(rows: Relation, fitted: Any, tmp_path: Path) -> None:
    engine = DuckDBEngine(scratch=tmp_path)
    assert agrees(PREPARATION, fitted, rows, engine)
    assert not agrees(PREPARATION, Deaf(fitted), rows, engine)  # type: ignore[arg-type]


def test_a_batch_of_one_gives_what_the_batch_gives(rows: Relation, fitted: Any, tmp_path: Path) -> None:
    matrix: Matrix = PREPARATION.matrix(rows, DuckDBEngine(scratch=tmp_path))
    batch = Table.from_arrow(fitted.predict(matrix)).column("score").to_pylist()
    one = batch_of_one(PREPARATION, fitted)
    assert [one(PREPARATION.row(row)) for row in ROWS[:8]] == batch[:8]
