from __future__ import annotations

import math
from random import Random

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lichen.feature import frequency
from lichen.feature.kernels import kernel

patient = settings(deadline=None)


@given(value=st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300))
def test_the_middle_of_a_bucket_is_within_one_percent(value):
    shown = frequency.middle(frequency.bucket(value))
    assert abs(shown - value) <= 0.0100001 * abs(value) + 1e-9


@given(one=st.floats(-1e30, 1e30), other=st.floats(-1e30, 1e30))
def test_buckets_rise_with_their_values(one, other):
    low, high = sorted((one, other))
    assert frequency.bucket(low) <= frequency.bucket(high)
    assert frequency.bucket(-low) == -frequency.bucket(low)


@given(values=st.lists(st.integers(-9, 9), max_size=50), count=st.integers(0, 50))
def test_the_first_values_are_sorted_and_the_rest_left(values, count):
    count, found = min(count, len(values)), list(values)
    frequency.sort(found, count)
    assert found == [*sorted(values[:count]), *values[count:]]


@patient
@given(values=st.lists(st.one_of(st.none(), st.integers(-3, 3)), max_size=30), cut=st.integers(0, 30))
def test_values_are_numbered_within_their_entity(values, cut):
    cut = min(cut, len(values))
    first = np.array([0, cut, len(values)])
    missing = np.array([value is None for value in values], np.bool_)
    given_ = np.array([0 if value is None else value for value in values], np.int64)
    out, unique = np.empty(len(values), np.int64), np.empty(len(values), np.int64)
    room, counts = np.empty(len(values), np.int64), np.zeros(2, np.int64)
    none = np.empty(0)
    kernel("codes")(first, np.arange(len(values)), given_, missing, none, room, out, unique, counts)
    for entity, part in enumerate((values[:cut], values[cut:])):
        start = (0, cut)[entity]
        different = sorted({value for value in part if value is not None})
        assert counts[entity] == len(different)
        assert unique[start : start + len(different)].tolist() == different
        assert out[start : start + len(part)].tolist() == [
            -1 if value is None else different.index(value) for value in part
        ]


@pytest.mark.parametrize("count", [5_000, 20_000, 200_000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_estimate_is_within_five_standard_errors(count, seed):
    found = duckdb.sql(f"SELECT hash(i + {seed} * 10000000) FROM range({count}) r(i)").fetchnumpy()
    (hashes,) = (np.ascontiguousarray(column).view(np.int64) for column in found.values())
    registers, tally = [0] * frequency.REGISTERS, np.zeros(54, np.int64)
    estimate = _estimated(hashes, registers, tally)
    # The standard error of 4,096 registers is 1.04 / 64, or 1.6 %.
    assert abs(estimate - count) <= 5 * 1.04 / math.sqrt(frequency.REGISTERS) * count


def _estimated(hashes, registers, tally):
    """What the compiled loop says of all these hashes, as one entity's rows seen at once."""
    rows = len(hashes)
    numbers = np.arange(rows)
    loop = _compiled()
    return loop(hashes, numbers, numbers, np.array([0, rows]), 1, np.array(registers), tally)


def _compiled():
    import numba

    kernel("frequencies")
    return numba.njit(frequency.estimate)


def test_an_estimate_does_not_depend_on_order_or_on_copies():
    random = Random(5)
    hashes = np.array([random.getrandbits(63) for _ in range(9_000)])
    room = ([0] * frequency.REGISTERS, np.zeros(54, np.int64))
    other = np.concatenate((hashes[::-1], hashes[:100]))
    assert _estimated(hashes, *room) == _estimated(other, *room)


def test_no_rows_have_no_distinct_values():
    assert _estimated(np.empty(0, np.int64), [0] * frequency.REGISTERS, np.zeros(54, np.int64)) == 0


@pytest.mark.parametrize("width", [2, 50])
def test_of_values_as_frequent_the_one_seen_last_is_the_most(width):
    numbers = [0, 1, 1, 0, -1]
    counts, seen = np.zeros(width, np.int64), np.zeros(width, np.int64)
    frequency.slide(numbers, counts, seen, 0, 5, 1)
    assert frequency.most(numbers, counts, seen, width, [0, 5], 1, 4) == 3
    frequency.slide(numbers, counts, seen, 0, 1, -1)
    assert frequency.most(numbers, counts, seen, width, [1, 5], 1, 3) == 2


def test_rows_that_enter_and_leave_are_counted():
    counts, seen = np.zeros(3, np.int64), np.zeros(3, np.int64)
    assert frequency.slide([0, 1, 1, -1], counts, seen, 0, 4, 1) == (2, 3)
    assert frequency.slide([0, 1, 1, -1], counts, seen, 1, 2, -1) == (0, -1)
    assert frequency.slide([0, 1, 1, -1], counts, seen, 2, 4, -1) == (-1, -1)
    assert counts.tolist() == [1, 0, 0]
