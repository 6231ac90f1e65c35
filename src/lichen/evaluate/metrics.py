"""The metrics, each a function of labels, scores and, for the bootstrap, how often each row counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Metric = Callable[[Floats, Floats, Floats | None], float]

BINS = 15


def _weights(label: Floats, weight: Floats | None) -> Floats:
    return np.ones(len(label)) if weight is None else weight


def _steps(label: Floats, score: Floats, weight: Floats | None) -> tuple[Floats, Floats]:
    """The weights of both classes at each distinct score, from the lowest."""
    order = np.argsort(score, kind="stable")
    ordered, weights = score[order], _weights(label, weight)[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    positive = np.add.reduceat(weights * label[order], starts)
    return positive, np.add.reduceat(weights, starts) - positive


def roc_auc(label: Floats, score: Floats, weight: Floats | None = None) -> float:
    """The chance that a positive row scores above a negative one, ties counted half; NaN where one class lacks.

    >>> roc_auc(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    if len(label) == 0:
        return float("nan")
    positive, negative = _steps(label, score, weight)
    pairs = positive.sum() * negative.sum()
    if pairs <= 0:
        return float("nan")
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs)


def average_precision(label: Floats, score: Floats, weight: Floats | None = None) -> float:
    """The precision at each threshold, weighted by the recall it gains, as scikit-learn defines it."""
    if len(label) == 0:
        return float("nan")
    positive, negative = (part[::-1] for part in _steps(label, score, weight))
    total = positive.sum()
    if total <= 0:
        return float("nan")
    hits = np.cumsum(positive)
    picked = hits + np.cumsum(negative)
    precision = np.divide(hits, picked, out=np.zeros_like(hits), where=picked > 0)
    return float((precision * positive).sum() / total)


def brier(label: Floats, score: Floats, weight: Floats | None = None) -> float:
    """The mean squared difference between the probability and what happened."""
    return _mean(squared_errors(label, score), weight)


def log_loss(label: Floats, score: Floats, weight: Floats | None = None) -> float:
    """The mean negative logarithm of the probability given to what happened; 0 and 1 are moved in by 2.2e-16."""
    return _mean(log_losses(label, score), weight)


def calibration_error(label: Floats, score: Floats, weight: Floats | None = None) -> float:
    """The expected calibration error over 15 bins of equally many rows.

    Within each bin, the mean probability less the share that came true; the mean of its size over rows. Equal scores
    share a bin. Of a perfect model it is above 0 by chance: about 0.8 times the standard error of a bin's share.
    """
    if len(label) == 0:
        return float("nan")
    place, weights = bins(score), _weights(label, weight)
    gaps = np.bincount(place, weights * (score - label), BINS)
    return float(np.abs(gaps).sum() / weights.sum())


def bins(score: Floats, count: int = BINS) -> NDArray[np.int64]:
    """Each row's bin, from 0: bins of equally many rows by score, equal scores together."""
    ordered = np.sort(score)
    edges = np.unique(ordered[[place * len(score) // count for place in range(1, count)]])
    return np.searchsorted(edges, score, side="right")


def rmse(label: Floats, score: Floats, weight: Floats | None = None) -> float:
    """The root of the mean squared error, in the label's unit."""
    return float(np.sqrt(_mean(squared_errors(label, score), weight)))


def mae(label: Floats, score: Floats, weight: Floats | None = None) -> float:
    """The mean absolute error, in the label's unit."""
    return _mean(absolute_errors(label, score), weight)


def r2(label: Floats, score: Floats, weight: Floats | None = None) -> float:
    """The share of the label's variance that the model explains; NaN where all labels are alike."""
    spread = _mean((label - _mean(label, weight)) ** 2, weight)
    return 1 - _mean(squared_errors(label, score), weight) / spread if spread > 0 else float("nan")


def squared_errors(label: Floats, score: Floats) -> Floats:
    """The square of each row's error."""
    return (score - label) ** 2


def absolute_errors(label: Floats, score: Floats) -> Floats:
    """The size of each row's error."""
    return np.abs(score - label)


def log_losses(label: Floats, score: Floats) -> Floats:
    """The negative logarithm of the probability given to what happened in each row."""
    tiny = np.finfo(np.float64).eps
    inside = np.clip(score, tiny, 1 - tiny)
    return -np.where(label > 0, np.log(inside), np.log1p(-inside))


def _mean(values: Floats, weight: Floats | None) -> float:
    if len(values) == 0:
        return float("nan")
    return float(values.mean()) if weight is None else float((values * weight).sum() / weight.sum())


METRICS: Mapping[str, Mapping[str, Metric]] = {
    "classification": {
        "roc_auc": roc_auc,
        "average_precision": average_precision,
        "brier": brier,
        "log_loss": log_loss,
        "calibration_error": calibration_error,
    },
    "regression": {"rmse": rmse, "mae": mae, "r2": r2},
}
"""The metrics of each task."""

MAIN = {"classification": "roc_auc", "regression": "rmse"}
"""The metric by which each task's models are judged where none is named."""

BOUNDS: Mapping[str, tuple[float, float]] = {
    "log_loss": (0.0, math.inf),
    "rmse": (0.0, math.inf),
    "mae": (0.0, math.inf),
    "r2": (-math.inf, 1.0),
}
"""What a metric can be, where that is not 0 to 1."""

HIGHER_IS_BETTER = frozenset({"roc_auc", "average_precision", "r2"})
