"""All questions of one monitor, asked once; what is answered badly becomes a finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lichen.errors import FoundWrong
from lichen.monitor.cohort import Cohorts, instant, shown
from lichen.monitor.drift import Drift, Drifts, drift
from lichen.monitor.finding import Finding, Unjudged
from lichen.monitor.missing import Missing, missing
from lichen.monitor.outcome import LEAST_DAYS, Cohort, cohorts_of, outcome
from lichen.monitor.sample import Sample, recorded
from lichen.ports import Engine, Relation
from lichen.spec.monitor import Monitor

LEAST_ROWS = 200
"""A cohort with fewer labelled predictions is not judged by its metric."""

LEAST_OF_A_CLASS = 30
"""Nor is one with fewer labels of either class."""

LEAST_ANSWERED = 0.5
"""Where a smaller share of a mature cohort has labels, the metric is a minority's: this is a finding."""

_CHANCE = 0.5
_SAID = ("feature", "start", "end", "severity", "drifted")


@dataclass(frozen=True)
class Released:
    """What is known of the model that answers: its metrics on its test rows and what its features weigh.

    `importances` are shares by qualified feature name; exactly these features are watched for drift.
    """

    metrics: Mapping[str, float]
    importances: Mapping[str, float]


@dataclass(frozen=True)
class Watch:
    """The answers to one monitor's questions at `now` (microseconds since 1970 UTC), findings worst first."""

    monitor: str
    now: int
    cohorts: tuple[Cohort, ...]
    drifts: tuple[Drift, ...]
    findings: tuple[Finding, ...]
    unjudged: tuple[Unjudged, ...]

    def as_dict(self) -> dict[str, Any]:
        """The watch as a JSON object."""
        lists = ("cohorts", "drifts", "findings", "unjudged")
        return {"monitor": self.monitor, "now": self.now} | {
            name: [each.as_dict() for each in getattr(self, name)] for name in lists
        }


def watch(
    name: str,
    monitor: Monitor,
    released: Released,
    predictions: Relation,
    reference: Sample,
    engine: Engine,
    *,
    now: int | datetime,
    wait: timedelta | None,
    since: int | datetime | None = None,
    seed: int = 0,
) -> Watch:
    """Ask all of a monitor's questions about the predictions asked from `since` (by default the first) to `now`.

    `predictions` has the columns `at`, `score`, `label`, `known` and `feature.<view>.<name>`; `reference` holds the
    rows that drift is measured from; `wait` is the label's. The same rows and `now` give the same answer. Cohorts
    count from the UTC day of `since`, so keep it to find the same cohorts again.
    """
    cohorts = cohorts_of(predictions, engine, now=now, length=monitor.every, since=since)
    at = instant(now)
    found: list[Finding] = []
    unjudged: list[Unjudged] = []
    outcomes = outcome(predictions, engine, cohorts=cohorts, now=at, wait=wait, seed=seed)
    found += _unanswered(name, outcomes, at)
    if monitor.ask.roc_auc is not None:
        was = _released_metric(released, "roc_auc")
        for cohort in outcomes:
            if cohort.state == "mature":
                judged = _dropped(name, cohort, was, monitor.ask.roc_auc.drop, at)
                found += [judged] if isinstance(judged, Finding) else []
                unjudged += [judged] if isinstance(judged, Unjudged) else []
    drifts = _drifts(monitor, released, predictions, reference, engine, cohorts, at, seed)
    if monitor.ask.missing is not None:
        live = Sample("predictions", predictions, "at", recorded)
        absent = missing(tuple(released.importances), reference, live, engine, cohorts=cohorts, now=at)
        found += _absent(name, absent, released.importances, monitor.ask.missing.rise, at)
    if monitor.ask.drift is not None:
        found += _moved(name, drifts.judged, monitor.ask.drift.severity, at)
    ordered = sorted(found, key=lambda finding: (-finding.severity, finding.start, finding.kind, finding.subject))
    return Watch(name, at, outcomes, drifts.judged, tuple(ordered), (*unjudged, *drifts.unjudged))


def _drifts(
    monitor: Monitor,
    released: Released,
    predictions: Relation,
    reference: Sample,
    engine: Engine,
    cohorts: Cohorts,
    now: int,
    seed: int,
) -> Drifts:
    if monitor.ask.drift is None:
        return Drifts((), ())
    live = Sample("predictions", predictions, "at", recorded)
    false_alarms = monitor.ask.drift.false_alarms
    return drift(
        released.importances, reference, live, engine, cohorts=cohorts, now=now, false_alarms=false_alarms, seed=seed
    )


def _released_metric(released: Released, metric: str) -> float:
    if metric not in released.metrics:
        raise FoundWrong(
            "LCH-2803",
            f"the released model has no `{metric}` on its test rows",
            why=f"the monitor asks how far `{metric}` has fallen below it",
            fix=f"remove `{metric}` from the monitor's `ask`, or train again with labels of both classes in the test",
        )
    return released.metrics[metric]


def _unanswered(monitor: str, cohorts: tuple[Cohort, ...], now: int) -> Iterator[Finding]:
    for cohort in cohorts:
        if cohort.state != "mature" or cohort.predictions < LEAST_ROWS:
            continue
        share = cohort.labelled / cohort.predictions
        if share < LEAST_ANSWERED:
            yield Finding.of(
                monitor, "unanswered", "label", (cohort.start, cohort.end),
                severity=1 - share,
                message=f"{cohort.closed:,} of {cohort.predictions:,} predictions of {_span(cohort)} got no label.",
                found_at=now,
                evidence={"predictions": cohort.predictions, "labelled": cohort.labelled, "closed": cohort.closed},
            )  # fmt: skip


def _dropped(monitor: str, cohort: Cohort, was: float, drop: float, now: int) -> Finding | Unjudged | None:
    """A finding needs both: the estimate below what is allowed, and an interval that excludes what was released."""
    scores = cohort.scores
    reason = _reason_not_to_judge(cohort)
    if reason is not None or scores is None or scores.roc_auc is None or scores.interval is None:
        return Unjudged("roc_auc", cohort.start, cohort.end, reason or "no interval")
    low, high = scores.interval
    if scores.roc_auc >= was - drop or high >= was:
        return None
    return Finding.of(
        monitor, "metric_drop", "roc_auc", (cohort.start, cohort.end),
        # The share of the model's skill above chance that is gone: comparable with a drift's severity.
        severity=min(1.0, (was - scores.roc_auc) / max(was - _CHANCE, drop)),
        message=(
            f"ROC AUC over {cohort.labelled:,} predictions of {_span(cohort)} is {scores.roc_auc:.3f} "
            f"(95 % interval {low:.3f} to {high:.3f}); the model had {was:.3f} in its test, "
            f"and a drop of {drop:g} is allowed."
        ),
        found_at=now,
        evidence={
            "roc_auc": scores.roc_auc, "low": low, "high": high, "released": was, "drop": drop,
            "labelled": cohort.labelled, "positives": scores.positives, "closed": cohort.closed,
            "base_rate": scores.base_rate, "mean_score": scores.mean_score,
        },
    )  # fmt: skip


def _reason_not_to_judge(cohort: Cohort) -> str | None:
    if cohort.scores is None or cohort.labelled < LEAST_ROWS:
        return f"{cohort.labelled} labelled predictions: at least {LEAST_ROWS} are needed"
    fewest = min(cohort.scores.positives, cohort.labelled - cohort.scores.positives)
    if fewest < LEAST_OF_A_CLASS:
        return f"{fewest} labels of the rarer class: at least {LEAST_OF_A_CLASS} are needed"
    if cohort.scores.days < LEAST_DAYS:
        needed = f"at least {LEAST_DAYS} are needed for an interval: let `every` be longer"
        return f"labels on {cohort.scores.days} days: {needed}"
    return None


def _absent(
    monitor: str, absent: tuple[Missing, ...], importances: Mapping[str, float], rise: float, now: int
) -> Iterator[Finding]:
    """One finding for the features of one view that went missing together."""
    together: dict[tuple[str, int, int], list[Missing]] = {}
    for each in absent:
        if each.share >= each.most + rise:
            together.setdefault((each.feature.partition(".")[0], each.start, each.end), []).append(each)
    for (view, start, end), features in together.items():
        worst = max(features, key=lambda each: each.share - each.most)
        carried = sum(importances[each.feature] for each in features)
        named = ", ".join(each.feature.partition(".")[2] for each in features[:3])
        more = f" and {len(features) - 3} more" if len(features) > 3 else ""
        yield Finding.of(
            monitor, "missing", view, (start, end),
            severity=carried * (worst.share - worst.usual),
            message=(
                f"`{view}` ({named}{more}) is missing in {worst.share:.1%} of {worst.rows:,} predictions of "
                f"{_span(worst)}; {worst.usual:.1%} is usual and {worst.most:.1%} was the most. It carries "
                f"{carried:.1%} of the model's importance."
            ),
            found_at=now,
            evidence={
                "rows": worst.rows, "importance": carried,
                "features": {e.feature: {"share": e.share, "usual": e.usual, "most": e.most} for e in features},
            },
        )  # fmt: skip


def _moved(monitor: str, drifts: tuple[Drift, ...], severity: float, now: int) -> Iterator[Finding]:
    for each in drifts:
        if not each.drifted or each.severity < severity:
            continue
        facts = each.as_dict()
        yield Finding.of(
            monitor, "drift", each.feature, (each.start, each.end),
            severity=each.severity,
            message=(
                f"`{each.feature}` has moved by {each.effect:.2f} (0 to 1; {each.typical:.2f} is usual) in "
                f"{each.rows:,} predictions of {_span(each)}: {each.bin} went from {each.share_before:.1%} to "
                f"{each.share_now:.1%}; it carries {each.importance:.1%} of the model's importance."
            ),
            found_at=now,
            evidence={name: fact for name, fact in facts.items() if name not in _SAID},
        )  # fmt: skip


def _span(of: Cohort | Drift | Missing) -> str:
    return f"{shown(of.start)} to {shown(of.end)}"
