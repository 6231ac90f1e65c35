from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lichen.run import rechecked
from lichen.run.rechecked import Rechecked, recheck
from lichen.run.recorded import predictions_asset

AT = datetime(2026, 7, 5, tzinfo=UTC)
ASKED = "SELECT 'late-' || invoice AS id, issued_at AS at, customer, amount, terms_days FROM invoice_labels"


def test_a_replays_answers_are_what_the_tables_say(answered: Any) -> None:
    (asked,) = answered.open().monitor(at=AT)
    skew = asked.watch["skew"]
    assert skew == {"compared": asked.predictions, "values": skew["values"], "differ": 0, "lost": 0}
    assert skew["values"] > 5
    assert not [one for one in asked.findings if one["kind"] == "skew"]


def test_values_that_went_missing_on_the_way_are_found(answered: Any) -> None:
    recent = f"{ASKED} WHERE issued_at >= '2026-06-01' AND customer IS NOT NULL LIMIT 20"
    assert answered.answer(recent, missing="invoice.log_amount") == 20
    (asked,) = answered.open().monitor(at=AT)
    # These answers were given as of now, and say that it was then: `invoice.weekday` is another, and rightly found.
    found = [one for one in asked.findings if one["kind"] == "skew" and one["subject"] == "invoice"]
    assert len(found) == 1
    features, example = found[0]["evidence"]["features"], found[0]["evidence"]["example"]
    assert round(features["invoice.log_amount"] * found[0]["evidence"]["rows"]) == 20
    assert (example["feature"], example["used"]) == ("invoice.log_amount", "null")
    assert asked.watch["skew"]["differ"] >= 20
    severities = [one["severity"] for one in asked.findings]
    assert severities == sorted(severities, reverse=True)


def test_the_sample_is_of_each_cohort_that_has_answers(answered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project = answered.open()
    (asked,) = project.monitor(at=AT)
    versions = project.releases.versions(project.releases.current("prod"))
    trained = versions["model.late_payment"]
    monkeypatch.setattr(rechecked, "SAMPLE", 10)
    monkeypatch.setattr(rechecked, "LEAST", 3)
    named = ("m", versions[predictions_asset("late_payment")], [trained.version], {}, asked.watch)
    with_answers = sum(1 for cohort in asked.watch["cohorts"] if cohort["predictions"])
    found = recheck(*named, project.releases, project.workshop)
    assert found.compared == max(3, -(-10 // with_answers)) * with_answers
    none = recheck(*named[:4], {**asked.watch, "cohorts": []}, project.releases, project.workshop)
    assert none == Rechecked(0, 0, 0, 0, ())


def test_what_was_not_looked_at_is_told() -> None:
    assert Rechecked(5, 3, 0, 0, ()).notes == ()
    assert Rechecked(5, 3, 0, 1, ()).notes == (
        "skew was not looked at in 1 of 6 answers: the tables of the release that gave them are no longer kept",
    )
