"""What a raw score means: a calibrated probability, or the interval in which the label is to be expected.

Both are learned from rows that the model did not learn from and that are not the test, are kept as numbers, and give
one row and many the same to the bit.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST = 100
"""Of fewer rows than this no calibration of a probability is learned."""

_LEAST = float(np.finfo(np.float64).eps)
_STEPS, _LEAST_GAIN = 100, 1e-9


@dataclass(frozen=True)
class Probability:
    """How a score becomes a probability: not at all, by Platt's sigmoid of the log odds, or by isotonic steps.

    `method` is `identity`, `platt` or `isotonic`, `rows` from how many it was learned. Isotonic, a score between two
    of `scores` lies as far between their `probabilities`; beyond the ends it has the end's.

    >>> steps = Probability("isotonic", 200, scores=(0.2, 0.4), probabilities=(0.1, 0.5))
    >>> steps.row(0.1), round(steps.row(0.25), 3), steps.many([0.2, 0.9])
    (0.1, 0.2, [0.1, 0.5])
    """

    method: str
    rows: int
    scores: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()
    slope: float = 1.0
    offset: float = 0.0
    gives: ClassVar[str] = "probability"

    @cached_property
    def row(self) -> Callable[[float], float]:
        """A function from one score to its probability."""
        if self.method == "platt":
            return self._platt
        return self._step if self.method == "isotonic" else float

    def many(self, scores: Sequence[float]) -> list[float]:
        """The probabilities of many scores."""
        if self.method != "isotonic":
            return [self.row(score) for score in scores]
        xs, ys = np.array(self.scores), np.array(self.probabilities)
        given = np.array(scores, np.float64)
        at = np.clip(np.searchsorted(xs, given, side="right") - 1, 0, len(xs) - 2)
        # Beyond the ends a way may be as long as no number holds: there the end's value counts.
        with np.errstate(over="ignore", invalid="ignore"):
            between = ys[at] + (given - xs[at]) / (xs[at + 1] - xs[at]) * (ys[at + 1] - ys[at])
        found: list[float] = np.where(given <= xs[0], ys[0], np.where(given >= xs[-1], ys[-1], between)).tolist()
        return found

    def as_dict(self) -> dict[str, Any]:
        """The calibration as a JSON object."""
        facts: dict[str, Any] = {"gives": self.gives, "method": self.method, "rows": self.rows}
        if self.method == "isotonic":
            return facts | {"scores": list(self.scores), "probabilities": list(self.probabilities)}
        return facts | ({"slope": self.slope, "offset": self.offset} if self.method == "platt" else {})

    def _platt(self, score: float) -> float:
        # In Python for one row and for many: numpy's exp and log differ by a bit.
        inside = min(max(score, _LEAST), 1 - _LEAST)
        odds = math.log(inside / (1 - inside)) * self.slope + self.offset
        if odds >= 0:
            return 1.0 / (1.0 + math.exp(-odds))
        power = math.exp(odds)
        return power / (1.0 + power)

    def _step(self, score: float) -> float:
        xs, ys = self.scores, self.probabilities
        if score <= xs[0]:
            return ys[0]
        if score >= xs[-1]:
            return ys[-1]
        at = min(bisect_right(xs, score) - 1, len(xs) - 2)
        return ys[at] + (score - xs[at]) / (xs[at + 1] - xs[at]) * (ys[at + 1] - ys[at])


@dataclass(frozen=True)
class Interval:
    """How far from the score the label is to be expected, in its unit: from `low` below to `high` above.

    `coverage` is the share of labels that are to lie inside, `rows` from how many it was learned.

    >>> Interval(0.9, 200, -2.0, 3.5).row(10.0)
    (8.0, 13.5)
    """

    coverage: float
    rows: int
    low: float
    high: float
    gives: ClassVar[str] = "interval"
    method: ClassVar[str] = "conformal"

    def row(self, score: float) -> tuple[float, float]:
        """One score's interval."""
        return score + self.low, score + self.high

    def many(self, scores: Sequence[float]) -> list[tuple[float, float]]:
        """The intervals of many scores."""
        given = np.array(scores, np.float64)
        return list(zip((given + self.low).tolist(), (given + self.high).tolist(), strict=True))

    def as_dict(self) -> dict[str, Any]:
        """The calibration as a JSON object."""
        facts = {"gives": self.gives, "method": self.method, "rows": self.rows}
        return {**facts, "coverage": self.coverage, "low": self.low, "high": self.high}


Calibration = Probability | Interval


def from_dict(facts: Mapping[str, Any] | None) -> Calibration | None:
    """The calibration that `as_dict` wrote; None where a model has none."""
    if facts is None:
        return None
    if facts["gives"] == Interval.gives:
        return Interval(facts["coverage"], facts["rows"], facts["low"], facts["high"])
    return Probability(
        facts["method"],
        facts["rows"],
        tuple(facts.get("scores", ())),
        tuple(facts.get("probabilities", ())),
        facts.get("slope", 1.0),
        facts.get("offset", 0.0),
    )


def probability(label: Floats, score: Floats) -> Probability:
    """The calibration of scores in the order of their time.

    The first half teaches Platt's sigmoid and isotonic steps, the second judges them by log loss: the sigmoid has to
    gain on the score as it is, the steps on what then stands, by more than twice the gain's standard error. What is
    taken is learned anew from all rows. With fewer than `FEWEST` rows, or a half without both classes, the score stays
    as it is.
    """
    half, rows = len(label) // 2, len(label)
    as_it_is = Probability("identity", rows)
    if rows < FEWEST or any(len(np.unique(part)) < 2 for part in (label[:half], label[half:])):
        return as_it_is
    losses, method = _losses(label[half:], score[half:]), None
    for learn in (_platt, _isotonic):
        made = learn(label[:half], score[:half])
        if made is None:
            continue
        told = _losses(label[half:], np.array(made.many(score[half:].tolist())))
        gain = losses - told
        if gain.mean() > 2 * gain.std() / math.sqrt(len(gain)):
            losses, method = told, learn
    return (method(label, score) if method is not None else None) or as_it_is


def interval(label: Floats, score: Floats, coverage: float) -> Interval | None:
    """The split-conformal interval that is to hold `coverage` of the labels; None where there are too few rows.

    The ends are quantiles of the residuals, each moved out by the one row that is to come: where that is exchangeable
    with these, it lies inside with at least this chance. Source: Vovk, Gammerman, Shafer, Algorithmic Learning in a
    Random World, 2005; Lei et al., Distribution-free predictive inference for regression, 2018.
    """
    left = np.sort(label - score)
    below = math.floor((len(left) + 1) * (1 - coverage) / 2 + 1e-9)
    if below < 1:
        return None
    return Interval(coverage, len(left), float(left[below - 1]), float(left[len(left) - below]))


def _losses(label: Floats, score: Floats) -> Floats:
    inside = np.clip(score, _LEAST, 1 - _LEAST)
    return -np.where(label > 0, np.log(inside), np.log1p(-inside))


def _platt(label: Floats, score: Floats) -> Probability | None:
    """A sigmoid of the log odds, by Newton's method; None where it would turn their order round.

    Source: Platt, Probabilistic outputs for support vector machines, 1999, with its softened targets.
    """
    inside = np.clip(score, _LEAST, 1 - _LEAST)
    odds = np.log(inside / (1 - inside))
    true = float(label.sum())
    target = np.where(label > 0, (true + 1) / (true + 2), 1 / (len(label) - true + 2))
    design, weights, step = np.column_stack([odds, np.ones(len(odds))]), np.array([1.0, 0.0]), np.zeros(2)
    lowest, best = math.inf, weights
    for _ in range(_STEPS):
        given = design @ weights
        loss = float((np.logaddexp(0, given) - target * given).sum())
        if loss < lowest:
            gained, lowest, best = lowest - loss, loss, weights
            if gained < _LEAST_GAIN:
                break
            told = np.exp(-np.logaddexp(0, -given))
            curve = design.T @ (design * (told * (1 - told))[:, None]) + 1e-9 * np.eye(2)
            step = np.linalg.solve(curve, design.T @ (told - target))
        else:
            step = step / 2  # it went too far
        weights = best - step
    slope, offset = best.tolist()
    return Probability("platt", len(label), slope=slope, offset=offset) if slope > 0 else None


def _isotonic(label: Floats, score: Floats) -> Probability | None:
    """Steps that never fall, by pooling neighbours that would; None where one step is left.

    A probability stays as far from 0 and 1 as one row more of either class would move it.
    """
    xs, places, counts = np.unique(score, return_inverse=True, return_counts=True)
    trues = np.bincount(places, label)
    blocks: list[tuple[float, float, float, float]] = []
    for x, true, count in zip(xs.tolist(), trues.tolist(), counts.tolist(), strict=True):
        first = x
        while blocks and blocks[-1][2] * count >= true * blocks[-1][3]:
            first, _, more, others = blocks.pop()
            true, count = true + more, count + others  # noqa: PLW2901 - the block grows
        blocks.append((first, x, true, count))
    if len(blocks) < 2:
        return None
    least = 1 / (len(label) + 2)
    knots = []
    for first, last, true, count in blocks:
        value = min(max(true / count, least), 1 - least)
        knots += [(first, value)] if first == last else [(first, value), (last, value)]
    return Probability("isotonic", len(label), tuple(x for x, _ in knots), tuple(y for _, y in knots))
