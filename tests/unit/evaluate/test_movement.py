from __future__ import annotations

import math

import numpy as np
import pytest

from lichen.evaluate.bootstrap import DAY
from lichen.evaluate.metrics import roc_auc
from lichen.evaluate.movement import Rows, movement, operating_threshold


def rows(count: int, move: float, seed: int = 3) -> Rows:
    random = np.random.default_rng(seed)
    before = random.random(count)
    label = (random.random(count) < before).astype(np.float64)
    after = np.clip(before + move * random.standard_normal(count), 0, 1)
    return Rows(label, before, after, np.sort(random.integers(0, 30, count)) * DAY)


def test_nothing_moves_where_nothing_changed() -> None:
    one = rows(500, 0.0)
    made = movement("classification", one)
    assert (made.rows, made.moved, made.mean, made.flipped) == (500, 0.0, 0.0, 0)
    auc = made.metrics["roc_auc"]
    assert (auc.gained, auc.low, auc.high, auc.told_apart) == (0.0, 0.0, 0.0, False)
    assert auc.before == roc_auc(one.label, one.before)


def test_the_move_is_counted_as_it_is() -> None:
    label = np.array([1.0, 0.0, 0.0, 1.0])
    before, after = np.array([0.9, 0.1, 0.2, 0.8]), np.array([0.9, 0.105, 0.2, 0.1])
    made = movement("classification", Rows(label, before, after, np.zeros(4, np.int64)), came=1, went=2, relabelled=3)
    assert (made.moved, made.moved_much, made.mean) == (0.5, 0.25, pytest.approx(0.17625))
    assert (made.threshold, made.flipped, made.came, made.went, made.relabelled) == (0.8, 1, 1, 2, 3)
    assert made.metrics["roc_auc"].low is None
    assert made.as_dict()["metrics"]["roc_auc"]["gained"] == made.metrics["roc_auc"].gained


def test_a_model_that_got_worse_is_told_apart() -> None:
    made = movement("classification", rows(4000, 1.0))
    auc = made.metrics["roc_auc"]
    assert auc.told_apart
    assert auc.low is not None
    assert auc.low < auc.gained < 0


def test_a_regression_has_no_decisions() -> None:
    made = movement("regression", rows(300, 0.1), only=["rmse"])
    assert (made.threshold, made.flipped, list(made.metrics)) == (None, None, ["rmse"])


def test_no_rows_at_all() -> None:
    none = np.empty(0)
    made = movement("classification", Rows(none, none, none, np.empty(0, np.int64)), went=5)
    assert (made.rows, made.went, made.metrics, made.flipped) == (0, 5, {}, None)
    assert math.isnan(made.mean)


def test_the_threshold_says_yes_as_often_as_it_is_true() -> None:
    one = rows(1000, 0.0)
    threshold = operating_threshold(one.label, one.before)
    assert (one.before >= threshold).sum() == one.label.sum()
    assert operating_threshold(np.zeros(3), np.array([0.1, 0.3, 0.2])) == 0.3
