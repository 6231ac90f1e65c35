from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from lichen.errors import FoundWrong
from lichen.monitor.cohort import instant
from lichen.monitor.sample import DAY, Sample
from lichen.monitor.watch import Released, watch
from lichen.spec.monitor import Monitor

START = instant(datetime(2026, 1, 5, tzinfo=UTC))
MONITOR = Monitor(watch="late", every="7d", ask={"roc_auc": {"drop": 0.05}, "drift": {"severity": 0.1}})
DAYS, A_DAY, REFERENCE = 21, 100, 70


def lived(seed: int) -> tuple[dict, dict]:
    """Ten weeks of training rows and three of predictions from one unchanging world."""
    random = np.random.default_rng(seed)
    n = (REFERENCE + DAYS) * A_DAY
    at = START + np.repeat(np.arange(-REFERENCE, DAYS), A_DAY) * DAY + random.integers(0, DAY, n)
    x, y = random.normal(size=(2, n))
    score = 1 / (1 + np.exp(-x - y))
    label = (random.uniform(size=n) < score).astype(float)
    old = at < START
    training = {"at": at[old], "a.x": x[old], "a.y": y[old]}
    live = {"at": at, "score": score, "label": label, "known": at + DAY, "feature.a.x": x, "feature.a.y": y}
    return training, {name: values[~old] for name, values in live.items()}


def ask(engine, store, training, live, *, monitor=MONITOR, metrics=None, importances=None, now=START + 30 * DAY):
    released = Released({"roc_auc": 0.79} if metrics is None else metrics, importances or {"a.x": 0.7, "a.y": 0.3})
    reference = Sample("training rows", store(training), "at")
    predictions = store(live, instants=("at", "known"))
    wait = timedelta(days=2)
    return watch("m", monitor, released, predictions, reference, engine, now=now, wait=wait, since=START)


def test_an_unchanged_world_gives_no_finding(engine, store):
    found = ask(engine, store, *lived(0))
    assert found.findings == ()
    assert [cohort.state for cohort in found.cohorts] == ["mature"] * 4 + ["open"]
    assert {each.feature for each in found.drifts} == {"a.x", "a.y"}
    # Nobody asked in the fourth week: said, not judged.
    assert [(each.question, each.reason) for each in found.unjudged] == [
        ("roc_auc", "0 labelled predictions: at least 200 are needed"),
        ("drift", "0 predictions: at least 100 are needed"),
    ]
    assert found.judged == {"roc_auc": 3, "drift": 3}
    assert json.loads(json.dumps(found.as_dict()))["monitor"] == "m"


def test_a_fallen_metric_is_a_finding_that_names_its_numbers(engine, store):
    training, live = lived(1)
    last = live["at"] >= START + 14 * DAY
    live["score"][last] = np.random.default_rng(0).uniform(size=last.sum())
    (found,) = ask(engine, store, training, live).findings
    assert (found.kind, found.subject, found.start) == ("metric_drop", "roc_auc", START + 14 * DAY)
    assert found.severity > 0.8
    numbers = found.evidence
    assert numbers["high"] < 0.79
    assert found.message == (
        f"ROC AUC over 700 predictions of 2026-01-19 to 2026-01-26 is {numbers['roc_auc']:.3f} "
        f"(95 % interval {numbers['low']:.3f} to {numbers['high']:.3f}); the model had 0.790 in its test, "
        "and a drop of 0.05 is allowed."
    )


def test_a_low_estimate_whose_interval_holds_the_released_metric_is_noise(engine, store):
    training, live = lived(2)
    lax = ask(engine, store, training, live)
    scores = lax.cohorts[0].scores
    # Were the allowed drop tiny, the estimate alone would be an alarm; the interval says it is none.
    strict = MONITOR.model_copy(update={"ask": MONITOR.ask.model_validate({"roc_auc": {"drop": 1e-6}})})
    was = (scores.metrics["roc_auc"] + scores.intervals["roc_auc"][1]) / 2
    first = [each for each in ask(engine, store, training, live, monitor=strict, metrics={"roc_auc": was}).findings
             if each.start == START]  # fmt: skip
    assert first == []


def test_a_drift_that_matters_is_a_finding_and_one_that_does_not_is_only_shown(engine, store):
    training, live = lived(3)
    last = live["at"] >= START + 14 * DAY
    live["feature.a.x"][last] += 2
    (found,) = ask(engine, store, training, live).findings
    assert (found.kind, found.subject, found.start) == ("drift", "a.x", START + 14 * DAY)
    assert found.severity == pytest.approx(found.evidence["effect"] * 0.7)
    assert found.message == (
        f"`a.x` has moved by {found.evidence['effect']:.2f} (0 to 1; {found.evidence['typical']:.2f} is usual) in "
        f"700 predictions of 2026-01-19 to 2026-01-26: {found.evidence['bin']} went from "
        f"{found.evidence['share_before']:.1%} to {found.evidence['share_now']:.1%}; "
        "it carries 70.0% of the model's importance."
    )
    minor = ask(engine, store, training, live, importances={"a.x": 0.01, "a.y": 0.99})
    assert minor.findings == ()
    assert any(each.drifted for each in minor.drifts)


def test_labels_that_never_came_are_a_finding(engine, store):
    training, live = lived(4)
    lost = (live["at"] < START + 7 * DAY) & (np.arange(len(live["at"])) % 10 > 0)
    live["known"] = np.where(lost, -1, live["known"])
    found = ask(engine, store, training, live)
    (finding,) = found.findings
    assert (finding.kind, finding.subject, finding.severity) == ("unanswered", "label", 0.9)
    assert finding.message == "630 of 700 predictions of 2026-01-05 to 2026-01-12 got no label."
    assert found.unjudged[0].reason == "70 labelled predictions: at least 200 are needed"


def test_few_of_a_class_or_few_days_are_said_and_not_judged(engine, store):
    training, live = lived(5)
    rare = live | {"label": (np.arange(len(live["at"])) % 100 == 0).astype(float)}
    assert ask(engine, store, training, rare).unjudged[0].reason == (
        "7 labels of the rarer class: at least 30 are needed"
    )
    live["at"] -= (live["at"] - START) // DAY % 7 * DAY  # all of a week on its Monday
    live["known"] = live["at"] + DAY
    assert ask(engine, store, training, live).unjudged[0].reason == (
        "labels on 1 days: at least 5 are needed for an interval: let `every` be longer"
    )


def test_cohorts_that_are_too_young_to_be_judged_are_said(engine, store):
    found = ask(engine, store, *lived(5), now=START + 14 * DAY + DAY // 2)
    assert found.judged == {"roc_auc": 1, "drift": 2}
    assert [(each.question, each.start, each.reason) for each in found.unjudged] == [
        ("roc_auc", START + 7 * DAY, f"labels of {found.cohorts[1].pending} predictions are still to come"),
        ("roc_auc", START + 14 * DAY, "they have not ended yet"),
        ("drift", START + 14 * DAY, "they have not ended yet"),
    ]


def test_too_few_rows_to_tell_what_is_missing_are_said(engine, store):
    training, live = lived(5)
    few = {name: values[live["at"] < START + 7 * DAY][::4].copy() for name, values in live.items()}
    found = ask(engine, store, training, few, monitor=Monitor(watch="late", every="7d", ask={"missing": {}}))
    assert found.judged == {"missing": 0}
    assert [each.reason for each in found.unjudged] == ["175 predictions: at least 200 are needed"]


def test_findings_are_found_again_under_the_same_id_and_worst_first(engine, store):
    training, live = lived(6)
    live["feature.a.x"] += 2
    live["feature.a.y"] += 2
    one, later = (ask(engine, store, training, live, now=START + days * DAY) for days in (23, 24))
    assert len(one.findings) == 6
    assert [each.id for each in one.findings] == [each.id for each in later.findings]
    assert one.findings[0].found_at != later.findings[0].found_at
    severities = [each.severity for each in one.findings]
    assert severities == sorted(severities, reverse=True)


def test_questions_that_are_not_asked_are_not_answered(engine, store):
    quiet = Monitor(watch="late", every="7d", ask={"missing": {}})
    found = ask(engine, store, *lived(7), monitor=quiet, metrics={})
    assert found.metrics == ("roc_auc",)
    assert found.drifts == found.findings == found.unjudged == ()
    assert len(found.cohorts) == 5


def test_a_released_model_without_the_metric_is_refused(engine, store):
    with pytest.raises(FoundWrong) as caught:
        ask(engine, store, *lived(7), metrics={"rmse": 1.0})
    assert str(caught.value) == (
        "LCH-2803: the released model has no `roc_auc` on its test rows\n"
        "  why: the monitor asks how far `roc_auc` has moved from it\n"
        "  fix: remove `roc_auc` from the monitor's `ask`, or train again with labels in the test that differ"
    )


def test_what_is_no_number_is_missing(engine, store):
    training, live = lived(8)
    live["feature.a.x"] = np.where(live["at"] >= START + 14 * DAY, np.nan, live["feature.a.x"])
    (found,) = ask(
        engine, store, training, live, monitor=Monitor(watch="late", every="7d", ask={"missing": {}})
    ).findings
    assert "`a` (x) is missing in 100.0% of 700 predictions" in found.message
