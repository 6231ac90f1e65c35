from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from lichen.ground.digest import canonical
from lichen.train.calibrate import FEWEST, Interval, Probability, from_dict, interval, probability

SCORES = st.lists(st.floats(0, 1) | st.just(math.nan), max_size=30)


def drawn(rows: int, wrong: Any, seed: int = 3) -> tuple[Any, Any]:
    """Labels of known probabilities, and scores that tell those wrongly."""
    random = np.random.default_rng([rows, seed])
    odds = random.normal(size=rows) * 1.5
    label = (random.random(rows) < 1 / (1 + np.exp(-odds))).astype(float)
    return label, 1 / (1 + np.exp(-wrong(odds)))


def loss(label: Any, score: Any) -> float:
    return float(-np.where(label > 0, np.log(score), np.log1p(-score)).mean())


def steep(odds: Any) -> Any:
    return 3 * odds + 1


def bent(odds: Any) -> Any:
    return np.where(odds > 0, odds * 4, odds * 0.2)


@pytest.mark.parametrize(("wrong", "method"), [(steep, "platt"), (bent, "isotonic"), (lambda odds: odds, "identity")])
def test_what_is_wrong_with_scores_is_put_right_by_what_fits_it(wrong: Any, method: str) -> None:
    made = probability(*drawn(8000, wrong))
    assert (made.method, made.rows) == (method, 8000)
    label, score = drawn(4000, wrong)
    after = np.array(made.many(score.tolist()))
    if method == "identity":
        assert after.tolist() == score.tolist()
    else:
        assert loss(label, after) < loss(label, score) - 0.02
        assert (np.diff(after[np.argsort(score, kind="stable")]) >= 0).all()


@pytest.mark.parametrize("wrong", [steep, bent, lambda odds: odds])
def test_one_row_and_many_have_the_same_probability_to_the_bit(wrong: Any) -> None:
    made = probability(*drawn(3000, wrong))
    again = from_dict(json.loads(canonical(made.as_dict())))
    assert again == made
    scores = [*drawn(2000, wrong)[1].tolist(), 0.0, 1.0, 5e-324, *made.scores, math.nan]
    assert [value.hex() for value in made.many(scores)] == [made.row(score).hex() for score in scores]
    assert [value.hex() for value in made.many(scores)] == [from_dict(made.as_dict()).row(s).hex() for s in scores]  # type: ignore[union-attr, arg-type]


@given(SCORES, st.lists(st.floats(0, 1), min_size=2, max_size=9, unique=True))
def test_steps_are_the_same_one_by_one_and_all_at_once(scores: list[float], knots: list[float]) -> None:
    made = Probability("isotonic", 200, tuple(sorted(knots)), tuple(np.linspace(0.1, 0.9, len(knots)).tolist()))
    assert [value.hex() for value in made.many(scores)] == [made.row(score).hex() for score in scores]


def test_steps_are_those_of_scikit_learn() -> None:
    label, score = drawn(4000, bent)
    score = np.round(score, 3)  # ties
    made = probability(label, score)
    theirs = IsotonicRegression(y_min=1 / 4002, y_max=1 - 1 / 4002, out_of_bounds="clip").fit(score, label)
    asked = np.linspace(-0.1, 1.1, 500)
    assert made.method == "isotonic"
    assert np.allclose(made.many(asked.tolist()), theirs.predict(asked), atol=1e-12)


def test_too_few_rows_or_one_class_leave_the_score_as_it_is() -> None:
    label, score = drawn(FEWEST - 1, steep)
    assert probability(label, score).method == "identity"
    label, score = drawn(1000, steep)
    label[:500] = 1.0
    assert probability(label, score) == Probability("identity", 1000)
    assert probability(np.empty(0), np.empty(0)).rows == 0
    assert probability(*drawn(1000, lambda odds: -odds)).method != "platt"  # the order of scores is not turned round


def test_an_interval_holds_the_share_of_labels_that_was_asked() -> None:
    random = np.random.default_rng(3)
    score = random.normal(size=20_000)
    label = score + random.exponential(size=20_000)
    for coverage in (0.5, 0.9, 0.99):
        made = interval(label[:10_000], score[:10_000], coverage)
        assert made is not None
        low, high = np.array(made.many(score[10_000:].tolist())).T
        assert abs(((label[10_000:] >= low) & (label[10_000:] <= high)).mean() - coverage) < 0.02
        assert made.low > 0  # the residuals are all above the score, and so is the interval


def test_an_interval_of_few_rows_is_as_wide_as_their_number_tells() -> None:
    label = np.arange(19.0)
    assert interval(label, np.zeros(19), 0.9) == Interval(0.9, 19, 0.0, 18.0)
    assert interval(label[:18], np.zeros(18), 0.9) is None
    assert interval(np.empty(0), np.empty(0), 0.9) is None


@given(st.lists(st.floats(allow_nan=False), max_size=20))
def test_one_row_and_many_have_the_same_interval_to_the_bit(scores: list[float]) -> None:
    made = Interval(0.9, 100, -0.1, 1 / 3)
    assert from_dict(json.loads(canonical(made.as_dict()))) == made
    assert made.many(scores) == [made.row(score) for score in scores]


def test_a_model_without_a_calibration_has_none() -> None:
    assert from_dict(None) is None
