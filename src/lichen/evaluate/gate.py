"""The gate: what each metric must reach for a model to be released."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lichen.errors import FoundWrong, Where, did_you_mean
from lichen.evaluate.metrics import BOUNDS, HIGHER_IS_BETTER, METRICS
from lichen.graph.version import Version
from lichen.spec import GateRule

BESIDE = "no_worse_than_live"
"""The rule that is judged beside the released model; the others are judged of a version alone."""


@dataclass(frozen=True)
class Verdict:
    """What one rule says of one metric: the value, the limit, and whether it holds."""

    metric: str
    rule: str
    value: float
    limit: float | None
    passed: bool
    why: str

    def as_dict(self) -> dict[str, Any]:
        """The verdict as a JSON object; a value that could not be measured is null."""
        return {**asdict(self), "value": self.value if math.isfinite(self.value) else None}


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


def check_rule(name: str, rule: GateRule, where: Callable[[str], Where]) -> Iterator[FoundWrong]:
    """Refuse limits of a metric that everything would pass, or nothing; `where` gives the place of a key's value."""
    low, high = BOUNDS.get(name, (0.0, 1.0))
    lies = f"from {low:g} to {high:g}" if math.isfinite(high - low) else ("up to 1" if high == 1 else "from 0 on")
    for key, limit, least, most in (
        ("min", rule.min, low, high),
        ("max", rule.max, low, high),
        (BESIDE, rule.no_worse_than_live, 0.0, high - low),
    ):
        if limit is not None and not least <= limit <= most:
            none = (limit > most) if key == "min" else (limit < least)
            yield FoundWrong(
                "LCH-2962",
                f"the gate's `{key}: {limit:g}` is beyond what `{name}` can be: {'nothing' if none else 'every model'} "
                "would pass",
                where=where(key),
                why=f"`{name}` lies {lies}",
                fix=_nearer(key, limit, least, most),
            )


def _nearer(key: str, limit: float, least: float, most: float) -> str:
    """What was probably meant: a share that was written in tenths or in hundredths."""
    for part in (10, 100):
        if least <= limit / part <= most and limit > most:
            return f"did you mean `{key}: {limit / part:g}`?"
    return "give it a value that some models reach and others do not, or remove it"


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
    after: Mapping[str, float],
    why: str = "",
) -> list[Verdict]:
    """One verdict for each `no_worse_than_live`: a model's metrics beside the released one's on the same rows.

    Without `before` nothing was compared: that fails for the reason `why`. Where there is none there is no released
    model, and what could be measured passes.
    """
    return [
        _beside(name, rule.no_worse_than_live, before, after, why)
        for name, rule in rules.items()
        if rule.no_worse_than_live is not None
    ]


def judged_alone(version: Version) -> list[dict[str, Any]]:
    """What a version's gate said of it without a look at any other."""
    return [verdict for verdict in version.facts["gate"] if verdict["rule"] != BESIDE]


def _verdict(name: str, rule: str, value: float, limit: float, passed: bool) -> Verdict:
    if math.isnan(value):
        return Verdict(name, rule, value, limit, False, _not_measured(name))
    side = "at least" if rule == "min" else "at most"
    return Verdict(name, rule, value, limit, passed, f"{name} is {value:.4f}, wanted {side} {limit:g}")


def _not_measured(name: str) -> str:
    why = " (their labels are all alike)" if name in ("roc_auc", "average_precision", "r2") else ""
    return f"{name} could not be measured on the test rows{why}"


def _beside(
    name: str, slack: float, before: Mapping[str, float] | None, after: Mapping[str, float], why: str
) -> Verdict:
    value, better_up = after[name], name in HIGHER_IS_BETTER
    if why:
        said = f"{name} cannot be compared with the released model's: {why}"
        return Verdict(name, BESIDE, value, None, False, f"{said}; without `{BESIDE}` in its gate it is released")
    if math.isnan(value) or (before is not None and math.isnan(before[name])):
        return Verdict(name, BESIDE, value, None, False, _not_measured(name))
    if before is None:
        return Verdict(name, BESIDE, value, None, True, "there is no released model to compare with")
    was = before[name]
    limit = was - slack if better_up else was + slack
    passed = value >= limit if better_up else value <= limit
    side = "at least" if better_up else "at most"
    said = f"{name} is {value:.4f} where the released model's is {was:.4f}, on the same rows"
    return Verdict(name, BESIDE, value, limit, passed, f"{said}: wanted {side} {limit:.4f}")
