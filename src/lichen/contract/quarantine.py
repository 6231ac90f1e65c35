"""Sets rows aside that break a promise, each with its reason and its place in the source."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from arro3.core import Table as ArrowTable

from lichen.collect.extract import FILE, ROW
from lichen.contract.check import ROWS, Breach, Promise
from lichen.ground.counted import count
from lichen.ground.quoting import identifier, identifiers, literal, sql, unused
from lichen.ground.types import vector_of
from lichen.ports import Arrow, Column, DataFile, Engine, Relation

REJECTS = "rejects"
MOST_REASONS = 3
"""Of records that cannot be read, so many reasons are told."""

_ALIKE = "unnest(string_split(regexp_replace(reason, '`[^`]*`', 'a value', 'g'), '; '))"
"""A row's reasons, each with `a value` in the place of its own."""

EARLIER, LATER = "earlier", "later"
SET_ASIDE = (
    Column("file", "VARCHAR"),
    Column("row", "BIGINT"),
    Column("column", "VARCHAR"),
    Column("reason", "VARCHAR"),
    Column("raw", "VARCHAR"),
)
"""The columns of quarantined rows: the file and the record they came from, what was wrong, and the row itself.

`raw` is the record as it stands in a text file where it could not be read (a CSV record with its quotes, at most 2,000
characters), and the row as JSON where it broke a promise or came of a Parquet file.
"""


def row_promises(promised: Sequence[Promise], breaches: Sequence[Breach]) -> list[Promise]:
    """The promises that single rows broke, and for which rows are set aside."""
    broken = {(breach.column, breach.reason) for breach in breaches if breach.by_row}
    return [promise for promise in promised if (promise.column, promise.reason) in broken]


@dataclass(frozen=True)
class _Marks:
    """Staged rows with what each one breaks: `columns` and `reasons` are null where that is nothing.

    A value is there before only where a row that is kept has it: of two rows with one key, the first of them
    bad in itself, the second is kept.
    """

    place: str
    columns: str
    reasons: str
    select: str

    @classmethod
    def of(cls, broken: Sequence[Promise], rows: Relation) -> _Marks:
        taken = [column.name for column in rows.columns]
        place, clean = unused("_place", taken), unused("_clean", taken)
        columns, reasons = unused("_columns", taken), unused("_reasons", taken)
        plain = [(promise, promise.broken) for promise in broken if not promise.repeats]
        again = [(promise, cls._again(promise, clean, place)) for promise in broken if promise.repeats]
        faulty = " OR ".join(f"coalesce({test}, false)" for _, test in plain) or "false"
        placed = sql("SELECT *, row_number() OVER () AS", place, ", NOT (", faulty, ") AS", clean, "FROM", ROWS)
        whose = _texts([(test, promise.column) for promise, test in (*plain, *again)])
        what = _texts([(test, f"{promise.column}: {promise.reason}") for promise, test in (*plain, *again)])
        select = sql("SELECT *,", whose, "AS", columns, ",", what, "AS", reasons, "FROM (", placed, ")")
        return cls(place, columns, reasons, select)

    @staticmethod
    def _again(promise: Promise, clean: str, place: str) -> str:
        same = f"PARTITION BY {clean}, {identifiers(promise.repeats)} ORDER BY {place}"
        return f"{clean} AND NOT ({promise.broken}) AND row_number() OVER ({same}) > 1"


def _texts(cases: Sequence[tuple[str, str]]) -> str:
    told = ", ".join(f"CASE WHEN {test} THEN {literal(text)} END" for test, text in cases)
    return f"nullif(concat_ws('; ', {told}), '')"


def keep(
    columns: Sequence[Column], broken: Sequence[Promise], rows: Relation, engine: Engine, into: Path
) -> tuple[DataFile, ...]:
    """Write the rows that break nothing, with the table's own columns only."""
    names = identifiers(column.name for column in columns)
    if not broken:
        return engine.sql(sql("SELECT", names, "FROM", ROWS), {ROWS: rows}, into)
    marks = _Marks.of(broken, rows)
    kept = sql("SELECT", names, "FROM (", marks.select, ") WHERE", marks.reasons, "IS NULL ORDER BY", marks.place)
    return engine.sql(kept, {ROWS: rows}, into)


def set_aside(
    columns: Sequence[Column],
    broken: Sequence[Promise],
    rows: Relation,
    rejects: Relation | None,
    engine: Engine,
    into: Path,
) -> tuple[DataFile, ...]:
    """Write the rows that break a promise, and the records that could not be read at all."""
    parts, inputs = [], {ROWS: rows}
    if broken:
        parts.append(_broken_rows(columns, broken, rows))
    if rejects is not None:
        inputs[REJECTS] = rejects
        parts.append(sql(f'SELECT {FILE} AS "file", {ROW} AS "row", "column", reason, raw FROM', REJECTS))
    if not parts:
        return ()
    return engine.sql(sql("SELECT * FROM (", " UNION ALL ".join(parts), ') ORDER BY "file", "row"'), inputs, into)


def _broken_rows(columns: Sequence[Column], broken: Sequence[Promise], rows: Relation) -> str:
    marks = _Marks.of(broken, rows)
    own = {column.name for column in columns}
    from_source = {column.name for column in rows.columns} - own
    file = FILE if FILE in from_source else "CAST(NULL AS VARCHAR)"
    row = ROW if ROW in from_source else marks.place
    fields = ", ".join(f"{literal(column.name)}, {as_json(column)}" for column in columns)
    return sql(
        f'SELECT {file} AS "file", CAST({row} AS BIGINT) AS "row", {marks.columns} AS "column",',
        f"{marks.reasons} AS reason, CAST(json_object({fields}) AS VARCHAR) AS raw",
        "FROM (",
        marks.select,
        ") WHERE",
        marks.reasons,
        "IS NOT NULL",
    )


def as_json(column: Column) -> str:
    """A value for JSON, which has no NaN and no infinity: they are told as text."""
    name = identifier(column.name)
    if vector_of(column.type):
        strange = f"len(list_filter({name}, lambda x: NOT isfinite(x))) > 0"
        return f"CASE WHEN {strange} THEN to_json(CAST({name} AS VARCHAR)) ELSE to_json({name}) END"
    if column.type not in ("DOUBLE", "FLOAT"):
        return f"to_json({name})"
    return f"CASE WHEN isfinite({name}) THEN to_json({name}) ELSE to_json(CAST({name} AS VARCHAR)) END"


def gather(earlier: Relation, later: Relation, engine: Engine, into: Path) -> tuple[tuple[DataFile, ...], int]:
    """Write the rows set aside by two readings, each once; returns how many repeated another as well.

    A reading that starts before the cursor meets the same bad rows again.
    """
    names = identifiers(column.name for column in SET_ASIDE)
    # With a row of nulls that is never there every column may be null, and equal rows make equal files.
    nulls = ", ".join(f"CAST(NULL AS {column.type})" for column in SET_ASIDE)
    never = sql("SELECT", nulls, "FROM range(0)")
    both = sql("SELECT", names, "FROM", EARLIER, "UNION ALL SELECT", names, "FROM", LATER, "UNION ALL", never)
    inputs = {EARLIER: earlier, LATER: later}
    files = engine.sql(sql("SELECT DISTINCT", names, "FROM (", both, ") ORDER BY", names), inputs, into)
    counts = sql("SELECT count(*) - 1 AS more FROM (", both, ") GROUP BY", names)
    repeated = engine.query(sql("SELECT CAST(coalesce(sum(more), 0) AS BIGINT) AS more FROM (", counts, ")"), inputs)
    return files, int(ArrowTable.from_arrow(repeated).column("more").to_pylist()[0])


def set_aside_outside(
    aside: Relation, by: Column, within: Callable[[str], str], engine: Engine, into: Path
) -> tuple[DataFile, ...]:
    """Write the rows that were set aside, but for those of whose column `by` SQL that `within` makes is true."""
    at = unused("_at", [column.name for column in SET_ASIDE])
    shape = literal(json.dumps({by.name: "VARCHAR"}))
    value = f"TRY_CAST(struct_extract(from_json(raw, {shape}), {literal(by.name)}) AS {by.type})"
    rows = sql("SELECT *,", value, "AS", at, "FROM", ROWS)
    names = identifiers(column.name for column in SET_ASIDE)
    select = sql("SELECT", names, "FROM (", rows, ") WHERE (", within(at), ") IS NOT TRUE")
    return engine.sql(select, {ROWS: aside}, into)


def unreadable(rejects: Arrow, engine: Engine) -> str:
    """Why records cannot be read, in words: the most frequent reasons, each with its count where there are several."""
    each = sql("SELECT", _ALIKE, "AS alike FROM", ROWS)
    counted = sql("SELECT alike, count(*) AS rows FROM (", each, ") GROUP BY alike ORDER BY rows DESC, alike")
    table = ArrowTable.from_arrow(engine.query(counted, {ROWS: Relation(arrow=rejects)}))
    found = list(zip(table.column("alike").to_pylist(), table.column("rows").to_pylist(), strict=True))
    if len(found) == 1:
        return str(found[0][0])
    told = [f"{alike} ({rows:,})" for alike, rows in found[:MOST_REASONS]]
    more = len(found) - MOST_REASONS
    return ", ".join(told) + (f" and {count(more, 'other reason')}" if more > 0 else "")


def commonest(aside: Relation, engine: Engine) -> tuple[str, int, str]:
    """Of rows set aside, the most frequent reason, how many have it, and where the first of them came from.

    Reasons that differ only in the value they name are one; a row that has several counts for each.
    """
    first = 'min_by(struct_pack(f := "file", r := "row", why := reason), struct_pack(f := "file", r := "row"))'
    each = sql("SELECT *,", _ALIKE, "AS alike FROM", ROWS)
    grouped = sql("SELECT alike, count(*) AS rows,", first, "AS one FROM (", each, ") GROUP BY alike")
    cells = "alike, rows, one.f AS f, one.r AS r, one.why AS why"
    most = sql("SELECT", cells, "FROM (", grouped, ") ORDER BY rows DESC, alike LIMIT 1")
    table = ArrowTable.from_arrow(engine.query(most, {ROWS: aside}))
    alike, rows, file, row, why = (table.column(name).to_pylist()[0] for name in ("alike", "rows", "f", "r", "why"))
    place = f"row {row}" if file is None else f"record {row} of {file}"
    return str(alike), int(rows), f"{place}: {why}"
