from __future__ import annotations

import pytest
from pydantic import ValidationError

from lichen.spec import Monitor


def test_a_monitor_comes_back_from_its_meaning() -> None:
    monitor = Monitor.model_validate(
        {"watch": "s", "every": "7d", "ask": {"roc_auc": {"drop": 0.03}, "drift": {"severity": 0.01}}}
    )
    assert Monitor.model_validate(monitor.meaning()) == monitor


@pytest.mark.parametrize("ask", [{"roc_auc": {"drop": 0}}, {"drift": {"severity": 0}}, {"drift": {"false_alarms": 1}}])
def test_thresholds_that_no_answer_could_be_beyond(ask: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"greater than 0|less than 1"):
        Monitor.model_validate({"watch": "s", "every": "7d", "ask": ask})


@pytest.mark.parametrize("ask", [{}, {"drift": None}])
def test_a_monitor_that_asks_nothing_is_refused(ask: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="`ask` asks nothing: name a metric, as in"):
        Monitor.model_validate({"watch": "s", "every": "7d", "ask": ask})


@pytest.mark.parametrize("asked", [{"drop": 1}, {"max": 1}, {}, 0.2, [1]])
def test_an_error_rises_and_does_not_drop(asked: object) -> None:
    wanted = r"of this metric less is better: write `\{rise: 0.03\}`, how far it may rise before that is a finding"
    with pytest.raises(ValidationError, match=wanted):
        Monitor.model_validate({"watch": "s", "every": "7d", "ask": {"rmse": asked}})
    with pytest.raises(ValidationError, match=r"of this metric more is better: write `\{drop: 0.03\}`"):
        Monitor.model_validate({"watch": "s", "every": "7d", "ask": {"r2": {"rise": 1}}})


def test_a_mistyped_way_is_an_unknown_key() -> None:
    with pytest.raises(ValidationError, match=r"rmse.rises\n.*Extra inputs"):
        Monitor.model_validate({"watch": "s", "every": "7d", "ask": {"rmse": {"rises": 1}}})
