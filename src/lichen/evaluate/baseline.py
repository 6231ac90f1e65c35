"""What the model is worth more than: a constant, and the best single feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from arro3.core import Table

from lichen.evaluate.metrics import METRICS
from lichen.evaluate.single import Single, column_of
from lichen.train.fit import Trained
from lichen.train.prepare import LABEL


@dataclass(frozen=True)
class Baseline:
    """Two predictions that need no model, measured on the test rows.

    `constant` is the training rows' mean label, predicted for every row. `feature` is the one feature whose twenty
    bins (or categories), each predicting its training rows' mean label, did best on the early-stop rows, or on the
    training rows where there are none.
    """

    constant: float
    constant_metrics: Mapping[str, float]
    feature: str
    feature_metrics: Mapping[str, float]


def baseline(task: str, trained: Trained, alone: Sequence[Single]) -> Baseline:
    """Measure both on the test rows; nothing is chosen by looking at them. `alone` are the features one by one."""
    parts = {part: Table.from_arrow(trained.parts[part].rows) for part in ("train", "test")}
    mean, test = float(column_of(parts["train"], LABEL).mean()), column_of(parts["test"], LABEL)
    constant = np.full(len(test), mean)
    best = min(alone, key=lambda one: one.error, default=None)
    chosen = constant if best is None else best.means.predict(column_of(parts["test"], best.feature))
    return Baseline(
        mean,
        {name: metric(test, constant, None) for name, metric in METRICS[task].items()},
        "" if best is None else best.feature,
        {name: metric(test, chosen, None) for name, metric in METRICS[task].items()},
    )
