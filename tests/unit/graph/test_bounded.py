from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lichen.graph.bounded import rows_bounded, windows_bounded
from lichen.graph.lineage import AssetColumn
from lichen.testing.leaks.shipping import LABELS, labels

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
    ],
)
def test_a_window_is_bounded_by_its_order_and_its_end(look: Callable[..., Any], over: str, bounded: bool) -> None:
    made = look({"tables/past.sql": f"SELECT {over} AS mean FROM deliveries"})
    ways = made.arrivals.of(AssetColumn("table.past", "mean"))
    assert [windows_bounded(one, made.late, made.arrivals) for one in ways] == [bounded]
