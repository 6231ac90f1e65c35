from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from lichen.evaluate.metrics import (
    METRICS,
    average_precision,
    bins,
    brier,
    calibration_error,
    log_loss,
    mae,
    r2,
    rmse,
    roc_auc,
)

# Few distinct scores, so that ties are the rule.
ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=2, max_size=60)


@settings(deadline=None)
@given(ROWS)
def test_the_metrics_of_two_classes_agree_with_scikit_learn(rows: list[tuple[bool, int, int]]) -> None:
    label = np.array([float(row[0]) for row in rows])
    score = np.array([row[1] / 6 for row in rows])
    weight = np.array([float(row[2]) for row in rows])
    both = 0 < (label * weight).sum() < weight.sum()
    for used in (None, weight) if both else (None,):
        if not 0 < label.sum() < len(label):
            continue
        assert roc_auc(label, score, used) == pytest.approx(
            sklearn_metrics.roc_auc_score(label, score, sample_weight=used)
        )
        assert average_precision(label, score, used) == pytest.approx(
            sklearn_metrics.average_precision_score(label, score, sample_weight=used)
        )
        assert brier(label, score, used) == pytest.approx(
            sklearn_metrics.brier_score_loss(label, score, sample_weight=used)
        )
        assert log_loss(label, score, used) == pytest.approx(
            sklearn_metrics.log_loss(label, score, sample_weight=used, labels=[0, 1])
        )


def test_the_metrics_of_numbers_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(0)
    label, weight = random.normal(size=500), random.integers(0, 4, 500).astype(float)
    score = label + random.normal(size=500)
    for used in (None, weight):
        assert rmse(label, score, used) == pytest.approx(
            sklearn_metrics.root_mean_squared_error(label, score, sample_weight=used)
        )
        assert mae(label, score, used) == pytest.approx(
            sklearn_metrics.mean_absolute_error(label, score, sample_weight=used)
        )
        assert r2(label, score, used) == pytest.approx(sklearn_metrics.r2_score(label, score, sample_weight=used))


def test_one_class_has_no_ranking() -> None:
    label, score = np.ones(3), np.array([0.1, 0.2, 0.3])
    assert math.isnan(roc_auc(label, score))
    assert math.isnan(average_precision(np.zeros(3), score))
    assert math.isnan(r2(label, score))
    nothing = np.empty(0)
    assert all(math.isnan(metric(nothing, nothing, None)) for metric in METRICS["classification"].values())


def test_the_calibration_error_is_the_mean_gap_over_bins_of_equal_size() -> None:
    score = np.repeat([0.2, 0.8], 500)
    label = np.concatenate([np.arange(500) < 150, np.arange(500) < 350]).astype(float)
    assert calibration_error(label, score) == pytest.approx(0.1)
    assert calibration_error(label, np.full(1000, 0.4)) == pytest.approx(0.1)
    assert np.bincount(bins(np.linspace(0, 1, 1500))).tolist() == [100] * 15
