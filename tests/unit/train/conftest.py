from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from arro3.core import Table

from lichen.backends.duckdb import DuckDBEngine
from lichen.feature.featureset import FeatureSet
from lichen.ground.clock import FixedClock
from lichen.ports import Arrow, Column, Engine, Relation
from lichen.spec import Model

FEATURES = (
    Column("v.x", "DOUBLE"),
    Column("v.n", "BIGINT"),
    Column("v.flag", "BOOLEAN"),
    Column("v.price", "DECIMAL(9,2)"),
    Column("v.carrier", "VARCHAR"),
)

ROWS = """
SELECT i, TIMESTAMPTZ '2013-01-01 00:00:00+00' + to_hours(i) AS at, "at" + INTERVAL 3 HOUR AS known,
  CASE WHEN i % 40 = 7 THEN NULL ELSE (i % 7) + (hash(i) % 4) > 5 END AS late,
  (i % 7)::DOUBLE + (hash(i) % 4) AS delay,
  CASE WHEN i % 11 = 0 THEN NULL ELSE (i % 7)::DOUBLE END AS "v.x",
  (hash(i + 1) % 100)::BIGINT AS "v.n", i % 2 = 0 AS "v.flag",
  (i % 50)::DECIMAL(9,2) / 4 AS "v.price",
  CASE WHEN i % 13 = 0 THEN NULL ELSE 'c''' || (hash(i * 3) % 5) END AS "v.carrier"
FROM range({hours}) AS r(i)
"""


def rows(hours: int = 2400, wrap: str = "SELECT * FROM rows") -> Arrow:
    session = duckdb.connect()
    session.execute("SET TimeZone = 'UTC'")
    made: Arrow = Table.from_arrow(session.sql(f"WITH rows AS ({ROWS.format(hours=hours)}) {wrap}"))
    return made


def model(**changes: Any) -> Model:
    written = {
        "task": "classification",
        "label": {"from": "labels", "value": "late", "at": "at", "known": "known"},
        "features": ["v"],
        "params": {"num_iterations": 20, "min_data_in_leaf": 5},
        "validate": {"by": "time", "early_stop": "10d", "test": "20d"},
    }
    return Model.model_validate({**written, **changes})


def feature_set(features: tuple[Column, ...] = FEATURES) -> FeatureSet:
    return FeatureSet((), (), (), features)


CLOCK = FixedClock(datetime(2014, 1, 1, tzinfo=UTC))


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return DuckDBEngine(scratch=tmp_path / "scratch", threads=2)


@pytest.fixture
def held(engine: Engine) -> Callable[..., Relation]:
    def make(hours: int = 2400, wrap: str = "SELECT * FROM rows") -> Relation:
        made = rows(hours, wrap)
        return Relation(columns=engine.describe("FROM rows", {"rows": Relation(arrow=made)}), arrow=made)

    return make
