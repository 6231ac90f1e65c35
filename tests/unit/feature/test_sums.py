from __future__ import annotations

import math
from itertools import accumulate, pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lichen.feature import sums
from lichen.feature.compute import BLOCK, NONE
from lichen.feature.kernels import kernel

cut = st.lists(st.lists(st.integers(-(2**40), 2**40), max_size=5), max_size=6)


def laid(entities):
    first = [0, *accumulate(map(len, entities))]
    return first, [value for entity in entities for value in entity]


@given(entities=cut, shuffled=st.randoms(use_true_random=False))
def test_each_entity_begins_its_prefix_anew(entities, shuffled):
    first, values = laid(entities)
    order = list(range(len(values)))
    shuffled.shuffle(order)
    came = [0] * len(values)
    for position, row in enumerate(order):
        came[row] = values[position]
    prefix = np.empty(len(values) + len(entities), np.int64)
    greatest = sums.whole(first, order, came, prefix)
    assert prefix.tolist() == [total for entity in entities for total in (0, *accumulate(entity))]
    assert greatest == max((float(sum(map(abs, entity))) for entity in entities), default=0.0)


def test_magnitudes_tell_what_a_sum_that_came_round_would_hide():
    def magnitude(*values):
        rows = len(values)
        return kernel("whole")(
            np.array([0, rows]), np.arange(rows), np.array(values, np.int64), np.empty(rows + 1, np.int64)
        )

    assert magnitude(2**62, -(2**62), 2**62, -(2**62)) == math.inf
    # Ones that a double would not count beside the first.
    assert magnitude(2**63 - 3, 1, 1, 1) == math.inf
    assert magnitude(2**63 - 3, 1, 1) < math.inf
    assert magnitude(-(2**63)) == math.inf


def test_a_seed_stands_for_what_came_before():
    prefix, rest = np.empty(4), np.empty(4)
    sums.pairs([0, 3], range(3), [0.0, 2.0, 3.0], True, np.array([10.0, 1e-20]), prefix, rest)
    assert prefix.tolist() == [0.0, 10.0, 14.0, 23.0]
    assert rest.tolist() == [0.0, 1e-20, 1e-20, 1e-20]


def test_a_missing_value_is_never_the_least():
    keys = np.empty(3, np.int64)
    sums.keyed([2, 0, 1], [5, 6, 7], [False, True, False], False, keys)
    assert keys.tolist() == [7, 5, NONE]
    sums.keyed([2, 0, 1], [5, 6, 7], [], True, keys)
    assert keys.tolist() == [~7, ~5, ~6]


@given(entities=cut, followed=st.sets(st.integers(0, 30)))
def test_a_ceiling_is_beyond_all_from_a_row_that_another_follows(entities, followed):
    first, known = laid(entities)
    until = [0 if at in followed else NONE for at in range(len(known))]
    running = [0] * len(known)
    sums.ceiling(first, known, until, running)
    for a, z in pairwise(first):
        for at in range(a, z):
            beyond = any(until[row] != NONE for row in range(a, at + 1))
            assert running[at] == (NONE if beyond else max(known[a : at + 1]))


@given(keys=st.lists(st.integers(-50, 50), min_size=1, max_size=7 * BLOCK))
def test_a_table_holds_the_least_of_every_power_of_two_of_blocks(keys):
    blocks = -(-len(keys) // BLOCK)
    levels = blocks.bit_length()
    table = [0] * (levels * blocks)
    sums.table(keys, blocks, table)
    for level in range(levels):
        for block in range(blocks):
            assert table[level * blocks + block] == min(keys[block * BLOCK : (block + 2**level) * BLOCK])
