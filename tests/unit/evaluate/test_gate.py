from __future__ import annotations

import pytest

from lichen.errors import FoundWrong, Where
from lichen.evaluate.gate import check_gate, check_rule, judge, judge_beside
from lichen.spec import GateRule


def rule(**limits: float) -> GateRule:
    return GateRule.model_validate(limits)


def test_limits_hold_or_fail_with_a_reason() -> None:
    rules = {"roc_auc": rule(min=0.65), "calibration_error": rule(max=0.05)}
    verdicts = judge(rules, {"roc_auc": 0.6412, "calibration_error": 0.05})
    assert [(one.metric, one.rule, one.passed) for one in verdicts] == [
        ("roc_auc", "min", False),
        ("calibration_error", "max", True),
    ]
    assert verdicts[0].why == "roc_auc is 0.6412, wanted at least 0.65"
    assert verdicts[1].why == "calibration_error is 0.0500, wanted at most 0.05"


@pytest.mark.parametrize(
    ("metric", "value", "live", "passed"),
    [
        ("roc_auc", 0.70, 0.702, True),
        ("roc_auc", 0.69, 0.702, False),
        ("brier", 0.13, 0.128, True),
        ("brier", 0.14, 0.128, False),
        ("brier", 0.10, 0.128, True),
    ],
)
def test_a_model_is_compared_with_the_released_one(metric: str, value: float, live: float, passed: bool) -> None:
    (verdict,) = judge_beside({metric: rule(no_worse_than_live=0.0021)}, {metric: live}, {metric: value})
    assert verdict.passed is passed
    assert f"where the released model's is {live:.4f}" in verdict.why


def test_without_a_released_model_there_is_nothing_to_be_worse_than() -> None:
    (verdict,) = judge_beside({"roc_auc": rule(no_worse_than_live=0)}, None, {"roc_auc": 0.7})
    assert verdict.passed
    assert verdict.why == "there is no released model to compare with"


def test_what_cannot_be_compared_fails_and_says_why() -> None:
    (verdict,) = judge_beside({"roc_auc": rule(min=0.1, no_worse_than_live=0)}, None, {"roc_auc": 1.0}, "lost")
    assert not verdict.passed
    assert verdict.why == (
        "roc_auc cannot be compared with the released model's: lost; without `no_worse_than_live` in "
        "its gate it is released"
    )


def test_what_could_not_be_measured_passes_nothing() -> None:
    rules = {"roc_auc": rule(min=0.1, max=0.9, no_worse_than_live=0.1)}
    nan, some = {"roc_auc": float("nan")}, {"roc_auc": 0.7}
    found = [*judge(rules, nan), *(judge_beside(rules, *two)[0] for two in ((some, nan), (nan, some), (None, nan)))]
    assert [one.passed for one in found] == [False] * 5
    assert found[0].why == "roc_auc could not be measured on the test rows (their labels are all alike)"
    assert found[0].as_dict()["value"] is None


@pytest.mark.parametrize(
    ("metric", "limits", "text"),
    [
        ("roc_auc", {"min": 7}, ("the gate's `min: 7` is beyond what `roc_auc` can be: nothing would pass\n"
         "  at min\n  why: `roc_auc` lies from 0 to 1\n  fix: did you mean `min: 0.7`?")),
        ("roc_auc", {"min": 65}, ("the gate's `min: 65` is beyond what `roc_auc` can be: nothing would pass\n"
         "  at min\n  why: `roc_auc` lies from 0 to 1\n  fix: did you mean `min: 0.65`?")),
        ("brier", {"max": 20}, ("the gate's `max: 20` is beyond what `brier` can be: every model would pass\n"
         "  at max\n  why: `brier` lies from 0 to 1\n  fix: did you mean `max: 0.2`?")),
        ("roc_auc", {"min": -1}, ("the gate's `min: -1` is beyond what `roc_auc` can be: every model would pass\n"
         "  at min\n  why: `roc_auc` lies from 0 to 1\n"
         "  fix: give it a value that some models reach and others do not, or remove it")),
        ("rmse", {"max": -1}, ("the gate's `max: -1` is beyond what `rmse` can be: nothing would pass\n"
         "  at max\n  why: `rmse` lies from 0 on\n"
         "  fix: give it a value that some models reach and others do not, or remove it")),
        ("r2", {"min": 1.5}, ("the gate's `min: 1.5` is beyond what `r2` can be: nothing would pass\n"
         "  at min\n  why: `r2` lies up to 1\n  fix: did you mean `min: 0.15`?")),
        ("roc_auc", {"no_worse_than_live": 2}, ("the gate's `no_worse_than_live: 2` is beyond what `roc_auc` can be: "
         "every model would pass\n  at no_worse_than_live\n  why: `roc_auc` lies from 0 to 1\n"
         "  fix: did you mean `no_worse_than_live: 0.2`?")),
    ],
)  # fmt: skip
def test_limits_that_all_or_nothing_would_pass_are_refused(metric: str, limits: dict[str, float], text: str) -> None:
    (found,) = check_rule(metric, rule(**limits), Where)
    assert str(found) == f"LCH-2962: {text}"


def test_limits_within_what_a_metric_can_be_stand() -> None:
    for metric, limits in (("rmse", {"max": 1e6}), ("r2", {"min": -3}), ("roc_auc", {"min": 0.6, "max": 1})):
        assert [*check_rule(metric, rule(**limits), Where)] == []


def test_an_unknown_metric_is_refused_with_the_tasks_own() -> None:
    with pytest.raises(FoundWrong) as refusal:
        check_gate("regression", ["rsme"], Where("models/m.yaml", 9, 3))
    assert str(refusal.value) == (
        "LCH-2960: the gate names `rsme`, which is no metric of regression\n  at models/m.yaml:9:3\n"
        "  why: the metrics of regression are rmse, mae, r2\n  fix: did you mean `rmse`?"
    )
    with pytest.raises(FoundWrong) as refusal:
        judge({"roc_acu": rule(min=0.5)}, {"roc_auc": 0.7, "brier": 0.1})
    assert str(refusal.value) == (
        "LCH-2961: the gate names `roc_acu`, which was not measured\n  why: measured were roc_auc, brier\n"
        "  fix: did you mean `roc_auc`?"
    )
    check_gate("classification", ["roc_auc", "average_precision", "brier", "log_loss", "calibration_error"])
