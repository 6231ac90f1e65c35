from __future__ import annotations

import json
from typing import Any

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
