"""A query's values for people and for machines: what neither Python nor JSON has a value for is told as text."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

_LONGEST = 2**63 - 1
_LAST_DAY = 2**31 - 1
_LAST_WHOLE = 2**64
_A_SECOND = {"(s": 1, "(ms": 1_000, "(ns": 1_000_000_000}
_CYCLE, _YEARS = 146_097 * 86_400, 400
_START = datetime(1970, 1, 1, tzinfo=UTC)
INFINITE = {_LONGEST: "infinity", -_LONGEST: "-infinity"}
"""What instants and days without an end are called, by the number that DuckDB keeps for them."""


def values(column: Any) -> list[Any]:
    """An Arrow column's values as Python's; as texts those which Python has none for.

    These are intervals, infinite instants and days, those before the year 1 and after the year 9999, and instants that
    are finer than a microsecond. A whole number has all of its digits.
    """
    from arro3.core import DataType

    kind = str(column.type)
    if "Interval" in kind:
        return _list(column.cast(DataType.utf8()))
    if "Decimal128(38, 0)" in kind:
        return _list(column.cast(_wide(column.type)))
    if not kind.startswith(("arro3.core.DataType<Timestamp", "arro3.core.DataType<Date")):
        return _list(column)
    numbers = _list(column.cast(DataType.int64()))
    ends = {_LAST_DAY: "infinity", -_LAST_DAY: "-infinity"} if "Date" in kind else INFINITE
    if not any(number in ends for number in numbers) and "(ns" not in kind:
        try:
            plain = _list(column)
        except ValueError:
            plain = [None]  # a year that Python does not have
        if plain.count(None) == numbers.count(None):
            return plain
    each = ((column.slice(at, 1), number) for at, number in enumerate(numbers))
    return [ends[number] if number in ends else _one(value, number, kind) for value, number in each]


def _wide(kind: Any) -> Any:
    """The same type with room for 39 digits, which DuckDB's HUGEINT has and for which Arrow's decimal is too short."""
    from arro3.core import DataType

    if DataType.is_list(kind):
        return DataType.list(_wider(kind.value_field))
    if DataType.is_struct(kind):
        return DataType.struct([_wider(field) for field in kind.fields])
    return DataType.decimal256(39, 0) if DataType.is_decimal128(kind) and "(38, 0)" in str(kind) else kind


def _wider(field: Any) -> Any:
    return field.with_type(_wide(field.type))


def _one(column: Any, number: int | None, kind: str) -> Any:
    """The only value of a column of instants or days, as text where Python would cut it or has no such year."""
    from arro3.core import DataType

    if number is None:
        return None
    if "(ns" in kind and number % 1000:
        return _list(column.cast(DataType.utf8()))[0].replace("T", " ")
    try:
        value = _list(column)[0]
    except ValueError:
        value = None
    return _far(number, kind) if value is None else value


def _far(number: int, kind: str) -> str:
    """An instant or day as text, from its number: the calendar repeats itself every 400 years."""
    if "Date" in kind:
        seconds, rest, fraction = number * 86_400, 0, 0
    else:
        a_second = next((many for unit, many in _A_SECOND.items() if unit in kind), 1_000_000)
        seconds, rest = divmod(number, a_second)
        fraction = rest * 1_000_000 // a_second
    cycles, within = divmod(seconds, _CYCLE)
    near = _START + timedelta(seconds=within, microseconds=fraction)
    year = near.year + cycles * _YEARS
    day = f"{year:04d}" if 0 <= year <= 9999 else f"{year:+05d}"
    day += f"{near:-%m-%d}"
    if "Date" in kind:
        return day
    finer = "" if not fraction else f".{fraction // 1000:03d}" if fraction % 1000 == 0 else f".{fraction:06d}"
    return f"{day} {near:%H:%M:%S}{finer}{'Z' if 'UTC' in kind else ''}"


def _list(column: Any) -> list[Any]:
    found: list[Any] = column.to_pylist()
    return found


def shown(value: Any) -> str:
    """A value as people see it."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float):
        return str(value) if math.isfinite(value) else _spelled(value).lower()
    return json.dumps(spelled(value), default=str, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def spelled(value: Any) -> Any:
    """The same value with numbers that JSON does not have as texts: `Infinity`, `-Infinity`, `NaN`.

    Whole numbers of more than 64 bits are texts too: readers of JSON take them for a double, and lose digits.
    """
    if isinstance(value, Decimal) and abs(value) >= _LAST_WHOLE:
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else _spelled(value)
    if isinstance(value, dict):
        return {str(key): spelled(inner) for key, inner in value.items()}
    return [spelled(inner) for inner in value] if isinstance(value, list | tuple) else value


def _spelled(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
