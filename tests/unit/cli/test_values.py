from __future__ import annotations

from typing import Any

import duckdb
import pytest
from arro3.core import RecordBatchReader

from lichen.cli.values import shown, spelled, values


def read(*each: str) -> list[Any]:
    text = f"SELECT unnest([{', '.join(each)}]) AS x"
    return values(RecordBatchReader.from_stream(duckdb.connect().sql(text)).read_next_batch().columns[0])


@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMPTZ", "DATE", "TIMESTAMP_S", "TIMESTAMP_NS"])
def test_an_instant_without_an_end_is_no_null(kind: str) -> None:
    assert read(f"'infinity'::{kind}", f"'-infinity'::{kind}", f"NULL::{kind}") == ["infinity", "-infinity", None]


def test_a_value_beside_one_without_an_end_is_what_it_is() -> None:
    plain = read("TIMESTAMPTZ '2020-01-01 00:00:00Z'")
    assert read("TIMESTAMPTZ '2020-01-01 00:00:00Z'", "'infinity'::TIMESTAMPTZ") == [*plain, "infinity"]


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("TIMESTAMP_NS '2020-01-01 00:00:00.123456789'", "2020-01-01 00:00:00.123456789"),
        ("TIMESTAMP '20000-01-01 01:02:03'", "+20000-01-01 01:02:03"),
        ("DATE '0044-03-15 (BC)'", "-0043-03-15"),
        ("INTERVAL 3 DAY", "3 days"),
    ],
)
def test_what_python_has_no_value_for_is_text(sql: str, text: str) -> None:
    assert read(sql) == [text]


def test_numbers_without_an_end_for_people_and_for_machines() -> None:
    several = [float("inf"), float("-inf"), float("nan"), 1.5]
    assert [shown(one) for one in several] == ["infinity", "-infinity", "nan", "1.5"]
    assert shown([float("inf")]) == '["Infinity"]'
    assert spelled({"a": several}) == {"a": ["Infinity", "-Infinity", "NaN", 1.5]}
