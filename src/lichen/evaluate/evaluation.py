"""All that is said of a trained model on its test rows, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lichen.evaluate.baseline import Baseline, baseline
from lichen.evaluate.gate import Verdict, check_gate, judge
from lichen.evaluate.measure import Measured, measure
from lichen.evaluate.metrics import MAIN, Floats, bins
from lichen.evaluate.single import Single, singles
from lichen.evaluate.slices import Slices, slices
from lichen.spec import Model
from lichen.train.fit import Trained

_TABLE = 10


@dataclass(frozen=True)
class Bin:
    """A tenth of the test rows by score: the mean score and the mean label."""

    rows: int
    score: float
    label: float


@dataclass(frozen=True)
class Evaluation:
    """A model's metrics, the baseline, calibration table and slices, the gate's verdicts, and each feature alone."""

    metrics: Mapping[str, Measured]
    baseline: Baseline
    calibration: tuple[Bin, ...]
    slices: Slices
    verdicts: tuple[Verdict, ...]
    alone: tuple[Single, ...]

    @property
    def passed(self) -> bool:
        """Whether every rule of the gate holds."""
        return all(verdict.passed for verdict in self.verdicts)

    def values(self) -> dict[str, float]:
        """The metrics without their intervals."""
        return {name: measured.value for name, measured in self.metrics.items()}


def evaluate(model: Model, trained: Trained) -> Evaluation:
    """Judge a trained model by itself: beside the released one it is judged when it is to take its place."""
    check_gate(model.task, model.gate)
    test, alone = trained.test, singles(model.task, trained)
    metrics = measure(model.task, test.label, test.score, test.at, seed=model.seed)
    values = {name: measured.value for name, measured in metrics.items()}
    return Evaluation(
        metrics,
        baseline(model.task, trained, alone),
        calibration(test.label, test.score),
        slices(model.task, test, MAIN[model.task], seed=model.seed),
        tuple(judge(model.gate, values)),
        alone,
    )


def calibration(label: Floats, score: Floats) -> tuple[Bin, ...]:
    """Tenths of the rows by score, lowest first; equal scores share one."""
    place = bins(score, _TABLE)
    found = []
    for number in np.unique(place):
        inside = place == number
        found.append(Bin(int(inside.sum()), float(score[inside].mean()), float(label[inside].mean())))
    return tuple(found)
