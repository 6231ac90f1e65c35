from __future__ import annotations

from typing import Any

import pytest

from lichen.run.facts import RUNS
from lichen.run.keeping import files_in_use

PAYMENTS, LABELS, MODEL = "tables/payments.sql", "tables/invoice_labels.sql", "models/late_payment.yaml"


@pytest.fixture
def ran(shop: Any) -> Any:
    """A project with nothing to do."""
    shop.open().run()
    return shop


def states(run: Any) -> set[str]:
    return {outcome.state for outcome in run.outcomes}


def test_a_preview_compares_and_moves_nothing_and_the_run_takes_what_it_built(ran: Any) -> None:
    ran.edit(PAYMENTS, "- terms_days AS days_late", "- terms_days - 1 AS days_late")
    before = ran.open().history()[0]
    seen = ran.open().preview()
    (model,) = seen.models
    moved = model.movement
    assert model.key == ("invoice",)
    assert (moved.came, moved.went, moved.relabelled) == (0, 0, 0)
    assert moved.rows == ran.open().status()["models"]["late_payment"]["rows_test"]
    assert 0 < moved.moved_much <= moved.moved <= 1
    assert moved.flipped is not None
    assert set(moved.metrics) == {"roc_auc", "calibration_error"}
    assert ran.open().history()[0] == before
    record = max((run for _, run in ran.open().workshop.state.scan(RUNS)), key=lambda run: run["started"])
    assert (record["status"], record["preview"]) == ("previewed", True)
    assert ran.open().status()["run"]["status"] == "done"

    run = ran.open().run()
    made = {outcome.asset: outcome.state for outcome in run.outcomes}
    assert {made[name] for name in ("table.payments", "feature.customer_payments", "model.late_payment")} == {"reused"}
    facts = ran.open().status()["models"]["late_payment"]
    assert facts["roc_auc"] == pytest.approx(moved.metrics["roc_auc"].after, abs=1e-12)
    assert not ran.open().plan()


def test_what_a_preview_built_is_not_swept(ran: Any) -> None:
    ran.edit(PAYMENTS, "- terms_days AS days_late", "- terms_days + 1 AS days_late")
    ran.open().preview()
    project = ran.open()
    kept = files_in_use(project.releases, project.workshop)["payments"]
    version = project.releases.versions(project.releases.current("prod"))["table.payments"]
    assert len(kept) > len(version.files)


def test_a_model_that_nothing_reaches_is_not_built(ran: Any) -> None:
    ran.edit(PAYMENTS, "invoice, customer, amount,", "invoice, customer, amount + 1 AS amount,")
    seen = ran.open().preview()
    (model,) = seen.models
    assert (model.movement, model.said) == (None, "nothing that reaches it changes: no prediction moves")
    assert [str(change.column) for change in seen.plan.columns] == ["payments.amount"]
    assert states(ran.open().run()) == {"built"}


def test_label_rows_that_come_and_go_are_counted(ran: Any) -> None:
    whole = ran.open().preview().plan
    assert not whole
    ran.edit(LABELS, "FROM dated\nWHERE", "FROM dated\nWHERE amount > 300 AND")
    (model,) = ran.open().preview().models
    assert model.movement.went > 0
    assert model.movement.came == 0
    ran.edit(LABELS, "coalesce(paid_on > last_day, true)", "coalesce(paid_on > last_day + 1, true)")
    (model,) = ran.open().preview().models
    assert model.movement.relabelled > 0


def test_without_a_grain_rows_are_matched_by_entity_and_time(ran: Any) -> None:
    ran.edit(LABELS, "grain: [invoice]\n", "")
    ran.edit(PAYMENTS, "- terms_days AS days_late", "- terms_days - 1 AS days_late")
    (model,) = ran.open().preview().models
    assert model.key == ("customer", "issued_at")
    assert (model.movement.came, model.movement.went) == (0, 0)


@pytest.mark.parametrize("grain", ["grain: [invoice]\n", ""])
def test_each_version_reads_its_label_by_the_names_it_had(ran: Any, grain: str) -> None:
    ran.edit(LABELS, "grain: [invoice]\n", grain)
    ran.edit(LABELS, "late: {null_share: 0}", "is_late: {null_share: 0}")
    ran.edit(LABELS, "AS late", "AS is_late")
    ran.edit(LABELS, "AS judged_at", "AS told_at, issued_at AS asked_at")
    ran.edit(MODEL, "value: late", "value: is_late")
    ran.edit(MODEL, "known: judged_at", "known: told_at")
    ran.edit(MODEL, "at: issued_at", "at: asked_at")
    (model,) = ran.open().preview().models
    assert model.key == (("invoice",) if grain else ("customer", "asked_at"))
    assert model.movement is not None
    assert (model.movement.came, model.movement.went, model.movement.relabelled) == (0, 0, 0)
    assert model.movement.rows > 0
    assert (model.movement.moved, model.movement.flipped) == (0, 0)


def test_a_gate_that_would_hold_says_so(ran: Any) -> None:
    ran.edit(MODEL, "min: 0.7,", "min: 0.99,")
    ran.edit(MODEL, "C: 0.1", "C: 0.2")
    (model,) = ran.open().preview().models
    assert model.held
    assert model.held[0].endswith("wanted at least 0.99")
    assert model.movement.rows > 0


def test_a_new_model_and_one_whose_files_are_gone(ran: Any) -> None:
    text = (ran.root / MODEL).read_text()
    ran.write("models/other.yaml", text)
    made = {model.model: model for model in ran.open().preview().models}
    assert made["other"].said.startswith("it is new: roc_auc 0.")
    assert made["late_payment"].movement is None
    (ran.root / "models/other.yaml").unlink()
    artifacts = ran.root / ".lichen/artifacts"
    artifacts.rename(artifacts.with_name("away"))
    ran.edit(MODEL, "C: 0.1", "C: 0.2")
    made = {model.model: model for model in ran.open().preview().models}
    assert made["late_payment"].said == "the files of the released model are gone"
    assert made["late_payment"].as_dict()["movement"] is None


def test_a_branch_is_compared_with_what_it_branches_from(ran: Any) -> None:
    assert ran.open("trial").preview().models[0].said == "nothing that reaches it changes: no prediction moves"
    ran.edit(PAYMENTS, "- terms_days AS days_late", "- terms_days - 1 AS days_late")
    seen = ran.open("trial").preview()
    assert seen.models[0].movement.moved > 0
    assert seen.as_dict()["preview"]["models"][0]["model"] == "late_payment"
    assert "trial" not in ran.open().releases.environments()
