"""How far a model's predictions move between two versions, and whether they get better, on the same label rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lichen.evaluate.bootstrap import Samples, interval
from lichen.evaluate.metrics import METRICS, Floats

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

    The interval of a metric's difference is of percentiles over `draws` samples of whole UTC days, the same days for
    both versions.
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
    samples = Samples.of(rows.at, seed=seed, draws=draws)
    found = {}
    for name in names:
        metric = METRICS[task][name]
        before, after = (metric(rows.label, score, None) for score in (rows.before, rows.after))
        drawn = [samples.measured(metric, rows.label, score) for score in (rows.before, rows.after)]
        found[name] = Comparison(before, after, *(interval(after - before, drawn[1] - drawn[0]) or ()))
    return found
