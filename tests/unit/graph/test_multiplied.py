from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

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
    assert found[1][0] == 5
