from __future__ import annotations

import json
from typing import Any

import pytest

from lichen.errors import FoundWrong

MODEL = "models/late_payment.yaml"


def trained(shop: Any) -> Any:
    project = shop.open()
    return project.releases.versions(project.releases.current("prod"))["model.late_payment"]


def test_a_model_keeps_what_it_learned_from_and_how_good_it_is(shop: Any) -> None:
    version = trained(shop)
    facts = version.facts
    assert version.rows == 1224 == shop.rows("SELECT count(*) FROM training_late_payment")[0][0]
    assert (
        facts["rows"]["train"]
        + facts["rows"]["early_stop"]
        + facts["rows"]["test"]
        + sum(facts["rows"]["left_out"].values())
        == 1224
    )
    assert (facts["held"], [one["passed"] for one in facts["gate"]]) == (False, [True, True, True])
    assert 0 < facts["missing"]["customer.size"] < 0.05
    assert "`customers`" in facts["notes"][-1]
    assert (shop.root / facts["card"]).read_text().startswith("#")
    json.dumps(dict(facts), allow_nan=False)


def test_a_challenger_is_compared_with_the_released_model_on_the_same_rows(shop: Any) -> None:
    metrics = trained(shop).facts["metrics"]
    shop.edit(MODEL, "task:", "seed: 9\ntask:")
    assert shop.open().run().release is not None
    beside = [one for one in trained(shop).facts["gate"] if one["rule"] == "no_worse_than_live"]
    assert [one["passed"] for one in beside] == [True]
    assert f"{metrics['roc_auc']:.4f}" in beside[0]["why"]


def regression(shop: Any, amount: str) -> None:
    """Let the model learn a number, which is another one in one row."""
    table = "tables/invoice_labels.sql"
    shop.edit(
        table, "AS late\n", f"AS late,\n  CASE WHEN invoice = 4101 THEN {amount} ELSE amount END::DOUBLE AS cost\n"
    )
    for old, new in (
        ("task: classification", "task: regression"),
        ("value: late ", "value: cost "),
        ("learner: logistic", "learner: forest"),
        ("{C: 0.1}", "{n_estimators: 10}"),
        ("roc_auc: {min: 0.7, no_worse_than_live: 0.02}", "rmse: {max: 1e9}"),
        ("  calibration_error: {max: 0.1}\n", ""),
    ):
        shop.edit(MODEL, old, new)
    shop.edit("monitors/late_payment.yaml", "roc_auc: {drop: 0.1}", "rmse: {rise: 10}")


def test_a_label_beyond_all_metrics_is_refused_where_it_is_named(shop: Any) -> None:
    regression(shop, "1e300")
    with pytest.raises(FoundWrong, match="the label `cost` of `invoice_labels` goes as far from zero as") as refused:
        shop.open().run()
    where = refused.value.where
    assert where is not None
    assert (refused.value.code, str(where.file), where.text) == (
        "LCH-2907",
        MODEL,
        "  value: cost                # what is to be told",
    )


def test_a_label_that_is_not_finite_is_told_on_the_runs_line(shop: Any) -> None:
    regression(shop, "'nan'::DOUBLE")
    run = shop.open().run()
    (outcome,) = [one for one in run.outcomes if one.asset == "model.late_payment"]
    assert "1 row left out: the label is NaN or infinite" in outcome.notes
    assert trained(shop).facts["rows"]["left_out"]["label_not_finite"] == 1
