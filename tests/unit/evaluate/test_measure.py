from __future__ import annotations

import numpy as np
import pytest

from lichen.errors import FoundWrong
from lichen.evaluate.bootstrap import DAY
from lichen.evaluate.measure import measure


def test_a_bootstrap_of_days_is_wider_than_one_of_rows() -> None:
    random = np.random.default_rng(1)
    day = np.repeat(np.arange(40), 200)
    shift = random.normal(size=40)[day]
    score = np.full(8000, 0.3)
    label = (random.random(8000) < 1 / (1 + np.exp(1 - shift))).astype(float)
    by_day = measure("classification", label, score, day * DAY, only=["brier"])["brier"]
    by_row = measure("classification", label, score, np.arange(8000) * DAY, only=["brier"], draws=100)["brier"]
    assert by_day.low is not None
    assert by_day.high is not None
    assert by_row.low is not None
    assert by_row.high is not None
    assert by_day.low < by_day.value < by_day.high
    assert by_day.high - by_day.low > 2 * (by_row.high - by_row.low)


def test_the_same_seed_gives_the_same_intervals_whatever_the_order_of_rows() -> None:
    random = np.random.default_rng(2)
    score = random.random(600)
    label = (random.random(600) < score).astype(float)
    at = np.arange(600) * (DAY // 20)
    mixed = random.permutation(600)
    first = measure("classification", label, score, at, seed=3)
    assert first == measure("classification", label, score, at, seed=3)
    assert first["roc_auc"] == measure("classification", label[mixed], score[mixed], at[mixed], seed=3)["roc_auc"]
    assert first != measure("classification", label, score, at, seed=4)


def test_too_few_days_give_no_interval() -> None:
    label, score = np.array([0.0, 1.0] * 10), np.linspace(0, 1, 20)
    found = measure("classification", label, score, np.arange(20) * (DAY // 5))
    assert found["roc_auc"].low is None
    assert found["roc_auc"].value == pytest.approx(0.55)
    one_class_mostly = np.zeros(20)
    one_class_mostly[0] = 1
    assert measure("classification", one_class_mostly, score, np.arange(20) * DAY)["roc_auc"].low is None


def test_no_rows_are_refused() -> None:
    with pytest.raises(FoundWrong) as refusal:
        measure("regression", np.empty(0), np.empty(0), np.empty(0, np.int64))
    assert str(refusal.value) == ("LCH-2950: there is no row to measure a metric on\n  fix: lengthen `validate.test`")
