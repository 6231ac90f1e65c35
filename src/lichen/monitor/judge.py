"""Has a cohort's metric become worse than it was when the model was released?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lichen.errors import FoundWrong, ProjectErrors, Where
from lichen.evaluate.metrics import BOUNDS, HIGHER_IS_BETTER, MAIN, METRICS
from lichen.monitor.cohort import span
from lichen.monitor.finding import Finding, Unjudged
from lichen.monitor.outcome import LEAST_DAYS, Cohort, Scores
from lichen.spec.monitor import ErrorQuestion, MetricQuestion

LEAST_ROWS = 200
"""A cohort with fewer labelled predictions is not judged by its metric."""

LEAST_OF_A_CLASS = 30
"""Nor is one with fewer labels of either class."""

NOT_ENDED = "they have not ended yet"
"""Why an open cohort is not judged."""

_NAMES = {
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R2",
}


@dataclass(frozen=True)
class Bar:
    """What a cohort's metric is held against: its value on release, and how much worse (`drop`, `rise`) is allowed."""

    metric: str
    was: float
    way: str
    allowed: float

    def loss(self, value: float) -> float:
        """How much worse a value is than the released one; negative where it is better."""
        return self.was - value if self.metric in HIGHER_IS_BETTER else value - self.was

    def severity(self, value: float, scores: Scores) -> float:
        """How bad a value is, from 0 to 1, comparable with a drift's severity.

        The share of the model's skill above chance that is gone; for an error, by what share of itself it has grown.
        """
        chance = {"roc_auc": 0.5, "average_precision": scores.mean_label}.get(self.metric, 0.0)
        skill = self.was - chance if self.metric in HIGHER_IS_BETTER else self.was
        return min(1.0, self.loss(value) / max(skill, self.allowed))


def check_questions(
    task: str, asked: Mapping[str, MetricQuestion | ErrorQuestion], where: Callable[..., Where]
) -> None:
    """Refuse questions about metrics that the task does not have, and those that no answer could be beyond, at once.

    `where` gives the place of a key in `ask`.
    """
    wrong = [
        FoundWrong(
            "LCH-2804",
            f"the monitor asks for `{name}`, which is no metric of {task}",
            where=where(name),
            why=f"the metrics of {task} are {', '.join(METRICS[task])}",
            fix=f"ask for `{MAIN[task]}`, or for another of them",
        )
        for name in asked
        if name not in METRICS[task]
    ]
    for name, question in asked.items():
        low, high = BOUNDS.get(name, (0.0, 1.0))
        way, allowed = question.allowed
        if name in METRICS[task] and allowed >= high - low:
            wrong.append(
                FoundWrong(
                    "LCH-2806",
                    f"the monitor allows `{name}` a {way} of {allowed:g}, which is all it can be: it finds nothing",
                    where=where(name, way),
                    why=f"`{name}` lies from {low:g} to {high:g}",
                    fix=f"let it be smaller, as in `{way}: 0.03`",
                )
            )
    if wrong:
        raise ProjectErrors(wrong)


def metric_name(metric: str) -> str:
    """A metric's name for people.

    >>> metric_name("roc_auc"), metric_name("calibration_error")
    ('ROC AUC', 'calibration error')
    """
    return _NAMES.get(metric, metric.replace("_", " "))


def metric_value(metric: str, value: float) -> str:
    """A metric's value for people: three decimals, or four figures of what has the label's unit.

    >>> metric_value("roc_auc", 0.73519), metric_value("rmse", 1234.5678)
    ('0.735', '1235')
    """
    return f"{value:.3f}" if metric in METRICS["classification"] or metric == "r2" else f"{value:.4g}"


def judge(monitor: str, cohort: Cohort, bar: Bar, now: int) -> Finding | Unjudged | None:
    """A finding needs both: the estimate beyond what is allowed, and an interval that excludes what was released."""
    scores, name = cohort.scores, bar.metric
    reason = _reason_not_to_judge(cohort, name)
    if reason is not None or scores is None:
        return Unjudged(name, cohort.start, cohort.end, *(reason or ("no labels", None)))
    value, (low, high) = scores.metrics[name], scores.intervals[name]
    assert value is not None
    if bar.loss(value) <= bar.allowed or low <= bar.was <= high:
        return None
    shown, least, most, was = (metric_value(name, one) for one in (value, low, high, bar.was))
    return Finding.of(
        monitor, f"metric_{bar.way}", name, (cohort.start, cohort.end),
        severity=bar.severity(value, scores),
        message=(
            f"{metric_name(name)} over {cohort.labelled:,} predictions of {span(cohort.start, cohort.end)} is {shown} "
            f"(95 % interval {least} to {most}); the model had {was} in its test, "
            f"and a {bar.way} of {bar.allowed:g} is allowed."
        ),
        found_at=now,
        evidence={
            name: value, "low": low, "high": high, "released": bar.was, bar.way: bar.allowed,
            "labelled": cohort.labelled, "positives": scores.positives, "closed": cohort.closed,
            "mean_label": scores.mean_label, "mean_score": scores.mean_score,
        },
    )  # fmt: skip


def _reason_not_to_judge(cohort: Cohort, metric: str) -> tuple[str, int | None] | None:
    """What `Unjudged` says and how many there were, or None."""
    scores = cohort.scores
    if cohort.state == "open":
        return NOT_ENDED, None
    if cohort.state == "immature":
        return "labels of {had} predictions are still to come", cohort.pending
    if scores is None or cohort.labelled < LEAST_ROWS:
        return f"{{had}} labelled predictions: at least {LEAST_ROWS} are needed", cohort.labelled
    if scores.positives is not None:
        fewest = min(scores.positives, cohort.labelled - scores.positives)
        if fewest < LEAST_OF_A_CLASS:
            return f"{{had}} labels of the rarer class: at least {LEAST_OF_A_CLASS} are needed", fewest
    if scores.days < LEAST_DAYS:
        needed = f"at least {LEAST_DAYS} are needed for an interval: let `every` be longer"
        return f"labels on {{had}} days: {needed}", scores.days
    if metric in scores.intervals:
        return None
    # The error itself is always a number, unless what it sums up is too large for one.
    large = scores.metrics[metric] is not None or scores.metrics.get("rmse", 0.0) is None
    return (
        "labels or predictions are too large for its errors to be numbers" if large else "all labels are alike"
    ), None
