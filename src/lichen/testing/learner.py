"""What every learner must do."""

from __future__ import annotations

import hashlib
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from arro3.core import Array, Table
from numpy.typing import NDArray

from lichen.errors import FoundWrong, LichenError
from lichen.ports import Contributing, Fitted, Learner, Matrix

NAMES = ("view.number", "view.odd", "other", "code", "rare")
CATEGORIES = {"code": 12, "rare": 3}
GENEROUS = 30.0
"""Seconds within which a budget of a fraction of one must end, however busy the machine."""


def matrix(rows: int, seed: int, task: str = "classification", *, labels: bool = True) -> Matrix:
    """Rows whose label hangs on a number, a number that is often missing, and a category."""
    random = np.random.default_rng(seed)
    number, odd, other = random.normal(size=rows), random.normal(size=rows) * 1e6, random.normal(size=rows)
    odd[random.random(rows) < 0.3] = np.nan
    code = random.integers(-1, 12, rows).astype(np.int32)
    rare = np.where(random.random(rows) < 0.98, -1, 2).astype(np.int32)
    signal = number + np.nan_to_num(odd / 1e6, nan=0.5) + np.where(code % 3 == 0, 1.0, -0.5) + random.normal(size=rows)
    label: NDArray[np.float64] = signal if task == "regression" else (signal > 0).astype(np.float64)
    return build([number, odd, other, code, rare], label if labels else None)


def build(columns: list[NDArray[Any]], label: NDArray[np.float64] | None) -> Matrix:
    """A matrix of the suite's columns."""
    given = [*columns, label] if label is not None else columns
    names = [*NAMES, "_label"] if label is not None else list(NAMES)
    arrays = [Array.from_numpy(np.ascontiguousarray(column)) for column in given]
    return Matrix(Table.from_arrays(arrays, names=names), NAMES, CATEGORIES)


def as_rows(given: Matrix) -> list[list[float]]:
    """The matrix's rows, as `compile_row`'s function takes them."""
    table = Table.from_arrow(given.rows)
    return [list(row) for row in zip(*(table.column(name).to_pylist() for name in given.names), strict=True)]


def scored(fitted: Fitted, given: Matrix) -> list[float]:
    """The predictions as Python numbers."""
    table = Table.from_arrow(fitted.predict(given))
    assert table.column_names == ["score"]
    found: list[float] = table.column("score").to_pylist()
    return found


def saved(fitted: Fitted, folder: Path) -> dict[str, str]:
    """The files `save` writes, each with its content's hash."""
    fitted.save(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert files
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class LearnerSuite(ABC):
    """Subclass it and say how to `make` your learner; `quick` and `slow` are parameters for it."""

    quick: ClassVar[Mapping[str, Any]] = {}
    """Parameters with which learning from a thousand rows takes well under a second."""

    slow: ClassVar[Mapping[str, Any]] = {}
    """Parameters with which learning would take minutes if the budget were not kept."""

    @abstractmethod
    def make(self) -> Learner:
        """A learner."""

    @pytest.fixture(params=["classification", "regression"])
    def task(self, request: pytest.FixtureRequest) -> str:
        """Each task that the learner knows."""
        task: str = request.param
        if task not in self.make().tasks:
            pytest.skip(f"it does not learn {task}")
        return task

    def fit(self, task: str = "classification", seed: int = 7, train: Matrix | None = None) -> Fitted:
        """A model of the suite's rows."""
        rows = train if train is not None else matrix(1000, 1, task)
        return self.make().fit(task, rows, matrix(400, 2, task), self.quick, seed=seed, seconds=None)

    def test_it_learns_what_can_be_told(self, task: str) -> None:
        given = matrix(1000, 3, task)
        label = np.asarray(Table.from_arrow(given.rows).column("_label").to_pylist())
        found = np.asarray(scored(self.fit(task), given))
        assert np.corrcoef(found, label)[0, 1] > 0.4

    def test_scores_are_finite_and_probabilities_where_classes_are_told(self, task: str) -> None:
        found = scored(self.fit(task), matrix(500, 3, task, labels=False))
        assert all(math.isfinite(score) for score in found)
        assert task == "regression" or all(0 <= score <= 1 for score in found)

    def test_the_same_rows_parameters_and_seed_give_the_same_model_to_the_bit(self, task: str, tmp_path: Path) -> None:
        first, second = self.fit(task), self.fit(task)
        given = matrix(500, 3, task)
        assert scored(first, given) == scored(second, given)
        assert saved(first, tmp_path / "first") == saved(second, tmp_path / "second")

    def test_a_model_saved_and_loaded_predicts_the_same_to_the_bit(self, task: str, tmp_path: Path) -> None:
        fitted, given = self.fit(task), matrix(500, 3, task)
        files = saved(fitted, tmp_path / "model")
        loaded = self.make().load(tmp_path / "model")
        assert scored(loaded, given) == scored(fitted, given)
        assert loaded.importances() == fitted.importances()
        assert saved(loaded, tmp_path / "again") == files

    def test_a_row_alone_scores_as_in_a_batch_to_the_bit(self, task: str, tmp_path: Path) -> None:
        fitted, given = self.fit(task), matrix(500, 3, task)
        expected = scored(fitted, given)
        row = fitted.compile_row()
        assert [row(values) for values in as_rows(given)] == expected
        fitted.save(tmp_path)
        assert [self.make().load(tmp_path).compile_row()(values) for values in as_rows(given)[:20]] == expected[:20]

    def test_contributions_add_up_to_the_margin_where_they_can_be_told(self, task: str, tmp_path: Path) -> None:
        fitted, given = self.fit(task), matrix(500, 3, task)
        if not getattr(self.make(), "contributes", False):
            assert not isinstance(fitted, Contributing)
            return
        assert isinstance(fitted, Contributing)
        told = Table.from_arrow(fitted.contributions(given))
        assert told.column_names == [*given.names, "base"]
        margins = sum(told.column(name).to_numpy() for name in told.column_names)
        scores = np.asarray(scored(fitted, given))
        meant = margins if task == "regression" else 1 / (1 + np.exp(-margins))
        assert np.abs(meant - scores).max() < 1e-9
        fitted.save(tmp_path)
        loaded, rows = self.make().load(tmp_path), Table.from_arrow(given.rows)
        assert isinstance(loaded, Contributing)
        for place in range(0, 500, 50):
            alone = Matrix(rows.slice(place, 1), given.names, given.categories)
            one = Table.from_arrow(loaded.contributions(alone))
            for name in told.column_names:
                assert one.column(name).to_pylist() == told.column(name).to_pylist()[place : place + 1]

    def test_two_row_functions_do_not_disturb_each_other(self) -> None:
        fitted, rows = self.fit(), as_rows(matrix(50, 3))
        first, second = fitted.compile_row(), fitted.compile_row()
        alone = [first(values) for values in rows]
        assert [(first(a), second(b)) for a, b in zip(rows, reversed(rows), strict=True)] == list(
            zip(alone, reversed(alone), strict=True)
        )

    def test_a_row_of_nothing_but_missing_values_scores(self, task: str) -> None:
        fitted = self.fit(task)
        blank = build([np.full(1, np.nan)] * 3 + [np.full(1, -1, np.int32)] * 2, None)
        (score,) = scored(fitted, blank)
        assert math.isfinite(score)
        assert fitted.compile_row()([math.nan, math.nan, math.nan, -1, -1]) == score

    def test_values_beyond_all_seen_score(self, task: str) -> None:
        fitted = self.fit(task)
        far = [math.inf, -math.inf, 1e308, -1e308, 5e-324]
        codes = [np.array([11, 0, -1, 5, 7], np.int32), np.array([2, -1, 0, 1, 2], np.int32)]
        rows = build([np.array(far)] * 3 + codes, None)
        found = scored(fitted, rows)
        assert all(math.isfinite(score) for score in found)
        assert [fitted.compile_row()(values) for values in as_rows(rows)] == found

    def test_a_column_without_any_value_is_learned_from_as_nothing(self) -> None:
        table = Table.from_arrow(matrix(1000, 1).rows)
        columns: list[NDArray[Any]] = [np.asarray(table.column(name).to_pylist()) for name in NAMES]
        columns[2], columns[4] = np.full(1000, np.nan), np.full(1000, -1)
        columns[3:] = [column.astype(np.int32) for column in columns[3:]]
        given = build(columns, np.asarray(table.column("_label").to_pylist()))
        fitted = self.fit(train=given)
        assert fitted.importances()["other"] == pytest.approx(0, abs=1e-9)
        assert all(math.isfinite(score) for score in scored(fitted, matrix(50, 3)))

    def test_no_rows_give_no_scores(self) -> None:
        assert scored(self.fit(), build([np.empty(0)] * 3 + [np.empty(0, np.int32)] * 2, None)) == []

    def test_importances_are_shares_of_one(self, task: str) -> None:
        found = self.fit(task).importances()
        assert tuple(found) == NAMES
        assert sum(found.values()) == pytest.approx(1, abs=1e-9)
        assert all(share >= 0 for share in found.values())
        assert found["view.number"] > found["other"]

    def test_training_without_early_stop_rows_works(self, task: str) -> None:
        fitted = self.make().fit(task, matrix(1000, 1, task), None, self.quick, seed=0, seconds=None)
        assert len(scored(fitted, matrix(50, 3, task))) == 50

    def test_rows_that_stop_nothing_early_change_nothing(self, task: str, tmp_path: Path) -> None:
        learner, train, held = self.make(), matrix(1000, 1, task), matrix(500, 2, task)
        if learner.stops_early(self.quick):
            pytest.skip("it stops early")
        fitted = [learner.fit(task, train, rows, self.quick, seed=0, seconds=None) for rows in (None, held)]
        assert saved(fitted[0], tmp_path / "without") == saved(fitted[1], tmp_path / "with")

    def test_parameters_are_helped_with_and_unknown_ones_and_tasks_refused(self) -> None:
        learner = self.make()
        assert all(line.strip().endswith(".") for line in learner.params.values())
        learner.check(self.quick)
        learner.check({})
        with pytest.raises(FoundWrong, match="no_such_parameter_"):
            learner.check({"no_such_parameter_": 1})
        with pytest.raises(FoundWrong, match="no_such_parameter_"):
            learner.fit("classification", matrix(50, 1), None, {"no_such_parameter_": 1}, seed=0, seconds=None)
        with pytest.raises(FoundWrong, match="clustering"):
            learner.fit("clustering", matrix(50, 1), None, self.quick, seed=0, seconds=None)

    def test_rows_that_nothing_can_be_learned_from_are_refused(self) -> None:
        refused: dict[str, NDArray[np.float64]] = {
            "no labelled row": np.empty(0),
            "every training label is 1": np.ones(60),
            "not two classes": np.arange(60, dtype=np.float64) % 3,
        }
        for said, label in refused.items():
            codes = np.zeros(len(label), np.int32)
            with pytest.raises(FoundWrong, match=said):
                self.fit(train=build([np.zeros(len(label))] * 3 + [codes] * 2, label))

    def test_rows_of_other_columns_are_refused(self) -> None:
        given = matrix(10, 1)
        with pytest.raises(LichenError, match="other columns"):
            self.fit().predict(Matrix(given.rows, NAMES[:-1], {"code": 12}))

    def test_the_budget_is_kept(self, task: str) -> None:
        started = time.perf_counter()
        fitted = self.make().fit(task, matrix(20_000, 1, task), None, self.slow, seed=0, seconds=0.2)
        assert time.perf_counter() - started < GENEROUS
        assert len(scored(fitted, matrix(50, 3, task))) == 50

    def test_a_damaged_file_is_refused(self, tmp_path: Path) -> None:
        files = saved(self.fit(), tmp_path)
        for name in files:
            path = tmp_path / name
            whole = path.read_bytes()
            for damage in (b"", b"not a model\n", b"\x80\x04\x95pickle", b"\xff" * 64, whole[: len(whole) // 2]):
                path.write_bytes(damage)
                with pytest.raises(LichenError, match="damaged"):
                    self.make().load(tmp_path)
            path.unlink()
            with pytest.raises(LichenError, match="cannot read the model"):
                self.make().load(tmp_path)
            path.write_bytes(whole)
        assert self.make().load(tmp_path)
