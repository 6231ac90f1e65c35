from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lichen.evaluate import bootstrap
from lichen.evaluate.bootstrap import DAY, Samples, interval
from lichen.evaluate.metrics import METRICS

# Few distinct scores and labels, so that ties and samples of one class are the rule.
ROWS = st.lists(st.tuples(st.integers(0, 7), st.booleans(), st.integers(0, 4)), min_size=1, max_size=60)


@settings(deadline=None, max_examples=50)
@given(ROWS, st.sampled_from([1, 10, 2_000_000]), st.sampled_from(sorted(METRICS)))
def test_what_days_add_is_what_each_samples_rows_give(rows, block, task) -> None:
    day, label, score = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    score = score / 4 if task == "classification" else score
    samples = Samples.of((day * DAY).astype(np.int64), seed=0, draws=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "_BLOCK", block)
        for metric in METRICS[task].values():
            each = [metric(label, score, counts[samples.day]) for counts in samples.counts]
            assert samples.measured(metric, label, score) == pytest.approx(np.array(each), abs=1e-12, nan_ok=True)


def test_more_days_than_pairs_are_kept_of_are_measured_one_sample_after_the_other() -> None:
    random = np.random.default_rng(0)
    rows = bootstrap.MOST_DAYS + 1
    label, score = (random.random(rows) < 0.5).astype(float), random.random(rows)
    samples = Samples.of(np.arange(rows) * DAY, seed=1, draws=3)
    for metric in METRICS["classification"].values():
        each = [metric(label, score, counts[samples.day]) for counts in samples.counts]
        assert samples.measured(metric, label, score) == pytest.approx(np.array(each))


def test_rows_of_one_day_come_together_and_every_sample_has_as_many_days() -> None:
    at = np.array([5 * DAY + 7, 5 * DAY + 9, 6 * DAY, 7 * DAY, 8 * DAY, 9 * DAY])
    samples = Samples.of(at, seed=0, draws=50)
    assert samples.day.tolist() == [0, 0, 1, 2, 3, 4]
    assert set(samples.counts.sum(axis=1)) == {5.0}
    assert not len(Samples.of(at[:4], seed=0, draws=50).counts)


def test_an_interval_is_given_where_nearly_all_samples_have_a_value() -> None:
    drawn = np.linspace(0, 1, 101)
    assert interval(0.5, drawn) == pytest.approx((0.025, 0.975))
    drawn[:11] = np.nan
    assert interval(0.5, drawn) is None
    assert interval(float("nan"), np.linspace(0, 1, 101)) is None
    assert interval(0.5, np.empty(0)) is None
