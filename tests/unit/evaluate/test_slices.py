from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lichen.evaluate.bootstrap import DAY
from lichen.evaluate.slices import slices
from lichen.train.fit import Scored


def scored(columns: Mapping[str, Sequence[Any]], noise: np.ndarray) -> Scored:
    random = np.random.default_rng(0)
    truth = random.normal(size=len(noise))
    label = (truth > 0).astype(float)
    score = 1 / (1 + np.exp(-(truth + noise * random.normal(size=len(noise)))))
    return Scored(np.arange(len(noise)) * (DAY // 50), label, score, columns)


def test_the_worst_slice_comes_first() -> None:
    carrier = ["AA"] * 1000 + ["BB"] * 1000 + ["few"] * 100 + [None] * 300
    noise = np.array([0.5] * 1000 + [3.0] * 1000 + [1.0] * 400)
    found = slices("classification", scored({"carrier": carrier}, noise), "roc_auc")
    assert [one.value for one in found.found] == ["BB", "(missing)", "AA"]
    assert [one.rows for one in found.found] == [1000, 300, 1000]
    assert found.left_out == {"carrier": 100}
    worst = found.found[0]
    assert worst.measured.low is not None
    assert worst.measured.low < worst.measured.value < 0.75


def test_a_slice_of_one_class_is_left_out() -> None:
    test = scored({"k": ["a"] * 600}, np.ones(600))
    rare = Scored(test.at, (np.arange(600) < 10).astype(float), test.score, test.slices)
    assert slices("classification", rare, "roc_auc").left_out == {"k": 600}
    assert [one.rows for one in slices("regression", rare, "rmse").found] == [600]


def test_many_numbers_are_cut_into_fifths_and_few_are_values() -> None:
    distance = [float(n) if n % 10 else (None, float("nan"))[n % 20 > 0] for n in range(3000)]
    stops = [n % 2 for n in range(3000)]
    found = slices("classification", scored({"distance": distance, "stops": stops}, np.ones(3000)), "roc_auc").found
    assert sorted(one.value for one in found if one.column == "stops") == ["0", "1"]
    parts = {one.value: one.rows for one in found if one.column == "distance"}
    assert parts.pop("(missing)") == 300
    assert len(parts) == 5
    assert sum(parts.values()) == 2700


def test_where_lower_is_better_the_worst_is_the_highest() -> None:
    carrier = ["AA"] * 1000 + ["BB"] * 1000
    test = scored({"carrier": carrier}, np.array([0.1] * 1000 + [3.0] * 1000))
    assert [one.value for one in slices("classification", test, "brier").found] == ["BB", "AA"]
