"""The texts of leaks; that each planted one is found, and no twin is, stands in tests/loop/test_leaks.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lichen.testing.leaks import PAIRS
from lichen.testing.leaks.shipping import (
    DELIVERIES,
    HISTORY,
    LABELS,
    MODEL,
    PARCEL,
    REPORTS,
    labels,
    model,
    parcel,
    table,
)


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


REPORTED = {
    "sources/reports.yaml": REPORTS,
    LABELS: labels("", "JOIN reports AS r ON r.shipment = s.shipment").replace("s.delivered_at,", "r.delivered_at,"),
}
FRONT = "grain: [shipment]\ntime: k\nknown: k"
SEEN = "SELECT s.shipment, s.carrier, s.hub, {} AS delay, {} AS k FROM {}"
OTHER = "shipments AS s JOIN shipments AS o ON o.shipment = s.shipment - 50"
REPORT = "shipments AS s LEFT JOIN reports AS r ON r.shipment = s.shipment AND r.minutes > 60"


@pytest.mark.parametrize(
    ("sql", "codes"),
    [
        (SEEN.format("s.delay", "r.delivered_at", REPORT), []),
        (SEEN.format("s.delay", "coalesce(r.delivered_at, s.booked_at)", REPORT), ["LCH-2525"]),
        (SEEN.format("s.delay", "greatest(r.delivered_at, s.booked_at)", REPORT), ["LCH-2525"]),
    ],
)
def test_a_guard_of_another_relation_is_tied_by_a_key(look: Callable[..., Any], sql: str, codes: list[str]) -> None:
    found = look({**REPORTED, DELIVERIES: table(sql, FRONT)}).leaks
    assert [leak.error.code for leak in found] == codes


@pytest.mark.parametrize(("order", "codes"), [("s.delivered_at", []), ("o.delivered_at", ["LCH-2526"])])
def test_a_window_goes_by_an_instant_of_the_row_that_it_sums_up(
    look: Callable[..., Any], order: str, codes: list[str]
) -> None:
    sql = SEEN.format(f"avg(s.delay) OVER (ORDER BY {order})", "s.delivered_at", OTHER)
    assert [leak.error.code for leak in look({DELIVERIES: table(sql, FRONT)}).leaks] == codes


@pytest.mark.parametrize(
    ("inner", "leaks"),
    [
        ("SELECT a.carrier, a.delay, a.delivered_at FROM shipments AS a", False),
        (
            (
                "SELECT a.carrier, a.delay, b.delivered_at FROM shipments AS a "
                "JOIN shipments AS b ON b.shipment = a.shipment - 50"
            ),
            True,
        ),
        ("SELECT carrier, avg(delay) AS delay, max(delivered_at) AS delivered_at FROM deliveries GROUP BY 1", False),
        ("SELECT carrier, avg(delay) AS delay, min(delivered_at) AS delivered_at FROM deliveries GROUP BY 1", True),
        ("SELECT carrier, delivered_at, avg(delay) OVER (ORDER BY delivered_at) AS delay FROM deliveries", False),
        ("SELECT carrier, delivered_at, avg(delay) OVER (PARTITION BY carrier) AS delay FROM deliveries", True),
    ],
)
def test_the_instant_that_is_held_below_the_question_is_that_of_the_value(
    look: Callable[..., Any], inner: str, leaks: bool
) -> None:
    mean = f"(SELECT avg(o.delay) FROM ({inner}) AS o WHERE o.carrier = s.carrier AND o.delivered_at < s.booked_at)"
    found = look({LABELS: labels(f"{mean} AS mean"), PARCEL: parcel("mean: double")}).leaks
    assert [leak.error.code for leak in found] == ["LCH-2523"] * leaks


@pytest.mark.parametrize(("known", "codes"), [("booked_at", ["LCH-2525"]), ("delivered_at", [])])
def test_what_an_outer_join_finds_is_guarded_as_what_it_goes_by(
    look: Callable[..., Any], known: str, codes: list[str]
) -> None:
    sql = (
        f"SELECT s.shipment, s.carrier, s.{known} AS k, c.trucks IS NOT NULL AS found\n"
        "FROM shipments AS s LEFT JOIN carriers AS c ON c.carrier = s.carrier AND s.delay > 60"
    )
    view = "entity: {carrier: varchar}\nfrom: met\nlatest: [found]\n"
    made = look({"tables/met.sql": table(sql, FRONT), "features/met.yaml": view, MODEL: model("met, parcel")})
    assert [leak.error.code for leak in made.leaks] == codes


EARLY = table("SELECT shipment, carrier, hub, delay, booked_at FROM shipments", "time: booked_at\nknown: booked_at")
AGGREGATES = [
    "{share: delay > 60}",
    "{count: '*', where: delay > 60}",
    "{avg: shipment, where: delay > 60}",
    "{since: '*', where: delay > 60}",
    "{mode: carrier, where: delay > 60}",
    "{share: delay > 60, lag: 300d}",
    "{last: delay, back: 1, lag: 300d}",
    "count_distinct(delay)",
    "rate(delay)",
    "'quantile(delay, 0.9)'",
]


@pytest.mark.parametrize("aggregate", AGGREGATES)
@pytest.mark.parametrize(("deliveries", "codes"), [(EARLY, ["LCH-2525"]), (None, [])])
def test_a_condition_on_the_label_s_source_is_guarded_by_known_as_a_value_is(
    look: Callable[..., Any], aggregate: str, deliveries: str | None, codes: list[str]
) -> None:
    view = f"entity: {{carrier: varchar}}\nfrom: deliveries\naggregates: {{late: {aggregate}}}\nwindows: [14d]\n"
    files = {HISTORY: view} | ({DELIVERIES: deliveries} if deliveries else {})
    found = look(files).leaks
    assert [leak.error.code for leak in found] == codes
    assert [leak.name for leak in found] == ["leak:late/carrier_history.late_14d"] * len(codes)


def test_the_time_that_a_feature_tells_is_guarded_too(look: Callable[..., Any]) -> None:
    view = "entity: {carrier: varchar}\nfrom: met\naggregates: {quiet: since(shipment)}\nwindows: [14d]\n"
    sql = "SELECT shipment, carrier, delivered_at, booked_at FROM shipments"
    made = {"features/met.yaml": view, MODEL: model("met, parcel")}
    for known, codes in (("booked_at", ["LCH-2525"]), ("delivered_at", [])):
        front = f"time: delivered_at\nknown: {known}"
        found = look({**made, "tables/met.sql": table(sql, front)}).leaks
        assert [leak.error.code for leak in found] == codes


PARENT = "entity: {hub: varchar}\nfrom: early\naggregates: {delay: avg(delay)}\nwindows: [14d]\n"
CHILD = (
    "entity: {carrier: varchar}\nfrom: deliveries\n"
    "aggregates: {weight: {avg: shipment, prior: {mean: hub.delay, weight: 10}}}\nwindows: [14d]\n"
)


def test_a_feature_that_stands_in_leaks_as_if_the_model_read_it(look: Callable[..., Any]) -> None:
    (leak,) = look({HISTORY: CHILD, "features/hub.yaml": PARENT, "tables/early.sql": EARLY}).leaks
    assert leak.name == "leak:late/hub.delay_14d"
    assert leak.error.what == (
        "`hub.delay_14d` is made of `shipments.delay`, which tells the label of `late`, and `known: booked_at` is not "
        "when that became known"
    )
    assert look({HISTORY: CHILD, "features/hub.yaml": PARENT.replace("early", "deliveries")}).leaks == []


def test_the_key_of_what_stands_in_is_brought_and_may_not_tell_the_label(look: Callable[..., Any]) -> None:
    files = {
        HISTORY: CHILD,
        "features/hub.yaml": PARENT.replace("early", "deliveries").replace("hub: varchar", "bin: int"),
    }
    (leak,) = look({**files, LABELS: labels("s.delay // 60 AS bin")}).leaks
    assert leak.error.what == (
        "`late` would read its answer: the key `bin` of `hub` is made of `shipments.delay`, which tells the label "
        "`late`"
    )
    assert str(leak.error.where) == "features/hub.yaml:1:10"
