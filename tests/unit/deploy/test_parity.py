from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from lichen.deploy.parity import NEAR, skews, spelled
from lichen.ports import Column

DOUBLE = Column("v.d", "DOUBLE")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("type_", "one", "other", "alike"),
    [
        ("DOUBLE", 1.0, 1.0 + 1e-13, True),
        ("DOUBLE", 1.0, 1.0 + 1e-11, False),
        ("FLOAT", 1.0, 1.0 + 1e-13, True),
        ("DOUBLE", math.nan, math.nan, True),
        ("DOUBLE", math.nan, 1.0, False),
        ("DOUBLE", math.inf, math.inf, True),
        ("DOUBLE", math.inf, -math.inf, False),
        ("DOUBLE", math.inf, 1e300, False),
        ("DOUBLE", None, 0.0, False),
        ("DOUBLE", 0.0, None, False),
        ("DOUBLE", None, None, True),
        ("BIGINT", 2**62, 2**62 + 1, False),
        ("DECIMAL(38,0)", Decimal(7), 7, True),
        ("DECIMAL(9,2)", Decimal("1.00"), Decimal("1.01"), False),
        ("VARCHAR", "Ulm", "ulm", False),
        ("FLOAT[3]", [0.5, None, math.nan], [0.5, None, math.nan], True),
        ("FLOAT[3]", [0.5, None, math.nan], [0.5, math.nan, None], False),
        ("DOUBLE[2]", [1.0, 0.0], [1.0, 1e-13], True),
        ("DOUBLE[2]", [1.0, 0.0], [1.0, 1e-11], False),
        ("DOUBLE[2]", [1.0, 0.0], None, False),
        ("DOUBLE[2]", None, None, True),
        ("VARCHAR[]", ["a"], ["b"], False),
        ("VARCHAR", "nan", "nan", True),
        ("TIMESTAMP WITH TIME ZONE", NOON, NOON, True),
        ("TIMESTAMP WITH TIME ZONE", NOON, NOON.replace(tzinfo=None), False),
    ],
)
def test_values_are_equal_or_not(type_: str, one: Any, other: Any, *, alike: bool) -> None:
    found = skews([Column("v.f", type_)], [[one]], [[other]])
    assert (found == ()) is alike


def test_what_is_allowed_is_a_share_of_the_features_mean_magnitude() -> None:
    offline = [1e6, -3e6, None, math.nan, math.inf]
    beside = 1e6 + 0.9 * NEAR * 2e6
    assert skews([DOUBLE], [offline], [[beside, *offline[1:]]]) == ()
    beyond = 1e6 + 1.5 * NEAR * 2e6
    (found,) = skews([DOUBLE], [offline], [[beyond, *offline[1:]]])
    assert (found.rows, found.offline, found.online) == ((0,), 1e6, beyond)


def test_magnitudes_at_the_end_of_what_a_double_holds_are_no_error() -> None:
    assert skews([DOUBLE], [[1.7e308, 1.7e308]], [[1.7e308, 1.7e308]]) == ()


def test_features_come_in_their_order_with_all_their_rows() -> None:
    features = [Column("a.x", "BIGINT"), Column("b.y", "BIGINT"), Column("b.z", "VARCHAR")]
    found = skews(features, [[1, 2, 3], [4, 5, 6], ["p", "q", "r"]], [[1, 2, 3], [4, 0, 0], [None, "q", "r"]])
    assert [(one.feature, one.view, one.rows) for one in found] == [("b.y", "b", (1, 2)), ("b.z", "b", (0,))]


def test_vectors_are_told_by_what_differs() -> None:
    one, other = [0.1, math.nan, 0.3], [0.1, math.nan, 0.4]
    assert (spelled(one, other), spelled(other, one)) == ("element 2 as 0.3", "element 2 as 0.4")
    assert (spelled(one, None), spelled(None, one)) == ("a vector of 3 numbers", "null")


def test_values_are_told_as_they_are() -> None:
    said = [spelled(value) for value in (None, False, 3, 1e-9, Decimal("1.50"), "it's", NOON)]
    assert said == ["null", "false", "3", "1e-09", "1.50", '"it\'s"', "2026-01-01 12:00:00+00:00"]
