"""A model's quality apart for each value of a column."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lichen.evaluate.measure import Measured, measure
from lichen.evaluate.metrics import HIGHER_IS_BETTER
from lichen.train.fit import Scored

FEWEST_ROWS = 200
FEWEST_OF_A_CLASS = 20
MOST_VALUES = 50
_BINS = 5


@dataclass(frozen=True)
class Slice:
    """One value of a column: how many test rows have it, and how the model does on them.

    `label` and `score` are means: where they differ much, the model is wrong in one direction.
    """

    column: str
    value: str
    rows: int
    label: float
    score: float
    metric: str
    measured: Measured

    def as_dict(self) -> dict[str, Any]:
        """The slice as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Slices:
    """The slices of all columns, worst first, and how many test rows of each column were in none."""

    found: tuple[Slice, ...]
    left_out: Mapping[str, int]


def slices(task: str, test: Scored, metric: str, *, seed: int = 0, draws: int = 200) -> Slices:
    """Measure one metric for each value of each of the test's slice columns.

    A number with more than 20 values is cut into fifths. A value is judged if it has 200 rows and, for
    classification, 20 of each class; at most the 50 most frequent of a column are.
    """
    found, left_out = [], {}
    for column, values in test.slices.items():
        named = _named(values)
        judged = 0
        for value, _ in Counter(named).most_common(MOST_VALUES):
            inside = np.fromiter((one == value for one in named), bool)
            made = _slice(task, test, column, value, inside, metric, seed, draws)
            if made is not None:
                found.append(made)
                judged += made.rows
        left_out[column] = len(named) - judged
    up = metric in HIGHER_IS_BETTER
    found.sort(key=lambda one: (one.measured.value if up else -one.measured.value, one.column, one.value))
    return Slices(tuple(found), left_out)


def _slice(
    task: str, test: Scored, column: str, value: str, inside: Any, metric: str, seed: int, draws: int
) -> Slice | None:
    label, score = test.label[inside], test.score[inside]
    rows = len(label)
    if rows < FEWEST_ROWS:
        return None
    if task == "classification" and not FEWEST_OF_A_CLASS <= label.sum() <= rows - FEWEST_OF_A_CLASS:
        return None
    measured = measure(task, label, score, test.at[inside], seed=seed, draws=draws, only=[metric])[metric]
    return Slice(column, value, rows, float(label.mean()), float(score.mean()), metric, measured)


def _named(values: Sequence[Any]) -> list[str]:
    """Each value as a text; many different numbers as the fifth they fall in. What is no number is missing."""
    values = [None if isinstance(value, float) and math.isnan(value) else value for value in values]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    present = sum(value is not None for value in values)
    if not numbers or len(numbers) < present or len(set(numbers)) <= 20:
        return ["(missing)" if value is None else str(value) for value in values]
    edges = np.unique(np.percentile(np.asarray(numbers, dtype=np.float64), np.linspace(0, 100, _BINS + 1)))
    names = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    places = np.searchsorted(edges[1:-1], [0.0 if value is None else float(value) for value in values], side="left")
    placed = zip(values, places.tolist(), strict=True)
    return ["(missing)" if value is None else names[place] for value, place in placed]
