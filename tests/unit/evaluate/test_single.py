from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lichen.evaluate.metrics import r2, roc_auc
from lichen.evaluate.single import LabelMeans
from lichen.ports import Matrix

NUMBERS = Matrix(rows=None, names=("x",), categories={})
WORDS = Matrix(rows=None, names=("x",), categories={"x": 3})


@given(st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 1.0, 2.0, np.nan]), st.booleans()), min_size=2, max_size=40))
def test_what_a_feature_tells_is_the_metric_of_its_bins_means(rows) -> None:
    values, labels = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    means = LabelMeans.of(NUMBERS, "x", values, labels, float(labels.mean()))
    expected = roc_auc(labels, means.predict(values))
    assert means.tells("classification", values, labels) == pytest.approx(expected, nan_ok=True)
    assert means.tells("regression", values, labels) == pytest.approx(r2(labels, means.predict(values)), nan_ok=True)


def test_few_rows_of_a_bin_are_drawn_to_the_mean_and_a_missing_value_has_a_bin_of_its_own() -> None:
    values, labels = np.array([0.0, 0.0, 2.0, -1.0]), np.array([1.0, 1.0, 0.0, 0.0])
    means = LabelMeans.of(WORDS, "x", values, labels, 0.5)
    assert means.predict(np.array([0.0, 1.0, 2.0, -1.0])).tolist() == [12 / 22, 0.5, 10 / 21, 10 / 21]
