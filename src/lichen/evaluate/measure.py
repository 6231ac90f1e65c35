"""A model's metrics on its test rows, each with how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lichen.errors import FoundWrong
from lichen.evaluate.bootstrap import Samples, interval
from lichen.evaluate.metrics import METRICS, Floats


@dataclass(frozen=True)
class Measured:
    """A metric's value with its 95 % interval; no interval where there are too few days to draw from."""

    value: float
    low: float | None = None
    high: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The value as a JSON object."""
        return asdict(self)


def measure(
    task: str,
    label: Floats,
    score: Floats,
    at: NDArray[np.int64],
    *,
    seed: int = 0,
    draws: int = 300,
    only: Sequence[str] | None = None,
) -> dict[str, Measured]:
    """A task's metrics with 95 % intervals: of `draws` samples of whole UTC days of `at` (microseconds)."""
    if len(label) == 0:
        raise FoundWrong("LCH-2950", "there is no row to measure a metric on", fix="lengthen `validate.test`")
    samples = Samples.of(at, seed=seed, draws=draws)
    found = {}
    for name in only or METRICS[task]:
        metric = METRICS[task][name]
        value = metric(label, score, None)
        found[name] = Measured(value, *(interval(value, samples.measured(metric, label, score)) or ()))
    return found
