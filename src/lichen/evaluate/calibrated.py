"""How well answers are calibrated on the test rows: probabilities before and after, intervals by what they hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from lichen.evaluate.metrics import calibration_error, log_loss
from lichen.train.calibrate import Interval
from lichen.train.fit import Trained


def calibrated(trained: Trained) -> dict[str, Any] | None:
    """The calibration's facts, and what came of it on the test rows; None where a number has no interval.

    Of a probability: calibration error and log loss of the raw scores (`before`) and of the probabilities (`after`).
    Of an interval: the share of labels that lie inside (`held`), and its width in the label's unit.
    """
    made, test = trained.calibration, trained.test
    if made is None:
        return None
    facts: dict[str, Any] = {"gives": made.gives, "method": made.method, "rows": made.rows}
    if isinstance(made, Interval):
        held = (test.label >= test.score + made.low) & (test.label <= test.score + made.high)
        return {
            **facts,
            "coverage": made.coverage,
            "held": float(held.mean()),
            "low": made.low,
            "high": made.high,
            "width": made.high - made.low,
        }
    after = np.array(made.many(test.score.tolist()))
    for name, metric in (("calibration_error", calibration_error), ("log_loss", log_loss)):
        facts[name] = {"before": metric(test.label, test.score), "after": metric(test.label, after)}
    return facts
