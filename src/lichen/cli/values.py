"""A query's values for people and for machines: what neither Python nor JSON has a value for is told as text."""

from __future__ import annotations

import json
import math
from typing import Any

_LONGEST = 2**63 - 1
_LAST_DAY = 2**31 - 1
INFINITE = {_LONGEST: "infinity", -_LONGEST: "-infinity"}
"""What instants and days without an end are called, by the number that DuckDB keeps for them."""


def values(column: Any) -> list[Any]:
    """An Arrow column's values as Python's; as texts those which Python has none for.

    These are intervals, infinite instants and days, those before the year 1 and after the year 9999, and instants that
    are finer than a microsecond.
    """
    from arro3.core import DataType

    kind = str(column.type)
    if "Interval" in kind:
        return _list(column.cast(DataType.utf8()))
    if not kind.startswith(("arro3.core.DataType<Timestamp", "arro3.core.DataType<Date")):
        return _list(column)
    numbers = _list(column.cast(DataType.int64()))
    ends = {_LAST_DAY: "infinity", -_LAST_DAY: "-infinity"} if "Date" in kind else INFINITE
    if not any(number in ends for number in numbers) and "(ns" not in kind:
        try:
            return _list(column)
        except ValueError:
            pass  # a year that Python does not have
    fine = 1000 if "(ns" in kind else 1
    each = ((column.slice(at, 1), number) for at, number in enumerate(numbers))
    return [ends[number] if number in ends else _one(value, number, fine) for value, number in each]


def _one(column: Any, number: int | None, fine: int) -> Any:
    """The only value of a column of instants or days, as text where Python would cut it or has no such year."""
    from arro3.core import DataType

    if number is None or number % fine == 0:
        try:
            return _list(column)[0]
        except ValueError:
            pass
    return _list(column.cast(DataType.utf8()))[0].replace("T", " ")


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
    """The same value with numbers that JSON does not have as texts: `Infinity`, `-Infinity`, `NaN`."""
    if isinstance(value, float):
        return value if math.isfinite(value) else _spelled(value)
    if isinstance(value, dict):
        return {str(key): spelled(inner) for key, inner in value.items()}
    return [spelled(inner) for inner in value] if isinstance(value, list | tuple) else value


def _spelled(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
