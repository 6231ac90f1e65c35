from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arro3.core import Table

from lichen.backends.learning import scores
from lichen.backends.lightgbm import LightGBMLearner
from lichen.backends.sklearn import ForestLearner, LogisticLearner
from lichen.errors import FoundWrong, SystemFailed
from lichen.ports import Arrow, Engine, Matrix, Relation
from lichen.train.artifact import described, load
from lichen.train.calibrate import Interval, Probability, from_dict
from lichen.train.fit import Trained, compiled, score, train

from .conftest import CLOCK, feature_set, model, rows

LEARNERS = {"lightgbm": LightGBMLearner, "logistic": LogisticLearner, "forest": ForestLearner}


def learn(
    engine: Engine, folder: Path, learner: str = "lightgbm", wrap: str = "FROM rows", **changes: object
) -> Trained:
    params = {"lightgbm": {"num_iterations": 20, "min_data_in_leaf": 5}, "forest": {"n_estimators": 10}}
    asked = model(learner=learner, **{"params": params.get(learner, {}), **changes})
    return train(
        asked, feature_set(), Relation(arrow=rows(2400, wrap)), LEARNERS[learner](), engine, folder, clock=CLOCK
    )


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_kept_model_answers_rows_as_training_scored_them(engine: Engine, tmp_path: Path, learner: str) -> None:
    trained = learn(engine, tmp_path / "artifacts", learner)
    preparation, fitted = load(trained.folder, trained.digest, lambda name: LEARNERS[name]())
    assert preparation == trained.preparation
    answer = compiled(preparation, fitted)
    test = Table.from_arrow(rows(2400, "SELECT * FROM rows WHERE i >= 1920 AND late IS NOT NULL ORDER BY i"))
    values = zip(*(test.column(name).to_pylist() for name in preparation.names), strict=True)
    assert [answer(row) for row in values] == trained.test.score.tolist()
    assert test.column("late").to_pylist() == trained.test.label.tolist()
    assert np.array_equal(score(fitted, trained.parts["test"]), trained.test.score)


def test_the_same_rows_give_the_same_artifact_and_nothing_else(engine: Engine, tmp_path: Path) -> None:
    first = learn(engine, tmp_path / "artifacts")
    second = learn(engine, tmp_path / "artifacts")
    assert first.digest == second.digest == learn(engine, tmp_path / "elsewhere").digest
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == [first.digest]
    drawn = {"bagging_fraction": 0.5, "bagging_freq": 1}
    assert learn(engine, tmp_path / "artifacts", seed=1, params=drawn).digest != first.digest


def test_each_part_holds_the_rows_that_the_split_counted(engine: Engine, tmp_path: Path) -> None:
    trained = learn(engine, tmp_path / "artifacts")
    held = {part: Table.from_arrow(matrix.rows).num_rows for part, matrix in trained.parts.items()}
    assert held == trained.split.rows


def test_excluded_features_are_not_read_and_slices_need_not_be_features(engine: Engine, tmp_path: Path) -> None:
    trained = learn(engine, tmp_path / "artifacts", exclude=["v.carrier"], slices=["v.carrier", "i"])
    assert "v.carrier" not in trained.preparation.names
    assert trained.test.slices["i"][:3] == [1920, 1921, 1922]


def test_regression_learns_numbers(engine: Engine, tmp_path: Path) -> None:
    label = {"from": "labels", "value": "delay", "at": "at", "known": "known"}
    trained = learn(engine, tmp_path / "artifacts", task="regression", label=label)
    assert np.corrcoef(trained.test.label, trained.test.score)[0, 1] > 0.7


class Wild(LightGBMLearner):
    """Learns to predict what is no number."""

    def fit(self, *given: Any, **more: Any) -> Any:
        super().fit(*given, **more)
        return self

    def predict(self, matrix: Matrix) -> Arrow:
        found = np.zeros(Table.from_arrow(matrix.rows).num_rows)
        found[:3] = [np.nan, np.inf, -np.inf]
        return scores(found)


def test_a_model_that_predicts_what_is_no_number_is_refused(engine: Engine, tmp_path: Path) -> None:
    given = Relation(arrow=rows(2400, "FROM rows"))
    with pytest.raises(FoundWrong) as refusal:
        train(model(), feature_set(), given, Wild(), engine, tmp_path / "artifacts", clock=CLOCK)
    assert str(refusal.value) == (
        "LCH-2931: `lightgbm` learned to predict what is no finite number, in 3 of 468 test rows\n"
        "  why: nothing can be said of how good such a model is\n"
        "  fix: look for values in the label and the features that are out of all proportion, and give them a `range` "
        "in a contract"
    )


def test_a_column_that_the_rows_lack_is_named(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(FoundWrong) as refusal:
        learn(engine, tmp_path / "artifacts", wrap='SELECT * RENAME ("v.n" AS "v.nn") FROM rows')
    assert str(refusal.value) == (
        "LCH-2930: the training rows have no column `v.n`\n  why: the model's `features` names it\n"
        "  fix: did you mean `v.nn` or `v.x`?"
    )
    with pytest.raises(FoundWrong, match="no column `carier`"):
        learn(engine, tmp_path / "artifacts", slices=["carier"])


def test_a_refused_training_leaves_nothing_behind(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(FoundWrong, match="every training label is 0"):
        learn(engine, tmp_path / "artifacts", wrap="SELECT * REPLACE (false AS late) FROM rows")
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_what_a_score_means_is_learned_from_the_early_stop_rows_and_kept(engine: Engine, tmp_path: Path) -> None:
    trained = learn(engine, tmp_path / "artifacts")
    assert isinstance(trained.calibration, Probability)
    assert trained.calibration.rows == trained.split.rows["early_stop"] > 0
    assert from_dict(described(trained.folder, trained.digest)["calibration"]) == trained.calibration
    label = {"from": "labels", "value": "delay", "at": "at", "known": "known"}
    number = learn(engine, tmp_path / "artifacts", task="regression", label=label)
    wider = learn(engine, tmp_path / "artifacts", task="regression", label=label, coverage=0.99)
    made, more = number.calibration, wider.calibration
    assert isinstance(made, Interval)
    assert isinstance(more, Interval)
    assert more.low < made.low < made.high < more.high
    assert number.digest != wider.digest
    held = (number.test.label >= number.test.score + made.low) & (number.test.label <= number.test.score + made.high)
    assert held.mean() > 0.85  # of labels that are few values, more lie inside


def test_without_early_stop_rows_a_score_stays_and_a_number_has_no_interval(engine: Engine, tmp_path: Path) -> None:
    spans = {"by": "time", "test": "20d"}
    trained = learn(engine, tmp_path / "artifacts", "logistic", validate=spans)
    assert trained.calibration == Probability("identity", 0)
    params = {"n_estimators": 10}
    label = {"from": "labels", "value": "delay", "at": "at", "known": "known"}
    number = learn(engine, tmp_path, "forest", validate=spans, params=params, task="regression", label=label)
    assert number.calibration is None


def test_a_manifest_that_is_not_what_its_digest_says_is_refused(engine: Engine, tmp_path: Path) -> None:
    trained = learn(engine, tmp_path / "artifacts")
    path = trained.folder / "manifest.json"
    path.write_text(path.read_text().replace('"rows":', '"rows" :', 1))
    with pytest.raises(SystemFailed, match=r"`manifest\.json` is not what its digest says"):
        described(trained.folder, trained.digest)
