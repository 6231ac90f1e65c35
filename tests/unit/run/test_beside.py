from __future__ import annotations

from typing import Any

import pytest

MODEL = "models/late_payment.yaml"
BETTER = "features: [customer_payments, customer, invoice]\nexclude: [invoice.amount]"
WORSE = "features: [customer]\nexclude: []"


@pytest.fixture
def strict(fresh: Any) -> Any:
    """A project whose gate asks for nothing but to be no worse than what is released."""
    fresh.edit(MODEL, "{min: 0.7, no_worse_than_live: 0.02}", "{no_worse_than_live: 0.02}")
    fresh.edit(MODEL, "  calibration_error: {max: 0.1}\n", "")
    return fresh


def run(shop: Any) -> tuple[str, str]:
    """What a run makes of the model: its state, and what the gate says of it beside the released one."""
    (outcome,) = [one for one in shop.open().run().outcomes if one.asset == "model.late_payment"]
    return outcome.state, outcome.notes[-1]


def worse(shop: Any, back: bool = False) -> None:
    shop.edit(MODEL, *((WORSE, BETTER) if back else (BETTER, WORSE)))


def test_a_version_built_before_is_judged_beside_what_is_released_now(strict: Any) -> None:
    worse(strict)
    assert run(strict)[0] == "built"
    worse(strict, back=True)
    assert run(strict)[0] == "built"
    worse(strict)
    state, why = run(strict)
    assert state == "held"
    assert "where the released model's is 0.7" in why
    assert strict.open().releases.current("prod").number == 2
    strict.edit(MODEL, "gate:", "seed: 5\ngate:")
    assert run(strict)[0] == "held"


def test_a_challenger_without_a_feature_of_the_released_model_is_compared_with_it(strict: Any) -> None:
    assert run(strict)[0] == "built"
    worse(strict)
    state, why = run(strict)
    assert state == "held"
    assert "on the same rows: wanted at least 0.7" in why


def test_a_longer_test_is_compared_on_the_rows_that_both_held_out(strict: Any) -> None:
    assert run(strict)[0] == "built"
    worse(strict)
    strict.edit(MODEL, "test: 84d", "test: 120d")
    assert run(strict)[0] == "held"
    worse(strict, back=True)
    assert run(strict)[0] == "built"
    (verdict,) = strict.open().status()["model"]["gate"]
    assert (verdict["rule"], verdict["passed"]) == ("no_worse_than_live", True)
    assert "on the same rows" in verdict["why"]


def test_a_label_column_of_another_name_is_compared_all_the_same(strict: Any) -> None:
    assert run(strict)[0] == "built"
    strict.edit("tables/invoice_labels.sql", "AS late", "AS is_late")
    strict.edit("tables/invoice_labels.sql", "AS judged_at", "AS settled_at")
    strict.edit("tables/invoice_labels.sql", "    late: {null_share", "    is_late: {null_share")
    strict.edit(MODEL, "value: late ", "value: is_late ")
    strict.edit(MODEL, "known: judged_at ", "known: settled_at ")
    (model,) = strict.open().preview().models
    assert model.movement is not None
    assert (model.movement.moved, model.movement.relabelled, model.held) == (0.0, 0, ())
    done = strict.open().run(accept=["contract:table.invoice_labels"], why="the columns have other names")
    assert {one.asset: one.state for one in done.outcomes}["model.late_payment"] == "reused"


def test_what_cannot_be_compared_is_held_with_the_reason(strict: Any) -> None:
    assert run(strict)[0] == "built"
    artifacts = strict.root / ".lichen/artifacts"
    artifacts.rename(artifacts.with_name("away"))
    worse(strict)
    state, why = run(strict)
    assert state == "held"
    assert "cannot be compared with the released model's: the files of the released model are gone; without" in why
