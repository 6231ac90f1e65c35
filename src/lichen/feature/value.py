"""Types of features and keys: what DuckDB calls them, and how their values look in Python and in bytes."""

from __future__ import annotations

import re
import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lichen.errors import WrongUsage
from lichen.ground.types import vector_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lichen.ports import Column

_SIGNED = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
INTEGERS = frozenset({*_SIGNED, *(f"U{name}" for name in _SIGNED), "BOOLEAN"})
"""The types that add up to whole numbers."""

INSTANTS = frozenset({"TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})
KEY_TYPES = (INTEGERS - {"HUGEINT", "UHUGEINT"}) | INSTANTS | {"VARCHAR", "DOUBLE", "DATE"}
"""The types an entity's key may have."""

_DECIMAL = re.compile(r"DECIMAL\(\d+, ?(\d+)\)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = _EPOCH.replace(tzinfo=None)
_FIRST_DAY = date(1970, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)
_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")


def value_kind(type_: str) -> str:
    """How aggregates treat a type: `int` and `double` add up, `instant` has an order, `other` is counted only.

    >>> value_kind("DECIMAL(10,2)"), value_kind("BOOLEAN"), value_kind("DATE"), value_kind("VARCHAR")
    ('double', 'int', 'instant', 'other')
    """
    decimal = _DECIMAL.fullmatch(type_)
    if type_ in INTEGERS or (decimal and decimal[1] == "0"):
        return "int"
    if type_ in ("DOUBLE", "FLOAT") or decimal:
        return "double"
    return "instant" if type_ in INSTANTS or type_ == "DATE" else "other"


def becomes(given: str, wanted: str) -> bool:
    """Whether values of one type become another without one of them being refused for what it says.

    A text becomes nothing else: which texts are numbers only the rows tell. Everything becomes a text but a number that
    may have a fraction: a whole one would be the text `1.0`, which no request brings.

    >>> becomes("INTEGER", "DOUBLE"), becomes("VARCHAR", "BIGINT"), becomes("DOUBLE", "VARCHAR")
    (True, False, False)
    """
    kinds = {value_kind(given), value_kind(wanted)}
    vectors = vector_of(given), vector_of(wanted)
    if vectors[0] and vectors[1]:
        return vectors[0][1] == vectors[1][1]
    if wanted == "VARCHAR" and value_kind(given) == "double":
        return False
    return wanted in (given, "VARCHAR") or kinds <= {"int", "double"} or kinds == {"instant"}


def is_storable(type_: str) -> bool:
    """Whether a `latest` column of this type can be kept online: FLOAT[n] and DOUBLE[n], which are vectors, too.

    A vector is kept whole: null is null, and an element that is null, NaN or infinite stays what it is.
    """
    return value_kind(type_) != "other" or type_ in ("VARCHAR", "BLOB") or vector_of(type_) is not None


def storable_instead(type_: str) -> str:
    """What to cast a column to that cannot be kept online.

    >>> storable_instead("FLOAT[]"), storable_instead("INTEGER[3]"), storable_instead("STRUCT(a INTEGER)")
    ('to FLOAT[384] in its table', 'to FLOAT[3] in its table', 'in its table, to VARCHAR say')
    """
    element, bracket, size = type_.removesuffix("]").rpartition("[")
    if bracket and (element in INTEGERS - {"BOOLEAN"} or value_kind(element) == "double"):
        return f"to {'DOUBLE' if element == 'DOUBLE' else 'FLOAT'}[{size or 384}] in its table"
    return "in its table, to VARCHAR say"


def instant(microseconds: int) -> datetime:
    """An instant as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def wire_sql(sql: str, type_: str) -> str:
    """SQL that turns a value into what crosses to Python and into a store: a plain number, text or bytes."""
    if type_ == "DATE":
        return f"datediff('day', DATE '1970-01-01', {sql})"
    if type_ in INSTANTS:
        return f"epoch_us({sql})"
    if type_ in ("HUGEINT", "UHUGEINT") or _DECIMAL.fullmatch(type_):
        return f"CAST({sql} AS VARCHAR)"
    return sql


def unwire_sql(sql: str, type_: str) -> str:
    """SQL that turns a whole number from a kernel back into a value of a type; the inverse of `wire_sql`."""
    if type_ == "DATE":
        return f"(DATE '1970-01-01' + CAST({sql} AS INTEGER))"
    if type_ in INSTANTS:
        made = f"make_timestamptz({sql})" if type_.endswith("ZONE") else f"make_timestamp({sql})"
        return f"CAST({made} AS {type_})"
    return f"CAST({sql} AS {type_})"


def from_wire(type_: str) -> Callable[[Any], Any] | None:
    """What turns a wire value that is not null into the Python value; None where it is that already."""
    if type_ == "BOOLEAN":
        return bool
    if type_ == "DATE":
        return lambda days: date.fromordinal(_FIRST_DAY + days)
    if type_ == "TIMESTAMP":
        return lambda moment: _NAIVE_EPOCH + timedelta(microseconds=moment)
    if type_ in INSTANTS:
        return instant
    if _DECIMAL.fullmatch(type_):
        return Decimal
    return int if type_ in ("HUGEINT", "UHUGEINT") else None


def to_type(type_: str) -> Callable[[Any], Any] | None:
    """What rounds a request's value as a cast to the type would; None where nothing is to do."""
    if type_ == "DOUBLE":
        return float
    if type_ == "FLOAT":
        return _single
    vector = vector_of(type_)
    if vector is not None:
        convert = _single if vector[0] == "FLOAT" else float
        return lambda value: [None if one is None else convert(one) for one in value]
    return None


def _single(value: float) -> float:
    number: float = _FLOAT.unpack(_FLOAT.pack(value))[0]
    return number


def _whole(value: Any) -> bytes:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int):
        raise TypeError
    return str(int(value)).encode()


def _text(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError
    # A lone surrogate is no text that a table could hold: it becomes a key that nothing has.
    return value.encode("utf-8", "surrogatepass")


def _double(value: Any) -> bytes:
    if not isinstance(value, int | float):
        raise TypeError
    number = float(value)
    return b"nan" if number != number else _DOUBLE.pack(number + 0.0)


def _day(value: Any) -> bytes:
    if isinstance(value, datetime) or not isinstance(value, date):
        raise TypeError
    return str(value.toordinal() - _FIRST_DAY).encode()


def _moment(value: Any) -> bytes:
    if not isinstance(value, datetime):
        raise TypeError
    return str((value - (_EPOCH if value.tzinfo else _NAIVE_EPOCH)) // _MICROSECOND).encode()


def _encoder(type_: str) -> Callable[[Any], bytes]:
    if type_ in INSTANTS:
        return _moment
    return {"VARCHAR": _text, "DOUBLE": _double, "DATE": _day}.get(type_, _whole)


def key_encoder(entity: Sequence[Column], *, wired: bool = False) -> Callable[[Sequence[Any]], bytes | None]:
    """A function that turns the values of an entity's key into bytes, or None where one is null.

    Each part carries its length, so different keys never give the same bytes; 1 and 1.0 are one BIGINT key, and a
    text is never one. `wired` says that the values come as `wire_sql` gives them. A value that cannot be of the
    column's type raises `WrongUsage`.
    """
    encoders = tuple(
        (_whole if wired and value_kind(column.type) == "instant" else _encoder(column.type)) for column in entity
    )

    def encode(values: Sequence[Any]) -> bytes | None:
        key = b""
        for place, value in enumerate(values):
            if value is None:
                return None
            try:
                part = encoders[place](value)
            except TypeError:
                raise _wrong_key(entity[place], value) from None
            key += b"%d:" % len(part) + part
        return key

    return encode


def _wrong_key(column: Column, value: object) -> WrongUsage:
    return WrongUsage(
        "LCH-2601",
        f"the key `{column.name}` is {value!r}, which is no {column.type}",
        why="an entity is found by its key's exact value and type",
        fix=f"send `{column.name}` as {column.type}",
    )
