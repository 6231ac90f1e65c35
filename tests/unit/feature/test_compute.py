from __future__ import annotations

import math
from bisect import bisect_left
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lichen.feature import compute
from lichen.feature.history import from_keys, kernels, least_table, to_keys

REACH = 60


def entity(seed: int, size: int, lateness: int) -> dict[str, list]:
    """Rows of one entity in order, with the running maximum and the blocks' bounds of their known-times."""
    random = np.random.default_rng(seed)
    times = np.sort(random.integers(0, 200, size))
    known = times + random.integers(-3, lateness + 1, size) * (random.random(size) < 0.5)
    order = np.lexsort((known, times))
    known = known[order]
    blocks = range(0, size, compute.BLOCK)
    return {
        "times": times.tolist(),
        "known": known.tolist(),
        "ceiling": np.maximum.accumulate(known).tolist() if size else [],
        "low": [int(known[b : b + compute.BLOCK].min()) for b in blocks],
        "high": [int(known[b : b + compute.BLOCK].max()) for b in blocks],
    }


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 10**6), size=st.integers(0, 300), lateness=st.sampled_from([0, 5, 300]), t=st.integers(-5, 400),
    reach=st.sampled_from([-1, 0, 10, 150]),
)  # fmt: skip
def test_runs_hold_the_visible_rows_and_no_other(seed, size, lateness, t, reach):
    rows = entity(seed, size, lateness)
    runs = [0] * (2 * size + 2)
    count = compute.visible_runs(**rows, first=0, last=size, reach=reach, t=t, runs=runs)
    held = [at for run in range(count) for at in range(runs[2 * run], runs[2 * run + 1])]
    visible = [
        at for at in range(size)
        if rows["known"][at] < t and rows["times"][at] < t and (reach < 0 or rows["times"][at] >= t - reach)
    ]  # fmt: skip
    assert held == visible
    if reach >= 0:
        return
    values = np.random.default_rng(seed).integers(-(10**12), 10**12, size)
    prefix = [0, *np.cumsum(values).tolist()]
    table = least_table(values, size).tolist()
    for span in (3, 40, 1000):
        start = bisect_left(rows["times"], t - span)
        wanted = [at for at in visible if at >= start]
        assert compute.rows_in(runs, count, start) == len(wanted)
        assert compute.sum_in(prefix, 0, runs, count, start) == sum(values[wanted])
        blocks = -(-size // compute.BLOCK)
        least = compute.least_in(values.tolist(), table, blocks, runs, count, start)
        assert least == min(values[wanted], default=compute.NONE)
        newest = compute.latest_in(rows["times"], runs, count, t - span)
        assert newest == (wanted[-1] if wanted else -1)


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=80),
    ends=st.tuples(st.integers(0, 80), st.integers(0, 80)),
)
def test_compensated_sums_are_the_nearest_double_wherever_they_start(values, ends):
    first = np.array([0, len(values)])
    prefix, rest = np.zeros(len(values) + 1), np.zeros(len(values) + 1)
    kernels().compensated_sums(first, np.array(values), prefix, rest)
    a, b = sorted(min(end, len(values)) for end in ends)
    found = compute.compensated_sum_in(prefix.tolist(), rest.tolist(), 0, [a, b], 1, 0)
    exact = sum(map(Fraction, values[a:b]), Fraction(0))
    # What a pair of doubles leaves out is 2**-100 of the greatest sum passed on the way.
    assert abs(Fraction(found) - exact) <= abs(exact) * Fraction(1, 2**52) + 80 * 80 * Fraction(10**15) / 2**100


def test_what_rounding_leaves_out_is_kept():
    values = [1e16, 1.0, -1e16, 1.0]
    prefix, rest = np.zeros(5), np.zeros(5)
    kernels().compensated_sums(np.array([0, 4]), np.array(values), prefix, rest)
    found = compute.compensated_sum_in(prefix.tolist(), rest.tolist(), 0, [0, 4], 1, 0)
    assert found == math.fsum(values) == 2.0


@pytest.mark.parametrize("greatest", [False, True])
@given(values=st.lists(st.floats(allow_nan=False), min_size=1))
def test_keys_are_in_the_values_order(greatest, values):
    doubles = np.array(values)
    keys = to_keys(doubles, greatest=greatest)
    assert (from_keys(keys, double=True, greatest=greatest) == doubles).all()
    assert doubles[keys.argmin()] == (max(values) if greatest else min(values))


def test_one_text_is_compiled_and_called():
    # The kernels of a batch are the functions of a row: nothing else may define what a feature means.
    sweep = kernels().sweep
    assert sweep.py_func is compute.sweep
