# ruff: noqa: ISC004 (texts in a table are read line by line)

from __future__ import annotations

from typing import Any

import pytest

from lichen.errors import ProjectErrors, Where
from lichen.evaluate.metrics import HIGHER_IS_BETTER, METRICS
from lichen.monitor.finding import Finding, Unjudged
from lichen.monitor.judge import Bar, check_questions, judge
from lichen.monitor.outcome import Cohort, Scores
from lichen.spec.monitor import ErrorQuestion, MetricQuestion, Questions

DAY = 86_400_000_000


def cohort(metric: str, value: float | None, interval: tuple[float, float] | None, **other: Any) -> Cohort:
    facts = {"positives": 100, "days": 7, "mean_label": 0.2, "mean_score": 0.3, **other}
    scores = Scores(**facts, metrics={metric: value}, intervals={metric: interval} if interval else {})
    return Cohort(0, 7 * DAY, "mature", 1000, 900, 100, 0, 0, scores)


@pytest.mark.parametrize(
    ("metric", "value", "interval", "bar", "severity", "message"),
    [
        ("rmse", 15.5, (14.0, 17.0), (12.0, "rise", 2.0), 3.5 / 12,
         "RMSE over 900 predictions of 1970-01-01 to 1970-01-08 is 15.5 (95 % interval 14 to 17); "
         "the model had 12 in its test, and a rise of 2 is allowed."),
        ("r2", 0.1, (0.0, 0.2), (0.4, "drop", 0.1), 0.75,
         "R2 over 900 predictions of 1970-01-01 to 1970-01-08 is 0.100 (95 % interval 0.000 to 0.200); "
         "the model had 0.400 in its test, and a drop of 0.1 is allowed."),
        ("calibration_error", 0.5, (0.4, 0.6), (0.02, "rise", 0.1), 1.0,
         "calibration error over 900 predictions of 1970-01-01 to 1970-01-08 is 0.500 (95 % interval 0.400 to 0.600); "
         "the model had 0.020 in its test, and a rise of 0.1 is allowed."),
        ("average_precision", 0.3, (0.2, 0.4), (0.6, "drop", 0.1), 0.75,
         "average precision over 900 predictions of 1970-01-01 to 1970-01-08 is 0.300 (95 % interval 0.200 to 0.400); "
         "the model had 0.600 in its test, and a drop of 0.1 is allowed."),
    ],
)  # fmt: skip
def test_a_metric_that_became_worse_is_a_finding_in_its_own_way(
    metric: str,
    value: float,
    interval: tuple[float, float],
    bar: tuple[float, str, float],
    severity: float,
    message: str,
) -> None:
    found = judge("m", cohort(metric, value, interval), Bar(metric, *bar), 9 * DAY)
    assert isinstance(found, Finding)
    assert (found.kind, found.subject, found.message) == (f"metric_{bar[1]}", metric, message)
    assert found.severity == pytest.approx(severity)
    assert found.evidence[metric] == value
    assert found.evidence[bar[1]] == bar[2]


@pytest.mark.parametrize(
    ("value", "interval"),
    [(12.5, (12.2, 12.8)), (15.0, (11.0, 19.0)), (8.0, (7.0, 9.0))],
    ids=["within what is allowed", "the interval holds what was released", "better"],
)
def test_noise_and_luck_are_no_findings(value: float, interval: tuple[float, float]) -> None:
    assert judge("m", cohort("rmse", value, interval), Bar("rmse", 12.0, "rise", 2.0), 9 * DAY) is None


def test_labels_that_are_all_alike_are_said_and_not_judged() -> None:
    found = judge("m", cohort("r2", None, None, positives=None), Bar("r2", 0.4, "drop", 0.1), 9 * DAY)
    assert found == Unjudged("r2", 0, 7 * DAY, "all labels are alike")


def test_errors_that_are_too_large_for_numbers_are_said_and_not_judged() -> None:
    found = judge("m", cohort("rmse", None, None, positives=None), Bar("rmse", 12.0, "rise", 2.0), 9 * DAY)
    assert found == Unjudged("rmse", 0, 7 * DAY, "labels or predictions are too large for its errors to be numbers")


def test_numbers_have_no_rarer_class() -> None:
    bar = Bar("rmse", 12.0, "rise", 2.0)
    assert isinstance(judge("m", cohort("rmse", 20.0, (19.0, 21.0), positives=None), bar, 0), Finding)
    assert isinstance(judge("m", cohort("rmse", 20.0, (19.0, 21.0), positives=3), bar, 0), Unjudged)


def test_every_metric_can_be_asked_for_in_the_way_in_which_it_becomes_worse() -> None:
    asked = {name: "drop" if name in HIGHER_IS_BETTER else "rise" for task in METRICS.values() for name in task}
    questions = Questions.model_validate({name: {way: 0.1} for name, way in asked.items()})
    assert {name: one.allowed for name, one in questions.metrics.items()} == {n: (way, 0.1) for n, way in asked.items()}
    assert isinstance(questions.roc_auc, MetricQuestion)


def test_a_metric_of_another_task_is_refused() -> None:
    check_questions("regression", {"rmse": ErrorQuestion(rise=70)}, lambda *_: Where("m.yaml"))
    asked = {"roc_auc": MetricQuestion(drop=0.1), "brier": ErrorQuestion(rise=0.1)}
    with pytest.raises(ProjectErrors) as caught:
        check_questions("regression", asked, lambda *_: Where("m.yaml", 4, 3))
    first, second = caught.value.errors
    assert str(first) == (
        "LCH-2804: the monitor asks for `roc_auc`, which is no metric of regression\n"
        "  at m.yaml:4:3\n"
        "  why: the metrics of regression are rmse, mae, r2\n"
        "  fix: ask for `rmse`, or for another of them"
    )
    assert second.what == "the monitor asks for `brier`, which is no metric of regression"


def test_a_question_that_no_answer_could_be_beyond_is_refused() -> None:
    check_questions("regression", {"r2": MetricQuestion(drop=5)}, lambda *_: Where("m.yaml"))
    with pytest.raises(ProjectErrors) as caught:
        check_questions("classification", {"roc_auc": MetricQuestion(drop=1)}, lambda *at: Where("/".join(at)))
    assert str(caught.value) == (
        "LCH-2806: the monitor allows `roc_auc` a drop of 1, which is all it can be: it finds nothing\n"
        "  at roc_auc/drop\n"
        "  why: `roc_auc` lies from 0 to 1\n"
        "  fix: let it be smaller, as in `drop: 0.03`"
    )
