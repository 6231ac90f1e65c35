from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from arro3.core import Table

from lichen.backends.duckdb import DuckDBEngine
from lichen.backends.lightgbm import LightGBMLearner
from lichen.errors import FoundWrong
from lichen.evaluate.baseline import baseline
from lichen.evaluate.card import card
from lichen.evaluate.evaluation import calibration, evaluate
from lichen.evaluate.single import singles
from lichen.feature.featureset import FeatureSet
from lichen.ground.clock import SystemClock
from lichen.ports import Column, Relation
from lichen.spec import Model
from lichen.train.fit import Trained, train

ROWS = """
SELECT TIMESTAMPTZ '2013-01-01 00:00:00+00' + to_minutes(i * 20) AS asked, asked + INTERVAL 3 HOUR AS known,
  CASE WHEN i % 50 = 0 THEN NULL ELSE x + noise > 5 END AS late, x + noise AS delay, 'c|' || (i % 3) AS carrier,
  CASE WHEN i % 9 = 0 THEN NULL ELSE x END AS "v.x", hash(i + 1) % 100 AS "v.noise", kind AS "v.kind"
FROM (SELECT i, (hash(i) % 100) / 10.0 AS x, (hash(i * 7) % 40) / 10.0 - 2 AS noise, 'k' || hash(i * 5) % 4 AS kind
  FROM range(9000) AS r(i))
"""
FEATURES = (Column("v.noise", "UBIGINT"), Column("v.x", "DOUBLE"), Column("v.kind", "VARCHAR"))


def model(**changes: Any) -> Model:
    written = {
        "description": "Will it be late? <b>Ask</b> | here.",
        "task": "classification",
        "label": {"from": "labels", "value": "late", "at": "asked", "known": "known"},
        "features": ["v"],
        "params": {"num_iterations": 30},
        "validate": {"by": "time", "early_stop": "20d", "test": "30d"},
        "gate": {"roc_auc": {"min": 0.6, "no_worse_than_live": 0.002}, "calibration_error": {"max": 0.1}},
        "slices": ["carrier"],
    }
    return Model.model_validate({**written, **changes})


def trained_by(asked: Model, folder: Path) -> Trained:
    session = duckdb.connect()
    session.execute("SET TimeZone = 'UTC'")
    rows = Table.from_arrow(session.sql(ROWS))
    engine = DuckDBEngine(scratch=folder / "scratch")
    features = FeatureSet((), (), (), FEATURES)
    return train(
        asked, features, Relation(arrow=rows), LightGBMLearner(), engine, folder / "artifacts", clock=SystemClock()
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained_by(model(), tmp_path_factory.mktemp("trained"))


def test_an_evaluation_judges_the_test_rows(trained: Trained) -> None:
    found = evaluate(model(), trained)
    assert found.passed
    assert found.values()["roc_auc"] > 0.85
    assert found.baseline.constant_metrics["roc_auc"] == 0.5
    assert found.baseline.constant_metrics["average_precision"] == pytest.approx(trained.test.label.mean())
    assert {one.column for one in found.slices.found} == {"carrier"}
    assert sum(one.rows for one in found.calibration) == trained.split.rows["test"]
    assert found == evaluate(model(), trained)


def test_a_rule_that_fails_holds_the_model(trained: Trained) -> None:
    found = evaluate(model(gate={"roc_auc": {"min": 0.99, "no_worse_than_live": 0.1}, "brier": {"max": 0.5}}), trained)
    assert not found.passed
    assert [(one.metric, one.rule, one.passed) for one in found.verdicts] == [
        ("roc_auc", "min", False),
        ("brier", "max", True),
    ]


def test_a_gate_of_another_task_is_refused(trained: Trained) -> None:
    with pytest.raises(FoundWrong, match="`rmse`, which is no metric of classification"):
        evaluate(model(gate={"rmse": {"max": 1}}), trained)


def test_the_best_single_feature_is_found_without_the_test_rows(trained: Trained) -> None:
    found = baseline("classification", trained, singles("classification", trained))
    assert found.feature == "v.x"
    assert found.feature_metrics["roc_auc"] > 0.8
    train_labels = np.asarray(Table.from_arrow(trained.parts["train"].rows).column("_label").to_numpy())
    assert found.constant == pytest.approx(train_labels.mean())


def test_equal_scores_share_a_bin_of_the_calibration_table() -> None:
    (one,) = calibration(np.array([0.0, 1.0, 1.0, 1.0]), np.full(4, 0.5))
    assert (one.rows, one.score, one.label) == (4, 0.5, 0.75)


def test_the_card_tells_what_a_reader_must_know(trained: Trained) -> None:
    made = card("late_arrival", model(), trained, evaluate(model(), trained), version="v1", fingerprint="f1")
    assert json.loads(json.dumps(made.facts)) == made.facts
    text = made.markdown()
    for part in (
        "# late_arrival\n",
        "Will it be late? &lt;b>Ask&lt;/b> \\| here.",
        "The probability that `late` of `labels` is true, asked at `asked`.",
        "| test | 2013-04-06 to 2013-05-05 |",
        "- 180 rows without a label",
        "| metric | model | `v.x` alone | always ",
        "| roc_auc | 0.",
        "| holds | roc_auc | min | roc_auc is 0.",
        "| `v.x` | ",
        "| carrier | c\\|",
        "- The gate judged on these test rows",
        "- The test covers 2013-04-06 to 2013-05-05",
        "| Version | v1 |",
    ):
        assert part in text, part
    assert all(line.count(" | ") == 1 for line in text.splitlines() if line.startswith("| `v."))


def test_the_card_of_a_regression_without_gate_and_slices(tmp_path: Path) -> None:
    label = {"from": "labels", "value": "delay", "at": "asked", "known": "known"}
    asked = model(task="regression", label=label, gate={}, slices=[], description=None)
    found = trained_by(asked, tmp_path)
    evaluation = evaluate(asked, found)
    assert evaluation.values()["r2"] > 0.5
    assert evaluation.baseline.constant_metrics["r2"] == pytest.approx(0, abs=0.02)
    text = card("delay", asked, found, evaluation).markdown()
    assert "The value of `delay` of `labels`, asked at `asked`." in text
    assert "The model has no gate." in text
    assert "Slices" not in text


def test_without_early_stop_rows_nothing_is_said_of_them(tmp_path: Path) -> None:
    asked = model(validate={"test": "30d"}, params={"num_iterations": 30, "early_stopping_round": 0})
    trained = trained_by(asked, tmp_path)
    evaluation = evaluate(asked, trained)
    assert evaluation.baseline.feature == "v.x"
    shown = card("late", asked, trained, evaluation, version="1", fingerprint="2").markdown()
    assert "| train | before " in shown
    assert "| early stop |" not in shown


def test_a_vector_is_one_feature_of_the_card(tmp_path: Path) -> None:
    session = duckdb.connect()
    session.execute("SET TimeZone = 'UTC'")
    rows = Table.from_arrow(session.sql(f'SELECT *, ["v.noise", "v.x", NULL]::FLOAT[3] AS "v.e" FROM ({ROWS})'))
    features = FeatureSet((), (), (), (Column("v.e", "FLOAT[3]"), Column("v.noise", "UBIGINT")))
    engine, asked = DuckDBEngine(scratch=tmp_path / "scratch"), model()
    found = train(
        asked, features, Relation(arrow=rows), LightGBMLearner(), engine, tmp_path / "artifacts", clock=SystemClock()
    )
    judged = evaluate(asked, found)
    assert judged.baseline.feature == "v.e[1]"
    made = card("late", asked, found, judged)
    first, second = made.facts["features"]
    assert (first["name"], second["name"], len(first["elements"])) == ("v.e", "v.noise", 3)
    assert first["importance"] == sum(first["elements"])
    assert first["importance"] + second["importance"] == pytest.approx(1)
    assert f"| `v.e` (3 numbers; `[1]` {first['elements'][1]:.1%}) | {first['importance']:.1%} |" in made.markdown()
