"""The cursor: how far a source has been read, and where the next reading starts."""

from __future__ import annotations

from arro3.core import Table as ArrowTable

from lichen.errors import FoundWrong, Where, did_you_mean
from lichen.ground.duration import microseconds
from lichen.ground.quoting import identifier, literal, sql
from lichen.ports import Column, Engine, Relation, Since
from lichen.spec import Source

LANDED = "landed"


def check_cursor(source: Source, columns: tuple[Column, ...], cursor_at: Where, lateness_at: Where) -> None:
    """Refuse a cursor that is no column, and a `lateness` where the cursor is no time."""
    if source.cursor is None:
        return
    types = {column.name: column.type for column in columns}
    if source.cursor not in types:
        raise FoundWrong(
            "LCH-2225",
            f"the cursor is a column `{source.cursor}` that is not there",
            where=cursor_at,
            fix=did_you_mean(source.cursor, types),
        )
    kind = types[source.cursor]
    if source.lateness is not None and not _is_time(kind):
        raise FoundWrong(
            "LCH-2226",
            f"`lateness` is a span of time, and the cursor `{source.cursor}` is {kind}",
            where=lateness_at,
            why="only from a time can a span be taken",
            fix="take `lateness` away, or name a column of times as the cursor",
        )


def newest(source: Source, rows: Relation, now: str, engine: Engine) -> str | None:
    """The cursor of landed rows: the greatest value of its column that is not past `now`, or None.

    It is taken of the rows that were kept, so that it never moves without them, and a row from the future does not
    carry it past rows yet to come.
    """
    kind = _type_of(source, rows.columns)
    name = identifier(str(source.cursor))
    seen = f"{name} IS NOT NULL"
    if _is_time(kind):
        seen = f"{name} <= CAST({literal(now)} AS {kind})"
    elif kind in ("DOUBLE", "FLOAT"):
        seen = f"isfinite({name})"
    select = sql(f"SELECT CAST(max({name}) FILTER ({seen}) AS VARCHAR) AS cursor FROM", LANDED)
    value = ArrowTable.from_arrow(engine.query(select, {LANDED: rows})).column("cursor").to_pylist()[0]
    return None if value is None else str(value)


def resume_from(cursor: str, source: Source, columns: tuple[Column, ...], now: str, engine: Engine) -> Since:
    """Where an incremental reading starts: the cursor, never past now, less the source's lateness."""
    kind = _type_of(source, columns)
    value = f"CAST({literal(cursor)} AS {kind})"
    if _is_time(kind):
        value = f"least({value}, CAST({literal(now)} AS {kind}))"
    if source.lateness is not None:
        value = f"{value} - to_microseconds({microseconds(source.lateness)})"
    found = ArrowTable.from_arrow(engine.query(f"SELECT CAST({value} AS VARCHAR) AS since", {}))
    return Since(str(source.cursor), str(found.column("since").to_pylist()[0]), source.contract.key)


def _type_of(source: Source, columns: tuple[Column, ...]) -> str:
    return next(column.type for column in columns if column.name == source.cursor)


def _is_time(kind: str) -> bool:
    return kind.startswith("TIMESTAMP") or kind == "DATE"
