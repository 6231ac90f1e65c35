from __future__ import annotations

import pytest
import sqlglot

from lichen.graph.shift import DAY, SECOND, branches, misread_interval, shift

HOUR = 3_600 * SECOND


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("a - INTERVAL 2 HOUR", {"a": (-2 * HOUR, -2 * HOUR)}),
        ("INTERVAL '90 minutes' + a", {"a": (90 * 60 * SECOND, 90 * 60 * SECOND)}),
        ("a + INTERVAL (-1) DAY", {"a": (-DAY, -DAY)}),
        ("a + INTERVAL 1 MONTH", {"a": (28 * DAY, 31 * DAY)}),
        ("a - INTERVAL 1 MONTH", {"a": (-31 * DAY, -28 * DAY)}),
        ("a + to_hours(3)", {"a": (3 * HOUR, 3 * HOUR)}),
        ("a::date", {"a": (-DAY, 0)}),
        ("a::timestamptz", {"a": (0, 0)}),
        ("CAST(a AS DATE) + 1", {"CAST(a AS DATE)": (DAY, DAY)}),
        ("date_trunc('day', a)", {"a": (-DAY, 0)}),
        ("timezone('UTC', a)", {"a": (0, 0)}),
        ("timezone('Asia/Tokyo', a)", {"a": (-14 * HOUR, 14 * HOUR)}),
        ("a AT TIME ZONE zone", {"a": (-14 * HOUR, 14 * HOUR)}),
        ("a - INTERVAL '3 days 2 hours'", {"a": (-74 * HOUR, -74 * HOUR)}),
        ("a - 3 * INTERVAL 1 DAY", {"a": (-3 * DAY, -3 * DAY)}),
        ("a - to_days(3) * 2", {"a": (-6 * DAY, -6 * DAY)}),
        ("a - (INTERVAL 1 DAY + INTERVAL 2 HOUR)", {"a": (-26 * HOUR, -26 * HOUR)}),
        ("a + INTERVAL 1 DAY 2 HOUR", {"a": (26 * HOUR, 26 * HOUR)}),
        ("-INTERVAL 3 DAY + a", {"a": (-3 * DAY, -3 * DAY)}),
        ("date_add(a, INTERVAL '-3 days')", {"a": (-3 * DAY, -3 * DAY)}),
        ("a + INTERVAL '02:30:00'", {"a": (150 * 60 * SECOND, 150 * 60 * SECOND)}),
        ("time_bucket(INTERVAL 30 DAY, a)", {"a": (-30 * DAY, 0)}),
        ("greatest(a, b)", {"a": (0, None), "b": (0, None)}),
        ("(a)", {"a": (0, 0)}),
    ],
)
def test_instants_that_are_moved(text: str, moved: dict[str, tuple[int, int] | None]) -> None:
    found = shift(sqlglot.parse_one(text, dialect="duckdb"))
    assert found is not None
    assert {of.sql("duckdb"): by and (by.least, by.most) for of, by in found} == moved


@pytest.mark.parametrize(
    "text", ["a + b", "a * 2", "a + INTERVAL (b) DAY", "a::varchar", "a + to_hours(b)", "try_cast(a AS timestamp)"]
)
def test_what_moves_no_instant(text: str) -> None:
    assert shift(sqlglot.parse_one(text, dialect="duckdb")) is None


@pytest.mark.parametrize(
    ("text", "one_of"),
    [
        ("least(a, b)", ["a", "b"]),
        ("coalesce(a, b, c)", ["a", "b", "c"]),
        ("CASE WHEN c THEN a WHEN d THEN b ELSE e END", ["a", "b", "e"]),
        ("CASE WHEN c THEN a END", ["a", "NULL"]),
        ("if(c, a, b)", ["a", "b"]),
    ],
)
def test_what_is_one_of_several(text: str, one_of: list[str]) -> None:
    assert [one.sql("duckdb") for one in branches(sqlglot.parse_one(text, dialect="duckdb")) or ()] == one_of


@pytest.mark.parametrize("text", ["'1 day -30:00:00'", "'3 days ago'"])
def test_an_interval_of_which_the_parser_keeps_a_part_is_found(text: str) -> None:
    assert misread_interval(f"SELECT a + INTERVAL {text}") == text.strip("'")
    assert misread_interval("SELECT INTERVAL '3 days', INTERVAL '3 days 2 hours', INTERVAL '02:00:00'") is None


@pytest.mark.parametrize(
    ("text", "months", "bucket"),
    [
        ("a + INTERVAL 2 MONTH", 2, 0),
        ("a + INTERVAL '1 quarter'", 3, 0),
        ("a + 3 * INTERVAL 1 YEAR", 36, 0),
        ("a + to_months(5)", 5, 0),
        ("a + INTERVAL '1 month 2 days'", 0, 0),
        ("a + INTERVAL 31 DAY", 0, 0),
        ("a - INTERVAL 1 MONTH", 0, 0),
        ("date_trunc('quarter', a)", 0, 3),
        ("date_trunc('week', a)", 0, 0),
        ("time_bucket(INTERVAL 1 MONTH, a)", 0, 1),
    ],
)
def test_months_of_the_calendar_are_counted(text: str, months: int, bucket: int) -> None:
    found = shift(sqlglot.parse_one(text, dialect="duckdb"))
    assert found is not None
    (by,) = (by for _, by in found)
    assert by is not None
    assert (by.months, by.bucket) == (months, bucket)
