"""How far a model's predictions move between two versions, and whether they get better, on the same label rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lichen.evaluate.metrics import DAY, FEWEST_DAYS, METRICS, Floats

MOVED, MOVED_MUCH = 1e-9, 0.01
"""Beyond which difference a prediction counts as moved, and as moved much."""


@dataclass(frozen=True)
class Comparison:
    """A metric of both versions on the same rows, and the 95 % interval of what it gained.

    There is no interval where there are too few days to draw from.
    """

    before: float
    after: float
    low: float | None = None
    high: float | None = None

    @property
    def gained(self) -> float:
        """After less before."""
        return self.after - self.before

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves out no difference at all."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Movement:
    """What became of a model's predictions for label rows that both versions have.

    `rows` were compared; `came` and `went` are in one of them alone. `moved` and `moved_much` are shares, `mean` is
    the mean size of the move. `threshold` is the score from which a row counts as positive, `flipped` how many rows
    are on its other side now; both are None for a regression.
    """

    rows: int
    came: int
    went: int
    relabelled: int
    moved: float
    moved_much: float
    mean: float
    threshold: float | None
    flipped: int | None
    metrics: Mapping[str, Comparison]

    def as_dict(self) -> dict[str, Any]:
        """The movement for a machine."""
        metrics = {name: {**asdict(one), "gained": one.gained} for name, one in self.metrics.items()}
        return {**asdict(self), "metrics": metrics}


@dataclass(frozen=True)
class Rows:
    """Label rows that both versions have: their labels as they are now, the two scores, and when they were asked.

    `at` is in microseconds since 1970 in UTC.
    """

    label: Floats
    before: Floats
    after: Floats
    at: NDArray[np.int64]


def operating_threshold(label: Floats, score: Floats) -> float:
    """The score from which as many rows count as positive as truly are: where a project names none, decisions go by it.

    >>> operating_threshold(np.array([1.0, 0.0, 0.0, 0.0]), np.array([0.2, 0.9, 0.1, 0.4]))
    0.9
    """
    positives = round(float(label.sum()))
    ordered = np.sort(score)[::-1]
    return float(ordered[min(max(positives, 1), len(ordered)) - 1])


def movement(
    task: str,
    rows: Rows,
    *,
    came: int = 0,
    went: int = 0,
    relabelled: int = 0,
    only: Sequence[str] | None = None,
    seed: int = 0,
    draws: int = 200,
) -> Movement:
    """Compare the two scores of the same rows; shares and means are NaN where there is no row.

    The interval of a metric's difference is of percentiles over `draws` bootstrap samples of whole UTC days, the same
    days for both versions. Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13.
    """
    size = np.abs(rows.after - rows.before)
    threshold = flipped = None
    if task == "classification" and len(size):
        threshold = operating_threshold(rows.label, rows.before)
        flipped = int(((rows.before >= threshold) != (rows.after >= threshold)).sum())
    nothing = len(size) == 0
    return Movement(
        len(size),
        came,
        went,
        relabelled,
        math.nan if nothing else float((size > MOVED).mean()),
        math.nan if nothing else float((size > MOVED_MUCH).mean()),
        math.nan if nothing else float(size.mean()),
        threshold,
        flipped,
        {} if nothing else _compared(task, rows, only or tuple(METRICS[task]), seed, draws),
    )


def _compared(task: str, rows: Rows, names: Sequence[str], seed: int, draws: int) -> dict[str, Comparison]:
    # Sorted by its own score once, each side is quick to sort again in every draw.
    sides = _Side.of(rows.before, rows), _Side.of(rows.after, rows)
    metrics = {name: METRICS[task][name] for name in names}
    old, new = sides
    values = {
        name: (metric(old.label, old.score, None), metric(new.label, new.score, None))
        for name, metric in metrics.items()
    }
    days, day = np.unique(rows.at // DAY, return_inverse=True)
    drawn: dict[str, list[float]] = {name: [] for name in names}
    if len(days) >= FEWEST_DAYS:
        random = np.random.default_rng(seed)
        for counts in random.multinomial(len(days), np.full(len(days), 1 / len(days)), size=draws):
            weight = counts[day].astype(np.float64)
            for name, metric in metrics.items():
                before, after = (metric(s.label, s.score, weight[s.order]) for s in sides)
                drawn[name].append(after - before)
    return {name: _comparison(values[name], drawn[name]) for name in names}


@dataclass(frozen=True)
class _Side:
    order: NDArray[np.int64]
    label: Floats
    score: Floats

    @classmethod
    def of(cls, score: Floats, rows: Rows) -> _Side:
        order = np.argsort(score, kind="stable")
        return cls(order, rows.label[order], score[order])


def _comparison(values: tuple[float, float], drawn: Sequence[float]) -> Comparison:
    before, after = values
    usable = [one for one in drawn if one == one]
    # Where a tenth of the samples lack a class, an interval over the rest would look too sure.
    if not usable or len(usable) < 0.9 * len(drawn):
        return Comparison(before, after)
    low, high = np.percentile(usable, [2.5, 97.5])
    return Comparison(before, after, float(low), float(high))
