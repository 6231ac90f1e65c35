from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.feature import sums, sweep
from lichen.feature.compute import NONE

patient = settings(deadline=None, suppress_health_check=list(HealthCheck))


@given(
    times=st.lists(st.integers(0, 30), min_size=1).map(sorted), asked=st.lists(st.integers(-2, 40)).map(sorted),
    lag=st.integers(0, 5), span=st.integers(-1, 12), frame_lag=st.integers(0, 4),
)  # fmt: skip
def test_a_window_moves_on_with_its_questions(times, asked, lag, span, frame_lag):
    # Rows are known `lag` after they happen: one run, whose end is looked for from where it was.
    last, at = len(times), np.zeros(3, np.int64)
    runs, cut = [0] * (2 * last + 2), [0] * (2 * last + 2)
    frames = np.array([[span, frame_lag]])
    for t in asked:
        count = sweep.runs_at(0, last, times, None, None, None, None, None, lag, -1, t, at, runs)
        kept = sweep.frame_at(0, last, times, frames, 0, t, at, runs, count, cut)
        held = [place for run in range(kept) for place in range(cut[2 * run], cut[2 * run + 1])]
        assert held == [
            place for place, time in enumerate(times)
            if time + lag < t and time < t - frame_lag and (span < 0 or time >= t - frame_lag - span)
        ]  # fmt: skip


@given(values=st.lists(st.integers(-99, 99), min_size=1, max_size=20), double=st.booleans(), greatest=st.booleans())
def test_an_extreme_is_the_value_that_its_key_stands_for(values, double, greatest):
    from lichen.feature.history import to_keys

    numbers = np.array(values, np.float64 if double else np.int64) / (1 if not double else 4)
    numbers = numbers if double else numbers.astype(np.int64)
    keys, table = np.empty((1, len(values)), np.int64), np.empty((1, 1), np.int64)
    sums.keyed(range(len(values)), to_keys(numbers), [], greatest, keys[0])
    sums.table(keys[0], 1, table[0])
    bits = sweep.extreme(keys, table, 0, 1, [0, len(values)], 1, greatest + 2 * double)
    found = np.array([bits], np.int64).view(np.float64)[0] if double else bits
    assert found == (max if greatest else min)(numbers.tolist())


def test_what_one_row_tells():
    times, raw = [0, 0, 2_000_000, 4_000_000], np.array([[1.0, 2.0, 5.0, 9.0]])
    run = ([0, 4], 1, 10_000_000)

    def told(code, back=0, cut=run):
        return sweep.by_row(code, back, None, -1, 0, times, raw, 0, *cut)

    assert told(sweep.FIRST) == (0, 0.0, True)
    assert told(sweep.LAST) == (3, 0.0, True)
    assert told(sweep.LAST, 3) == (0, 0.0, True)
    assert told(sweep.LAST, 4) == (-1, 0.0, False)
    assert told(sweep.SINCE) == (3, 6.0, True)
    assert told(sweep.RATE) == (3, 2.0, True)
    # Two rows of one instant have no rate between them.
    assert told(sweep.RATE, cut=([0, 2], 1, 10_000_000)) == (1, 0.0, False)


def test_what_doubles_add_up_to():
    values, rows = np.array([1.0, 2.0, 6.0]), range(3)
    pairs = np.empty((4, 4))
    sums.pairs([0, 3], rows, values, False, np.empty(0), pairs[0], pairs[1])
    sums.pairs([0, 3], rows, values, True, np.empty(0), pairs[2], pairs[3])
    asked = (pairs, 0, 0, [0, 3], 1, 3)
    assert [sweep.added(code, *asked) for code in (sweep.ADD, sweep.MEAN_ADD, sweep.VAR)] == [9.0, 3.0, 7.0]
    assert sweep.added(sweep.STD, *asked) == 7.0**0.5


def test_no_row_is_the_least_of_none():
    keys = np.full((1, 1), NONE)
    assert sweep.extreme(keys, keys, 0, 1, [0, 0], 0, 0) == NONE
