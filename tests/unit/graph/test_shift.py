from __future__ import annotations

import pytest
import sqlglot

from lichen.graph.shift import DAY, SECOND, shift

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
        ("greatest(a, b)", {"a": (0, 0), "b": (0, 0)}),
        ("coalesce(a, b)", {"a": (0, 0), "b": None}),
        ("(a)", {"a": (0, 0)}),
    ],
)
def test_instants_that_are_moved(text: str, moved: dict[str, tuple[int, int] | None]) -> None:
    found = shift(sqlglot.parse_one(text, dialect="duckdb"))
    assert found is not None
    assert {of.sql("duckdb"): by for of, by in found} == moved


@pytest.mark.parametrize(
    "text", ["a + b", "a * 2", "a + INTERVAL (b) DAY", "least(a, b)", "a::varchar", "a + to_hours(b)"]
)
def test_what_moves_no_instant(text: str) -> None:
    assert shift(sqlglot.parse_one(text, dialect="duckdb")) is None
