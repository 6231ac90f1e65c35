"""One reading of a source's files: its columns, its good rows as batches, and its rejects."""

from __future__ import annotations

import io
import shutil
import tempfile
import weakref
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lichen.backends.casting import Casts, guesses
from lichen.backends.duckdb_errors import kind_of, translated
from lichen.backends.duckdb_session import connect, stoppable
from lichen.backends.files_formats import Source, csv_source, json_source, parquet_source
from lichen.backends.files_options import Options
from lichen.backends.places import PACKED, Place, places, unpacked
from lichen.backends.records import RAW
from lichen.errors import FoundWrong, LichenError, SystemFailed, WrongUsage, did_you_mean
from lichen.ground.files import system_failures
from lichen.ground.quoting import identifier, identifiers, literal, sql
from lichen.ground.stream import Stream
from lichen.ports import Arrow, Column, Since

if TYPE_CHECKING:
    import duckdb

FIRST_BYTES = 8 << 20
"""How much of a packed or remote file is looked into for its columns."""

_FIRST_LOOK = 500
_BESIDES = (Column("_row", "BIGINT"), Column("_file", "VARCHAR"))
_REJECT = tuple(Column(n, "BIGINT" if n == "_row" else "VARCHAR") for n in ("_file", "_row", "column", "reason", "raw"))


class Reading:
    """A DuckDB session and a scratch folder for one reading; both are gone when it is closed or forgotten."""

    def __init__(self, options: Options, types: Mapping[str, str], since: Since | None = None) -> None:
        self._options, self._types, self._since = options, dict(types), since
        self._places = [(place, place.facts()) for place in places(options.path)]
        self._scratch = Path(tempfile.mkdtemp(prefix="lichen-"))
        self._clean_up = weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        self._columns: tuple[Column, ...] | None = None
        self._finished = False
        self._cut: dict[str, int] = {}

    @cached_property
    def _duckdb(self) -> duckdb.DuckDBPyConnection:
        """The session, opened where something is looked at, for that takes 10 ms."""
        session = connect(self._scratch / "spill")
        shown = ", ".join(f"{identifier(column.name)} {column.type}" for column in _REJECT)
        session.execute(f"CREATE TABLE rejects ({shown})")
        return session

    def close(self) -> None:
        """Free the session and remove the scratch folder."""
        if "_duckdb" in self.__dict__:
            self._duckdb.close()
        self._clean_up()

    def identity(self) -> Hashable:
        """What the columns depend on: the options, the types demanded, and which files there are, as they are."""
        facts = tuple((place.path, facts) for place, facts in self._places)
        return self._options, tuple(self._types.items()), self._since and (self._since.column, self._since.key), facts

    def columns(self, known: tuple[Column, ...] | None = None) -> tuple[Column, ...]:
        """The columns of the first file, found in its first records unless they are known."""
        self._columns = self._columns or known
        if self._columns is None:
            with self._first_source() as source:
                self._columns = self._find_columns(source)
            self._demand_alike()
        return self._columns

    def _demand_alike(self) -> None:
        """Refuse a file whose columns are not the first one's before a row is read, as far as that costs little.

        A file that is packed or far away would have to be brought here whole: of it that is found when it is read.
        """
        for place, facts in self._places[1:]:
            if place.system is None and Path(place.path).suffix.lower() not in PACKED:
                with self._unchanged(place, facts), unpacked(place, self._scratch / "look") as members:
                    for name, path in members:
                        self._casts(self._source(name, path, FIRST_BYTES))

    @cached_property
    def schema(self) -> Any:
        """The Arrow schema of the good rows."""
        return self._schema_of((*self.columns(), *_BESIDES))

    def batches(self) -> Iterator[Any]:
        """The good rows of all files; the others are kept as rejects, and those before `since` by their keys."""
        if self._since is not None:
            shown = ", ".join(f"{identifier(column.name)} {column.type}" for column in self._told_apart())
            self._run(f"CREATE OR REPLACE TABLE earlier ({shown})")
        for place, facts in self._places:
            with self._unchanged(place, facts), unpacked(place, self._scratch / "unpacked") as members:
                for name, path in members:
                    yield from self._good(self._source(name, path))
        self._finished = True

    def rejects(self) -> Arrow:
        """The records that could not be read; asked for after the rows have been read to their end."""
        return self._kept(_REJECT, "rejects ORDER BY ALL")

    def cut(self) -> Mapping[str, int]:
        """How many instants of each column were cut to the microsecond; asked for as the rejects are."""
        return self._cut

    def earlier(self) -> Arrow:
        """The rows that `since` left out, by their keys and cursors; asked for as the rejects are."""
        return self._kept(self._told_apart(), "earlier")

    def _kept(self, columns: Sequence[Column], where: str) -> Arrow:
        if not self._finished:
            raise WrongUsage("LCH-2208", "rejects were asked for before all rows were read", fix="read `rows` first")
        select = sql("SELECT", identifiers(column.name for column in columns), "FROM", where)
        return Stream(self._schema_of(columns), lambda: self._stream(select))

    def _told_apart(self) -> list[Column]:
        """The columns by which rows before `since` are told: the key's, and the cursor."""
        assert self._since is not None
        types = {column.name: column.type for column in self.columns()}
        return [Column(name, types[name]) for name in dict.fromkeys([*self._since.key, self._since.column])]

    # ------------------------------------------------------------------------------------------ statements

    def _run(self, statement: str) -> list[tuple[Any, ...]]:
        # A cursor each: a connection serves one unfinished result at a time, and the rows' stream is one.
        cursor = self._duckdb.cursor()
        answer: list[tuple[Any, ...]] = stoppable(cursor, lambda: cursor.execute(statement).fetchall())
        return answer

    def _stream(self, select: str) -> Iterator[Any]:
        from arro3.core import RecordBatchReader

        cursor = self._duckdb.cursor()
        reader = stoppable(cursor, lambda: RecordBatchReader.from_stream(cursor.sql(select)))
        while (batch := stoppable(cursor, lambda: next(reader, None))) is not None:
            yield batch

    def _schema_of(self, columns: Sequence[Column]) -> Any:
        from arro3.core import RecordBatchReader

        cells = ", ".join(f"CAST(NULL AS {column.type}) AS {identifier(column.name)}" for column in columns)
        return RecordBatchReader.from_stream(self._duckdb.cursor().sql(sql("SELECT", cells, "LIMIT 0"))).schema

    # ------------------------------------------------------------------------------------------ one file

    @contextmanager
    def _unchanged(self, place: Place, facts: tuple[int | None, str]) -> Iterator[None]:
        """Refuse what was read of a file that changed meanwhile: a reading looks at it more than once."""
        try:
            with translated((), ""):
                yield
        except LichenError:
            self._demand_unchanged(place, facts)
            raise
        self._demand_unchanged(place, facts)

    def _demand_unchanged(self, place: Place, facts: tuple[int | None, str]) -> None:
        now = place.facts()
        if now != facts:
            raise SystemFailed(
                "LCH-3105",
                f"`{place.name}` changed while it was read",
                why=f"its size and time of change were {' '.join(map(str, facts))} and are {' '.join(map(str, now))}",
                fix="run again once it is written; who writes elsewhere and renames never shows half a file",
            )

    @contextmanager
    def _first_source(self) -> Iterator[Source]:
        place, facts = self._places[0]
        for most in (FIRST_BYTES, None):
            with self._unchanged(place, facts), unpacked(place, self._scratch / "first", most) as members:
                name, path = members[0]
                # What a Parquet file holds is told at its end.
                cut = most is not None and path.is_relative_to(self._scratch)
                if not cut or self._format_of(name, path) != "parquet":
                    yield self._source(name, path, most)
                    return

    def _format_of(self, name: str, path: Path) -> str:
        return self._options.format_of(name, path)

    def _source(self, name: str, path: Path, most: int | None = None) -> Source:
        kind = self._format_of(name, path)
        if kind == "parquet":
            return parquet_source(name, path, self._run)
        path = self._in_utf8(name, path, most)
        if kind == "json":
            return json_source(name, path, list(self._types), self._run)
        return csv_source(name, path, self._options.layout_of(kind), self._options, list(self._types))

    def _in_utf8(self, name: str, path: Path, most: int | None) -> Path:
        encoding = self._options.encoding
        if encoding == "utf-8":
            return path
        target = self._scratch / "utf8"
        try:
            with (
                system_failures(f"write `{name}` in UTF-8", target),
                open(path, encoding=encoding, newline="") as source,
                open(target, "w", encoding="utf-8", newline="") as out,
            ):
                shutil.copyfileobj(io.StringIO(source.read(most)) if most else source, out)
        except UnicodeError as wrong:
            raise FoundWrong(
                "LCH-2209", f"`{name}` is not written in {encoding}", why=str(wrong), fix="correct `encoding`"
            ) from None
        return target

    # ------------------------------------------------------------------------------------------ its columns

    def _find_columns(self, source: Source) -> tuple[Column, ...]:
        broken = next((name for name in source.types if "\x00" in name), None)
        if broken is not None:
            raise FoundWrong(
                "LCH-2216", f"the head of `{source.name}` holds a NUL byte, in {broken!r}",
                why="no column can be called so; the file may be damaged, or written in another encoding",
                fix="write the file anew, or say its `encoding`",
            )  # fmt: skip
        since = (self._since.column, *self._since.key) if self._since is not None else ()
        for name in (*self._types, *since):
            if name not in source.types:
                raise _missing(source, name)
        found = dict(source.types)
        if source.sniffed:
            asked = [at for at, name in enumerate(source.types) if name not in self._types]
            names = list(source.types)
            found |= {names[at]: kind for at, kind in self._guess(source, asked).items()}
        return tuple(Column(name, self._types.get(name) or found[name]) for name in source.types)

    def _guess(self, source: Source, asked: Sequence[int]) -> dict[int, str]:
        """The narrowest type that all values of each cell fit; what a first look rules out is not looked at again."""
        left = [(at, kind) for at in asked for kind in guesses(f"c{at}", self._options.notation)]
        for look in (f"LIMIT {_FIRST_LOOK}", ""):
            if not left:
                return {}
            asking = []
            for at, kind in left:
                fits = guesses(f"c{at}", self._options.notation)[kind]
                some = "" if look else f"count(c{at}) > 0 AND "
                asking.append(f"{some}coalesce(bool_and({fits}) FILTER (c{at} IS NOT NULL), true)")
            (answers,) = self._run(sql("SELECT", ", ".join(asking), "FROM (FROM (", source.sample, ")", look, ")"))
            left = [pair for pair, fits in zip(left, answers, strict=True) if fits]
        found: dict[int, str] = {}
        for at, kind in left:
            found.setdefault(at, kind)
        return found

    # ------------------------------------------------------------------------------------------ its rows

    def _casts(self, source: Source) -> Casts:
        columns, names = self.columns(), list(source.types)
        known = [column.name for column in columns]
        lacking = [name for name in known if name not in source.types]
        besides = [name for name in names if name not in known] if source.same_for_all else []
        if lacking or besides:
            told = " and ".join(
                f"{word} " + ", ".join(f"`{name}`" for name in some)
                for word, some in (("lacks", lacking), ("has besides", besides))
                if some
            )
            raise FoundWrong(
                "LCH-2214", f"`{source.name}` {told}, unlike the first file, `{self._places[0][0].name}`",
                why="the files of a source have the same columns",
                fix="make it a source of its own, or leave it out of `path`",
            )  # fmt: skip
        cells = tuple(f"c{names.index(column.name)}" for column in columns)
        types = tuple(source.types[column.name] for column in columns)
        return Casts(columns, cells, types, self._options.notation)

    def _good(self, source: Source) -> Iterator[Any]:
        (before,) = self._run("SELECT count(*) FROM rejects")
        yield from self._told_apart_from_rejects(source)
        if source.texts is not None and self._run("SELECT count(*) FROM rejects") != [before]:
            self._as_they_stand(source.name, source.texts)

    def _as_they_stand(self, name: str, texts: Callable[[Container[int]], Iterator[tuple[int, str]]]) -> None:
        """Give the rejects of a file, which were made of their cells, the text that stands there."""
        from arro3.core import Array, DataType, Table

        found = self._run(sql("SELECT _row FROM rejects WHERE _file =", literal(name)))
        rows, shown = map(list, zip(*texts({row for (row,) in found}), strict=True))
        arrays = [Array(rows, DataType.int64()), Array(shown, DataType.utf8())]
        cursor = self._duckdb.cursor()
        cursor.register("texts", Table.from_arrays(arrays, names=["number", "text"]))
        theirs = sql("FROM texts WHERE _row = number AND _file =", literal(name))
        cursor.execute(sql("UPDATE rejects SET raw = text", theirs))

    def _told_apart_from_rejects(self, source: Source) -> Iterator[Any]:
        last, cut = 0, self._casts(source).cut()
        try:
            for batch in self._stream(self._judged(source, 0)):
                last = int(batch.column(len(self.columns()))[-1].as_py())
                yield self._wanted(batch, cut)
        except Exception as malformed:
            if source.divide is None or kind_of(malformed) != "Invalid Input":
                raise
        else:
            return
        # DuckDB stops at a record it cannot read; from there on the records are told apart one by one.
        apart, rejected = source.divide(self._scratch)
        self._run(sql("INSERT INTO rejects FROM (", rejected, f") WHERE _row > {last}"))
        for batch in self._stream(self._judged(apart, last)):
            yield self._wanted(batch, cut)

    def _judged(self, source: Source, after: int) -> str:
        """The records beyond `after`: values, number, file, then whether it is a reject, its column, why, its text."""
        casts = self._casts(source)
        cast = sql("SELECT *,", casts.values(), "FROM (", source.sql, ")")
        bad = f"({source.malformed} OR {casts.faulty()}) AS _bad"
        judged = sql("SELECT *,", bad, "FROM (", cast, f") WHERE CAST(_row AS BIGINT) > {after}")
        told = [f"CASE WHEN {source.malformed} THEN 'the line is not a JSON object' END", *casts.reasons()]
        columns = f"nullif(concat_ws(', ', NULL, {', '.join(casts.wrong_columns() or ['NULL'])}), '')"
        shown = [
            *(f"v{at}" for at in range(len(casts.columns))),
            "CAST(_row AS BIGINT)",
            literal(source.name),
            "CAST(_bad AS TINYINT)",
            f"CASE WHEN _bad THEN {columns} END",
            f"CASE WHEN _bad THEN left(concat_ws('; ', {', '.join(told)}), {RAW}) END",
            f"CASE WHEN _bad THEN left({source.raw}, {RAW}) END",
            f"CAST({self._before_since()} AS TINYINT)",
            *(f"CAST({test} AS TINYINT)" for test in casts.cut().values()),
        ]
        named = ", ".join(f"{cell} AS x{at}" for at, cell in enumerate(shown))
        return sql("SELECT", named, "FROM (", judged, ")")

    def _before_since(self) -> str:
        if self._since is None:
            return "false"
        at = self._place(self._since.column)
        kind = self.columns()[at].type
        return f"NOT _bad AND coalesce(v{at} < CAST({literal(self._since.value)} AS {kind}), false)"

    def _place(self, name: str) -> int:
        return next(at for at, column in enumerate(self.columns()) if column.name == name)

    def _wanted(self, batch: Any, cut: Iterable[str]) -> Any:
        """The rows of a batch to hand on; the others are kept apart, and what is `cut` in them is counted."""
        import numpy as np
        from arro3.core import Array, RecordBatch

        width = len(self.columns()) + len(_BESIDES)
        bad, old = (batch.column(at).to_numpy() != 0 for at in (width, width + 4))
        apart = bad | old
        if apart.any():
            row = width - len(_BESIDES)
            if bad.any():
                self._keep("rejects", (row + 1, row, row + 3, row + 4, row + 5), batch, np.flatnonzero(bad))
            if old.any():
                places = tuple(self._place(column.name) for column in self._told_apart())
                self._keep("earlier", places, batch, np.flatnonzero(old))
            batch = batch.take(Array.from_numpy(np.flatnonzero(~apart)))
        for at, name in enumerate(cut, start=width + 5):
            if cells := int(np.count_nonzero(batch.column(at).to_numpy())):
                self._cut[name] = self._cut.get(name, 0) + cells
        return RecordBatch.from_arrays(batch.columns[:width], schema=self.schema)

    def _keep(self, table: str, places: Sequence[int], batch: Any, rows: Any) -> None:
        """Keep the cells at these places of these rows of a batch in a table of the session."""
        from arro3.core import Array

        cursor = self._duckdb.cursor()
        cursor.register("apart", batch.take(Array.from_numpy(rows)))
        cells = ", ".join(f"x{at}" for at in places)
        cursor.execute(sql("INSERT INTO", table, "SELECT", cells, "FROM apart"))


def _missing(source: Source, name: str) -> FoundWrong:
    return FoundWrong(
        "LCH-2201", f"`{source.name}` has no column `{name}`",
        why=f"its columns are {', '.join(source.types)}", fix=did_you_mean(name, source.types),
    )  # fmt: skip
