from __future__ import annotations

from decimal import Decimal
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
        ("TIMESTAMPTZ '290000-01-01 00:00:00'", "+290000-01-01 00:00:00Z"),
        ("TIMESTAMP '290000-12-31 23:59:59.000001'", "+290000-12-31 23:59:59.000001"),
        ("TIMESTAMP_S '290000-02-28 01:02:03'", "+290000-02-28 01:02:03"),
        ("TIMESTAMP_MS '20000-01-01 00:00:00.25'", "+20000-01-01 00:00:00.250"),
        ("TIMESTAMPTZ '20000-01-01 00:00:00.000001'", "+20000-01-01 00:00:00.000001Z"),
        ("TIMESTAMP '290000-01-01 (BC) 00:00:00'", "-289999-01-01 00:00:00"),
        ("DATE '290000-02-29'", "+290000-02-29"),
        ("DATE '0001-12-31 (BC)'", "0000-12-31"),
    ],
)
def test_what_python_has_no_value_for_is_text(sql: str, text: str) -> None:
    assert read(sql) == [text]


def test_a_far_instant_stands_beside_a_null_and_a_near_one() -> None:
    (near,) = read("TIMESTAMPTZ '2020-01-01 00:00:00Z'")
    far = ["TIMESTAMPTZ '2020-01-01 00:00:00Z'", "NULL", "TIMESTAMPTZ '290000-01-01 00:00:00Z'"]
    assert read(*far) == [near, None, "+290000-01-01 00:00:00Z"]


def test_a_whole_number_has_all_of_its_digits() -> None:
    most = 2**127 - 1
    assert read(f"{most}", f"{-most}", "NULL", "5::HUGEINT") == [most, -most, None, 5]
    assert read(f"[{most}]", "[NULL]") == [[most], [None]]
    assert read(f"{{'a': {most}, 'b': 'x'}}") == [{"a": most, "b": "x"}]
    assert read(f"{{'a': [{10**37}::DECIMAL(38,0)]}}") == [{"a": [10**37]}]


def test_a_whole_number_of_more_than_64_bits_is_a_text_for_machines() -> None:
    numbers = [Decimal(2**64 - 1), Decimal(2**64), Decimal(-(2**64)), Decimal("1.5")]
    assert spelled(numbers) == [2**64 - 1, "18446744073709551616", "-18446744073709551616", Decimal("1.5")]
    assert shown(Decimal(2**127)) == "170141183460469231731687303715884105728"


def test_numbers_without_an_end_for_people_and_for_machines() -> None:
    several = [float("inf"), float("-inf"), float("nan"), 1.5]
    assert [shown(one) for one in several] == ["infinity", "-infinity", "nan", "1.5"]
    assert shown([float("inf")]) == '["Infinity"]'
    assert spelled({"a": several}) == {"a": ["Infinity", "-Infinity", "NaN", 1.5]}
