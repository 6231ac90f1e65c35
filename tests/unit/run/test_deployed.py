from __future__ import annotations

import shutil
from typing import Any

import pytest

from lichen.errors import SystemFailed
from lichen.feature.state import FORM
from lichen.run.deployed import (
    artifact_folder,
    features_of,
    fill_online,
    forget_features,
    has_artifact,
    recipe,
    view_keys,
)

MODEL = "models/late_payment.yaml"


def released(project: Any) -> tuple[Any, Any]:
    versions = project.releases.versions(project.releases.current("prod"))
    return versions, versions["model.late_payment"]


def test_a_recipe_makes_the_same_features_whatever_the_files_say(shop: Any) -> None:
    project = shop.open()
    made = project.check().features["late_payment"]
    shop.edit("features/invoice.yaml", "ln(amount)", "ln(amount + 1)")
    shop.edit("features/customer.yaml", "[country, size]", "[size]")
    edited = shop.open()
    assert features_of(released(edited)[1].facts["recipe"], edited.workshop) == made
    assert edited.check().features["late_payment"] != made


def test_a_recipe_names_what_its_views_read(shop: Any) -> None:
    project = shop.open()
    made = recipe(project.graph["model.late_payment"].spec, project.spec, {})
    assert made["features"] == list(made["views"]) == ["customer_payments", "customer", "invoice"]


def test_a_model_whose_files_are_gone_is_told_and_can_be_trained_again(shop: Any) -> None:
    project = shop.open()
    trained = released(project)[1]
    folder = artifact_folder(trained, project.workshop)
    shutil.rmtree(folder)
    with pytest.raises(SystemFailed) as failed:
        project.serve(port=0)
    assert str(failed.value) == (
        f"LCH-3904: the files of model version {trained.version} are gone\n  at {folder}\n"
        "  fix: train it again: lichen run; or put the folder back from a copy"
    )
    shop.edit(MODEL, "task:", "seed: 8\ntask:")
    run = shop.open().run()
    assert run.held == ("model.late_payment",)  # nothing to compare it with: the released one is trained again first
    shop.edit(MODEL, "seed: 8\ntask:", "task:")
    assert shop.open().run().release.number == 1
    assert has_artifact(trained, shop.open().workshop)
    shop.edit(MODEL, "task:", "seed: 8\ntask:")
    assert shop.open().run().release.number == 2


def test_views_of_releases_that_went_by_leave_the_online_store(shop: Any) -> None:
    project = shop.open()
    versions, trained = released(project)
    features = features_of(trained.facts["recipe"], project.workshop)
    keys = view_keys(features, versions)
    store = project.workshop.online
    assert fill_online(features, versions, store, project.workshop) == keys
    stored = set(store.views())
    assert stored == {keys["customer"], keys["customer_payments"]}
    forget_features(project.releases, project.workshop)
    assert set(store.views()) == stored


def test_states_of_another_form_are_made_anew_and_then_go(shop: Any) -> None:
    project = shop.open()
    versions, trained = released(project)
    features, store = features_of(trained.facts["recipe"], project.workshop), project.workshop.online
    keys = fill_online(features, versions, store, project.workshop)
    stored, older = set(store.views()), {key.replace(FORM, "LF1<") for key in keys.values()}
    for view in store.views():
        store.drop(view)
    for view in older:
        store.replace(view, [(b"1", b"LF1<")], "")

    fill_online(features, versions, store, project.workshop)
    assert set(store.views()) == stored | older
    forget_features(project.releases, project.workshop)
    assert set(store.views()) == stored


EVERYBODY = "entity: {}\nfrom: payments\naggregates: {days_late: avg(days_late)}\nwindows: [90d]\n"


def test_what_stands_in_is_in_the_recipe_and_online_though_no_model_lists_it(shop: Any) -> None:
    drawn = "drawn: {avg: days_late, prior: {mean: everybody.days_late_90d, weight: 5}}"
    shop.edit("features/customer_payments.yaml", "  late_share:", f"  {drawn}\n  late_share:")
    (shop.root / "features/everybody.yaml").write_text(EVERYBODY)
    shop.edit(MODEL, "  roc_auc: {min: 0.7, no_worse_than_live: 0.02}", "  roc_auc: {min: 0.7}")
    assert shop.open().run().release is not None
    project = shop.open()
    versions, trained = released(project)
    kept = trained.facts["recipe"]
    assert list(kept["views"]) == ["customer_payments", "customer", "invoice", "everybody"]
    assert kept["features"] == ["customer_payments", "customer", "invoice"]
    features = features_of(kept, project.workshop)
    assert [view.name for view in features.views][-1] == "everybody"
    assert "everybody.days_late_90d" not in [column.name for column in features.features]
    keys = view_keys(features, versions)
    assert keys["everybody"] in project.workshop.online.views()
    assert versions["feature.everybody"].version == versions["feature.customer_payments"].inputs["feature.everybody"]
    # Another prior is another version of all that reads it.
    (shop.root / "features/everybody.yaml").write_text(EVERYBODY.replace("avg(days_late)", "max(days_late)"))
    steps = {step.asset for step in shop.open().plan().steps}
    assert {"feature.everybody", "feature.customer_payments", "model.late_payment"} <= steps
    assert "feature.customer" not in steps


def test_a_recipe_of_before_keys_were_kept_is_read(shop: Any) -> None:
    project = shop.open()
    kept = released(project)[1].facts["recipe"]
    assert kept["relations"]["payments"]["key"] == ["invoice"]
    old = {name: {key: one[key] for key in ("columns", "time", "known")} for name, one in kept["relations"].items()}
    found = features_of({**kept, "relations": old}, project.workshop)
    assert [view.grain for view in found.views] == [(), ()]
    assert [view.grain for view in features_of(kept, project.workshop).views] == [("invoice",), ("customer",)]
