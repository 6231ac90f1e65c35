from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lichen.spec import GateRule, Model

MODEL: dict[str, Any] = {
    "task": "classification",
    "label": {"from": "legs", "value": "late", "at": "asked", "known": "arrived"},
    "features": ["carrier"],
    "validate": {"early_stop": "30d", "test": "92d"},
}


def test_a_model_comes_back_from_its_meaning() -> None:
    model = Model.model_validate({**MODEL, "budget": "60s", "gate": {"roc_auc": {"min": 0.6, "max": 0.6}}})
    assert Model.model_validate(model.meaning()) == model


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({}, "a gate rule needs `min`, `max` or `no_worse_than_live`"),
        ({"min": 0.7, "max": 0.6}, "`min` is 0.7, which is above `max`, 0.6: nothing can pass"),
        ({"no_worse_than_live": -1}, "greater than or equal to 0"),
    ],
)
def test_gate_rules_that_say_nothing(rule: dict[str, float], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        GateRule.model_validate(rule)


def test_a_feature_view_is_named_once() -> None:
    with pytest.raises(ValidationError, match="`features` names `carrier` twice: keep one of them"):
        Model.model_validate({**MODEL, "features": ["carrier", "plane", "carrier"]})


def test_a_model_needs_features() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        Model.model_validate({**MODEL, "features": []})


def test_a_coverage_is_a_share_and_of_a_regression() -> None:
    asked = {
        "label": {"from": "t", "value": "v", "at": "a", "known": "k"},
        "features": ["f"],
        "validate": {"test": "7d"},
    }
    assert Model.model_validate({**asked, "task": "regression", "coverage": 0.5}).coverage == 0.5
    for wrong in (0, 1, 1.5):
        with pytest.raises(ValidationError, match="coverage"):
            Model.model_validate({**asked, "task": "regression", "coverage": wrong})
    with pytest.raises(ValidationError, match="`coverage` is of a regression's intervals"):
        Model.model_validate({**asked, "task": "classification", "coverage": 0.9})
