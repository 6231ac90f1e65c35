"""What decides which rows a value is made of has to be bounded as the rows are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lichen.testing.leaks.shipping import (
    BASE,
    DELIVERIES,
    LABELS,
    MODEL,
    PARCEL,
    PAST,
    PAST_VIEW,
    labels,
    latest_of,
    model,
    parcel,
    table,
)

BOUND = "d.carrier = s.carrier AND d.delivered_at < s.booked_at"
INNER = f"(SELECT {{}} FROM deliveries AS d {{}} WHERE {BOUND}{{}}) AS past"
OTHER = "JOIN shipments AS z ON z.shipment = s.shipment AND z.delay > 60"
BEFORE = f"SELECT s.shipment, s.booked_at, {{}} AS past\nFROM shipments AS s LEFT JOIN deliveries AS d ON {BOUND}"
GROUPED = BEFORE + "{}\nGROUP BY s.shipment, s.booked_at"
FRONT = "grain: [shipment]\ntime: booked_at\nknown: booked_at"


def inner(shown: str, condition: str = "", joined: str = "") -> str:
    return f"SELECT s.shipment, s.booked_at, {INNER.format(shown, joined, condition)} FROM shipments AS s"


@pytest.mark.parametrize(
    ("sql", "leaks"),
    [
        (inner("count(*)"), False),
        (inner("count(*)", " AND d.delay > 60"), False),
        (inner("count(*)", " AND s.delay > 60"), True),
        (inner("count(*)", joined=OTHER), True),
        (inner("avg(d.delay)", " AND s.delay > 60"), True),
        (inner("avg(d.delay + s.delay)"), True),
        (inner("arg_max(d.delay, abs(d.delay - s.delay))"), True),
        (inner("d.delay", " ORDER BY d.delivered_at DESC LIMIT 1"), False),
        (inner("d.delay", " ORDER BY abs(d.delay - s.delay) LIMIT 1"), True),
        (inner("d.delay", " ORDER BY d.delivered_at DESC LIMIT 1", OTHER), True),
        (GROUPED.format("avg(d.delay)", ""), False),
        (GROUPED.format("count(d.shipment)", " AND d.delay > 60"), False),
        (GROUPED.format("count(*)", ""), False),
        (GROUPED.format("count(*) FILTER (d.delay > 60)", ""), False),
        (GROUPED.format("avg(d.delay)", "\nWHERE s.delay > 60"), True),
        (GROUPED.format("avg(d.delay)", " AND s.delay > 60"), True),
        (GROUPED.format("count(d.shipment)", " AND s.delay > 60"), True),
        (GROUPED.format("count(*)", " AND s.delay > 60"), True),
        (GROUPED.format("avg(d.delay) FILTER (s.delay > 60)", ""), True),
        (GROUPED.format("count(*) FILTER (s.delay > 60)", ""), True),
        ("SELECT shipment, booked_at, weight AS past FROM shipments ORDER BY weight LIMIT 100", False),
        ("SELECT shipment, booked_at, weight AS past FROM shipments ORDER BY delay DESC LIMIT 100", True),
    ],
)
def test_a_view_known_when_it_is_asked(look: Callable[..., Any], sql: str, leaks: bool) -> None:
    view = latest_of("shipment: bigint", column="past")
    made = look({PAST: table(sql, FRONT), PAST_VIEW: view, MODEL: model("carrier_history, parcel, past")})
    assert [leak.error.code for leak in made.leaks] == (["LCH-2525"] if leaks else [])


ASKED = labels("{} AS past", "LEFT JOIN deliveries AS d ON " + BOUND + "{}") + "GROUP BY ALL\n"
OWN = f"(SELECT s.shipment, count(*) AS n FROM shipments AS s JOIN deliveries AS d ON {BOUND} {{}} GROUP BY s.shipment)"
COUNTED = labels("coalesce(h.n, 0) AS past", f"LEFT JOIN {OWN} AS h USING (shipment)")


@pytest.mark.parametrize(
    ("sql", "leaks"),
    [
        (ASKED.format("avg(d.delay)", ""), False),
        (ASKED.format("count(d.shipment)", " AND d.delay > 60"), False),
        (ASKED.format("count(*)", " AND d.delay > 60"), False),
        (ASKED.format("count(d.shipment)", " AND s.delay > 60"), True),
        (ASKED.format("count(*)", " AND s.delay > 60"), True),
        (COUNTED.format(""), False),
        (COUNTED.format("WHERE d.delay > 60"), False),
        (COUNTED.format("WHERE s.delay > 60"), True),
        (labels("count(*) OVER (PARTITION BY s.carrier ORDER BY s.booked_at) AS past"), False),
    ],
)
def test_a_column_of_the_request(look: Callable[..., Any], sql: str, leaks: bool) -> None:
    made = look({PARCEL: parcel("past: double"), LABELS: sql})
    assert [leak.error.code for leak in made.leaks] == (["LCH-2523"] if leaks else [])


TWICE = "SELECT shipment FROM shipments UNION ALL SELECT shipment FROM shipments WHERE delay > 60"
KNOWN = "time: booked_at\nknown: booked_at\n"
BORN = {"sources/shipments.yaml": BASE["sources/shipments.yaml"].replace("contract:", KNOWN + "contract:", 1)}
ANY = "(SELECT {} FROM shipments AS o WHERE o.carrier = s.carrier AND {}) AS past"


@pytest.mark.parametrize(
    ("sql", "leaks"),
    [
        (labels(ANY.format("avg(o.delay)", "o.booked_at < s.booked_at")), True),
        (labels(ANY.format("avg(o.delay)", "o.delivered_at < s.booked_at")), False),
        (labels(ANY.format("avg(o.delay)", "NOT (o.delivered_at >= s.booked_at)")), False),
        (labels(ANY.format("count(*)", "o.booked_at < s.booked_at")), False),
        (labels(ANY.format("count(*)", "o.booked_at < s.booked_at AND o.delay > 60")), True),
        (
            labels(
                "b.delay AS past",
                "ASOF LEFT JOIN shipments AS b ON b.carrier = s.carrier AND b.booked_at < s.booked_at",
            ),
            True,
        ),
        (labels("EXISTS " + ANY.format("1", "o.delivered_at < s.booked_at")), False),
        (labels("EXISTS " + ANY.format("1", "o.booked_at < s.booked_at AND o.delay > 60")), True),
        (labels("s.hub IN " + ANY.format("o.hub", "o.delivered_at < s.booked_at")), False),
        (labels("s.hub IN " + ANY.format("o.hub", "o.delay > 60")), True),
    ],
)
def test_what_tells_the_label_is_later_than_its_row_is_said_to_be(
    look: Callable[..., Any], sql: str, leaks: bool
) -> None:
    made = look({**BORN, PARCEL: parcel("past: double"), LABELS: sql})
    assert [leak.error.code for leak in made.leaks] == (["LCH-2523"] if leaks else [])


@pytest.mark.parametrize(
    "sql",
    [
        labels(
            "q.past", "JOIN (SELECT hub, avg(COLUMNS('^delay$')) AS past FROM shipments GROUP BY 1) AS q USING (hub)"
        ),
        labels(
            "q.past", f"JOIN (SELECT shipment, count(*) AS past FROM ({TWICE}) AS o GROUP BY 1) AS q USING (shipment)"
        ),
        labels("avg(d.delay) OVER (PARTITION BY s.hub) AS past", "JOIN deliveries AS d ON " + BOUND),
        labels("avg(d.delay) OVER () AS past", "JOIN deliveries AS d USING (carrier)")
        + "QUALIFY d.delivered_at < s.booked_at\n",
        labels("(SELECT avg(o.delay) FROM shipments AS o ANTI JOIN wind AS w ON o.delivered_at < s.booked_at) AS past"),
        labels(
            "(SELECT avg(d.delay) FROM deliveries AS d JOIN (SUMMARIZE carriers) AS p ON true WHERE total < 3) AS past"
        ),
    ],
)
def test_what_nothing_bounds_or_cannot_be_read_is_refused(look: Callable[..., Any], sql: str) -> None:
    made = look({PARCEL: parcel("past: double"), LABELS: sql})
    assert [leak.error.code for leak in made.leaks] == ["LCH-2523"]


BAD = "SELECT shipment, carrier, {} AS past, {} AS k FROM shipments WHERE {}"
THERE = "(delivered_at IS NOT NULL)::int"


@pytest.mark.parametrize(
    ("sql", "leaks"),
    [
        (BAD.format(THERE, "coalesce(delivered_at, booked_at)", "true"), True),
        (BAD.format(THERE, "ifnull(delivered_at, booked_at)", "true"), True),
        (BAD.format(THERE, "greatest(delivered_at, booked_at)", "true"), True),
        (BAD.format("delay", "greatest(delivered_at, booked_at)", "delivered_at IS NOT NULL"), False),
        (BAD.format("delay", "coalesce(delivered_at, booked_at)", "delivered_at > booked_at"), False),
        (BAD.format("delay", "delivered_at", "true"), False),
        (BAD.format("delay", "date_trunc('month', delivered_at) + INTERVAL 1 MONTH", "true"), False),
        (BAD.format("delay", "date_trunc('quarter', delivered_at) + INTERVAL 3 MONTH", "true"), False),
        (BAD.format("delay", "time_bucket(INTERVAL 1 YEAR, delivered_at) + to_months(12)", "true"), False),
        (BAD.format("delay", "date_trunc('quarter', delivered_at) + INTERVAL 1 MONTH", "true"), True),
    ],
)
def test_what_stands_in_for_an_instant_and_the_end_of_a_month(look: Callable[..., Any], sql: str, leaks: bool) -> None:
    view = "entity: {carrier: varchar}\nfrom: past\naggregates: {r: avg(past)}\nwindows: [14d]\n"
    made = look({PAST: table(sql, "time: k\nknown: k"), PAST_VIEW: view, MODEL: model("carrier_history, parcel, past")})
    assert [leak.error.code for leak in made.leaks] == (["LCH-2525"] if leaks else [])


def test_a_view_that_is_known_earlier_than_it_is_asked_is_not_bounded_by_the_question(look: Callable[..., Any]) -> None:
    front = "grain: [shipment]\ntime: booked_at\nknown: booked_at - INTERVAL 1 DAY"
    files = {PAST: table(inner("avg(d.delay)"), front), PAST_VIEW: latest_of("shipment: bigint", column="past")}
    made = look({**files, MODEL: model("carrier_history, parcel, past")})
    assert [leak.error.code for leak in made.leaks] == ["LCH-2525"]


def test_a_label_of_other_rows_may_look_at_the_instant_that_asks(look: Callable[..., Any]) -> None:
    again = "lead(s.booked_at) OVER (PARTITION BY s.hub ORDER BY s.booked_at) <= s.booked_at + INTERVAL 1 DAY"
    made = look({LABELS: labels().replace("s.delay > 60", f"coalesce({again}, false)")})
    assert "LCH-2520" not in [leak.error.code for leak in made.leaks]


BOOKED = "SELECT carrier, {} AS past, booked_at AS k FROM shipments"
DONE = "SELECT carrier, -1 AS past, {} AS k FROM shipments WHERE delivered_at IS NOT NULL"


@pytest.mark.parametrize(
    ("sql", "leaks"),
    [
        (f"{BOOKED.format('1')} UNION ALL {DONE.format('delivered_at')}", False),
        (f"{BOOKED.format('delay')} UNION ALL {DONE.format('delivered_at')}", True),
        (f"{BOOKED.format('1')} WHERE delay > 60 UNION ALL {DONE.format('delivered_at')}", True),
        (f"{BOOKED.format('1').replace('shipments', 'deliveries')} UNION ALL {DONE.format('delivered_at')}", True),
        (f"{BOOKED.format('1')} UNION ALL {DONE.format('booked_at')}", True),
    ],
)
def test_each_side_of_a_log_of_events_is_known_at_its_own_instant(
    look: Callable[..., Any], sql: str, leaks: bool
) -> None:
    deliveries = table(
        "SELECT shipment, carrier, hub, delay, delivered_at, booked_at FROM shipments WHERE delivered_at IS NOT NULL",
        "grain: [shipment]\ntime: delivered_at\nknown: delivered_at",
    )
    view = "entity: {carrier: varchar}\nfrom: past\naggregates: {r: sum(past)}\nwindows: [14d]\n"
    files = {DELIVERIES: deliveries, PAST: table(sql, "time: k\nknown: k"), PAST_VIEW: view}
    made = look({**files, MODEL: model("carrier_history, parcel, past")})
    assert sorted({leak.error.code for leak in made.leaks} & {"LCH-2525"}) == (["LCH-2525"] if leaks else [])
