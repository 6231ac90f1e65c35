from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lichen.graph.bounded import let_in_by, rows_bounded, windows_bounded
from lichen.graph.lineage import AssetColumn
from lichen.testing.leaks.shipping import LABELS, MODEL, PAST, PAST_VIEW, labels, latest_of, model

OTHERS = "(SELECT avg(o.delay) FROM shipments AS o WHERE o.carrier = s.carrier AND {}) AS mean"


@pytest.mark.parametrize(
    ("condition", "bounded"),
    [
        ("o.delivered_at < s.booked_at", True),
        ("s.booked_at >= o.delivered_at", True),
        ("o.delivered_at + INTERVAL 1 HOUR <= s.booked_at", True),
        ("o.delivered_at BETWEEN s.booked_at - INTERVAL 9 DAY AND s.booked_at", True),
        ("date_trunc('day', o.delivered_at) < date_trunc('day', s.booked_at) - INTERVAL 1 DAY", True),
        ("date_trunc('day', o.delivered_at) < date_trunc('day', s.booked_at)", False),
        ("o.delivered_at < s.booked_at + INTERVAL 1 HOUR", False),
        ("o.delivered_at > s.booked_at", False),
        ("o.delivered_at < s.promised_at", False),
        ("o.booked_at < s.booked_at", False),
        ("(o.delivered_at < s.booked_at OR o.weight > 3)", False),
        ("greatest(o.delivered_at, o.booked_at) < s.booked_at", True),
        ("least(o.delivered_at, o.booked_at) < s.booked_at", False),
        ("o.delivered_at - to_minutes(o.delay::INT * 9) < s.booked_at", False),
        ("o.delivered_at < s.booked_at + to_days(s.weight::INT)", False),
        ("o.delivered_at < greatest(s.booked_at, TIMESTAMPTZ '2099-01-01')", False),
        ("o.delivered_at < CASE WHEN s.weight > 3 THEN s.booked_at ELSE TIMESTAMPTZ '2099-01-01' END", False),
        ("o.delivered_at < (SELECT max(booked_at) FROM shipments)", False),
    ],
)
def test_a_condition_bounds_what_it_holds_below_the_question(
    look: Callable[..., Any], condition: str, bounded: bool
) -> None:
    made = look({LABELS: labels(OTHERS.format(condition))})
    ways = made.arrivals.of(AssetColumn("table.labels", "mean"))
    assert [rows_bounded(one, made.late, made.arrivals) for one in ways] == [bounded]


@pytest.mark.parametrize(
    ("over", "bounded"),
    [
        ("avg(delay) OVER (ORDER BY delivered_at)", True),
        ("avg(delay) OVER (PARTITION BY hub ORDER BY delivered_at ROWS BETWEEN 9 PRECEDING AND 1 PRECEDING)", True),
        ("lag(delay) OVER (ORDER BY delivered_at)", True),
        ("lead(delay) OVER (ORDER BY delivered_at)", False),
        ("avg(delay) OVER (ORDER BY delivered_at DESC)", False),
        ("avg(delay) OVER (ORDER BY delivered_at ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)", False),
        ("avg(delay) OVER (ORDER BY shipment)", False),
        ("avg(delay) OVER ()", False),
        ("avg(delay) OVER w", True),
        ("avg(delay) OVER (w ROWS BETWEEN 9 PRECEDING AND CURRENT ROW)", True),
        ("avg(delay) OVER (w ROWS BETWEEN 9 PRECEDING AND 9 FOLLOWING)", False),
        ("avg(delay) OVER (PARTITION BY hub ORDER BY hour(delivered_at))", False),
        ("avg(delay) OVER (ORDER BY strftime(delivered_at, '%Y-%m'))", False),
        ("avg(delay) OVER (ORDER BY delivered_at - to_minutes(delay::INT))", False),
        ("avg(delay) OVER (ORDER BY date_trunc('month', delivered_at) + INTERVAL 31 DAY)", False),
        ("avg(delay) OVER (ORDER BY delivered_at - INTERVAL 1 DAY)", True),
        ("lag(delay, 3) OVER w", True),
        ("lag(delay, -3) OVER w", False),
        ("lag(delay, shipment) OVER w", False),
    ],
)
def test_a_window_is_bounded_by_its_order_and_its_end(look: Callable[..., Any], over: str, bounded: bool) -> None:
    made = look({"tables/past.sql": f"SELECT {over} AS mean FROM deliveries WINDOW w AS (ORDER BY delivered_at)"})
    ways = made.arrivals.of(AssetColumn("table.past", "mean"))
    assert {windows_bounded(one, made.late, made.arrivals) for one in ways} == {bounded}


ASKED = (
    "WITH asked AS (SELECT s.shipment, avg(d.delay) AS mean FROM shipments AS s {} GROUP BY 1)\n"
    "SELECT s.shipment, s.booked_at, s.delivered_at, s.delay > 60 AS late, a.mean FROM shipments AS s {}"
)
EARLIER = "JOIN deliveries AS d ON d.carrier = s.carrier AND d.delivered_at < s.booked_at"


@pytest.mark.parametrize(
    ("inner", "outer", "bounded"),
    [
        (EARLIER, "JOIN asked AS a USING (shipment)", True),
        ("LEFT " + EARLIER, "LEFT JOIN asked AS a ON a.shipment = s.shipment", True),
        (EARLIER, "JOIN asked AS a ON a.shipment = s.shipment + 300", False),
        (EARLIER, "JOIN asked AS a ON a.shipment > s.shipment", False),
        ("RIGHT " + EARLIER, "JOIN asked AS a USING (shipment)", False),
    ],
)
def test_the_instant_that_bounds_is_that_of_the_row_that_asks(
    look: Callable[..., Any], inner: str, outer: str, bounded: bool
) -> None:
    made = look({LABELS: ASKED.format(inner, outer)})
    ways = made.arrivals.of(AssetColumn("table.labels", "mean"))
    assert [rows_bounded(one, made.late, made.arrivals) for one in ways] == [bounded]


@pytest.mark.parametrize(("instant", "bounded"), [("asked_at", True), ("never", False)])
def test_questions_that_are_asked_at_a_written_instant_are_bounded_by_it_alone(
    look: Callable[..., Any], instant: str, bounded: bool
) -> None:
    mean = OTHERS.format(f"o.delivered_at < {instant}")
    written = "TIMESTAMPTZ '2026-03-01 00:00:00Z' AS asked_at, TIMESTAMPTZ '2099-01-01 00:00:00Z' AS never"
    made = look({LABELS: labels(f"{written}, {mean}"), MODEL: model(at="asked_at")})
    ways = made.arrivals.of(AssetColumn("table.labels", "mean"))
    assert [rows_bounded(one, made.late, made.arrivals) for one in ways] == [bounded]


SAID = "/* ---\ntime: booked_at\nknown: booked_at\n--- */\nSELECT s.shipment, s.booked_at, {} FROM shipments AS s {}"
OWN = "FROM deliveries AS d WHERE d.carrier = s.carrier AND d.delivered_at < s.booked_at"
ANY = "FROM deliveries AS d, shipments AS o WHERE d.carrier = s.carrier AND d.delivered_at < o.booked_at"
BY_KEY = "(SELECT {} AS own, avg(d.delay) AS m FROM shipments AS s JOIN deliveries AS d ON {} GROUP BY {})"
HELD = "d.carrier = s.carrier AND d.delivered_at < s.booked_at"


@pytest.mark.parametrize(
    ("column", "joined", "let_in"),
    [
        (f"(SELECT avg(d.delay) {OWN}) AS m", "", True),
        (f"(SELECT arg_max(d.delay, d.delivered_at) {OWN}) AS m", "", True),
        ("x.m", f"LEFT JOIN LATERAL (SELECT avg(d.delay) AS m {OWN}) AS x ON true", True),
        ("h.m", f"LEFT JOIN {BY_KEY.format('s.shipment', HELD, 's.shipment')} AS h ON h.own = s.shipment", True),
        ("h.m", f"LEFT JOIN {BY_KEY.format('s.shipment', HELD, 'ALL')} AS h ON h.own = s.shipment", True),
        ("h.m", f"LEFT JOIN {BY_KEY.format('s.shipment', HELD, '1')} AS h ON h.own = s.shipment", True),
        ("h.m", f"LEFT JOIN {BY_KEY.format('s.shipment', HELD, '1')} AS h ON h.own = s.shipment + 9", False),
        ("h.m", f"LEFT JOIN {BY_KEY.format('s.carrier', HELD, 's.carrier')} AS h ON h.own = s.carrier", False),
        ("h.m", f"LEFT JOIN {BY_KEY.format('max(s.shipment)', HELD, 's.carrier')} AS h ON h.own = s.shipment", False),
        ("(SELECT avg(d.delay) FROM deliveries AS d WHERE d.carrier = s.carrier) AS m", "", False),
        (f"(SELECT avg(d.delay) {ANY}) AS m", "", False),
    ],
)
def test_rows_summed_up_are_let_in_by_an_instant_that_all_of_a_group_share(
    look: Callable[..., Any], column: str, joined: str, let_in: bool
) -> None:
    made = look({PAST: SAID.format(column, joined), PAST_VIEW: latest_of(column="m")})
    ways = made.arrivals.of(AssetColumn("table.past", "m"))
    known = made.arrivals.of(AssetColumn("table.past", "booked_at"))
    assert {let_in_by(known, one, made.late, made.arrivals) for one in ways if one.column in made.late.told} == {let_in}
