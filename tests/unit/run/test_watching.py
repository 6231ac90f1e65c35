from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lichen.errors import FoundWrong
from lichen.run.watching import FINDINGS

AT = datetime(2026, 7, 5, tzinfo=UTC)
ASKED = "SELECT invoice::VARCHAR AS id, issued_at AS at, customer, amount, terms_days FROM invoice_labels"


def test_without_answers_there_is_nothing_to_ask_about(shop: Any) -> None:
    with pytest.raises(FoundWrong) as refused:
        shop.open().monitor(at=AT)
    assert str(refused.value) == (
        "LCH-3201: `late_payment` has no recorded predictions, so there is nothing to ask `late_payment` about\n"
        "  fix: let it answer (lichen serve late_payment), or ask past rows again: lichen replay --from ..."
    )


def test_a_rehearsal_is_noted(answered: Any) -> None:
    (asked,) = answered.open().monitor(at=AT)
    assert asked.findings == []
    assert asked.predictions == asked.labelled > 300
    assert any(note.endswith("so this is a rehearsal and not new evidence") for note in asked.notes)
    assert asked.as_dict()["watch"] == asked.watch


def test_what_could_not_be_judged_is_told_together(answered: Any) -> None:
    answered.edit("monitors/late_payment.yaml", "every: 35d", "every: 1d")
    (asked,) = answered.open().monitor(at=AT)
    with_answers = sum(1 for cohort in asked.watch["cohorts"] if cohort["predictions"])
    assert asked.watch["judged"]["roc_auc"] == 0
    told = [note for note in asked.notes if note.startswith("roc_auc was not judged in ")]
    assert len(told) == 1
    assert told[0].startswith(f"roc_auc was not judged in {with_answers} of {with_answers} cohorts: ")
    assert told[0].endswith(" labelled predictions: at least 200 are needed")


def test_only_cohorts_of_the_gates_test_are_a_rehearsal(answered: Any) -> None:
    project = answered.open()
    model = project.releases.versions(project.releases.current("prod"))["model.late_payment"]
    start, end = model.facts["spans"]["test"]
    (asked,) = project.monitor(at=AT)
    cohorts = [cohort for cohort in asked.watch["cohorts"] if cohort["predictions"]]
    inside = [cohort for cohort in cohorts if cohort["start"] < end and cohort["end"] > start]
    assert len(inside) > 0
    assert any(note.startswith(f"{len(inside)} of {len(cohorts)} cohorts overlap") for note in asked.notes)


def test_a_time_before_all_predictions_has_nothing_to_judge(answered: Any) -> None:
    (asked,) = answered.open().monitor(at=datetime(2026, 1, 1, tzinfo=UTC))
    assert asked.notes == ("no prediction was asked for before 2026-01-01, so there is nothing to judge",)
    assert not any(asked.watch["judged"].values())


def test_cohorts_of_a_second_are_refused_where_they_are_written(answered: Any) -> None:
    answered.edit("monitors/late_payment.yaml", "every: 35d", "every: 1s")
    with pytest.raises(FoundWrong) as refused:
        answered.open().monitor(at=AT)
    assert refused.value.code == "LCH-2805"
    assert str(refused.value.where).startswith("monitors/late_payment.yaml:")
    assert "every: 1s" in str(refused.value)


def test_a_missing_feature_is_found_once_with_its_newest_row(shop: Any) -> None:
    shop.answer(f"{ASKED} WHERE issued_at >= '2026-01-01'", missing="customer_payments.")
    for _ in range(2):
        (asked,) = shop.open().monitor(at=AT)
        (finding, *_) = [one for one in asked.findings if one["kind"] == "missing"]
        assert finding["evidence"]["newest_row"]["table"] == "payments"
        assert " The newest row of `payments` is of 2026-" in finding["message"]
    kept = [entry for _, entry in shop.open().workshop.state.entries(FINDINGS)]
    assert len(kept) == len({entry["id"] for entry in kept}) == len(asked.findings)
    assert {entry["environment"] for entry in kept} == {"prod"}


def test_labels_are_those_that_were_released_whatever_the_files_say(answered: Any) -> None:
    answered.edit("models/late_payment.yaml", "value: late ", "value: tardy ")
    (asked,) = answered.open().monitor(at=AT)
    assert asked.labelled > 300


def test_answers_of_a_model_that_read_other_features_are_left_out(answered: Any) -> None:
    answered.edit("features/invoice.yaml", "log_amount: ln(amount)", "log_amount: ln(amount)\n  weeks: terms_days / 7")
    assert answered.open().run().release.number == 3
    with pytest.raises(FoundWrong) as refused:
        answered.open().monitor(at=AT)
    assert refused.value.why == "those it has are of models that read other features than the released one"
    answered.answer(f"{ASKED} ORDER BY issued_at DESC LIMIT 5")
    (asked,) = answered.open().monitor(at=AT)
    assert asked.predictions == 5
    left_out = "left out: models gave them that read other features than the released one"
    assert any(note.endswith(left_out) for note in asked.notes)


def test_where_nobody_asked_of_late_the_time_of_the_answers_is_suggested(answered: Any) -> None:
    (asked,) = answered.open().monitor(at=datetime(2030, 1, 1, tzinfo=UTC))
    empty = [cohort for cohort in asked.watch["cohorts"] if not cohort["predictions"]]
    assert len(empty) > 30
    note = asked.notes[-1]
    assert note.startswith("no prediction was asked for since 2026-")
    assert not any(f" of {len(asked.watch['cohorts'])} cohorts" in note for note in asked.notes)
    then = datetime.fromisoformat(note.partition("--at ")[2][:10]).replace(tzinfo=UTC)
    (again,) = answered.open().monitor(at=then)
    assert again.labelled == asked.labelled
    assert again.notes[-1] != note
    assert all(cohort["predictions"] or cohort["state"] == "open" for cohort in again.watch["cohorts"][:-2])


def test_answers_from_before_a_column_was_personal_keep_their_labels(answered: Any) -> None:
    (before,) = answered.open().monitor(at=AT)
    answered.edit("sources/invoices.yaml", "customer: {type: varchar,", "customer: {type: varchar, pii: direct,")
    project = answered.open()
    states = {outcome.asset: outcome.state for outcome in project.run().outcomes}
    assert (states["service.late_payment"], set(states)) == ("built", {"service.late_payment", "monitor.late_payment"})
    assert answered.answer(f"{ASKED} WHERE issued_at >= '2026-06-01' AND customer IS NOT NULL LIMIT 5") == 5
    (asked,) = answered.open().monitor(at=AT)
    assert (asked.predictions, asked.labelled) == (before.predictions + 5, before.labelled + 5)
    hashed = answered.rows('SELECT count(*) FROM predictions_late_payment WHERE length("request.customer") = 32')
    assert hashed == [(5,)]
