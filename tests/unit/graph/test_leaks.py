"""The texts of leaks; that each planted one is found, and no twin is, stands in tests/loop/test_leaks.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lichen.testing.leaks import PAIRS
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


WHAT = {
    "asked_by_the_answer": "LCH-2520: `late` is asked at an instant that is computed of its label's source column "
    "`shipments.delay`",
    "label_known_at_once": "LCH-2521: the label of `late` is known when it is asked: `label.known: booked_at` is not "
    "after `label.at: booked_at`",
    "rows_multiplied": "LCH-2522: label rows of `late` may be there twice: nothing says that `wind` has one row for "
    "each",
    "rank_of_arrival": "LCH-2523: `late` would read its answer: `parcel.place` is decided by `shipments.delivered_at`, "
    "which tells the label `late`",
    "target_encoding": "LCH-2524: the static feature `hub.late_share` is made of `shipments.delay`, which tells the "
    "label of `late`",
    "of_everybody": "LCH-2525: `all.delay_7d` is made of `shipments.delay`, which tells the label of `late`, and "
    "`known: promised_at` is not when that became known",
    "window_without_frame": "LCH-2526: `past.delay` is made of `shipments.delay`, which tells the label of `late`, "
    "over rows that nothing bounds by when they were known",
    "declared_before_its_input": "LCH-2527: `hub_wind` declares itself known before its input: `known: hour_at` is "
    "earlier than `known: hour_at + INTERVAL 3 HOUR` of `wind`",
    "report_of_the_delivery": "LCH-2530: `parcel.signature` is known later than it is asked for: it is made of "
    "`reports.signature`, of which `reports` says `known: delivered_at`",
    "shipments_to_come": "LCH-2531: `parcel.bookings` is summed up over rows of `shipments` that come after the "
    "question",
}


@pytest.mark.parametrize(("name", "what"), WHAT.items())
def test_each_kind_says_what_leaks(look: Callable[..., Any], name: str, what: str) -> None:
    pair = next(pair for pair in PAIRS if pair.name == name)
    (leak,) = look(pair.leak).leaks
    assert f"{leak.error.code}: {leak.error.what}" == what
    assert f"--accept {leak.name} --why TEXT" in str(leak.error.fix)
    assert leak.error.where is not None
