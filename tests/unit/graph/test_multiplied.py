from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lichen.graph.lineage import AssetColumn
from lichen.graph.multiplied import multiplied
from lichen.testing.leaks.shipping import LABELS, labels

ONE = [
    "",
    "JOIN carriers AS c ON c.carrier = s.carrier",
    "LEFT JOIN carriers AS c USING (carrier)",
    "JOIN wind AS w ON w.hub = s.hub AND w.hour_at = date_trunc('day', s.booked_at)",
    "ASOF JOIN wind AS w ON w.hub = s.hub AND w.hour_at <= s.booked_at",
    "SEMI JOIN wind AS w ON w.hub = s.hub",
    "JOIN (SELECT hub, avg(speed) AS mean FROM wind GROUP BY hub) AS w ON w.hub = s.hub",
    "JOIN (SELECT DISTINCT hub FROM wind) AS w ON w.hub = s.hub",
    "CROSS JOIN (SELECT max(speed) AS top FROM wind) AS w",
    "LEFT JOIN LATERAL (SELECT speed FROM wind AS o WHERE o.hub = s.hub LIMIT 1) AS w ON true",
]
SEVERAL = [
    "JOIN wind AS w ON w.hub = s.hub",
    "CROSS JOIN carriers AS c",
    "JOIN carriers AS c ON c.trucks = s.weight",
    "JOIN carriers AS c ON c.carrier = c.carrier",
    "JOIN (SELECT hub, speed FROM wind) AS w ON w.hub = s.hub",
]


@pytest.mark.parametrize("joins", ONE)
def test_a_join_by_a_key_keeps_rows_as_many_as_they_are(look: Callable[..., Any], joins: str) -> None:
    made = look({LABELS: labels(joins=joins)})
    assert multiplied(made.graph["table.labels"], made.graph) is None


@pytest.mark.parametrize("joins", SEVERAL)
def test_any_other_join_may_give_a_row_twice_and_its_place_is_known(look: Callable[..., Any], joins: str) -> None:
    made = look({LABELS: labels(joins=joins)})
    found = multiplied(made.graph["table.labels"], made.graph)
    assert found is not None
    written = made.graph["table.labels"].statement.written
    assert written.splitlines()[found.place[0] - 1] == joins
    assert found.what.endswith("has one row for each")


ROW = "SELECT shipment, booked_at, delay > 60 AS late FROM {}"


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        (ROW.format("(SELECT s.*, w.speed FROM shipments AS s JOIN wind AS w ON w.hub = s.hub)"), "`wind` has one row"),
        ("WITH q AS (SELECT s.* FROM shipments AS s JOIN wind AS w USING (hub)) " + ROW.format("q"), "`wind` has one"),
        ("WITH q AS (SELECT s.*, u.x FROM shipments AS s, unnest([1, 2]) AS u(x)) " + ROW.format("q"), "`u` has one"),
        (ROW.format("shipments") + " UNION ALL " + ROW.format("shipments"), "on both sides of `UNION ALL`"),
        ("SELECT shipment, booked_at, unnest([1, 2]) AS x FROM shipments", "`unnest` in the list"),
        ("SELECT s.* FROM wind AS w JOIN shipments AS s ON s.shipment = floor(w.speed)", "`wind` has one row"),
        ("SELECT s.* FROM (shipments AS s JOIN wind AS w ON w.hub = s.hub)", "`wind` has one row"),
        (ROW.format("doubled"), "`wind` has one row"),
        (ROW.format("shipments") + " UNION " + ROW.format("shipments"), None),
        ("SELECT s.* FROM carriers AS c JOIN shipments AS s ON s.carrier = c.carrier", None),
        ("SELECT shipment, delivered_at AS booked_at FROM deliveries", None),
        ("WITH q AS (SELECT * FROM shipments) " + ROW.format("q"), None),
    ],
)
def test_rows_are_followed_to_where_they_come_from(look: Callable[..., Any], sql: str, what: str | None) -> None:
    doubled = "SELECT s.* FROM shipments AS s JOIN wind AS w ON w.hub = s.hub"
    made = look({"tables/asked.sql": sql, "tables/doubled.sql": doubled})
    ways = made.arrivals.of(AssetColumn("table.asked", "booked_at"))
    found = multiplied(made.graph["table.asked"], made.graph, ways[0].rows)
    assert found is None if what is None else found is not None and what in found.what
