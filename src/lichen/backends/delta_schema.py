"""DuckDB's words for types and statistics, said in Delta Lake's."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from deltalake import Field, Schema
from deltalake.schema import ArrayType, MapType, PrimitiveType, StructType

from lichen.errors import FoundWrong
from lichen.ground.types import vector_of
from lichen.ports import Column, DataFile

_PRIMITIVES = {
    "BIGINT": "long",
    "INTEGER": "integer",
    "SMALLINT": "short",
    "TINYINT": "byte",
    "DOUBLE": "double",
    "FLOAT": "float",
    "VARCHAR": "string",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp_ntz",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    "BLOB": "binary",
}
_DECIMAL = re.compile(r"DECIMAL\((\d{1,2}),\s*(\d{1,2})\)")
_MEMBER = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([^\s"]+))\s+(.+?)\s*', re.DOTALL)

DeltaType: TypeAlias = PrimitiveType | ArrayType | MapType | StructType
Stat: TypeAlias = int | float | str


def delta_schema(table: str, columns: Sequence[Column]) -> Schema:
    """The columns of a table as a Delta schema; a type Delta has no word for is refused."""
    fields = []
    for column in columns:
        kind = _delta_type(column.type)
        if kind is None:
            words = ", ".join((*_PRIMITIVES, "DECIMAL(p,s)", "T[]", "MAP(K, V)", "STRUCT(...)"))
            raise FoundWrong(
                "LCH-3006",
                f"table `{table}`: column `{column.name}` has type {column.type}, which Delta Lake does not know",
                fix=f"cast it to one of: {words}",
            )
        fields.append(Field(column.name, kind, nullable=True))
    return Schema(fields)


def has_naive_timestamps(columns: Sequence[Column]) -> bool:
    """Whether a column holds, at any depth, timestamps without a time zone: Delta asks readers for a feature then."""
    return any(re.search(r"TIMESTAMP(?! WITH)", _without_names(column.type)) for column in columns)


def delta_stats(file: DataFile, columns: Sequence[Column]) -> str:
    """What Delta readers may skip a file by, as the JSON text of its Add action.

    A bound appears only where it certainly holds for every reader: not for booleans, bytes and nested columns; no
    upper bound for floating point unless the engine says `has_nan` is false, for Parquet's statistics leave out NaN
    while Spark sorts it last; decimals only where a JSON number says them exactly.
    """
    lowest: dict[str, Stat] = {}
    highest: dict[str, Stat] = {}
    nulls: dict[str, int] = {}
    for column in columns:
        if column.type.endswith(("]", ")")) and not _DECIMAL.fullmatch(column.type):
            continue  # Delta wants a struct's statistics nested like it; a flat count makes the whole log unreadable
        known = file.stats.get(column.name, {})
        if known.get("null_count", "").isdecimal():
            nulls[column.name] = int(known["null_count"])
        for bound, into in (("min", lowest), ("max", highest)):
            value = _bound(column.type, bound, known)
            if value is not None:
                into[column.name] = value
    stats = {"numRecords": file.rows, "minValues": lowest, "maxValues": highest, "nullCount": nulls}
    return json.dumps(stats, allow_nan=False)


def _delta_type(word: str) -> DeltaType | None:
    word = word.strip()
    if word in _PRIMITIVES:
        return PrimitiveType(_PRIMITIVES[word])
    vector = vector_of(word)
    if vector is not None or word.endswith("[]"):
        element = _delta_type(vector[0] if vector else word[:-2])
        return None if element is None else ArrayType(element, contains_null=True)
    if (decimal := _DECIMAL.fullmatch(word)) is not None:
        return PrimitiveType(f"decimal({decimal[1]},{decimal[2]})") if 1 <= int(decimal[1]) <= 38 else None
    if word.startswith("MAP(") and word.endswith(")"):
        key, value = map(_delta_type, _split(word[len("MAP(") : -1]))
        return None if key is None or value is None else MapType(key, value, value_contains_null=True)
    if word.startswith("STRUCT(") and word.endswith(")"):
        return _struct(word[len("STRUCT(") : -1])
    return None


def _struct(members: str) -> StructType | None:
    fields = []
    for member in _split(members):
        parts = _MEMBER.fullmatch(member)
        kind = None if parts is None else _delta_type(parts[3])
        if parts is None or kind is None:
            return None
        name = parts[2] if parts[1] is None else parts[1].replace('""', '"')
        fields.append(Field(name, kind, nullable=True))
    return StructType(fields)


def _split(members: str) -> Iterator[str]:
    """Cut at the commas that are in no parentheses and no quotes."""
    depth, quoted, start = 0, False, 0
    for place, letter in enumerate(members):
        if letter == '"':
            quoted = not quoted
        elif not quoted:
            depth += (letter == "(") - (letter == ")")
            if letter == "," and depth == 0:
                yield members[start:place]
                start = place + 1
    yield members[start:]


def _without_names(word: str) -> str:
    """A type's words without the quoted names of a struct's members, which may hold any text."""
    return re.sub(r'"(?:[^"]|"")*"', "", word)


def _bound(kind: str, bound: str, known: Mapping[str, str]) -> Stat | None:
    text = known.get(bound)
    reader = _BOUNDS.get(kind) or (_decimal if _DECIMAL.fullmatch(kind) else None)
    if text is None or reader is None:
        return None
    if reader is _float and bound == "max" and known.get("has_nan") != "false":
        return None
    try:
        return reader(text)
    except (ValueError, InvalidOperation):  # infinite dates, years past 9999: readable, but Delta has no text for them
        return None


def _float(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _decimal(text: str) -> float | int | None:
    exact = Decimal(text)
    if exact == exact.to_integral_value():
        return int(exact)
    number = float(text)
    return number if Decimal(repr(number)) == exact else None


def _string(text: str) -> str:
    return text


def _date(text: str) -> str:
    return date.fromisoformat(text).isoformat()


def _naive(text: str) -> str:
    return datetime.fromisoformat(text).replace(tzinfo=None).isoformat(timespec="microseconds")


def _instant(text: str) -> str | None:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        return None
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


_BOUNDS: dict[str, Callable[[str], Stat | None]] = {
    **dict.fromkeys(("BIGINT", "INTEGER", "SMALLINT", "TINYINT"), int),
    **dict.fromkeys(("DOUBLE", "FLOAT"), _float),
    "VARCHAR": _string,
    "DATE": _date,
    "TIMESTAMP": _naive,
    "TIMESTAMP WITH TIME ZONE": _instant,
}
