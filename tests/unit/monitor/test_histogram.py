from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from lichen.monitor.cohort import instant
from lichen.monitor.histogram import Binning, binnings, daily_counts
from lichen.monitor.sample import DAY, Sample, recorded

START = instant(datetime(2026, 1, 5, tzinfo=UTC))
ODD = 'odd "name"'


def test_every_row_of_a_day_is_in_one_bin_of_each_feature(engine, store):
    at = np.array([START, START + 1, START + DAY, -1])
    columns = {"at": at, "a.x": [1.0, None, float("nan"), 5.0], f"a.{ODD}": ["it's", None, "b", "b"], "a.y": [True] * 4}
    sample = Sample("rows", store(columns), "at")
    features = sample.types(("a.x", f"a.{ODD}", "a.y"), engine)
    bins = binnings(features, sample, engine)
    assert bins[0] == Binning("a.x", True, edges=(1.0, 5.0))
    assert bins[1].values == ("b", "it's")
    assert bins[2] == Binning("a.y", False, values=("true",))
    days, counts = daily_counts(bins, sample, engine)
    assert days.tolist() == [START // DAY, START // DAY + 1]
    assert counts.sum(axis=-1).tolist() == [[2, 2, 2], [1, 1, 1]]
    assert counts[0, 0, :3].tolist() == [1, 0, 1]
    assert counts[1, 0, 0] == 1
    assert counts[0, 1, :3].tolist() == [1, 0, 1]


def test_what_the_reference_never_held_has_a_bin(engine, store):
    one = store({"at": np.full(3, START), "x": np.array([1.0, 2.0, 3.0]), "c": ["a", "a", "b"]})
    x = np.array([-9.0, 9.0, float("inf"), 2.0])
    other = store({"at": np.full(4, START), "feature.x": x, "feature.c": ["z", "z", "a", "b"]})
    reference, live = Sample("rows", one, "at"), Sample("predictions", other, "at", recorded)
    bins = binnings(reference.types(("x", "c"), engine), reference, engine)
    _, counts = daily_counts(bins, live, engine)
    shown = [{each.label(place): int(n) for place, n in enumerate(counts[0, i]) if n} for i, each in enumerate(bins)]
    assert shown == [
        {"below 1": 1, "above 1 up to 2": 1, "above 3": 2},
        {"`a`": 1, "`b`": 1, "any other value": 2},
    ]


def test_a_column_that_was_always_missing_has_two_bins(engine, store):
    reference = Sample("rows", store({"at": np.full(2, START), "x": [None, None]}), "at")
    live = Sample("rows", store({"at": np.full(2, START), "x": [None, 3.0]}), "at")
    bins = binnings(reference.types(("x",), engine), reference, engine)
    _, counts = daily_counts(bins, live, engine)
    assert [bins[0].label(place) for place in np.flatnonzero(counts[0, 0])] == ["missing", "present"]


def test_only_rows_within_the_span_count(engine, store):
    sample = Sample("rows", store({"at": START + np.arange(4) * DAY, "x": np.arange(4.0)}), "at")
    bins = binnings(sample.types(("x",), engine), sample, engine)
    days, counts = daily_counts(bins, sample, engine, within=(START + DAY, START + 3 * DAY))
    assert (len(days), counts.sum()) == (2, 2)
    days, counts = daily_counts(bins, sample, engine, within=(START - DAY, START))
    assert (len(days), counts.sum()) == (0, 0)
    assert bins[0].label(2) == "at 0"
