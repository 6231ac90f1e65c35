from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from arro3.core import Array, Table

from lichen.backends.sklearn import ForestLearner, LogisticLearner
from lichen.errors import FoundWrong, SystemFailed
from lichen.ports import Contributing, Learner
from lichen.testing.learner import LearnerSuite, as_rows, build, matrix, scored


class TestLogisticLearner(LearnerSuite):
    slow: ClassVar = {"max_iter": 100_000, "C": 1e9}

    def make(self) -> Learner:
        return LogisticLearner()


class TestForestLearner(LearnerSuite):
    quick: ClassVar = {"n_estimators": 20, "min_samples_leaf": 5, "max_features": 0.6}
    slow: ClassVar = {"n_estimators": 10_000}

    def make(self) -> Learner:
        return ForestLearner()


def test_the_logistic_terms_say_what_the_pipeline_says(tmp_path: Path) -> None:
    from skops.io import load

    fitted = TestLogisticLearner().fit()
    fitted.save(tmp_path)
    pipeline = load(tmp_path / "model.skops", trusted=["numpy.dtype"])
    given = matrix(500, 3)
    found = pipeline.predict_proba(np.asarray(as_rows(given)))[:, 1]
    assert np.allclose(found, scored(fitted, given), rtol=0, atol=1e-12)


def test_the_forest_says_what_scikit_learn_says(tmp_path: Path) -> None:
    from skops.io import load

    fitted = TestForestLearner().fit()
    fitted.save(tmp_path)
    forest = load(tmp_path / "model.skops", trusted=["sklearn.tree._tree.Tree"]).set_params(n_jobs=1)
    given = matrix(500, 3)
    rows = np.asarray(as_rows(given))
    rows[:, 3:] = np.where(rows[:, 3:] < 0, np.nan, rows[:, 3:])
    assert forest.predict_proba(rows)[:, 1].tolist() == scored(fitted, given)


@pytest.mark.parametrize("columns", [{"number"}, {"code"}])
def test_numbers_alone_and_categories_alone_are_learned_from(columns: set[str]) -> None:
    from lichen.ports import Matrix

    random = np.random.default_rng(0)
    codes = random.integers(-1, 3, 300).astype(np.int32)
    values = codes if columns == {"code"} else codes.astype(np.float64)
    rows = Table.from_arrays([Array.from_numpy(values), Array.from_numpy((codes > 0) * 1.0)], names=["x", "_label"])
    given = Matrix(rows, ("x",), {"x": 3} if columns == {"code"} else {})
    fitted = LogisticLearner().fit("classification", given, None, {}, seed=0, seconds=None)
    assert np.corrcoef(scored(fitted, given), codes > 0)[0, 1] > 0.8
    assert fitted.importances() == {"x": 1.0}


def test_numbers_of_which_none_is_missing_are_learned_from_beside_categories() -> None:
    given = matrix(300, 5)
    table = Table.from_arrow(given.rows)
    whole = {
        n: np.nan_to_num(table.column(n).to_numpy().astype(float)) for n in given.names if n not in given.categories
    }
    kept = [Array.from_numpy(whole[n]) if n in whole else table.column(n) for n in table.column_names]
    rows = Table.from_arrays(kept, names=table.column_names)
    fitted = LogisticLearner().fit("classification", replace(given, rows=rows), None, {}, seed=0, seconds=None)
    assert all(map(np.isfinite, scored(fitted, given)))  # what is missing later is taken for the mean


def test_categories_beyond_the_most_have_no_coefficient() -> None:
    given = matrix(1000, 1)
    fitted = LogisticLearner().fit("classification", given, None, {"max_categories": 1}, seed=0, seconds=None)
    row = fitted.compile_row()
    assert len({row([0.0, 0.0, 0.0, code, -1]) for code in range(-1, 12)}) == 2


def test_logistic_regression_tells_classes_only() -> None:
    with pytest.raises(FoundWrong) as refusal:
        LogisticLearner().fit("regression", matrix(50, 1, "regression"), None, {}, seed=0, seconds=None)
    assert str(refusal.value) == (
        "LCH-2705: `logistic` cannot learn regression\n  why: it learns classification\n  fix: choose another `learner`"
    )


def test_a_parameter_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(FoundWrong, match="the parameter `balanced` is 1") as refusal:
        ForestLearner().fit("classification", matrix(50, 1), None, {"balanced": 1}, seed=0, seconds=None)
    assert refusal.value.fix == "give it true or false"


@pytest.mark.parametrize("learner", [LogisticLearner(), ForestLearner()])
def test_another_kind_of_model_is_refused(tmp_path: Path, learner: LogisticLearner | ForestLearner) -> None:
    from skops.io import dump

    LearnerSuite.fit(TestLogisticLearner()).save(tmp_path)
    dump({"a": 1}, tmp_path / "model.skops")
    with pytest.raises(SystemFailed, match="damaged") as refusal:
        learner.load(tmp_path)
    assert refusal.value.why is not None
    assert refusal.value.why.startswith("it is not a")


def test_a_file_with_a_type_of_its_own_is_refused(tmp_path: Path) -> None:
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer
    from skops.io import dump

    TestLogisticLearner().fit().save(tmp_path)
    dump(Pipeline([("run", FunctionTransformer(Path.unlink))]), tmp_path / "model.skops")
    with pytest.raises(SystemFailed) as refusal:
        LogisticLearner().load(tmp_path)
    assert refusal.value.why is not None
    assert refusal.value.why.startswith("it holds types that its learner never writes: pathlib")


def test_a_compressed_file_is_refused(tmp_path: Path) -> None:
    TestLogisticLearner().fit().save(tmp_path)
    with zipfile.ZipFile(tmp_path / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "0" * 10_000_000)
    with pytest.raises(SystemFailed) as refusal:
        LogisticLearner().load(tmp_path)
    assert refusal.value.why == "it is compressed, and no model of ours is"


def test_a_forest_of_other_columns_is_refused(tmp_path: Path) -> None:
    TestForestLearner().fit().save(tmp_path)
    (tmp_path / "columns.json").write_text('{"task": "classification", "names": ["a"], "categories": {}}')
    with pytest.raises(SystemFailed) as refusal:
        ForestLearner().load(tmp_path)
    assert refusal.value.why == "it is not a forest for classification of 1 columns"


def test_rows_without_a_column_are_refused() -> None:
    from lichen.errors import WrongUsage
    from lichen.ports import Matrix

    fitted = TestForestLearner().fit()
    given = matrix(10, 1)
    from arro3.core import Table

    fewer = Table.from_arrow(given.rows).select(["view.number", "view.odd", "other", "code"])
    with pytest.raises(WrongUsage) as refusal:
        fitted.predict(Matrix(fewer, given.names, given.categories))
    assert refusal.value.what == "the rows have no column `rare`"


def test_labels_that_are_no_numbers_and_matrices_without_columns_are_refused() -> None:
    from lichen.ports import Matrix

    columns = [np.zeros(50)] * 3 + [np.zeros(50, np.int32)] * 2
    with pytest.raises(FoundWrong, match="a training label is not a finite number"):
        ForestLearner().fit("regression", build(columns, np.full(50, np.nan)), None, {}, seed=0, seconds=None)
    given = matrix(50, 1)
    with pytest.raises(FoundWrong, match="`forest` was given no feature to learn from"):
        ForestLearner().fit("classification", Matrix(given.rows, (), {}), None, {}, seed=0, seconds=None)


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = (
        "import pathlib, sys;"
        "from lichen.backends.sklearn import ForestLearner, LogisticLearner; from lichen.testing.learner import matrix;"
        "[learner().fit('classification', matrix(500, 1), None, {}, seed=0, seconds=None)"
        ".save(pathlib.Path(sys.argv[1]) / learner.__name__) for learner in (ForestLearner, LogisticLearner)]"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "there")], check=True, capture_output=True)
    for learner in (ForestLearner, LogisticLearner):
        here = tmp_path / "here" / learner.__name__
        learner().fit("classification", matrix(500, 1), None, {}, seed=0, seconds=None).save(here)
        there = tmp_path / "there" / learner.__name__
        assert (here / "model.skops").read_bytes() == (there / "model.skops").read_bytes()


def test_contributions_of_a_mean_row_are_nothing_and_an_older_model_has_none(tmp_path: Path) -> None:
    train = matrix(1000, 1)
    fitted = LogisticLearner().fit("classification", train, None, {}, seed=1, seconds=None)
    told = Table.from_arrow(fitted.contributions(train))
    for name in train.names:
        assert abs(told.column(name).to_numpy().mean()) < 1e-12, name
    fitted.save(tmp_path)
    columns = json.loads((tmp_path / "columns.json").read_text())
    assert len(columns.pop("means")) == len(train.names)
    (tmp_path / "columns.json").write_text(json.dumps(columns))
    older = LogisticLearner().load(tmp_path)
    assert not isinstance(older, Contributing)
    assert scored(older, train) == scored(fitted, train)
