"""The gate: what each metric must reach for a model to be released."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lichen.errors import FoundWrong, Where, did_you_mean
from lichen.evaluate.metrics import HIGHER_IS_BETTER, METRICS
from lichen.spec import GateRule


@dataclass(frozen=True)
class Verdict:
    """What one rule says of one metric: the value, the limit, and whether it holds."""

    metric: str
    rule: str
    value: float | None
    limit: float | None
    passed: bool
    why: str

    def as_dict(self) -> dict[str, Any]:
        """The verdict as a JSON object; a value that could not be measured is null."""
        measured = self.value is not None and math.isfinite(self.value)
        return {**asdict(self), "value": self.value if measured else None}


def check_gate(task: str, metrics: Iterable[str], where: Where | None = None) -> None:
    """Refuse a gate that names a metric the task does not have."""
    for name in metrics:
        if name not in METRICS[task]:
            raise FoundWrong(
                "LCH-2960",
                f"the gate names `{name}`, which is no metric of {task}",
                where=where,
                why=f"the metrics of {task} are {', '.join(METRICS[task])}",
                fix=did_you_mean(name, METRICS[task]),
            )


def judge(rules: Mapping[str, GateRule], metrics: Mapping[str, float]) -> list[Verdict]:
    """One verdict for each `min` and `max` of each rule; a metric that is not a number passes none."""
    verdicts = []
    for name, rule in rules.items():
        if name not in metrics:
            raise FoundWrong(
                "LCH-2961",
                f"the gate names `{name}`, which was not measured",
                why=f"measured were {', '.join(metrics)}",
                fix=did_you_mean(name, metrics),
            )
        value = metrics[name]
        if rule.min is not None:
            verdicts.append(_verdict(name, "min", value, rule.min, value >= rule.min))
        if rule.max is not None:
            verdicts.append(_verdict(name, "max", value, rule.max, value <= rule.max))
    return verdicts


def judge_beside(
    rules: Mapping[str, GateRule],
    before: Mapping[str, float] | None,
    after: Mapping[str, float] | None,
    why: str = "",
) -> list[Verdict]:
    """One verdict for each `no_worse_than_live`: a model's metrics beside the released one's on the same rows.

    Without metrics nothing was compared: that fails for the reason `why`, and holds where there is none, for then
    there is no released model.
    """
    return [
        _beside(name, rule.no_worse_than_live, before, after, why)
        for name, rule in rules.items()
        if rule.no_worse_than_live is not None
    ]


def _verdict(name: str, rule: str, value: float, limit: float, passed: bool) -> Verdict:
    if math.isnan(value):
        return Verdict(name, rule, value, limit, False, f"{name} could not be measured on the test rows")
    side = "at least" if rule == "min" else "at most"
    return Verdict(name, rule, value, limit, passed, f"{name} is {value:.4f}, wanted {side} {limit:g}")


def _beside(
    name: str, slack: float, before: Mapping[str, float] | None, after: Mapping[str, float] | None, why: str
) -> Verdict:
    rule = "no_worse_than_live"
    if before is None or after is None:
        if not why:
            return Verdict(name, rule, None, None, True, "there is no released model to compare with")
        said = f"{name} cannot be compared with the released model's: {why}"
        return Verdict(name, rule, None, None, False, f"{said}; without `{rule}` in its gate it is released")
    was, value, better_up = before[name], after[name], name in HIGHER_IS_BETTER
    if math.isnan(was) or math.isnan(value):
        return Verdict(name, rule, None, None, False, f"{name} could not be measured on the rows of both models")
    limit = was - slack if better_up else was + slack
    passed = value >= limit if better_up else value <= limit
    side = "at least" if better_up else "at most"
    said = f"{name} is {value:.4f} where the released model's is {was:.4f}, on the same rows"
    return Verdict(name, rule, value, limit, passed, f"{said}: wanted {side} {limit:.4f}")
