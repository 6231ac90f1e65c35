"""The default engine: DuckDB in this process, a sealed session for each call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lichen.backends.duckdb_errors import may_be_damage, translated
from lichen.backends.duckdb_inputs import Broken, Shapes, register
from lichen.backends.duckdb_session import connect, stoppable
from lichen.errors import FoundWrong, SystemFailed
from lichen.ground.files import altered, digest, system_failures
from lichen.ground.quoting import literal, sql
from lichen.ground.stream import Stream
from lichen.ground.types import lake_columns, storable, streamable
from lichen.ports import Arrow, Column, DataFile, Relation

if TYPE_CHECKING:
    import duckdb

_KEPT_STATS = ("null_count", "min", "max")


class DuckDBEngine:
    """Runs SQL with DuckDB, inside this process.

    `memory` is a limit such as `4GB` and `threads` a number of threads (both DuckDB's own defaults otherwise);
    `scratch` is the folder where what does not fit in memory is spilled, `lake` the one that holds the tables.

    A session reads the files of its relations and those of the lake, and nothing else: no other file, no network, no
    extension that would have to be downloaded, no variable of the calling Python code.
    """

    def __init__(
        self, *, memory: str | None = None, threads: int | None = None, scratch: Path, lake: Path | None = None
    ) -> None:
        limits = {"memory_limit": memory, "threads": threads}
        self._limits: dict[str, Any] = {name: limit for name, limit in limits.items() if limit is not None}
        self._scratch, self._lake = scratch, lake
        self.version = f"duckdb {version('duckdb')}"

    def describe(self, select: str, inputs: Mapping[str, Relation]) -> tuple[Column, ...]:
        """The columns that `sql` would write for a statement; nothing is read but metadata."""
        known = all(given.arrow is None for given in inputs.values())
        with (self._shaped if known else self._session)(inputs, select) as session:
            columns = _columns(session, _parsed(session, select))
        return tuple(Column(name, kind) for name, kind in lake_columns(columns))

    def query(self, select: str, inputs: Mapping[str, Relation]) -> Arrow:
        """The statement's rows, as a stream that is computed while it is read."""
        session, broken, names = self._open(inputs), Broken(), tuple(inputs)
        look = partial(self._damage, _files(inputs))
        try:
            with translated(names, select, None, broken, look):
                register(session, inputs, broken)
                statement, schema = _streamed(session, _one_select(session, select))
        except BaseException:
            session.close()
            raise
        return Stream(schema, lambda: _batches(session, statement, names, broken, look))

    def sql(self, select: str, inputs: Mapping[str, Relation], into: Path) -> tuple[DataFile, ...]:
        """Write the statement's rows as one Parquet file in the folder `into`, in the statement's order."""
        target = _new_part(into)
        with self._session(inputs, select, target) as session:
            statement = _one_select(session, select)
            return _write(session, storable(statement, _columns(session, statement)), target)

    def map_partitions(
        self, function: Callable[[Arrow], Arrow], inputs: Sequence[Relation], into: Path
    ) -> tuple[DataFile, ...]:
        """Apply a function to each relation on its own and write what it returns, as `sql` does."""
        written: list[DataFile] = []
        for relation in inputs:
            rows = function(self.query("FROM partition", {"partition": relation}))
            written += self.sql("FROM result", {"result": Relation(arrow=rows)}, into)
        return tuple(written)

    def file_columns(self, path: str) -> tuple[Column, ...]:
        """The columns of one Parquet file as it is, for the comparison with its table's."""
        with self._session({}, "", reads=(path,)) as session:
            return tuple(Column(*column) for column in _columns(session, f"FROM read_parquet({literal(path)})"))

    @contextmanager
    def _session(
        self, inputs: Mapping[str, Relation], select: str, target: Path | None = None, reads: tuple[str, ...] = ()
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        session, broken = self._open(inputs, target, reads), Broken()
        try:
            with translated(tuple(inputs), select, target, broken, partial(self._damage, _files(inputs))):
                register(session, inputs, broken)
                yield session
        finally:
            session.close()

    @contextmanager
    def _shaped(self, inputs: Mapping[str, Relation], select: str) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._shapes as shapes, translated(tuple(inputs), select):
            yield shapes.showing(select, inputs)

    def _open(
        self, inputs: Mapping[str, Relation], target: Path | None = None, reads: tuple[str, ...] = ()
    ) -> duckdb.DuckDBPyConnection:
        paths = [*reads, *_files(inputs)]
        if target is not None:
            paths.append(str(target))
        lake = self._lake
        if not paths or (lake is not None and all(Path(path).is_relative_to(lake) for path in paths)):
            return self._shared.cursor()
        return self._sealed(sql("SET allowed_paths = [", ", ".join(map(literal, paths)), "]"))

    def _damage(self, files: Sequence[str]) -> SystemFailed | None:
        """The error for the first of the lake's files among these that cannot be read to its end; None if all can."""
        import duckdb

        lake = self._lake
        mine = [Path(file) for file in files if lake is not None and Path(file).is_relative_to(lake)]
        # A database of its own: an error of DuckDB's inside may have ended the other.
        session = self._sealed(sql("SET allowed_paths = [", ", ".join(literal(str(path)) for path in mine), "]"))
        with closing(session):
            for path in filter(Path.exists, mine):
                whole = sql("SELECT max(hash(rows)) FROM", f"read_parquet({literal(str(path))})", "AS rows")
                try:
                    stoppable(session, partial(_fetched, session, whole))
                except duckdb.Error as damage:
                    if may_be_damage(str(damage)):
                        why = " ".join(str(damage).partition("\n\n")[0].split())
                        table = path.relative_to(lake or "").parts[0]
                        return altered(table, path, why, "remove it and build the table anew: lichen run")
        return None

    @cached_property
    def _shapes(self) -> Shapes:
        return Shapes(self._shared.cursor())

    @cached_property
    def _shared(self) -> duckdb.DuckDBPyConnection:
        """A database that may open the lake's files, opened once, for it takes 10 ms; a cursor has names of its own."""
        folders = [] if self._lake is None else [literal(f"{self._lake}/")]
        return self._sealed(sql("SET allowed_directories = [", ", ".join(folders), "]"))

    def _sealed(self, allowed: str) -> duckdb.DuckDBPyConnection:
        with system_failures("make the scratch folder", self._scratch):
            self._scratch.mkdir(parents=True, exist_ok=True)
        session = connect(self._scratch, **self._limits)
        session.execute(f"{allowed}; SET enable_external_access = false; SET lock_configuration = true")
        return session


def _files(inputs: Mapping[str, Relation]) -> list[str]:
    return [file for relation in inputs.values() for file in relation.files]


def _fetched(session: duckdb.DuckDBPyConnection, statement: str) -> list[Any]:
    rows: list[Any] = session.execute(statement).fetchall()
    return rows


def _streamed(session: duckdb.DuckDBPyConnection, select: str) -> tuple[str, Any]:
    """A SELECT as Arrow can carry its rows, and their schema."""
    from arro3.core import RecordBatchReader

    described = session.sql(_empty(select))
    statement = streamable(select, list(zip(described.columns, map(str, described.types), strict=True)))
    if statement != select:
        described = session.sql(_empty(statement))
    return statement, RecordBatchReader.from_stream(described).schema


def _empty(select: str) -> str:
    return sql("FROM (\n", select, "\n) LIMIT 0")


def _batches(
    session: duckdb.DuckDBPyConnection,
    statement: str,
    names: tuple[str, ...],
    broken: Broken,
    look: Callable[[], SystemFailed | None],
) -> Iterator[Any]:
    """The batches of the statement's rows, each computed when it is asked for."""
    from arro3.core import RecordBatchReader

    with translated(names, statement, None, broken, look):
        reader = stoppable(session, lambda: RecordBatchReader.from_stream(session.sql(statement)))
    while True:
        with translated(names, statement, None, broken, look):
            batch = stoppable(session, lambda: next(reader, None))
        if batch is None:
            return
        yield batch


def _one_select(session: duckdb.DuckDBPyConnection, select: str) -> str:
    """The text of the only statement, a SELECT: what is pasted into COPY or DESCRIBE can be nothing else."""
    return _text(_parsed(session, select))


def _text(statement: duckdb.Statement) -> str:
    return str(statement.query).strip().removesuffix(";")


def _parsed(session: duckdb.DuckDBPyConnection, select: str) -> duckdb.Statement:
    """The only statement, a SELECT."""
    from duckdb import StatementType

    statements = session.extract_statements(select)
    if len(statements) != 1 or statements[0].type != StatementType.SELECT:
        kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
        raise FoundWrong(
            "LCH-2302", f"one SELECT statement is wanted, not {kinds}", fix="write a single SELECT, without a semicolon"
        )
    return statements[0]


def _columns(session: duckdb.DuckDBPyConnection, statement: str | duckdb.Statement) -> list[tuple[str, str]]:
    """The names and types of what a SELECT gives."""
    from duckdb import Error

    try:
        described = session.sql(statement)
    except Error:  # it does not say where the statement is wrong: DESCRIBE, which takes longer, does
        text = statement if isinstance(statement, str) else _text(statement)
        return [(name, kind) for name, kind, *_ in session.execute(f"DESCRIBE\n{text}").fetchall()]
    return list(zip(described.columns, map(str, described.types), strict=True))


def _new_part(into: Path) -> Path:
    """A file name that is not yet taken in the folder: one folder may take the files of several calls."""
    with system_failures("list the staging folder", into):
        taken = {entry.name for entry in into.iterdir()}
    number = 0
    while f"part-{number}.parquet" in taken:
        number += 1
    return into / f"part-{number}.parquet"


def _write(session: duckdb.DuckDBPyConnection, statement: str, target: Path) -> tuple[DataFile, ...]:
    # No temporary name: the folder is staging already, and only the target itself may be written.
    copy = (
        f"COPY (\n{statement}\n) TO {literal(str(target))}"
        " (FORMAT parquet, COMPRESSION zstd, RETURN_STATS true, USE_TMP_FILE false)"
    )
    try:
        written = stoppable(session, lambda: session.sql(copy).fetchall())
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    with system_failures("write the table's file", target):
        _, rows, size, _, stats, *_ = written[0] if written else (None, 0, 0, 0, {})
        if rows == 0:
            target.unlink(missing_ok=True)
            return ()
        return (DataFile(target.name, rows, size, digest(target), _stats(stats)),)


def _stats(found: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """The statistics of plain columns; those of a nested column's parts bear a path and are left out.

    A bound that is not exact (a long text cut short) is left out too: it is no bound to skip by.
    """
    stats = {}
    for path, facts in found.items():
        if not re.fullmatch(r'"(?:[^"]|"")*"', path):
            continue
        kept = {key: facts[key] for key in _KEPT_STATS if key in facts and facts.get(f"{key}_is_exact") != "false"}
        stats[path[1:-1].replace('""', '"')] = kept
    return stats
