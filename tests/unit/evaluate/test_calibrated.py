from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lichen.evaluate.calibrated import calibrated
from lichen.train.calibrate import Interval, Probability
from lichen.train.fit import Scored, Trained


def trained(calibration: Any, label: Any, score: Any) -> Trained:
    test = Scored(np.arange(len(label)), np.asarray(label, float), np.asarray(score, float), {})
    nothing: Any = None
    return Trained("", nothing, nothing, nothing, nothing, test, {}, 0.0, calibration)


def test_a_probability_is_judged_before_and_after() -> None:
    random = np.random.default_rng(1)
    true = random.random(20_000)
    label = random.random(20_000) < true
    made = trained(Probability("isotonic", 500, (0.0, 0.5), (0.0, 1.0)), label, true / 2)
    facts = calibrated(made)
    assert facts is not None
    assert (facts["gives"], facts["method"], facts["rows"]) == ("probability", "isotonic", 500)
    assert facts["calibration_error"]["before"] == pytest.approx(0.25, abs=0.01)
    assert facts["calibration_error"]["after"] < 0.02
    assert facts["log_loss"]["after"] < facts["log_loss"]["before"]


def test_an_interval_is_judged_by_what_it_held() -> None:
    made = trained(Interval(0.9, 40, -1.0, 2.0), [0.0, 2.0, 3.0, -1.0], [1.0, 0.0, 0.0, 0.0])
    assert calibrated(made) == {
        "gives": "interval", "method": "conformal", "rows": 40, "coverage": 0.9,
        "held": 0.75, "low": -1.0, "high": 2.0, "width": 3.0,
    }  # fmt: skip
    assert calibrated(replace(made, calibration=None)) is None
