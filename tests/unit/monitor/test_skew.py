from __future__ import annotations

import json

from lichen.monitor.sample import DAY
from lichen.monitor.skew import Unlike, unlike

FIRST, SECOND = (0, DAY), (DAY, 2 * DAY)
IMPORTANCES = {"shop.size": 0.25, "shop.city": 0.25, "trip.hour": 0.5}


def value(feature: str, prediction: str, cohort: tuple[int, int] = FIRST) -> Unlike:
    return Unlike(feature, prediction, 7, cohort, "5", "3")


def test_what_differs_in_one_view_and_cohort_is_one_finding() -> None:
    found = [value("shop.size", "a"), value("shop.size", "b"), value("shop.city", "b"), value("trip.hour", "a")]
    found.append(value("shop.size", "c", SECOND))
    shop, trip, later = unlike("m", found, {FIRST: 8, SECOND: 1}, IMPORTANCES, 9)
    assert [(one.kind, one.subject, one.start) for one in (shop, trip, later)] == [
        ("skew", "shop", 0),
        ("skew", "trip", 0),
        ("skew", "shop", DAY),
    ]
    assert (shop.severity, trip.severity, later.severity) == (0.5 * 2 / 8, 0.5 / 8, 0.25)
    assert shop.message == (
        "`shop` (city, size) is not what the tables say in 25.0% of 8 answers looked at of 1970-01-01 to 1970-01-02: "
        "a was given with shop.size 5, and the tables of release 7 give 3. It carries 50.0% of the model's importance."
    )
    assert shop.evidence["features"] == {"shop.city": 1 / 8, "shop.size": 2 / 8}
    assert shop.evidence["example"] == {
        "prediction_id": "a", "release": 7, "feature": "shop.size", "used": "5", "offline": "3"
    }  # fmt: skip
    assert json.dumps(shop.as_dict())


def test_many_features_are_named_in_part() -> None:
    (found,) = unlike("m", [value(f"v.f{n}", "a") for n in range(5)], {FIRST: 1}, {}, 9)
    assert found.message.startswith("`v` (f0, f1, f2 and 2 more) is not what the tables say in 100.0% of 1 answer ")
    assert found.severity == 0.0


def test_nothing_that_differs_is_nothing_found() -> None:
    assert list(unlike("m", [], {FIRST: 100}, IMPORTANCES, 9)) == []
