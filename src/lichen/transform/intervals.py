"""A table in intervals of time: which intervals changed rows reach, and how a few of them take the place of others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from arro3.core import Table as ArrowTable

from lichen.errors import FoundWrong, LichenError, did_you_mean
from lichen.graph.build import Asset
from lichen.graph.reach import Mixed, reach
from lichen.ground.failpoint import fp
from lichen.ground.interval import DAY, Grid, Spans
from lichen.ground.quoting import identifier, identifiers, sql
from lichen.ports import Column, DataFile, Engine, Relation
from lichen.spec import Intervals, ProjectSpec, Table

TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
"""The types of a column that may say which interval a row is in."""

ROWS, OLD, NEW = "rows", "old_rows", "new_rows"


@dataclass(frozen=True)
class Cut:
    """How a table is cut: by which column, into which intervals, and what `by` is for a row of each input.

    `reach` has, for each relation that is read, SQL over a row of it for `by` of whatever is made of that row; None
    where a row of it may matter to any interval.
    """

    by: str
    grid: Grid
    lateness: timedelta
    reach: Mapping[str, tuple[str, ...] | None]

    def within(self, spans: Spans) -> str:
        """SQL that is true of the table's rows in these intervals."""
        return self.grid.within_sql(identifier(self.by), spans)

    def closed(self, number: int | None, newest: int | None) -> bool:
        """Whether an interval has ended before the newest one begins, by more than the lateness."""
        if number is None or newest is None:
            return False
        return (newest - number - 1) * self.grid.every >= self.lateness


def cut(
    asset: Asset,
    columns: Sequence[Column],
    inputs: Mapping[str, tuple[Column, ...]],
    engine: Engine,
    project: ProjectSpec,
) -> Cut | None:
    """How a table is cut into intervals; None where it is not.

    Refuses a column that says no time, and a statement whose rows of one interval are made of another's.
    """
    table = asset.spec
    if not isinstance(table, Table) or table.intervals is None:
        return None
    assert asset.statement is not None
    meant = table.intervals
    kind = _kind(asset, meant, columns, project)
    names = {name: [column.name for column in given] for name, given in inputs.items()}
    try:
        reached = reach(asset.statement.tree, meant.by, names)
        _check_values(reached, inputs, engine)
    except Mixed as mixed:
        file, place = project.files[asset.id], project.where(asset.id, "intervals", "by")
        if mixed.node is not None and any("start" in part.meta for part in mixed.node.walk()):
            line, column = asset.statement.position(mixed.node)
            place = file.line(file.sql_line + line - 1, column)
        raise FoundWrong(
            "LCH-2243",
            f"`{asset.name}` cannot be built in intervals of `{meant.by}`: {mixed.why}",
            where=place,
            why="a row of one interval may depend on rows of others, so that building a few of them is not enough",
            fix=f"make `{meant.by}` a column of the relation that drives the statement, and group and partition by "
            "it; or take `intervals:` away",
        ) from mixed
    return Cut(meant.by, Grid(meant.every, kind), meant.lateness or timedelta(0), reached)


def _kind(asset: Asset, meant: Intervals, columns: Sequence[Column], project: ProjectSpec) -> str:
    types = {column.name: column.type for column in columns}
    if meant.by not in types:
        raise FoundWrong(
            "LCH-2241",
            f"the intervals go by a column `{meant.by}` that the table does not have",
            where=project.where(asset.id, "intervals", "by"),
            fix=did_you_mean(meant.by, types),
        )
    kind = types[meant.by]
    if kind not in TIMES:
        raise FoundWrong(
            "LCH-2242",
            f"the intervals go by `{meant.by}`, which is {kind}, and not a time",
            where=project.where(asset.id, "intervals", "by"),
            fix=f"name a column of one of these types: {', '.join(TIMES)}",
        )
    if kind == "DATE" and meant.every % DAY:
        raise FoundWrong(
            "LCH-2244",
            f"`{meant.by}` is a day, and intervals of it cannot be shorter, or end within one",
            where=project.where(asset.id, "intervals", "every"),
            fix="write whole days, as in `every: 1d`",
        )
    return kind


def _check_values(
    reached: Mapping[str, tuple[str, ...] | None], inputs: Mapping[str, tuple[Column, ...]], engine: Engine
) -> None:
    """Let the engine refuse what is not computed of one row of its relation, whatever the statement's tree says."""
    for name, values in reached.items():
        for value in values or ():
            try:
                engine.describe(sql("SELECT *, TRY(", value, ") AS moment FROM", ROWS), {ROWS: Relation(inputs[name])})
            except LichenError as error:
                raise Mixed(f"what it is made of cannot be computed of one row of `{name}`: {error.what}") from error


def differing(
    grid: Grid,
    values: Collection[str],
    old: Relation,
    new: Relation,
    engine: Engine,
    inside: str = "true",
) -> dict[int | None, int]:
    """The intervals in which two relations of the same columns hold other rows, each with how many.

    A row is in the intervals that `values` say, SQL over its columns; None is the interval of those without one. Rows
    are bags and compared by their hash. A changed row counts once. `inside` chooses the rows to compare.
    """
    names = identifiers(column.name for column in new.columns)
    each = [
        sql(
            "SELECT",
            grid.number_sql("moment"),
            "AS number, row,",
            sign,
            "AS came FROM (SELECT CAST(TRY(",
            value,
            f") AS {grid.kind}) AS moment, hash({names}) AS row FROM",
            name,
            "WHERE",
            inside,
            ")",
        )
        for value in values
        for name, sign in ((NEW, "1"), (OLD, "-1"))
    ]
    bags = sql(
        "SELECT number, row, sum(came) AS more FROM (", " UNION ALL ".join(each), ") GROUP BY ALL HAVING more <> 0"
    )
    came, went = (f"coalesce(sum(abs(more)) FILTER (more {sign} 0), 0)" for sign in "><")
    select = sql(
        "SELECT number, CAST(greatest(", came, ",", went, ") AS BIGINT) AS rows FROM (", bags, ") GROUP BY ALL"
    )
    table = ArrowTable.from_arrow(engine.query(select, {OLD: old, NEW: new}))
    return dict(zip(table.column("number").to_pylist(), table.column("rows").to_pylist(), strict=True))


def held(by: Cut, rows: Relation, engine: Engine) -> Spans:
    """The intervals from the first to the last that these rows are in."""
    number = by.grid.number_sql(identifier(by.by))
    select = sql(
        "SELECT min(n) AS first, max(n) AS last, count(*) - count(n) AS rest FROM (SELECT", number, "AS n FROM"
    )
    table = ArrowTable.from_arrow(engine.query(sql(select, ROWS, ")"), {ROWS: rows}))
    first, last, rest = (table.column(name).to_pylist()[0] for name in ("first", "last", "rest"))
    return Spans(() if first is None else ((first, last),), bool(rest))


def count_within(condition: str, rows: Relation, engine: Engine) -> int:
    """Of how many rows a condition is true."""
    select = sql("SELECT count(*) AS rows FROM", ROWS, "WHERE", condition)
    return int(ArrowTable.from_arrow(engine.query(select, {ROWS: rows})).column("rows").to_pylist()[0])


def repeated_elsewhere(
    by: Cut, keys: Sequence[Sequence[str]], spans: Spans, old: Relation, new: Relation, engine: Engine
) -> bool:
    """Whether a row of these intervals has a key that a row of another has, too."""
    for key in keys:
        same = " AND ".join(f"n.{identifier(name)} = o.{identifier(name)}" for name in key)
        there = sql("(SELECT", identifiers(key), "FROM", OLD, "WHERE (", by.within(spans), ") IS NOT TRUE) AS o")
        select = sql("SELECT count(*) AS rows FROM", NEW, "AS n SEMI JOIN", there, "ON", same)
        found = ArrowTable.from_arrow(engine.query(select, {OLD: old, NEW: new}))
        if found.column("rows").to_pylist()[0]:
            return True
    return False


def rest_of(by: Cut, piece: Spans, file: Relation, engine: Engine, into: Path) -> tuple[DataFile, ...]:
    """Write the rows of a file that are in these intervals to a file of their own."""
    names = identifiers(column.name for column in file.columns)
    written = engine.sql(sql("SELECT", names, "FROM", ROWS, "WHERE", by.within(piece)), {ROWS: file}, into)
    fp("transform.interval_written")
    return written
