"""The one type map: what each of DuckDB's types is stored as, so that every reader of the lake reads the same values.

Parquet files of other types corrupt silently elsewhere: DuckDB writes HUGEINT as DOUBLE and loses digits, and
Spark reads a DECIMAL(2,1) as ten times its value where the table says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lichen.errors import FoundWrong
from lichen.ground.quoting import identifier, sql

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE")
_INSTANTS = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
_NARROWER = {
    kind: frozenset(_NUMBERS[: _NUMBERS.index(kind) + 1]) - ({"INTEGER", "BIGINT"} if kind == "FLOAT" else set())
    for kind in _NUMBERS
}
_KEPT = frozenset(["BOOLEAN", *_NUMBERS, "VARCHAR", "BLOB", *_INSTANTS])
_STORED_AS = {
    "HUGEINT": "DECIMAL(38,0)",
    "UHUGEINT": "DECIMAL(38,0)",
    "UBIGINT": "DECIMAL(20,0)",
    "UTINYINT": "SMALLINT",
    "USMALLINT": "INTEGER",
    "UINTEGER": "BIGINT",
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
    "TIMESTAMP_NS": "TIMESTAMP",
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE",
    "UUID": "VARCHAR",
    "JSON": "VARCHAR",
    '"NULL"': "INTEGER",
}
_CAST_TO = {
    "INTERVAL": "to seconds, `epoch(...)`, or to VARCHAR",
    "TIME": "to VARCHAR, or add a date and keep a TIMESTAMP",
    "TIME WITH TIME ZONE": "to VARCHAR, or add a date and keep a TIMESTAMP WITH TIME ZONE",
    "BIT": "to VARCHAR",
}

_VECTOR = re.compile(r"(FLOAT|DOUBLE)\[([1-9][0-9]*)\]")

_WIDEST = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*')|\bUHUGEINT\b(?!\s+[A-Z])""")
"""The type, but in no quotes, and not where a struct has a member of this name."""


def vector_of(duckdb_type: str) -> tuple[str, int] | None:
    """The type and the number of a vector's elements; None where the type is no vector.

    A vector is a column of FLOAT or DOUBLE in lists of one length: an embedding.

    >>> vector_of("FLOAT[384]"), vector_of("FLOAT[]"), vector_of("INTEGER[3]"), vector_of("FLOAT[3][2]")
    (('FLOAT', 384), None, None, None)
    """
    found = _VECTOR.fullmatch(duckdb_type)
    return (found[1], int(found[2])) if found else None


def lake_type(duckdb_type: str) -> str:
    """The type a column of this DuckDB type is stored as; raises `ValueError` where there is none.

    >>> lake_type("HUGEINT"), lake_type("UINTEGER"), lake_type("ENUM('a', 'b')"), lake_type("STRUCT(n UBIGINT)[]")
    ('DECIMAL(38,0)', 'BIGINT', 'VARCHAR', 'STRUCT(n DECIMAL(20,0))[]')
    >>> lake_type("FLOAT[384]"), lake_type("INTEGER[3]")
    ('FLOAT[384]', 'INTEGER[]')
    """
    return duckdb_type if vector_of(duckdb_type) else _lake_type(duckdb_type)


def _lake_type(duckdb_type: str) -> str:
    if duckdb_type.endswith("]"):
        # A list of fixed length is stored as a list, for Delta has no other; inside a type none is known as a vector.
        return _lake_type(duckdb_type[: duckdb_type.rindex("[")]) + "[]"
    if duckdb_type in _KEPT or duckdb_type.startswith("DECIMAL("):
        return duckdb_type
    if duckdb_type in _STORED_AS:
        return _STORED_AS[duckdb_type]
    head, bracket, rest = duckdb_type.partition("(")
    if head == "ENUM" and bracket:
        return "VARCHAR"
    if head == "MAP" and bracket:
        return f"MAP({', '.join(_lake_type(part) for part in _parts(rest[:-1]))})"
    if head == "STRUCT" and bracket:
        return f"STRUCT({', '.join(_field(part) for part in _parts(rest[:-1]))})"
    raise ValueError(f"{duckdb_type} cannot be stored")


def holds_numbers(kind: str, other: str) -> bool:
    """Whether a type of numbers has those of another; a whole number beyond 2**53 is rounded in a DOUBLE.

    >>> holds_numbers("DOUBLE", "BIGINT"), holds_numbers("FLOAT", "INTEGER"), holds_numbers("VARCHAR", "BIGINT")
    (True, False, False)
    """
    return other in _NARROWER.get(kind, ())


def is_missing(value: str, kind: str) -> str:
    """SQL that is true where a value of a type is null, or is no number where it should be one.

    >>> is_missing("x", "BIGINT"), is_missing("x", "DOUBLE")
    ('x IS NULL', '(x IS NULL OR isnan(x))')
    """
    return f"({value} IS NULL OR isnan({value}))" if kind in ("FLOAT", "DOUBLE") else f"{value} IS NULL"


def lake_columns(columns: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The columns (name, type) as they are stored; a type that cannot be is refused with what to cast it to."""
    stored = []
    for name, kind in columns:
        try:
            stored.append((name, lake_type(kind)))
        except ValueError:
            advice = _CAST_TO.get(kind, "to a type that can be, such as VARCHAR")
            raise FoundWrong(
                "LCH-2310",
                f"column `{name}` has type {kind}, which a table cannot hold",
                why="the lake's other readers (Delta, Spark) have no such type",
                fix=f"cast it {advice}",
            ) from None
    return tuple(stored)


def storable(select: str, columns: Sequence[tuple[str, str]]) -> str:
    """The statement with casts to the types it is stored as; the very same text where none is needed.

    >>> storable("SELECT 1 AS n", [("n", "INTEGER")])
    'SELECT 1 AS n'
    """
    stored = lake_columns(columns)
    if list(stored) == list(columns):
        return select
    shown = ", ".join(
        identifier(name) if kind == old else f"CAST({identifier(name)} AS {kind}) AS {identifier(name)}"
        for (name, kind), (_, old) in zip(stored, columns, strict=True)
    )
    return sql("SELECT", shown, f"FROM (\n{select}\n)")


def streamable(select: str, columns: Sequence[tuple[str, str]]) -> str:
    r"""The statement with UHUGEINT as text, for Arrow has no number of its width; the same text where there is none.

    >>> streamable("SELECT n, h", [("n", "BIGINT"), ("h", "STRUCT(h UHUGEINT)")])
    'SELECT #1 AS "n", CAST(#2 AS STRUCT(h VARCHAR)) AS "h" FROM (\nSELECT n, h\n)'
    """
    told = [_WIDEST.sub(lambda found: found[1] or "VARCHAR", kind) for _, kind in columns]
    if all(kind == old for kind, (_, old) in zip(told, columns, strict=True)):
        return select
    shown = ", ".join(
        f"{f'#{nth}' if kind == old else f'CAST(#{nth} AS {kind})'} AS {identifier(name)}"
        for nth, (kind, (name, old)) in enumerate(zip(told, columns, strict=True), 1)
    )
    return sql("SELECT", shown, f"FROM (\n{select}\n)")


def same_columns(file: str, found: Sequence[tuple[str, str]], declared: Sequence[tuple[str, str]]) -> None:
    """Refuse a data file whose columns are not the table's, in name, order and type.

    Parquet has no lists of one length: a vector is a list there, whose length is looked at when it is read.
    """
    types = dict(found)
    for name, kind in declared:
        if name not in types:
            raise _mismatch(file, f"it has no column `{name}`", f"the table declares `{name}` as {kind}")
        if types[name] != kind and types[name] != _in_a_file(kind):
            raise _mismatch(file, f"its column `{name}` is {types[name]}", f"the table declares it as {kind}")
    known = {name for name, _ in declared}
    for name, kind in found:
        if name not in known:
            raise _mismatch(file, f"its column `{name}` ({kind}) is not the table's", "a table's files are all alike")
    if [name for name, _ in found] != [name for name, _ in declared]:
        raise _mismatch(file, "its columns are in another order", "a table's files are all alike")


def _in_a_file(kind: str) -> str:
    vector = vector_of(kind)
    return kind if vector is None else f"{vector[0]}[]"


def _mismatch(file: str, what: str, why: str) -> FoundWrong:
    return FoundWrong("LCH-2311", f"`{file}` does not fit its table: {what}", why=why, fix="build the table anew")


def _field(text: str) -> str:
    named = re.match(r'("(?:[^"]|"")*"|\S+) (.*)', text, re.DOTALL)
    if named is None:
        raise ValueError(f"{text} cannot be stored")
    return f"{named[1]} {_lake_type(named[2])}"


def _parts(text: str) -> list[str]:
    """The parts of a nested type: cut at the commas outside brackets and quotes."""
    parts, depth, start = [], 0, 0
    for token in re.finditer(r"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'|[(),]", text):
        mark = token[0]
        if mark == "(":
            depth += 1
        elif mark == ")":
            depth -= 1
        elif mark == "," and depth == 0:
            parts.append(text[start : token.start()].strip())
            start = token.end()
    return [*parts, text[start:].strip()]
