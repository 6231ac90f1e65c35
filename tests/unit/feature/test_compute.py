from __future__ import annotations

import math
from bisect import bisect_left
from fractions import Fraction
from statistics import variance

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lichen.feature import compute, sums
from lichen.feature.compute import BLOCK, NONE


def entity(seed: int, size: int, lateness: int, corrected: bool) -> dict[str, list]:
    """Rows of one entity in order, with the running maximum and the blocks' bounds of their known-times."""
    random = np.random.default_rng(seed)
    times = np.sort(random.integers(0, 200, size))
    known = times + random.integers(-3, lateness + 1, size) * (random.random(size) < 0.5)
    known = known[np.lexsort((known, times))]
    until = np.where(random.random(size) < 0.2, known + random.integers(0, 90, size), NONE) if corrected else known[:0]
    ceiling, blocks = np.empty(size, np.int64), -(-size // BLOCK)
    low, high = np.empty(blocks, np.int64), np.empty(blocks, np.int64)
    sums.ceiling([0, size], known, until, ceiling)
    sums.extent(known, until, low, high)
    names = ("times", "known", "until", "ceiling", "low", "high")
    return {name: array.tolist() for name, array in zip(names, (times, known, until, ceiling, low, high), strict=True)}


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 10**6), size=st.integers(0, 300), lateness=st.sampled_from([0, 5, 300]), t=st.integers(-5, 400),
    reach=st.sampled_from([None, 0, 10, 150]), corrected=st.booleans(), lag=st.sampled_from([0, 7]),
)  # fmt: skip
def test_runs_hold_the_visible_rows_and_no_other(seed, size, lateness, t, reach, corrected, lag):
    rows = entity(seed, size, lateness, corrected)
    runs, cut = [0] * (2 * size + 2), [0] * (2 * size + 2)
    floor = 0 if reach is None else bisect_left(rows["times"], t - reach)
    count = compute.visible_runs(**rows, first=0, last=size, floor=floor, t=t, runs=runs)
    held = [at for run in range(count) for at in range(runs[2 * run], runs[2 * run + 1])]
    visible = [
        at for at in range(floor, size)
        if rows["known"][at] < t and rows["times"][at] < t and (not corrected or t <= rows["until"][at])
    ]  # fmt: skip
    assert held == visible
    values = np.random.default_rng(seed).integers(-(10**12), 10**12, size)
    prefix, blocks = np.array([[0, *np.cumsum(values)]]), -(-size // BLOCK)
    table = np.empty(max(1, blocks.bit_length()) * blocks, np.int64)
    sums.table(values, blocks, table)
    for span in (3, 40, 1000):
        start, stop = bisect_left(rows["times"], t - lag - span), bisect_left(rows["times"], t - lag)
        kept = compute.cut_runs(runs, count, start, stop, cut)
        wanted = [at for at in visible if start <= at < stop]
        assert compute.rows_in(cut, kept) == len(wanted)
        assert compute.sum_in(prefix, 0, 0, cut, kept) == sum(values[wanted])
        least = compute.least_in(values[None], table[None], 0, blocks, cut, kept)
        assert least == min(values[wanted], default=NONE)
        for back in (0, 1, 5):
            last = compute.last_in(None, -1, 0, cut, kept, back)
            assert last == (wanted[-1 - back] if len(wanted) > back else -1)
        assert compute.first_in(None, -1, 0, cut, kept) == (wanted[0] if wanted else -1)
        # Where some rows have no value, their prefix counts tell.
        some = values % 3 == 0
        counts = np.array([[0, *np.cumsum(some)]])
        filled = [at for at in wanted if some[at]]
        assert compute.last_in(counts, 0, 0, cut, kept, 1) == (filled[-2] if len(filled) > 1 else -1)
        assert compute.first_in(counts, 0, 0, cut, kept) == (filled[0] if filled else -1)


@given(times=st.lists(st.integers(0, 50)).map(sorted), t=st.integers(-1, 51), first=st.integers(0, 60))
def test_a_search_finds_the_first_place_at_or_after(times, t, first):
    first = min(first, len(times))
    assert compute.search(times, t, first, len(times)) == max(first, bisect_left(times, t))


def paired(values: list[float], squared: bool = False) -> np.ndarray:
    prefix = np.zeros((2, len(values) + 1))
    rows = np.arange(len(values))
    sums.pairs([0, len(values)], rows, np.array(values), squared, np.empty(0), prefix[0], prefix[1])
    return prefix


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=80),
    ends=st.tuples(st.integers(0, 80), st.integers(0, 80)),
)
def test_compensated_sums_are_the_nearest_double_wherever_they_start(values, ends):
    a, b = sorted(min(end, len(values)) for end in ends)
    total, error = compute.pair_in(paired(values), 0, 0, [a, b], 1)
    exact = sum(map(Fraction, values[a:b]), Fraction(0))
    # What a pair of doubles leaves out is 2**-100 of the greatest sum passed on the way.
    allowed = abs(exact) * Fraction(1, 2**52) + 80 * 80 * Fraction(10**15) / 2**100
    assert abs(Fraction(total + error) - exact) <= allowed


def test_what_rounding_leaves_out_is_kept():
    values = [1e16, 1.0, -1e16, 1.0]
    assert sum(compute.pair_in(paired(values), 0, 0, [0, 4], 1)) == math.fsum(values) == 2.0


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6), max_size=60), shift=st.sampled_from([0.0, 1e3, 1e8]),
    start=st.integers(0, 60),
)  # fmt: skip
def test_a_variance_far_from_zero_is_as_right_as_one_near(values, shift, start):
    values = [value + shift for value in values]
    start = min(start, len(values))
    plain, squares = paired(values), paired(values, squared=True)
    run = ([start, len(values)], 1)
    found = compute.variance(*compute.pair_in(plain, 0, 0, *run), *compute.pair_in(squares, 0, 0, *run), len(values) - start)
    if len(values) - start < 2:
        assert math.isnan(found)
        return
    exact = variance(map(Fraction, values[start:]))
    assert abs(Fraction(found) - exact) <= exact / 10**12 + Fraction(max(map(abs, values))) ** 2 / 2**88


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_values_have_no_spread(count):
    assert math.isnan(compute.variance(5.0, 0.0, 25.0, 0.0, count))
