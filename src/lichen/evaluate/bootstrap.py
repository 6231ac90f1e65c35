"""Metrics over samples of whole days: rows of one day resemble each other, so days are what is drawn.

Most metrics of a sample follow from what each day adds, or each pair of days, which is found in one pass over the rows;
the samples then cost nothing. Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lichen.evaluate import metrics
from lichen.evaluate.metrics import BINS, Floats, Metric

DAY = 86_400_000_000
FEWEST_DAYS = 5
"""Below this many days no interval is given: days are what is drawn."""

MOST_DAYS = 1_000
"""Above this many days their pairs are more than the rows are worth: each sample is measured by itself."""

_BLOCK = 2_000_000
"""About how many numbers are held at once for the pairs of days."""

_NAN = float("nan")


@dataclass(frozen=True)
class Samples:
    """Samples of whole UTC days: `day` is each row's, `counts` how often each sample (a row) has each day (a column).

    There is no sample where there are too few days.
    """

    day: NDArray[np.int64]
    counts: Floats

    @classmethod
    def of(cls, at: NDArray[np.int64], *, seed: int, draws: int) -> Samples:
        """Draw samples of the days of `at` (microseconds)."""
        days, day = np.unique(at // DAY, return_inverse=True)
        count = len(days)
        if count < FEWEST_DAYS:
            return cls(day, np.empty((0, count)))
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
        return cls(day, drawn.astype(np.float64))

    def measured(self, metric: Metric, label: Floats, score: Floats) -> Floats:
        """The metric of each sample; NaN where one has none."""
        quick = _QUICK.get(metric)
        if quick is not None and len(label) and self.counts.shape[1] <= MOST_DAYS:
            with np.errstate(invalid="ignore", divide="ignore"):
                return quick(self, label, score)
        order = np.argsort(score, kind="stable")  # what is sorted is quick to sort again in every sample
        day, label, score = self.day[order], label[order], score[order]
        return np.array([metric(label, score, one[day]) for one in self.counts])

    def sums(self, values: Floats) -> Floats:
        """The sum of some values over each sample's rows."""
        return self.counts @ np.bincount(self.day, values, self.counts.shape[1])

    def rows(self) -> Floats:
        """How many rows each sample has."""
        return self.sums(np.ones(len(self.day)))


def interval(value: float, drawn: Floats) -> tuple[float, float] | None:
    """The 2.5 % and 97.5 % points; none where a tenth of the samples lack a value: the rest would look too sure."""
    usable = drawn[~np.isnan(drawn)]
    if value != value or not len(usable) or len(usable) < 0.9 * len(drawn):
        return None
    low, high = np.percentile(usable, [2.5, 97.5])
    return float(low), float(high)


def _mean(of: Callable[[Floats, Floats], Floats]) -> Callable[[Samples, Floats, Floats], Floats]:
    def measured(samples: Samples, label: Floats, score: Floats) -> Floats:
        return samples.sums(of(label, score)) / samples.rows()

    return measured


def _rmse(samples: Samples, label: Floats, score: Floats) -> Floats:
    found: Floats = np.sqrt(_mean(metrics.squared_errors)(samples, label, score))
    return found


def _r2(samples: Samples, label: Floats, score: Floats) -> Floats:
    rows, inner = samples.rows(), label - label.mean()
    spread = samples.sums(inner**2) / rows - (samples.sums(inner) / rows) ** 2
    error = samples.sums(metrics.squared_errors(label, score)) / rows
    # What is left of a spread of nothing is rounding.
    tiny = 1e-14 * float((inner**2).max(initial=0))
    return np.where(spread > tiny, 1 - error / spread, _NAN)


def _calibration_error(samples: Samples, label: Floats, score: Floats) -> Floats:
    days = samples.counts.shape[1]
    place = metrics.bins(score) * days + samples.day
    gaps = np.bincount(place, score - label, BINS * days).reshape(BINS, days)
    found: Floats = np.abs(samples.counts @ gaps.T).sum(axis=1) / samples.rows()
    return found


def _roc_auc(samples: Samples, label: Floats, score: Floats) -> Floats:
    counts = samples.counts
    pairs = samples.sums(label) * samples.sums(1 - label)
    won = ((counts @ _wins(samples.day, label, score, counts.shape[1])) * counts).sum(axis=1)
    return np.where(pairs > 0, won / pairs, _NAN)


def _wins(day: NDArray[np.int64], label: Floats, score: Floats, days: int) -> Floats:
    """For each pair of days, in how many pairs of rows a positive of the first scores above a negative of the second.

    A tie counts half.
    """
    order = np.argsort(score, kind="stable")
    day, label, score = day[order], label[order], score[order]
    starts = np.flatnonzero(np.r_[True, score[1:] != score[:-1]])
    step = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(score)]))
    found, below = np.zeros((days, days)), np.zeros(days)
    size = max(_BLOCK // days, 1)
    for first in range(0, len(starts), size):
        rows = slice(*np.searchsorted(step, [first, first + size]))
        steps = min(size, len(starts) - first)
        place, positive = step[rows] - first, label[rows]
        negatives = np.bincount(place * days + day[rows], 1 - positive, steps * days).reshape(steps, days)
        beaten = below + np.cumsum(negatives, axis=0) - negatives / 2
        below = below + negatives.sum(axis=0)
        there = np.flatnonzero(positive)
        there = there[np.argsort(day[rows][there], kind="stable")]
        if len(there):
            own = day[rows][there]
            groups = np.flatnonzero(np.r_[True, own[1:] != own[:-1]])
            won = beaten[place[there]] * positive[there][:, None]
            found[own[groups]] += np.add.reduceat(won, groups, axis=0)
    return found


_QUICK: Mapping[Metric, Callable[[Samples, Floats, Floats], Floats]] = {
    metrics.roc_auc: _roc_auc,
    metrics.brier: _mean(metrics.squared_errors),
    metrics.log_loss: _mean(metrics.log_losses),
    metrics.calibration_error: _calibration_error,
    metrics.rmse: _rmse,
    metrics.mae: _mean(metrics.absolute_errors),
    metrics.r2: _r2,
}
"""Metrics whose value over a sample follows from what days add; any other is computed of each sample's rows."""
