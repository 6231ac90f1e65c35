"""Lands newly read rows on those already there: merged by key, the newer row wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arro3.core import Table as ArrowTable

from lichen.ground.quoting import identifier, identifiers, sql, unused
from lichen.ports import Column, DataFile, Engine, Relation

NEW, OLD = "newly_read", "already_there"


@dataclass(frozen=True)
class Landed:
    """Merged rows in staging, and how many rows only repeated another, or gave way to a newer one.

    `alike` are those that gave way though nothing tells which is newer: another row of the same reading has their key
    and their cursor, and other values. `example` is the key of one.
    """

    files: tuple[DataFile, ...]
    deduplicated: int
    alike: int = 0
    example: str | None = None


def land(
    columns: Sequence[Column], key: Sequence[str], cursor: str, new: Relation, old: Relation, engine: Engine, into: Path
) -> Landed:
    """Write the rows of `old` and `new` together, in the order of cursor and key; of rows with one key, the newest.

    The newest has the greatest cursor; among those it is the one read last. So any order of arrival ends in the same
    rows. A row whose key is not whole gives way only to one that equals it in every column.
    """
    names = [column.name for column in columns]
    age, place = unused("_age", names), unused("_place", names)
    rows = sql(
        f"SELECT {_of_all(columns, new)}, 1 AS {age}, row_number() OVER () AS {place} FROM",
        NEW,
        "UNION ALL",
        f"SELECT {_of_all(columns, old)}, 0 AS {age}, row_number() OVER () AS {place} FROM",
        OLD,
        "UNION ALL SELECT",
        _nulls(columns),
        ", 0, 0 FROM range(0)",
    )
    same = _same_row(names, key)
    newest_first = f"{identifier(cursor)} DESC NULLS LAST, {age} DESC, {place} DESC"
    merged = sql(
        f"SELECT {identifiers(names)} FROM",
        f"({rows})",
        f"QUALIFY row_number() OVER (PARTITION BY {same} ORDER BY {newest_first}) = 1",
        f"ORDER BY {identifier(cursor)}, {same}",
    )
    inputs = {NEW: new, OLD: old}
    files = engine.sql(merged, inputs, into)
    groups = sql("SELECT count(*) - 1 AS more FROM", f"({rows})", f"GROUP BY {same}")
    counted = engine.query(sql("SELECT CAST(coalesce(sum(more), 0) AS BIGINT) AS more FROM", f"({groups})"), inputs)
    alike, example = _alike([column.name for column in new.columns], key, cursor, new, engine)
    return Landed(files, int(ArrowTable.from_arrow(counted).column("more").to_pylist()[0]), alike, example)


def _alike(
    names: Sequence[str], key: Sequence[str], cursor: str, new: Relation, engine: Engine
) -> tuple[int, str | None]:
    """How many rows of one reading give way to another with their key and cursor and other values, and a key of one.

    Rows that a later cursor replaces as well are none of them: of those it is told which is newer.
    """
    keys = [f"_k{place}" for place in range(len(key))]
    named = ", ".join(f"{identifier(name)} AS {short}" for name, short in zip(key, keys, strict=True))
    parts = ", ".join(keys)
    last = sql(f"SELECT {named}, max({identifier(cursor)}) AS _c FROM", NEW, "GROUP BY ALL HAVING count(*) > 1")
    same = " AND ".join(f"r.{identifier(name)} = g.{short}" for name, short in zip(key, keys, strict=True))
    at_the_last = f"r.{identifier(cursor)} IS NOT DISTINCT FROM g._c"
    values = ", ".join(f"r.{identifier(name)}" for name in names)
    joined = sql("FROM", NEW, "AS r JOIN (", last, ") AS g ON", same, "AND", at_the_last)
    others = sql(f"SELECT count(DISTINCT row({values})) - 1 AS other, concat_ws(', ', {parts}) AS one", joined)
    grouped = sql("SELECT * FROM (", others, f"GROUP BY {parts}) WHERE other > 0")
    counts = "SELECT CAST(coalesce(sum(other), 0) AS BIGINT) AS alike, min(one) AS example FROM ("
    found = ArrowTable.from_arrow(engine.query(sql(counts, grouped, ")"), {NEW: new}))
    return found.column("alike").to_pylist()[0], found.column("example").to_pylist()[0]


def _of_all(columns: Sequence[Column], rows: Relation) -> str:
    """The columns of old or new rows, in their types: a column that these do not have is null."""
    there = {column.name for column in rows.columns}
    values = {column: identifier(column.name) if column.name in there else "NULL" for column in columns}
    return ", ".join(f"CAST({value} AS {column.type}) AS {identifier(column.name)}" for column, value in values.items())


def _nulls(columns: Sequence[Column]) -> str:
    """A row of nulls that is never there: with it every column may be null, and equal rows make equal files.

    DuckDB marks a column in which it foresees no null as required, which made the file of the same rows another one.
    """
    return ", ".join(f"CAST(NULL AS {column.type})" for column in columns)


def _same_row(names: Sequence[str], key: Sequence[str]) -> str:
    """What rows have in common that are one: their key, or everything where a part of the key is null."""
    torn = " OR ".join(f"{identifier(name)} IS NULL" for name in key)
    return f"{identifiers(key)}, CASE WHEN {torn} THEN row({identifiers(names)}) END"
