from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lichen.graph.lineage import AssetColumn
from lichen.graph.scope import Unread

HOUR, DAY = 3_600_000_000, 86_400_000_000

SQL = """
WITH days AS (SELECT carrier, date_trunc('day', delivered_at) AS day, delay FROM shipments),
means(who, day, mean, last_delay) AS (
  SELECT carrier, day, avg(delay) FILTER (WHERE delay > 0), max(delay) FROM days GROUP BY 1, 2
)
SELECT
  m.day + INTERVAL 1 DAY AS known, m.mean, m.last_delay, s.*,
  sum(s.weight) OVER (ORDER BY s.booked_at) AS so_far,
  (SELECT count(*) FROM carriers) AS carriers,
  greatest(s.delivered_at, s.booked_at + INTERVAL 1 HOUR) AS later,
  upper(hub) AS name, name || '!' AS loud
FROM shipments AS s JOIN means AS m ON m.who = s.carrier
"""


def test_each_way_has_its_source_its_shift_and_where_rows_meet(look: Callable[..., Any]) -> None:
    made = look({"tables/past.sql": SQL})
    assert made.ways("past", "known") == {"shipments.delivered_at": (0, DAY, "key")}
    assert made.ways("past", "mean") == {"shipments.delay": (None, None, "filter value")}
    assert made.ways("past", "last_delay") == {"shipments.delay": (0, None, "last")}
    assert made.ways("past", "weight") == {"shipments.weight": (0, 0, "")}
    assert made.ways("past", "so_far") == {"shipments.weight": (None, None, "window")}
    assert made.ways("past", "carriers") == {"carriers.*": (None, None, "value")}
    assert made.ways("past", "later") == {
        "shipments.delivered_at": (0, None, ""),
        "shipments.booked_at": (HOUR, None, ""),
    }
    assert made.ways("past", "loud") == made.ways("past", "name") == {"shipments.hub": (None, None, "")}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * REPLACE (weight AS delay) FROM shipments",
        "SELECT * EXCLUDE (delay) RENAME (weight AS delay) FROM shipments",
        "SELECT s.weight AS delay FROM (shipments AS s JOIN wind AS w ON w.hub = s.hub)",
        (
            "SELECT w.* EXCLUDE (speed), s.* FROM (wind AS w JOIN (SELECT weight AS delay, hub FROM shipments) AS s "
            "USING (hub))"
        ),
        (
            "SELECT delay FROM (VALUES ('red', 1)) AS v(name, x) JOIN (SELECT weight AS delay, carrier FROM shipments) "
            "ON carrier = name"
        ),
        (
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT weight AS delay "
            "FROM shipments JOIN r ON n = weight"
        ),
        "SELECT weight AS delay FROM shipments UNION ALL BY NAME SELECT hub FROM wind",
    ],
)
def test_stars_joins_in_parentheses_and_lists_of_values_are_read(look: Callable[..., Any], sql: str) -> None:
    assert set(look({"tables/past.sql": sql}).ways("past", "delay")) == {"shipments.weight"}


def test_of_one_of_several_each_branch_is_told_apart(look: Callable[..., Any]) -> None:
    made = look(
        {"tables/past.sql": "SELECT CASE WHEN weight > 3 THEN booked_at ELSE promised_at END AS at FROM shipments"}
    )
    ways = made.arrivals.of(AssetColumn("table.past", "at"))
    assert {(one.column.column, one.least, *(c.branch for c in one.choices)) for one in ways} == {
        ("booked_at", 0, 0),
        ("promised_at", 0, 1),
        ("weight", None),
    }
    assert len({one.same for one in ways}) == 1


def test_what_is_made_alike_of_one_row_is_the_same_instant(look: Callable[..., Any]) -> None:
    sql = "SELECT {0}.booked_at + to_minutes({0}.delay::INT) + INTERVAL 1 HOUR AS at FROM shipments AS {0}"
    made = look({"tables/one.sql": sql.format("a"), "tables/other.sql": sql.format("b").replace("1 HOUR", "2 HOUR")})
    one, other = (made.arrivals.of(AssetColumn(f"table.{name}", "at"))[0] for name in ("one", "other"))
    assert one.least is None
    assert (one.no_later(other), other.no_later(one)) == (True, False)


def test_both_sides_of_a_union_count_and_columns_are_found_by_place(look: Callable[..., Any]) -> None:
    union = "SELECT booked_at AS at FROM shipments UNION ALL SELECT * FROM (SELECT hour_at FROM wind)"
    assert look({"tables/past.sql": union}).ways("past", "at") == {
        "shipments.booked_at": (0, 0, ""),
        "wind.hour_at": (0, 0, ""),
    }


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE r AS (SELECT delay FROM shipments UNION SELECT delay FROM r) SELECT delay FROM r",
        "SELECT s.*, delay FROM (SELECT weight FROM shipments)",
        "SELECT delay + to_days(1) - INTERVAL '1 day ago' AS delay FROM shipments",
        "SELECT delay FROM (SELECT hub, delay FROM shipments) PIVOT (avg(delay) FOR hub IN ('north' AS delay))",
    ],
)
def test_what_cannot_be_read_says_so(look: Callable[..., Any], sql: str) -> None:
    with pytest.raises(Unread):
        look({"tables/past.sql": sql}).arrivals.of(AssetColumn("table.past", "delay"))


def test_a_source_s_declared_instants_are_known(look: Callable[..., Any]) -> None:
    arrivals = look().arrivals
    assert arrivals.is_declared(AssetColumn("source.wind", "hour_at"))
    assert not arrivals.is_declared(AssetColumn("source.wind", "speed"))
