"""How a value of one type becomes one of another: for `::`, and where an operator needs it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from lichen.feature import functions as f
from lichen.feature import scalar
from lichen.feature.functions import Signature
from lichen.ground.quoting import literal

INTEGER_TEXT = "-?[0-9]{1,30}"
DOUBLE_TEXT = "-?[0-9]{1,200}([.][0-9]{1,200})?([eE][-+]?[0-9]{1,2})?"
DATE_TEXT = "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})-[0-9]{2}-[0-9]{2}"
"""The texts that a cast reads, in Python and in SQL alike; the engine alone would read more ('1_0', ' 1 ', '1.7')."""

NAMES: Mapping[str, str] = {
    "BOOL": f.BOOLEAN,
    "LOGICAL": f.BOOLEAN,
    "INT1": "TINYINT",
    "INT2": "SMALLINT",
    "SHORT": "SMALLINT",
    "INT": "INTEGER",
    "INT4": "INTEGER",
    "SIGNED": "INTEGER",
    "INT8": f.BIGINT,
    "LONG": f.BIGINT,
    "FLOAT8": f.DOUBLE,
    "DOUBLE PRECISION": f.DOUBLE,
    "REAL": "FLOAT",
    "FLOAT4": "FLOAT",
    "TEXT": f.VARCHAR,
    "STRING": f.VARCHAR,
    "CHAR": f.VARCHAR,
    "BPCHAR": f.VARCHAR,
    "DATETIME": f.TIMESTAMP,
    "TIMESTAMPTZ": f.INSTANT,
}


def type_name(text: str) -> str:
    """A type as DuckDB spells it, in capitals: `timestamptz` is `TIMESTAMP WITH TIME ZONE`."""
    name = " ".join(text.upper().split())
    return NAMES.get(name, name)


def sql_text(value: Any, type_: str) -> str:
    """A constant as SQL of exactly its type."""
    if value is None or type_ in (f.BOOLEAN, f.VARCHAR):
        text = literal(value)
        return text if value is not None else "CAST(" + text + " AS " + type_ + ")"
    if type_ == f.INTERVAL:
        return "to_microseconds(CAST(" + literal(value // scalar.MICROSECOND) + " AS BIGINT))"
    if type_ == f.MONTHS:
        return "to_months(CAST(" + literal(value) + " AS INTEGER))"
    if type_ == f.BIGINT:
        return "CAST(" + literal(str(value)) + " AS BIGINT)"
    text = scalar.instant_text(value) if isinstance(value, datetime) else str(value)
    return "CAST(" + literal(text) + " AS " + type_ + ")"


def read_time(text: str, type_: str) -> date | datetime:
    """A literal text as a date or a time, in UTC unless it names a zone; raises ValueError where it is neither."""
    if type_ == f.DATE:
        return date.fromisoformat(text.strip())
    value = datetime.fromisoformat(text.strip())
    if type_ == f.TIMESTAMP:
        if value.tzinfo is not None:
            raise ValueError("a TIMESTAMP has no time zone")
        return value
    return scalar.utc(value) if value.tzinfo is not None else value.replace(tzinfo=UTC)


_FORMS = {**dict.fromkeys(f.RANGES, INTEGER_TEXT), f.DOUBLE: DOUBLE_TEXT, f.DATE: DATE_TEXT}


def _sql(source: str, target: str, word: str = "CAST") -> str:
    """A cast in SQL, each operand once: DuckDB computes a repeated part outside the branch that guards it."""
    operand = "{0}"
    if source == f.VARCHAR:
        # A text of another form becomes '', which no type reads.
        form = literal("^(?:" + _FORMS[target] + ")$").replace("{", "{{").replace("}", "}}")
        operand = "regexp_extract({0}, " + form + ")"
    sql = word + "(" + operand + " AS " + target + ")"
    if (source, target) == (f.DOUBLE, f.VARCHAR):
        # DuckDB shows the sign of a NaN, which depends on how it came about.
        return "replace(" + sql + ", '-nan', 'nan')"
    return "CAST(" + sql + " AS BIGINT)" if target in f.RANGES else sql


def _integer(target: str) -> dict[tuple[str, str], str]:
    low, high = f.RANGES[target]
    limits = f"{low}, {high}, {target!r}"
    return {
        (f.BOOLEAN, target): "int({0})",
        (f.BIGINT, target): "within({0}, " + limits + ")",
        (f.DOUBLE, target): "whole({0}, " + limits + ")",
        (f.VARCHAR, target): "read_integer({0}, " + limits + ")",
    }


_PYTHON: Mapping[tuple[str, str], str] = {
    **{key: python for target in f.RANGES for key, python in _integer(target).items()},
    (f.BIGINT, f.BOOLEAN): "{0} != 0",
    (f.DOUBLE, f.BOOLEAN): "{0} != 0",
    (f.BOOLEAN, f.DOUBLE): "float({0})",
    (f.BIGINT, f.DOUBLE): "float({0})",
    (f.VARCHAR, f.DOUBLE): "read_double({0})",
    (f.VARCHAR, f.DATE): "read_date({0})",
    (f.BOOLEAN, f.VARCHAR): "'true' if {0} else 'false'",
    (f.BIGINT, f.VARCHAR): "str({0})",
    (f.DOUBLE, f.VARCHAR): "repr({0})",
    (f.DATE, f.VARCHAR): "{0}.isoformat()",
    (f.TIMESTAMP, f.VARCHAR): "instant_text({0})",
    (f.INSTANT, f.VARCHAR): "instant_text({0})",
    (f.DATE, f.TIMESTAMP): "midnight({0})",
    (f.DATE, f.INSTANT): "midnight({0}).replace(tzinfo=UTC)",
    (f.TIMESTAMP, f.INSTANT): "{0}.replace(tzinfo=UTC)",
    (f.INSTANT, f.TIMESTAMP): "{0}.replace(tzinfo=None)",
    (f.TIMESTAMP, f.DATE): "{0}.date()",
    (f.INSTANT, f.DATE): "{0}.date()",
}

CASTS: Mapping[tuple[str, str], Signature] = {
    (source, target): Signature((source,), f.BIGINT if target in f.RANGES else target, python, _sql(source, target))
    for (source, target), python in _PYTHON.items()
}
"""Each cast there is, by the types it goes from and to; integers of every width are carried as BIGINT."""


def tried(source: str, target: str) -> str:
    """The SQL of a cast that gives null where it fails."""
    return _sql(source, target, "TRY_CAST")


# ------------------------------------------------------------------------------------------------ columns

_WHOLE_TYPES = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC)(?:\((\d+)(?:,\s*\d+)?\))?")


def column(type_: str) -> Signature | None:
    """How a column of a DuckDB type enters an expression, or None where it cannot.

    DECIMAL enters as DOUBLE, up to 15 digits: beyond, doubles no longer tell its values apart.
    """
    name = type_name(type_)
    if name in _WHOLE_TYPES:
        return Signature((name,), f.BIGINT, "{0}", "CAST({0} AS BIGINT)")
    if name in (f.BOOLEAN, f.DOUBLE, f.VARCHAR, f.DATE, f.TIMESTAMP):
        return Signature((name,), name, "{0}", "{0}")
    if name == f.INSTANT:
        return Signature((name,), name, "utc({0})", "{0}")
    if name == "FLOAT":
        return Signature((name,), f.DOUBLE, "single({0})", "CAST({0} AS DOUBLE)")
    if name.startswith("ENUM("):
        return Signature((name,), f.VARCHAR, "{0}", "CAST({0} AS VARCHAR)")
    decimal = _DECIMAL.fullmatch(name)
    if decimal and decimal[1] and int(decimal[1]) <= 15:
        return Signature((name,), f.DOUBLE, "float({0})", "CAST({0} AS DOUBLE)")
    return None


# ------------------------------------------------------------------------- text, as generated code reads it

_INTEGER = re.compile(INTEGER_TEXT)
_DOUBLE = re.compile(DOUBLE_TEXT)
_DATE = re.compile(DATE_TEXT)


def within(value: int, low: int, high: int, type_: str) -> int:
    """An integer that fits a narrower type."""
    if not low <= value <= high:
        scalar.beyond(value, type_)
    return value


def read_integer(text: str, low: int, high: int, type_: str) -> int:
    """A text of digits as an integer within a type's range."""
    if not _INTEGER.fullmatch(text):
        scalar.unreadable(text, type_)
    return within(int(text), low, high, type_)


def read_double(text: str) -> float:
    """A text as a double: digits, a point, an exponent of two digits."""
    if not _DOUBLE.fullmatch(text):
        scalar.unreadable(text, f.DOUBLE)
    return float(text)


def read_date(text: str) -> date:
    """A text `2013-01-31` as a day."""
    if not _DATE.fullmatch(text):
        scalar.unreadable(text, f.DATE)
    return date.fromisoformat(text)


def interval(count: int, unit: str) -> tuple[str, timedelta | int] | None:
    """A literal interval's type and value, or None where the unit is unknown."""
    name = unit.lower().rstrip("s")
    months = {"month": 1, "quarter": 3, "year": 12}.get(name)
    if months is not None:
        return f.MONTHS, count * months
    if name not in f.UNITS:
        return None
    return f.INTERVAL, count * f.UNITS[name]
