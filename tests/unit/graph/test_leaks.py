"""The texts of leaks; that each planted one is found, and no twin is, stands in tests/loop/test_leaks.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lichen.testing.leaks.shipping import DELIVERIES, LABELS, PARCEL, labels, parcel, table


def test_the_honest_project_has_none(look: Callable[..., Any]) -> None:
    assert look().leaks == []


def test_a_leak_says_its_way_line_by_line_and_by_which_name_it_is_accepted(look: Callable[..., Any]) -> None:
    (leak,) = look({LABELS: labels("s.delay"), PARCEL: parcel("delay: double")}).leaks
    assert str(leak.error) == (
        "LCH-2523: `late` would read its answer: `parcel.delay` is made of `shipments.delay`, which tells the label "
        "`late`\n"
        "  at features/parcel.yaml:2:27\n"
        "    columns: {weight: double, delay: double}\n"
        "                              ^\n"
        "  why: a request is asked before that is known; the label table has it only afterwards:\n"
        "       shipments.delay\n"
        "         -> labels.delay (tables/labels.sql:7)\n"
        "         -> parcel.delay (features/parcel.yaml:2)\n"
        "  fix: take it out, or read it through a feature view whose table has a `known`; or, where it is none, "
        "`--accept leak:late/parcel.delay --why TEXT`"
    )
    assert leak.meaning == ("request labels.delay shipments.delay>value>labels.delay labels.delay>value>parcel.delay")


def test_the_features_of_a_view_that_leak_alike_are_told_together(look: Callable[..., Any]) -> None:
    early = "SELECT shipment, carrier, hub, delay, booked_at FROM shipments"
    (leak,) = look({DELIVERIES: table(early, "time: booked_at\nknown: booked_at")}).leaks
    assert leak.name == "leak:late/carrier_history.delay_14d"
    assert leak.error.what == (
        "`carrier_history.delay_14d` and 1 more of its view is made of `shipments.delay`, which tells the label of "
        "`late`, and `known: booked_at` is not when that became known"
    )
    assert str(leak.error.where) == "tables/deliveries.sql:3:8"
