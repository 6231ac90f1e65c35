"""What decides which rows a value is made of has to be bounded as the rows are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lichen.testing.leaks.shipping import (
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
