from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from lichen.evaluate.metrics import METRICS, roc_auc
from lichen.monitor.cohort import instant
from lichen.monitor.outcome import cohorts_of, outcome
from lichen.monitor.sample import DAY

START = instant(datetime(2026, 1, 5, tzinfo=UTC))
HOUR = 3_600_000_000
WEEK, WAIT = timedelta(days=7), timedelta(days=2)


def ask(
    engine,
    rows,
    *,
    now: int,
    wait: timedelta | None = WAIT,
    length: timedelta = WEEK,
    seed: int = 0,
    task="classification",
):
    cohorts = cohorts_of(rows, engine, now=now, length=length, since=START)
    return outcome(rows, engine, cohorts=cohorts, now=now, wait=wait, seed=seed, task=task)


def played(random, days: int, a_day: int) -> dict[str, np.ndarray]:
    """Predictions of a fair model; bad news comes late: a late label 30 hours after asking, a good one after 3."""
    at = START + np.repeat(np.arange(days), a_day) * DAY + random.integers(0, DAY, days * a_day)
    score = random.uniform(0, 0.6, len(at))
    label = (random.uniform(size=len(at)) < score).astype(float)
    return {"at": at, "score": score, "label": label, "known": at + np.where(label == 1, 30, 3) * HOUR}


def test_each_prediction_is_labelled_closed_or_pending(engine, store):
    at = START + np.array([0, 1, 2, 3, 4, 5]) * HOUR
    rows = store(
        {
            "at": at,
            "score": [0.1, 0.2, 0.3, 0.4, None, float("nan")],
            "label": [True, False, None, True, True, True],
            # in time; after the wait; never; without an instant
            "known": np.array([at[0] + HOUR, at[1] + 3 * DAY, -1, -1, at[4], at[5]]),
        },
        instants=("at", "known"),
    )
    early, late = (ask(engine, rows, now=START + hours * HOUR)[0] for hours in (6, 24 * 8))
    assert (early.predictions, early.labelled, early.pending, early.closed, early.unscored) == (4, 1, 3, 0, 2)
    assert (late.predictions, late.labelled, late.pending, late.closed, late.unscored) == (4, 1, 0, 3, 2)
    assert (early.state, late.state) == ("open", "mature")
    assert early.scores is None
    assert late.scores.metrics["roc_auc"] is None
    assert (late.scores.mean_label, late.scores.mean_score, late.scores.metrics["brier"]) == (
        1.0,
        0.1,
        pytest.approx(0.81),
    )


def test_numbers_that_are_not_finite_or_too_large_are_no_metric_and_no_warning(engine, store):
    columns = played(np.random.default_rng(0), 7, 100)
    columns["label"][:3] = [np.inf, -np.inf, np.nan]
    columns["score"][3] = np.inf
    rows = store(columns, instants=("at", "known"))
    (cohort, _) = ask(engine, rows, now=START + 10 * DAY, task="regression")
    assert (cohort.labelled, cohort.closed, cohort.unscored) == (696, 3, 1)
    assert cohort.scores.intervals["rmse"][1] < 1
    columns["label"][4:6] = 1e300
    rows = store(columns, instants=("at", "known"))
    (cohort, _) = ask(engine, rows, now=START + 10 * DAY, task="regression")
    assert (cohort.scores.metrics["rmse"], cohort.scores.metrics["r2"], cohort.scores.intervals) == (None, None, {})
    assert cohort.scores.mean_label == pytest.approx(2e300 / 696)


def test_a_cohort_has_no_metric_while_early_labels_lie(engine, store):
    columns = played(np.random.default_rng(0), 14, 100)
    rows = store(columns, instants=("at", "known"))
    first, second, _ = ask(engine, rows, now=START + 14 * DAY + HOUR)
    assert (first.state, second.state) == ("mature", "immature")
    assert second.scores is None
    assert 0 < second.pending < second.predictions == 700
    final = ask(engine, rows, now=START + 16 * DAY)[1]
    assert (final.state, final.labelled) == ("mature", 700)
    # The labels that had come after an hour make the world look better than it is.
    known = (columns["known"] <= START + 14 * DAY + HOUR) & (columns["at"] >= START + 13 * DAY)
    assert columns["label"][known].mean() < final.scores.mean_label / 2


def test_a_mature_cohort_never_changes_and_its_numbers_are_those_of_its_rows(engine, store):
    columns = played(np.random.default_rng(1), 14, 150)
    rows = store(columns, instants=("at", "known"))
    once, again = (ask(engine, rows, now=START + days * DAY)[0] for days in (9, 30))
    assert once == again
    mine = columns["at"] < START + 7 * DAY
    labels, scores = columns["label"][mine], columns["score"][mine]
    assert once.scores.metrics["roc_auc"] == pytest.approx(roc_auc(labels, scores))
    assert once.scores.mean_label == labels.mean()
    assert once.scores.mean_score == pytest.approx(scores.mean())
    low, high = once.scores.intervals["roc_auc"]
    assert low < once.scores.metrics["roc_auc"] < high < low + 0.2
    assert once.scores.days == 7
    assert once.as_dict()["scores"]["positives"] == labels.sum()


def test_the_interval_follows_the_seed_and_needs_several_days(engine, store):
    rows = store(played(np.random.default_rng(2), 7, 100), instants=("at", "known"))
    one, same, other = (ask(engine, rows, now=START + 10 * DAY, seed=seed)[0].scores.intervals for seed in (1, 1, 2))
    assert one == same != other
    short = ask(engine, rows, now=START + 10 * DAY, length=timedelta(days=1))[0].scores
    assert short.metrics["roc_auc"] is not None
    assert short.intervals == {}


def test_rounds_without_both_classes_are_left_out_of_the_interval(engine, store):
    at = START + np.repeat(np.arange(40), 10) * DAY
    label = (np.arange(400) == 0).astype(float)
    rows = store({"at": at, "score": label, "label": label, "known": at}, instants=("at", "known"))
    scores = ask(engine, rows, now=START + 50 * DAY, length=timedelta(days=40))[0].scores
    assert (scores.metrics["roc_auc"], scores.positives) == (1.0, 1)
    assert scores.intervals == {"roc_auc": (1.0, 1.0)}


def test_without_a_wait_a_prediction_stays_pending(engine, store):
    at, known = np.array([START, START]), np.array([START, -1])
    columns = {"at": at, "score": [0.1, 0.2], "label": [1.0, None], "known": known}
    cohort = ask(engine, store(columns, instants=("at", "known")), now=START + 70 * DAY, wait=None)[0]
    assert (cohort.labelled, cohort.pending, cohort.state) == (1, 1, "immature")


def test_cohorts_start_on_the_day_of_the_first_prediction_and_empty_ones_are_shown(engine, store):
    at = START + np.array([13 * HOUR, 15 * DAY])
    columns = {"at": at, "score": [0.1, 0.2], "label": [1.0, 0.0], "known": at}
    rows = store(columns, instants=("at", "known"))
    cohorts = cohorts_of(rows, engine, now=START + 22 * DAY, length=WEEK)
    found = outcome(rows, engine, cohorts=cohorts, now=START + 22 * DAY, wait=WAIT)
    assert [(each.start - START) // DAY for each in found] == [0, 7, 14, 21]
    assert [each.predictions for each in found] == [1, 0, 1, 0]
    assert [each.state for each in found] == ["mature", "mature", "mature", "open"]
    nothing = store({name: values[:0] for name, values in columns.items() if name == "at"})
    assert cohorts_of(nothing, engine, now=START, length=WEEK).count == 0


def test_a_regression_cohort_has_the_metrics_of_its_task_with_an_interval_for_those_asked(engine, store):
    random = np.random.default_rng(3)
    at = START + np.repeat(np.arange(7), 100) * DAY
    label = random.normal(30, 10, 700)
    score = label + random.normal(0, 5, 700)
    rows = store({"at": at, "score": score, "label": label, "known": at + HOUR}, instants=("at", "known"))
    cohorts = cohorts_of(rows, engine, now=START + 10 * DAY, length=WEEK, since=START)
    (found, _) = outcome(
        rows, engine, cohorts=cohorts, now=START + 10 * DAY, wait=WAIT, task="regression", asked=("mae", "r2")
    )
    for name, metric in METRICS["regression"].items():
        assert found.scores.metrics[name] == pytest.approx(metric(label, score, None))
    assert list(found.scores.intervals) == ["mae", "r2"]
    low, high = found.scores.intervals["mae"]
    assert 3 < low < found.scores.metrics["mae"] < high < 5
    assert found.scores.positives is None
    assert found.scores.mean_label == pytest.approx(label.mean())
