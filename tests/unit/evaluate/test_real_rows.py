from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest
from arro3.core import Table

from lichen.backends.duckdb import DuckDBEngine
from lichen.backends.lightgbm import LightGBMLearner
from lichen.evaluate.evaluation import evaluate
from lichen.feature.featureset import FeatureSet
from lichen.ground.clock import SystemClock
from lichen.ports import Column, Relation
from lichen.spec import Model
from lichen.train.fit import train

COLUMNS = ("mnth", "hr", "holiday", "weekday", "workingday", "weathersit", "temp", "hum", "windspeed")


@pytest.fixture
def hours() -> Path:
    places = [os.environ.get("LICHEN_DATA"), Path(__file__).parents[4] / "shared" / "data"]
    for place in filter(None, places):
        path = Path(place) / "bike_sharing" / "hour.csv"
        if path.is_file():
            return path
    pytest.skip("no shared data: neither LICHEN_DATA nor ../shared/data holds bike_sharing/hour.csv")


def test_bike_rentals_of_the_last_month_are_told_from_the_weather(hours: Path, tmp_path: Path) -> None:
    session = duckdb.connect()
    session.execute("SET TimeZone = 'UTC'")
    wanted = ", ".join(f'{name}::DOUBLE AS "v.{name}"' for name in COLUMNS)
    rows = Table.from_arrow(
        session.sql(
            f"SELECT dteday::TIMESTAMPTZ + to_hours(hr) AS asked, asked + INTERVAL 1 HOUR AS known, cnt, {wanted} "
            f"FROM read_csv('{hours}')"
        )
    )
    model = Model.model_validate(
        {
            "task": "regression",
            "label": {"from": "hours", "value": "cnt", "at": "asked", "known": "known"},
            "features": ["v"],
            "validate": {"by": "time", "early_stop": "30d", "test": "30d"},
            "gate": {"r2": {"min": 0.5}},
        }
    )
    features = FeatureSet((), (), (), tuple(Column(f"v.{name}", "DOUBLE") for name in COLUMNS))
    engine = DuckDBEngine(scratch=tmp_path / "scratch")
    trained = train(
        model, features, Relation(arrow=rows), LightGBMLearner(), engine, tmp_path / "kept", clock=SystemClock()
    )
    found = evaluate(model, trained)
    december = session.sql(f"SELECT count(*) FROM read_csv('{hours}') WHERE dteday >= '2012-12-02'").fetchall()
    assert trained.split.rows["test"] == december[0][0]
    assert found.passed
    assert found.baseline.feature == "v.hr"
    assert found.values()["r2"] > found.baseline.feature_metrics["r2"] > found.baseline.constant_metrics["r2"]
