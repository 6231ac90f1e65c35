from __future__ import annotations

from typing import Any

import pytest

from lichen.graph.prior import Feature, aggregate_of, prior_of, with_parents, with_priors
from lichen.spec import FeatureView


def view(prior: Any = None, windows: tuple[str, ...] = ("1h", "7d"), **more: Any) -> FeatureView:
    delay = {"avg": "x", **({"prior": prior} if prior else {})}
    return FeatureView.model_validate(
        {
            "entity": {},
            "from": "legs",
            "aggregates": {"delay": delay, "flights": "count(*)"},
            "windows": windows,
            **more,
        }
    )


def drawn(feature: str | float) -> dict[str, Any]:
    return {"mean": feature, "weight": 10}


SPECS = {
    "plane": view(drawn("carrier.delay")),
    "carrier": view(drawn("airspace.delay_28d")),
    "airspace": view(windows=("28d",)),
    "alone": view(drawn(3)),
}


def test_the_aggregate_of_a_feature() -> None:
    assert aggregate_of(SPECS["plane"], "delay_7d") == ("delay", "7d")
    assert aggregate_of(SPECS["plane"], "delay_28d") is None


@pytest.mark.parametrize(
    ("one", "prior"),
    [
        ("plane.delay_7d", "carrier.delay_7d"),
        ("plane.delay_1h", "carrier.delay_1h"),
        ("carrier.delay_1h", "airspace.delay_28d"),
        ("plane.flights_1h", None),
        ("alone.delay_1h", None),
        ("airspace.delay_28d", None),
    ],
)
def test_what_stands_in_is_the_feature_named_or_that_of_the_same_window(one: str, prior: str | None) -> None:
    found = prior_of(Feature(*one.split(".")), SPECS)
    assert (None if found is None else str(found)) == prior


@pytest.mark.parametrize("named", ["carrier.dely", "carier.delay", "airspace.delay"])
def test_what_is_not_there_stands_in_for_nothing(named: str) -> None:
    assert prior_of(Feature("one", "delay_1h"), {**SPECS, "one": view(drawn(named))}) is None


def test_the_views_that_are_needed_are_those_whose_features_stand_in() -> None:
    assert with_priors("plane", SPECS["plane"]) == [Feature("plane", "delay_1h"), Feature("plane", "delay_7d")]
    assert with_parents(["plane", "alone"], SPECS) == ("plane", "alone", "carrier", "airspace")
    assert with_parents(["airspace", "carrier"], SPECS) == ("airspace", "carrier")
    # Of a view that stands in, only what its needed features need.
    count = FeatureView.model_validate(
        {
            "entity": {}, "from": "legs", "windows": ["1h"],
            "aggregates": {"delay": {"avg": "x", "prior": {"use": "carrier.flights_7d", "below": 3}}},
        }
    )  # fmt: skip
    assert with_parents(["count"], {**SPECS, "count": count}) == ("count", "carrier")


def test_a_ring_comes_to_an_end() -> None:
    ring = {"a": view(drawn("b.delay")), "b": view(drawn("a.delay"))}
    assert with_parents(["a"], ring) == ("a", "b")
