from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lichen.feature import entities
from lichen.feature.kernels import kernel

# The first call compiles.
patient = settings(deadline=None)
keys = st.lists(st.tuples(st.integers(-3, 3), st.integers(-1, 1), st.booleans()), max_size=60)


def indexed(rows, compiled=True):
    ones, others = (np.array([row[at] for row in rows], np.int64) for at in (0, 1))
    missing = np.array([row[2] for row in rows], np.bool_)
    one, other, ids = (np.empty(len(rows), np.int64) for _ in range(3))
    loop = kernel("index") if compiled else entities.index
    done, count, size = loop(ones, others, missing, 0, 0, np.full(4, -1, np.int64), one, other, ids), 0, 4
    done, count = done
    while done < len(rows):
        size *= 2
        table = np.full(size, -1, np.int64)
        kernel("indexed")(one[:count], table)
        done, count = loop(ones, others, missing, done, count, table, one, other, ids)
    return ones, others, ids, one[:count].copy(), other[:count].copy()


@patient
@given(rows=keys)
def test_keys_are_numbered_in_the_order_of_their_first_row(rows):
    _, _, ids, one, other = indexed(rows)
    wanted = list(dict.fromkeys(row[:2] for row in rows if not row[2]))
    assert list(zip(one.tolist(), other.tolist(), strict=True)) == wanted
    assert ids.tolist() == [-1 if row[2] else wanted.index(row[:2]) for row in rows]


@patient
@given(rows=keys, others=keys, latest=st.integers(0, 9), oldest=st.integers(0, 9), data=st.data())
def test_rows_are_found_by_both_numbers_where_an_instant_may_see_them(rows, others, latest, oldest, data):
    *_, one, other = indexed(rows)
    table = np.full(1 << max(4, (2 * len(one)).bit_length()), -1, np.int64)
    kernel("indexed")(one, table)
    moments = st.lists(st.integers(0, 9), min_size=len(others), max_size=len(others))
    times, known = (np.array(data.draw(moments), np.int64) for _ in range(2))
    out, places = np.empty(len(others), np.int64), np.empty(len(others), np.int64)
    first, second = (np.array([row[at] for row in others], np.int64) for at in (0, 1))
    kept = kernel("find")(first, second, times, known, oldest, latest, table, one, other, out, places)
    numbered = list(zip(one.tolist(), other.tolist(), strict=True))
    wanted = [
        (at, numbered.index(row[:2])) for at, row in enumerate(others)
        if row[:2] in numbered and known[at] < latest and times[at] >= oldest
    ]  # fmt: skip
    assert list(zip(places[:kept].tolist(), out[:kept].tolist(), strict=True)) == wanted


def test_what_is_compiled_mixes_as_what_is_read():
    # Multiplication leaves 64 bits behind in compiled loops; the numbers of entities must not depend on that.
    rows = [(n * 7919, 0, False) for n in range(50)]
    _, _, ids, one, _ = indexed(rows)
    assert ids.tolist() == list(range(50))
    assert one.tolist() == [row[0] for row in rows]


@patient
@given(ids=st.lists(st.integers(0, 20), max_size=60), width=st.integers(1, 8))
def test_rows_are_spread_part_after_part_in_their_order(ids, width):
    parts = 20 // width + 1
    ends, order = np.empty(parts + 1, np.int64), np.empty(len(ids), np.int64)
    entities.spread(ids, width, ends, order)
    assert order.tolist() == sorted(range(len(ids)), key=lambda row: ids[row] // width)
    assert ends.tolist() == [sum(one // width < part for one in ids) for part in range(parts + 1)]


@patient
@given(
    rows=st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 6), st.integers(0, 3)), max_size=150),
    prompt=st.booleans(),
)
def test_rows_are_sorted_by_entity_time_known_time_and_landing(rows, prompt):
    ids, times, known = (np.array([row[at] for row in rows], np.int64) for at in range(3))
    known = known[:0] if prompt else known
    kept = [row for row in range(len(rows)) if ids[row] >= 0]
    first, order, moments = np.empty(5, np.int64), np.empty(len(kept), np.int64), np.empty(len(kept), np.int64)
    entities.grouped(ids, times, first, order, moments)
    kernel("sorted_within")(first, moments, known, order)
    wanted = sorted(kept, key=lambda row: (ids[row], times[row], 0 if prompt else known[row], row))
    assert order.tolist() == wanted
    assert moments.tolist() == times[wanted].tolist()
    assert first.tolist() == [sum(1 for row in kept if ids[row] < entity) for entity in range(5)]


@patient
@given(wanted=st.lists(st.booleans(), max_size=40))
def test_what_is_wanted_is_numbered_in_its_order(wanted):
    places, numbers = np.empty(sum(wanted) + 1, np.int64), np.empty(len(wanted), np.int64)
    count = kernel("numbered")(np.array(wanted, np.bool_), places, numbers)
    assert places[:count].tolist() == [place for place, one in enumerate(wanted) if one]
    assert [numbers[place] for place in places[:count]] == list(range(count))
