"""The law of `known`: what is accepted as a guard is no earlier, in any row, than the instant that it guards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.testing.leaks.shipping import DELIVERIES, table

ROWS = """
SELECT shipment, delay, asked AS booked_at, asked + to_hours(30) AS promised_at,
  CASE WHEN shipment < 9 THEN asked + to_hours(30) + to_minutes(delay) END AS delivered_at
FROM (
  SELECT shipment, [-400, -61, -1, 0, 2, 59, 61, 1439, 9000, 7][shipment] AS delay,
    TIMESTAMPTZ '2026-01-30 22:30:00+00' + to_hours(7 * shipment) AS asked
  FROM range(1, 11) AS r(shipment)
)
"""

SPANS = st.sampled_from(
    [
        "INTERVAL 1 HOUR",
        "INTERVAL '3 days 2 hours'",
        "INTERVAL '-3 days'",
        "INTERVAL '1 day -30:00:00'",
        "INTERVAL '2 days ago'",
        "3 * INTERVAL 1 DAY",
        "to_minutes(90)",
        "to_minutes(s.delay::INT)",
        "INTERVAL (s.delay) MINUTE",
        "INTERVAL 1 MONTH",
        "(INTERVAL 1 DAY - INTERVAL 49 HOUR)",
    ]
)
ATOMS = st.sampled_from(
    [
        "s.delivered_at",
        "s.delivered_at",
        "s.booked_at",
        "s.promised_at",
        "o.delivered_at",
        "TIMESTAMPTZ '2026-02-02 00:00:00+00'",
        "max(s.delivered_at) OVER ()",
        "min(s.delivered_at) OVER ()",
        "lag(s.delivered_at) OVER (ORDER BY s.delivered_at)",
        "(SELECT min(delivered_at) FROM shipments)",
    ]
)


def over(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """What may be made of instants."""
    unit = st.sampled_from(["hour", "day", "week", "month"])
    two = st.tuples(inner, inner)
    condition = st.sampled_from(["s.delay > 0", "s.delay IS NULL", "s.shipment % 2 = 0"])
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-"), SPANS),
        st.builds("date_trunc('{}', {})".format, unit, inner),
        st.builds("time_bucket({}, {})".format, st.sampled_from(["INTERVAL 6 HOUR", "INTERVAL 30 DAY"]), inner),
        st.builds("date_add({}, INTERVAL '-3 hours')".format, inner),
        two.map(lambda both: "least({}, {})".format(*both)),
        two.map(lambda both: "greatest({}, {})".format(*both)),
        two.map(lambda both: "coalesce({}, {})".format(*both)),
        two.map(lambda both: "nullif({}, {})".format(*both)),
        st.builds("CASE WHEN {} THEN {} ELSE {} END".format, condition, inner, inner),
        st.builds("CASE WHEN {} THEN {} END".format, condition, inner),
    )


def deliveries(known: str, other: int) -> str:
    """The deliveries, each known at an expression over its own row and another's."""
    return (
        f"SELECT s.shipment, s.delay, s.delivered_at, {known} AS k\n"
        f"FROM shipments AS s JOIN shipments AS o ON o.shipment = s.shipment + {other}\n"
        "WHERE s.delivered_at IS NOT NULL"
    )


def earliest(sql: str) -> int:
    """In how many rows the instant is earlier than the delivery."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE shipments AS {ROWS}")
        (count,) = connection.sql(f"SELECT count(*) FROM ({sql}) WHERE k < delivered_at").fetchall()[0]
    return int(count)


def accepted(look: Callable[..., Any], sql: str) -> bool:
    return not look({DELIVERIES: table(f"{sql}", "time: k\nknown: k").replace("s.shipment, s.delay", COLUMNS)}).leaks


COLUMNS = "s.shipment, s.carrier, s.hub, s.delay"


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(known=st.recursive(ATOMS, over, max_leaves=4), other=st.sampled_from([0, 0, -1, 1]))
def test_what_is_accepted_is_in_no_row_earlier_than_the_delivery(
    look: Callable[..., Any], known: str, other: int
) -> None:
    sql = deliveries(known, other)
    if accepted(look, sql):
        assert earliest(sql) == 0


@pytest.mark.parametrize(
    "known",
    [
        "s.delivered_at",
        "s.delivered_at + INTERVAL '3 days 2 hours'",
        "date_trunc('month', s.delivered_at) + 31 * INTERVAL 1 DAY",
        "time_bucket(INTERVAL 6 HOUR, s.delivered_at) + to_hours(6)",
        "greatest(s.booked_at, s.delivered_at - (INTERVAL 1 DAY - INTERVAL 49 HOUR))",
        "CASE WHEN s.delay > 0 THEN s.delivered_at ELSE greatest(s.delivered_at, s.promised_at) END",
        "least(s.delivered_at, s.delivered_at + INTERVAL 1 MONTH)",
        "coalesce(s.delivered_at, s.booked_at)",
    ],
)
def test_what_can_be_read_and_is_no_earlier_is_accepted(look: Callable[..., Any], known: str) -> None:
    assert accepted(look, deliveries(known, 0))
    assert earliest(deliveries(known, 0)) == 0


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ("s.delivered_at - to_minutes(s.delay::INT)", "cannot be read, and it may be earlier"),
        ("nullif(s.delivered_at, s.booked_at)", "cannot be read, and it may be earlier"),
        ("s.delivered_at + INTERVAL '3 days ago'", "cannot be read, and it may be earlier"),
        ("lag(s.delivered_at) OVER (ORDER BY s.delivered_at)", "takes of other rows can be an earlier one"),
        ("o.delivered_at", "it is the instant of another row, and no key says that the two are one"),
        ("least(s.delivered_at, s.booked_at)", "only an instant made of"),
    ],
)
def test_what_is_refused_says_why_and_how_it_is_written_or_accepted(
    look: Callable[..., Any], known: str, why: str
) -> None:
    sql = table(deliveries(known, -1), "time: k\nknown: k").replace("s.shipment, s.delay", COLUMNS)
    (leak,) = look({DELIVERIES: sql}).leaks
    assert leak.error.code == "LCH-2525"
    assert why in str(leak.error)
    assert "--accept leak:late/carrier_history.delay_14d --why TEXT" in str(leak.error.fix)
    assert ("plus an INTERVAL written out" in str(leak.error.fix)) == ("cannot be read" in why)
