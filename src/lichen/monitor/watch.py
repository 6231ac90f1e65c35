"""All questions of one monitor, asked once; what is answered badly becomes a finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lichen.errors import FoundWrong
from lichen.evaluate.metrics import MAIN
from lichen.monitor.cohort import Cohorts, instant, span
from lichen.monitor.drift import Drift, Drifts, drift
from lichen.monitor.finding import Finding, Unjudged
from lichen.monitor.judge import LEAST_ROWS, NOT_ENDED, Bar, judge
from lichen.monitor.missing import LEAST_ROWS as LEAST_FOR_A_SHARE
from lichen.monitor.missing import Missing, missing
from lichen.monitor.outcome import Cohort, cohorts_of, outcome
from lichen.monitor.sample import Sample, recorded
from lichen.ports import Engine, Relation
from lichen.spec.monitor import Monitor

LEAST_ANSWERED = 0.5
"""Where a smaller share of a mature cohort has labels, the metric is a minority's: this is a finding."""

_SAID = ("feature", "start", "end", "severity", "drifted")


@dataclass(frozen=True)
class Released:
    """What is known of the model that answers: its metrics on its test rows and what its features weigh.

    `importances` are shares by qualified feature name; exactly these features are watched for drift.
    """

    metrics: Mapping[str, float]
    importances: Mapping[str, float]
    task: str = "classification"


@dataclass(frozen=True)
class Watch:
    """The answers to one monitor's questions at `now` (microseconds since 1970 UTC), findings worst first."""

    monitor: str
    now: int
    metrics: tuple[str, ...]
    """The metrics with an interval: those asked about, or the task's main one."""
    judged: Mapping[str, int]
    """In how many cohorts each question that is asked could be judged."""
    cohorts: tuple[Cohort, ...]
    drifts: tuple[Drift, ...]
    findings: tuple[Finding, ...]
    unjudged: tuple[Unjudged, ...]

    def as_dict(self) -> dict[str, Any]:
        """The watch as a JSON object."""
        lists = ("cohorts", "drifts", "findings", "unjudged")
        said = {"monitor": self.monitor, "now": self.now, "metrics": list(self.metrics), "judged": dict(self.judged)}
        return said | {name: [each.as_dict() for each in getattr(self, name)] for name in lists}


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
    bars = [
        Bar(metric, _released_metric(released, metric), *question.allowed)
        for metric, question in monitor.ask.metrics.items()
    ]
    asked = tuple(bar.metric for bar in bars) or (MAIN[released.task],)
    outcomes = outcome(
        predictions, engine, cohorts=cohorts, now=at, wait=wait, task=released.task, asked=asked, seed=seed
    )
    found += _unanswered(name, outcomes, at)
    judged: dict[str, int] = {}
    for bar in bars:
        answers = [
            judge(name, cohort, bar, at) for cohort in outcomes if cohort.state == "mature" or cohort.predictions
        ]
        found += [one for one in answers if isinstance(one, Finding)]
        lacking = [one for one in answers if isinstance(one, Unjudged)]
        judged[bar.metric] = len(answers) - len(lacking)
        unjudged += lacking
    drifts = _drifts(monitor, released, predictions, reference, engine, cohorts, at, seed)
    if monitor.ask.drift is not None:
        judged["drift"] = len({each.start for each in drifts.judged})
        unjudged += [*drifts.unjudged, *_still_open(outcomes)]
        found += _moved(name, drifts.judged, monitor.ask.drift.severity, at)
    if monitor.ask.missing is not None:
        live = Sample("predictions", predictions, "at", recorded)
        absent = missing(tuple(released.importances), reference, live, engine, cohorts=cohorts, now=at)
        looked_at = {each.start for each in absent}
        judged["missing"] = len(looked_at)
        unjudged += _too_few(outcomes, looked_at)
        found += _absent(name, absent, released.importances, monitor.ask.missing.rise, at)
    ordered = sorted(found, key=lambda finding: (-finding.severity, finding.start, finding.kind, finding.subject))
    return Watch(name, at, asked, judged, outcomes, drifts.judged, tuple(ordered), tuple(unjudged))


def _still_open(cohorts: tuple[Cohort, ...]) -> Iterator[Unjudged]:
    for cohort in cohorts:
        if cohort.state == "open" and cohort.predictions:
            yield Unjudged("drift", cohort.start, cohort.end, NOT_ENDED)


def _too_few(cohorts: tuple[Cohort, ...], looked_at: set[int]) -> Iterator[Unjudged]:
    for cohort in cohorts:
        if cohort.predictions and cohort.start not in looked_at:
            needed = f"{{had}} predictions: at least {LEAST_FOR_A_SHARE} are needed"
            yield Unjudged("missing", cohort.start, cohort.end, needed, cohort.predictions)


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
            why=f"the monitor asks how far `{metric}` has moved from it",
            fix=f"remove `{metric}` from the monitor's `ask`, or train again with labels in the test that differ",
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
                f"{span(start, end)}; {worst.usual:.1%} is usual and {worst.most:.1%} was the most. It carries "
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


def _span(of: Cohort | Drift) -> str:
    return span(of.start, of.end)
