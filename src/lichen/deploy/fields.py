"""The fields of a request: how each column's JSON value is read, and how it is told to clients."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from lichen.deploy.refused import UNSAID, no_batch, unknown_field, wrong_value
from lichen.errors import FoundWrong
from lichen.ground.types import vector_of
from lichen.ports import Column

PREDICTION_ID = "prediction_id"
"""The one key of a request that is not a column: the name under which the answer is recorded."""

_BITS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64}
INTEGERS = {name: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for name, bits in _BITS.items()}
INTEGERS |= {f"U{name}": (0, 2**bits - 1) for name, bits in _BITS.items()}
"""The types of whole numbers, each with its least and its greatest."""

_ALIASES = {
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE", "TEXT": "VARCHAR", "STRING": "VARCHAR", "BOOL": "BOOLEAN",
    "INT": "INTEGER", "FLOAT8": "DOUBLE", "REAL": "FLOAT", "DATETIME": "TIMESTAMP",
}  # fmt: skip
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_LARGEST_SINGLE = 3.4e38
_EXACT = 2**53
"""Below it every whole number has a float of its own."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Field:
    """One field: its column, how its value is read (ValueError where it is wrong), and what is right, in words."""

    column: Column
    read: Callable[[Any], Any]
    right: str
    openapi: Mapping[str, Any]


class Fields:
    """The fields of a service's request, read all at once.

    A field that no column has is refused, or ignored where the service says so. One that is absent is null, which for
    an entity's key means that there is no such entity. A refusal does not repeat the value of a `hidden` field.

    >>> fields = Fields([Column("carrier", "VARCHAR"), Column("distance", "DOUBLE")])
    >>> fields.read({"carrier": "UA", "distance": 719})
    {'carrier': 'UA', 'distance': 719.0}
    >>> fields.read({"distance": "far"})
    Traceback (most recent call last):
    lichen.deploy.refused.Refused: LCH-1803: `distance` is 'far'
      fix: it must be a number
    """

    def __init__(
        self, columns: Sequence[Column], *, ignore_unknown: bool = False, hidden: frozenset[str] = frozenset()
    ) -> None:
        self.ignore_unknown, self.hidden = ignore_unknown, hidden
        self.fields = tuple(_field(column) for column in columns)
        self._reads = {field.column.name: field.read for field in self.fields}
        self._blank: dict[str, Any] = dict.fromkeys(self._reads)

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The typed values of all columns, in their order; raises `Refused` naming the field that is wrong."""
        typed = self._blank.copy()
        reads = self._reads
        for name, value in given.items():
            read = reads.get(name)
            if read is None:
                if self.ignore_unknown and name != "rows":
                    continue
                raise no_batch(value) if name == "rows" else unknown_field(name, reads)
            if value is not None:
                try:
                    typed[name] = read(value)
                except _ElementError as wrong:
                    told = self.repeated(name, wrong.value)
                    raise wrong_value(name, told, self._right(name), wrong.place) from None
                except ValueError:
                    raise wrong_value(name, self.repeated(name, value), self._right(name)) from None
        return typed

    def repeated(self, name: str, value: object) -> object:
        """A field's value as a refusal may repeat it."""
        return UNSAID if name in self.hidden else value

    @property
    def names(self) -> list[str]:
        """The fields' names, in their order."""
        return list(self._reads)

    def has(self, name: str) -> bool:
        """Whether a request may have this key."""
        return name in self._reads or name == PREDICTION_ID

    def _right(self, name: str) -> str:
        return next(field.right for field in self.fields if field.column.name == name)


def _field(column: Column) -> Field:
    if column.name == PREDICTION_ID:
        raise FoundWrong(
            "LCH-1821",
            f"a request column cannot be called `{PREDICTION_ID}`",
            why="a request gives its answer's own name under that key",
            fix="give the column another name",
        )
    kind = kind_of(column)
    if kind in INTEGERS:
        return _integer(column, *INTEGERS[kind])
    decimal = _DECIMAL.fullmatch(kind)
    if decimal:
        return _decimal(column, int(decimal[1]), int(decimal[2]))
    vector = vector_of(kind)
    if vector:
        return _vector(column, *vector)
    if kind not in _PLAIN:
        raise FoundWrong(
            "LCH-1820",
            f"the request column `{column.name}` has the type {column.type}, which a JSON request cannot bring",
            fix=f"use one of {', '.join([*_PLAIN, *INTEGERS, 'DECIMAL(p,s)', 'FLOAT[n]', 'DOUBLE[n]'])}",
        )
    read, right, openapi = _PLAIN[kind]
    return Field(column, read, right, openapi)


def kind_of(column: Column) -> str:
    """A column's type in the one word or words DuckDB shows for it.

    >>> kind_of(Column("at", "timestamptz"))
    'TIMESTAMP WITH TIME ZONE'
    """
    kind = column.type.upper()
    return _ALIASES.get(kind, kind)


def _text(value: Any) -> str:
    if type(value) is str and "\x00" not in value:
        return value
    raise ValueError


def _boolean(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise ValueError


def _double(value: Any) -> float:
    if type(value) is float and value - value == 0.0:  # neither infinite nor not a number
        return value
    if type(value) is int or type(value) is Decimal:
        try:
            return float(value)
        except OverflowError:
            raise ValueError from None
    raise ValueError


def _single(value: Any) -> float:
    number = _double(value)
    if abs(number) <= _LARGEST_SINGLE:
        return number
    raise ValueError


def _instant(value: Any) -> datetime:
    if isinstance(value, str | datetime):
        instant = datetime.fromisoformat(value) if isinstance(value, str) else value
        if instant.tzinfo is not None:
            try:
                return instant.astimezone(UTC)
            except OverflowError:
                raise ValueError from None
    raise ValueError


def _local(value: Any) -> datetime:
    if isinstance(value, str | datetime):
        instant = datetime.fromisoformat(value) if isinstance(value, str) else value
        if instant.tzinfo is None:
            return instant
    raise ValueError


def _date(value: Any) -> date:
    if type(value) is str and _DATE.fullmatch(value):
        return date.fromisoformat(value)
    if type(value) is date:
        return value
    raise ValueError


def _integer(column: Column, low: int, high: int) -> Field:
    def read(value: Any) -> int:
        if (type(value) is float and value.is_integer() and abs(value) < _EXACT) or (
            type(value) is Decimal and value.as_integer_ratio()[1] == 1
        ):
            value = int(value)
        if type(value) is int and low <= value <= high:
            return value
        raise ValueError

    openapi: dict[str, Any] = {"type": "integer", "minimum": low, "maximum": high}
    return Field(column, read, f"a whole number from {low} to {high}", openapi)


def _decimal(column: Column, precision: int, scale: int) -> Field:
    whole = Decimal(10) ** (precision - scale)

    def read(value: Any) -> Decimal:
        if type(value) not in (int, float, str, Decimal):
            raise ValueError
        try:
            number = Decimal(str(value))
            exact = number.quantize(Decimal(1).scaleb(-scale)) if number.is_finite() else None
        except InvalidOperation:
            raise ValueError from None
        if exact is None or exact != number or abs(exact) >= whole:
            raise ValueError
        return exact

    right = (
        f"a number, or a number in quotes, with at most {precision - scale} digits before and {scale} after the point"
    )
    return Field(column, read, right, {"type": ["number", "string"]})


class _ElementError(ValueError):
    """An element of a vector that is wrong, and its place."""

    def __init__(self, place: int, value: Any) -> None:
        self.place, self.value = place, value


def _vector(column: Column, element: str, size: int) -> Field:
    one, _, openapi = _PLAIN[element]

    def read(value: Any) -> list[float]:
        if type(value) is not list or len(value) != size:
            raise ValueError
        found = []
        for place, given in enumerate(value):
            try:
                number = one(given)
            except ValueError:
                raise _ElementError(place, given) from None
            if not math.isfinite(number):
                raise _ElementError(place, given)
            found.append(number)
        return found

    shape: dict[str, Any] = {"type": "array", "items": openapi, "minItems": size, "maxItems": size}
    return Field(column, read, f"an array of exactly {size} {_ELEMENTS[element]}", shape)


_ELEMENTS = {"DOUBLE": "finite numbers", "FLOAT": "numbers between -3.4e38 and 3.4e38"}
_INSTANT = "an instant in ISO 8601 with its offset, as in 2013-12-01T08:30:00-05:00"
_PLAIN: dict[str, tuple[Callable[[Any], Any], str, Mapping[str, Any]]] = {
    "VARCHAR": (_text, "a text in quotes, without NUL characters", {"type": "string"}),
    "BOOLEAN": (_boolean, "true or false", {"type": "boolean"}),
    "DOUBLE": (_double, "a number", {"type": "number"}),
    "FLOAT": (_single, "a number between -3.4e38 and 3.4e38", {"type": "number"}),
    "TIMESTAMP WITH TIME ZONE": (_instant, _INSTANT, {"type": "string", "format": "date-time"}),
    "TIMESTAMP": (_local, "a time in ISO 8601 without an offset, as in 2013-12-01T08:30:00", {"type": "string"}),
    "DATE": (_date, "a date, as in 2013-12-01", {"type": "string", "format": "date"}),
}


def read_instant(text: str) -> datetime:
    """An ISO 8601 instant with its offset, in UTC; raises ValueError for anything else.

    >>> read_instant("2013-12-01T08:30:00-05:00").isoformat()
    '2013-12-01T13:30:00+00:00'
    """
    return _instant(text)
