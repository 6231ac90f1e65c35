"""Checks a table's rows against its contract, in one scan and one grouping for each key."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from arro3.core import Table as ArrowTable

from lichen.collect.staged import Staged
from lichen.collect.types import engine_types
from lichen.errors import FoundWrong, Where, did_you_mean
from lichen.ground.quoting import identifier, identifiers, literal, sql
from lichen.ports import Column, DataFile, Engine, Relation
from lichen.spec import ColumnPromise, Contract

ROWS = "rows"
"""The name under which a check reads the rows it judges."""

AT_ONCE = 2**24
"""Of so many rows the hashes of a key are compared at once, in 128 MB; of more the engine groups the keys."""

EXACT = 2**53
"""Below it every whole number has a float of its own."""


@dataclass(frozen=True)
class Promise:
    """One promise of a contract: `broken` is true of each row that breaks it.

    `most` is the share of rows that may break it; where it is above 0 no single row is to blame.
    """

    column: str
    reason: str
    broken: str
    most: float = 0.0
    repeats: tuple[str, ...] = ()
    """For a promise that values do not occur twice: their columns. `broken` is then true of rows it does not regard."""
    nulls: bool = False
    """Whether what breaks it is a null in `column`, which files that count their nulls tell without being read."""

    def may_break(self, rows: int) -> int:
        """How many of so many rows may break it: the share as it is written, 7 of 100 for 0.07."""
        return int(Fraction(repr(self.most)) * rows)


@dataclass(frozen=True)
class Breach:
    """A promise that was broken: by how many of how many rows."""

    column: str
    reason: str
    rows: int
    of: int
    by_row: bool

    def as_dict(self) -> dict[str, Any]:
        """The breach for a machine."""
        return {"column": self.column, "reason": self.reason, "rows": self.rows, "of": self.of}


def promises(
    contract: Contract, key: Sequence[str], columns: Sequence[Column], *, merged: bool = False
) -> list[Promise]:
    """The contract's promises on these columns, each as an SQL condition over one row.

    Where rows are `merged` by key, a key that comes again is a newer row, and breaks nothing.
    """
    keys = list(dict.fromkeys(filter(None, (tuple(key), contract.key))))
    names = dict.fromkeys(name for columns in keys for name in columns)
    found = [Promise(name, "the key is null", f"{identifier(name)} IS NULL", nulls=True) for name in names]
    types = {column.name: column.type for column in columns}
    for name, promise in contract.columns.items():
        found.extend(_column_promises(Column(name, types[name]), promise))
    if not merged:
        found.extend(_unrepeated(columns, "the key is there before") for columns in keys)
    return found


def _unrepeated(columns: tuple[str, ...], reason: str) -> Promise:
    # A key with a null in it is told as such, and not as a repetition.
    torn = " OR ".join(f"{identifier(name)} IS NULL" for name in columns)
    return Promise(", ".join(columns), reason, torn, repeats=columns)


def _column_promises(about: Column, promise: ColumnPromise) -> list[Promise]:
    found: list[Promise] = []
    name, column = about.name, identifier(about.name)
    if promise.null_share is not None:
        most = "" if promise.null_share == 0 else f" in more than {promise.null_share * 100:g} % of the rows"
        found.append(Promise(name, f"it is null{most}", f"{column} IS NULL", promise.null_share, nulls=True))
    if promise.range is not None:
        low, high = (_plain(bound) for bound in promise.range)
        outside = f"NOT ({column} BETWEEN {_value(low, about)} AND {_value(high, about)})"
        found.append(Promise(name, f"it is outside [{low}, {high}]", outside))
    if promise.accepted is not None:
        allowed = ", ".join(_value(value, about) for value in promise.accepted)
        other = f"{column} NOT IN ({allowed})" if allowed else f"{column} IS NOT NULL"
        found.append(Promise(name, f"it is none of: {_listed(promise.accepted)}", other))
    if promise.unique:
        found.append(_unrepeated((name,), "the value is there before"))
    return found


def _plain(bound: float | str) -> int | float | str:
    """A bound as the user wrote it: `0`, where it was read as 0.0; beside a whole number no decimals are compared."""
    return int(bound) if isinstance(bound, float) and bound.is_integer() and abs(bound) < EXACT else bound


def _value(value: str | float | bool, about: Column) -> str:
    """A value to compare a column with; the FLOAT 0.1 is not the DOUBLE 0.1, and is what 0.1 means there."""
    return f"CAST({literal(value)} AS FLOAT)" if about.type == "FLOAT" else literal(value)


def _listed(values: Sequence[str | int | float | bool], most: int = 6) -> str:
    shown = ", ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in values[:most])
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


def check_columns(
    contract: Contract, key: Sequence[str], columns: Sequence[Column], where: Mapping[str, Where]
) -> None:
    """Refuse a contract that speaks of a column the table does not have."""
    known = {column.name for column in columns}
    for name in (*key, *contract.key, *contract.columns):
        if name not in known:
            raise FoundWrong(
                "LCH-2221",
                f"the contract speaks of a column `{name}` that is not there",
                where=where.get(name),
                why=_other_case(name, known),
                fix=did_you_mean(name, known),
            )


def _other_case(name: str, known: Iterable[str]) -> str | None:
    """Why a name does not do that SQL would take for the same."""
    same = next((one for one in known if one.casefold() == name.casefold()), None)
    return same and f"the column is `{same}`: a contract names it letter by letter, though SQL takes both for one"


def check_types(contract: Contract, columns: Sequence[Column], engine: Engine, where: Mapping[str, Where]) -> None:
    """Refuse a contract that promises a column another type than it has."""
    given = {column.name: column.type for column in columns}
    written = {name: promise.type for name, promise in contract.columns.items() if promise.type is not None}
    for name, meant in engine_types(written, engine, where).items():
        if meant != given[name]:
            raise FoundWrong(
                "LCH-2224",
                f"the contract says that `{name}` is {meant}, and it is {given[name]}",
                where=where.get(name),
                fix=f"write CAST({name} AS {meant}) where it is made, or `type: {given[name].lower()}`",
            )


def judge(
    promised: Sequence[Promise], staged: Staged, engine: Engine, proven: Collection[tuple[str, ...]] = ()
) -> list[Breach]:
    """The promises that staged rows break; the keys that are `proven` not to repeat are not looked for."""
    total, rows = staged.rows, staged.relation
    found = {promise: _nulls(promise.column, staged.files) for promise in promised if promise.nulls}
    plain = [promise for promise in promised if not promise.repeats and found.get(promise) is None]
    if plain:
        # Two promises may count the same thing: each count has a name of its own.
        counts = [f"count(*) FILTER ({one.broken}) AS count_{place}" for place, one in enumerate(plain)]
        found.update(zip(plain, _first_row(sql("SELECT", ", ".join(counts), "FROM", ROWS), rows, engine), strict=True))
    for promise in promised:
        if promise.repeats in proven:
            found[promise] = 0
        elif promise.repeats:
            whole = total <= AT_ONCE and _all_differ(promise, rows, engine)
            found[promise] = 0 if whole else _first_row(_count_repeated(promise), rows, engine)[0]
    broken = [(promise, found[promise] or 0) for promise in promised]
    return [
        Breach(promise.column, promise.reason, count, total, promise.most == 0)
        for promise, count in broken
        if count > promise.may_break(total)
    ]


def _nulls(column: str, files: Sequence[DataFile]) -> int | None:
    """How many nulls the files say a column has, or None where one does not say."""
    counts = [file.stats.get(column, {}).get("null_count") for file in files]
    return None if None in counts else sum(int(count) for count in counts if count is not None)


def _all_differ(promise: Promise, rows: Relation, engine: Engine) -> bool:
    """Whether the hashes of the keys all differ, and so the keys; a third of the time that grouping them takes."""
    import numpy as np

    hashes = sql(f"SELECT hash({identifiers(promise.repeats)}) AS key FROM", ROWS, f"WHERE NOT ({promise.broken})")
    found = ArrowTable.from_arrow(engine.query(hashes, {ROWS: rows}))
    if not found.num_rows:
        return True
    ordered = np.sort(found.column("key").to_numpy())
    return not bool((ordered[1:] == ordered[:-1]).any())


def _count_repeated(promise: Promise) -> str:
    whole, keys = f"NOT ({promise.broken})", identifiers(promise.repeats)
    groups = sql("SELECT count(*) - 1 AS more FROM", ROWS, "WHERE", whole, "GROUP BY", keys)
    return sql("SELECT coalesce(sum(more), 0) FROM (", groups, ")")


def _first_row(select: str, rows: Relation, engine: Engine) -> list[int]:
    table = ArrowTable.from_arrow(engine.query(select, {ROWS: rows}))
    return [int(column.to_pylist()[0]) for column in table.columns]
