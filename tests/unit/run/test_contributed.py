from __future__ import annotations

import json
import math
from typing import Any

import pytest

from lichen.deploy.refused import Refused
from lichen.run.contributed import SOURCES, why_not
from lichen.train.calibrate import Probability

MODEL = "models/late_payment.yaml"
CUSTOMERS = ["C01", "C02", None, "nobody"] * 8
ROWS = [{"customer": customer, "amount": 10.0 * n, "terms_days": 30} for n, customer in enumerate(CUSTOMERS, 1)]


def test_contributions_add_up_and_one_row_has_what_it_has_among_many(shop: Any) -> None:
    service = shop.open().service()
    many = service.predict(ROWS, contributions=True)
    for row, told in zip(ROWS, many, strict=True):
        parts = told["contributions"]
        alone = service.predict(row, contributions=True)["contributions"]
        assert alone == parts
        margin = parts["base"] + sum(parts["features"].values())
        assert math.log(told["score"] / (1 - told["score"])) == pytest.approx(margin, abs=1e-9)
        assert sum(parts["source_columns"].values()) == pytest.approx(sum(parts["features"].values()), abs=1e-9)
        assert told["probability"] == told["score"]  # no rows were held out to calibrate on
    assert parts["unit"] == "log_odds"
    assert "contributions" not in service.predict(ROWS[0])
    assert service.predict([], contributions=True) == []


def test_a_release_keeps_which_source_columns_its_features_are_made_of(shop: Any) -> None:
    project = shop.open()
    kept = project.releases.versions(project.releases.current("prod"))["service.late_payment"].facts[SOURCES]
    assert kept["invoice.amount"] == ["request.amount"]
    assert kept["customer.country"] == ["customers.country"]
    assert all(kept.values())
    told = project.service().predict(ROWS[0], contributions=True)["contributions"]["source_columns"]
    assert set(told) <= {column for columns in kept.values() for column in columns}


def test_a_learner_that_cannot_tell_is_refused_with_those_that_can(fresh: Any) -> None:
    fresh.edit(MODEL, "learner: logistic", "learner: forest")
    fresh.edit(MODEL, "{C: 0.1}", "{n_estimators: 10}")
    fresh.edit(MODEL, "  test: 84d", "  early_stop: 42d\n  test: 84d")
    fresh.edit(MODEL, "  roc_auc: {min: 0.7, no_worse_than_live: 0.02}\n", "")
    fresh.edit(MODEL, "{max: 0.1}", "{max: 0.9}")
    project = fresh.open()
    assert project.run().release is not None
    service = project.service()
    with pytest.raises(Refused) as refused:
        service.predict(ROWS, contributions=True)
    assert str(refused.value) == (
        "LCH-1888: contributions cannot be told of this model's answers\n"
        "  fix: they are told of models by lightgbm, logistic; this one is by forest"
    )
    made = service.deployed.calibration
    assert isinstance(made, Probability)
    assert made.rows > 0
    assert service.predict(ROWS[0])["probability"] == made.row(service.predict(ROWS[0])["score"])


def test_a_model_from_before_is_to_be_trained_again() -> None:
    fitted: Any = object()
    assert why_not(fitted, "logistic") == "train it again: lichen run"


def test_an_artifact_without_a_calibration_still_answers(shop: Any) -> None:
    """A release made before there were calibrations: its manifest has no such key, its service no source columns."""
    project = shop.open()
    versions = project.releases.versions(project.releases.current("prod"))
    trained, service = versions["model.late_payment"], versions["service.late_payment"]
    artifacts = project.workshop.folder("artifacts")
    manifest = json.loads((artifacts / trained.facts["artifact"] / "manifest.json").read_text())
    assert manifest.pop("calibration")["method"] == "identity"
    from lichen.train.artifact import keep

    staging = artifacts / ".staging-old"
    (artifacts / trained.facts["artifact"]).rename(staging)
    (staging / "manifest.json").unlink()
    columns = json.loads((staging / "model" / "columns.json").read_text())
    assert columns.pop("means")
    (staging / "model" / "columns.json").write_text(json.dumps(columns, indent=1, ensure_ascii=False))
    name = keep(staging, artifacts, {key: value for key, value in manifest.items() if key not in ("files", "format")})
    service.facts.pop(SOURCES)
    for version in (trained.with_facts(artifact=name), service):
        project.releases.keep(version)
        versions[version.asset] = version
    current = project.releases.current("prod")
    project.releases.move("prod", versions.values(), at="2026-01-01T00:00:00", expected=current, facts={})
    asking = shop.open().service()
    assert 0 < asking.predict(ROWS[0])["score"] < 1
    assert "probability" not in asking.predict(ROWS[0])
    with pytest.raises(Refused, match="train it again: lichen run"):
        asking.predict(ROWS[0], contributions=True)
