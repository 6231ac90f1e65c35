from __future__ import annotations

import numpy as np
import pytest

from lichen.monitor.permutation import benjamini_hochberg, blocks_of, compare, distance


def test_the_distance_is_symmetric_bounded_and_blind_to_size():
    random = np.random.default_rng(0)
    one, other = random.integers(0, 50, size=(2, 30, 8))
    assert np.allclose(distance(one, other), distance(other, one))
    assert np.allclose(distance(one, one * 7), 0, atol=1e-7)
    assert (distance(one, other) <= 1).all()
    assert distance(np.array([3, 0]), np.array([0, 2])) == 1


def test_the_distance_is_that_of_its_definition():
    # p = (1/2, 1/2), q = (1, 0): divergence = 1/2 (KL(p|m) + KL(q|m)) with m = (3/4, 1/4)
    expected = 0.5 * (0.5 * np.log2(0.5 / 0.75) + 0.5 * np.log2(0.5 / 0.25) + np.log2(1 / 0.75))
    assert distance(np.array([1, 1]), np.array([5, 0])) == pytest.approx(np.sqrt(expected))


def test_blocks_are_consecutive_days_and_the_oldest_are_left_over():
    days = np.arange(7).reshape(7, 1, 1)
    assert blocks_of(days, 3).ravel().tolist() == [1 + 2 + 3, 4 + 5 + 6]


def test_a_cohort_like_a_block_is_ranked_among_them():
    days = np.random.default_rng(1).multinomial(200, [0.2] * 5, size=(70, 3))
    found = compare(days, days[14:21], seed=[0])
    assert found.blocks == 10
    assert found.smallest_by_rank == pytest.approx(1 / 11)
    assert (found.p_values > 0.05).all()


def test_beyond_every_block_the_tail_goes_below_the_rank():
    random = np.random.default_rng(1)
    days = random.multinomial(200, [0.2] * 5, size=(70, 1))
    moved = random.multinomial(200, [0.9] + [0.025] * 4, size=(7, 1))
    found = compare(days, moved, seed=[0])
    assert found.p_values[0] < 1e-4 < found.smallest_by_rank
    assert found.most[0] < found.effect[0]


def test_a_constant_that_stays_has_not_moved_and_one_that_changes_has():
    days = np.zeros((70, 2, 3), dtype=np.int64)
    days[:, :, 0] = 50
    cohort = days[:7].copy()
    cohort[:, 1] = [25, 25, 0]
    found = compare(days, cohort, seed=[0])
    assert found.p_values[0] == 1
    assert found.p_values[1] < 1e-6


def test_few_rows_are_far_from_anything_by_chance_and_are_not_flagged_for_it():
    random = np.random.default_rng(3)
    days = random.multinomial(2000, [0.1] * 10, size=(140, 50))
    few = random.multinomial(20, [0.1] * 10, size=(7, 50))
    found = compare(days, few, seed=[0])
    assert np.median(found.effect) > 0.05
    assert benjamini_hochberg(found.p_values).min() > 0.05


def test_the_seed_fixes_the_answer():
    random = np.random.default_rng(3)
    days, few = random.multinomial(500, [0.2] * 5, size=(70, 4)), random.multinomial(9, [0.2] * 5, size=(7, 4))
    one, same, other = (compare(days, few, seed=seed) for seed in ([1], [1], [2]))
    assert (one.typical == same.typical).all()
    assert (one.typical != other.typical).any()


def test_benjamini_hochberg_is_monotone_and_keeps_the_order_given():
    q = benjamini_hochberg(np.array([0.9, 0.001, 0.03, 0.029]))
    assert q.tolist() == pytest.approx([0.9, 0.004, 0.04, 0.04])
