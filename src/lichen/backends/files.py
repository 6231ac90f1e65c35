"""Files as a source: CSV, TSV, JSON lines and Parquet, on this machine, in a package or behind an fsspec URL."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from lichen.backends.casting import Notation, cast, fault, guesses
from lichen.backends.places import PACKED, Place, places, unpacked
from lichen.backends.records import LONGEST, RAW, Layout, Records
from lichen.errors import FoundWrong, LichenError, WrongUsage, did_you_mean
from lichen.ground.quoting import identifier, literal
from lichen.ports import Arrow, Column, Extract

SAMPLE = 20_480
_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
}
_REJECTS = '_file, _row, "column", reason, raw'


@dataclass(frozen=True)
class _Options:
    """A source's options, checked."""

    path: str
    format: str | None
    layout: Layout
    null: tuple[str, ...]
    encoding: str
    notation: Notation

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> _Options:
        for key in options:
            if key not in FilesConnector.options:
                raise FoundWrong(
                    "LCH-2206", f"`files` has no option `{key}`", fix=did_you_mean(key, FilesConnector.options)
                )
        if not options.get("path"):
            raise FoundWrong(
                "LCH-2206", "a `files` source needs `path`", fix="add `path:` with a file, a glob or a URL"
            )
        kind = options.get("format")
        if kind is not None and kind not in _FORMATS.values():
            raise FoundWrong("LCH-2207", f"`{kind}` is no format", fix=did_you_mean(str(kind), set(_FORMATS.values())))
        null = options.get("null", ())
        return cls(
            path=str(options["path"]),
            format=kind,
            layout=Layout(
                options.get("delimiter"), options.get("quote", '"'), options.get("header", True), options.get("skip", 0)
            ),
            null=tuple(dict.fromkeys(["", *([null] if isinstance(null, str) else map(str, null))])),
            encoding=options.get("encoding", "utf-8"),
            notation=Notation(options.get("decimal", "."), options.get("date_format"), options.get("timestamp_format")),
        )

    def format_of(self, name: str) -> str:
        if self.format is not None:
            return self.format
        suffixes = [suffix.lower() for suffix in Path(name).suffixes if suffix.lower() not in PACKED]
        found = _FORMATS.get(suffixes[-1]) if suffixes else None
        if found is None:
            raise FoundWrong(
                "LCH-2207",
                f"what `{name}` holds cannot be told from its name",
                fix="add `format:` csv, tsv, json or parquet",
            )
        return found


@dataclass
class _Source:
    """One file ready to be read: the SQL of its records, `_row` first, and the type each column comes in."""

    name: str
    sql: str
    types: Mapping[str, str]
    raw: str
    malformed: str | None = None
    sniffed: bool = True
    extra: list[str] = field(default_factory=list)


class FilesConnector:
    """Reads files."""

    options: ClassVar[Mapping[str, str]] = {
        "path": "The file: a path, a glob, `package://name/inner/path` inside an installed package, or an fsspec URL.",
        "format": "What the file holds: csv, tsv, json (one object a line) or parquet; by default what its suffix says.",
        "delimiter": "What stands between two fields; by default a comma, in tsv a tab.",
        "quote": "What stands around a field that holds a delimiter or a line end; by default a double quote.",
        "header": "Whether the first record holds the columns' names; by default true.",
        "skip": "How many lines to pass over before the header or the first record; by default 0.",
        "null": "The text, or a list of texts, that means null besides the empty one.",
        "decimal": "The mark before a number's decimals; by default a point.",
        "encoding": "What the text is written in, by Python's name for it; by default utf-8.",
        "date_format": "How dates are written, with strptime's marks; by default 2013-12-31.",
        "timestamp_format": "How instants are written, with strptime's marks; by default 2013-12-31 23:59:59.",
    }

    def token(self, options: Mapping[str, Any]) -> str:
        """The files' names, sizes and times of change; nothing in them is read."""
        return "\n".join(place.facts() for place in places(_Options.of(options).path))

    def columns(self, options: Mapping[str, Any], types: Mapping[str, str]) -> tuple[Column, ...]:
        """The columns of the first file, each with the type demanded or else found in its first records."""
        with _Reading(_Options.of(options), types) as reading:
            return reading.columns()

    def read(
        self, options: Mapping[str, Any], types: Mapping[str, str], since: tuple[str, str] | None = None
    ) -> Extract:
        """The records of all files, file by file; every record that cannot be read is among the rejects."""
        reading = _Reading(_Options.of(options), types, since)
        try:
            reading.columns()
        except BaseException:
            reading.close()
            raise
        rows = _Rows(reading)
        return Extract(rows, rows.rejects)


class _Rows:
    """The good rows as a stream, read once; `failure` keeps what broke it, for C streams carry text only."""

    def __init__(self, reading: _Reading) -> None:
        self._reading = reading
        self._finished = False
        self.failure: LichenError | None = None

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        from arro3.core import RecordBatchReader

        return RecordBatchReader.from_batches(self._reading.schema(), self._batches()).__arrow_c_stream__(
            requested_schema
        )

    def rejects(self) -> Arrow:
        """The records that could not be read; asked for after `rows` has been read to its end."""
        if not self._finished:
            raise WrongUsage("LCH-2208", "rejects were asked for before all rows were read", fix="read `rows` first")
        return self._reading.rejects()

    def _batches(self) -> Iterator[Any]:
        try:
            yield from self._reading.batches()
        except LichenError as failure:
            self.failure = failure
            raise
        self._finished = True


class _Reading:
    """One reading of a source: a DuckDB session and a scratch folder, both gone when it is closed or forgotten."""

    def __init__(self, options: _Options, types: Mapping[str, str], since: tuple[str, str] | None = None) -> None:
        import duckdb

        self._options, self._types, self._since = options, dict(types), since
        self._scratch = Path(tempfile.mkdtemp(prefix="lichen-"))
        self._clean_up = weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        self._looking = False
        self._places = places(options.path)
        self._columns: tuple[Column, ...] | None = None
        config = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
        self._duckdb = duckdb.connect(
            ":memory:",
            config={**config, "python_enable_replacements": False, "temp_directory": str(self._scratch / "spill")},
        )
        self._run("SET GLOBAL TimeZone = 'UTC'")
        self._run('CREATE TABLE rejects (_file VARCHAR, _row BIGINT, "column" VARCHAR, reason VARCHAR, raw VARCHAR)')

    def __enter__(self) -> _Reading:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._duckdb.close()
        self._clean_up()

    def _run(self, statement: str) -> list[tuple[Any, ...]]:
        # A cursor each: a connection serves one unfinished result at a time, and the rows' stream is one.
        answer: list[tuple[Any, ...]] = self._duckdb.cursor().execute(statement).fetchall()
        return answer

    def columns(self) -> tuple[Column, ...]:
        if self._columns is None:
            # Columns are found in a sample of whole records; the rest of the file is not looked into.
            self._looking = True
            try:
                with self._sources(self._places[0], most=1) as sources:
                    self._columns = self._find_columns(next(iter(sources)))
            finally:
                self._looking = False
        return self._columns

    def schema(self) -> Any:
        from arro3.core import RecordBatchReader

        shown = [f"CAST(NULL AS {c.type}) AS {identifier(c.name)}" for c in self.columns()]
        empty = (
            f"SELECT {', '.join([*shown, 'CAST(NULL AS BIGINT) AS _row', 'CAST(NULL AS VARCHAR) AS _file'])} LIMIT 0"
        )
        return RecordBatchReader.from_stream(self._duckdb.cursor().sql(empty)).schema

    def rejects(self) -> Arrow:
        answer: Arrow = self._duckdb.cursor().sql(f"SELECT {_REJECTS} FROM rejects ORDER BY ALL")
        return answer

    def batches(self) -> Iterator[Any]:
        from arro3.core import RecordBatchReader

        for place in self._places:
            with self._sources(place) as sources:
                for source in sources:
                    values, faults = self._casts(source)
                    yield from RecordBatchReader.from_stream(
                        self._duckdb.cursor().sql(self._good(source, values, faults))
                    )
                    self._keep_rejects(source, values, faults)

    # ------------------------------------------------------------------------------------------ one file

    def _sources(self, place: Place, most: int | None = None) -> _Sources:
        return _Sources(self, place, most)

    def source(self, name: str, path: Path) -> _Source:
        """The file's records as SQL, after a first look at whether all of them are whole."""
        kind = self._options.format_of(name if path.suffix == "" or self._options.format else path.name)
        if kind == "parquet":
            return self._parquet(name, path)
        path = self._in_utf8(name, path)
        if kind == "json":
            return self._json(name, path)
        given = self._options.layout
        delimiter = given.delimiter or {"csv": ",", "tsv": "\t"}[kind]
        return self._csv(name, path, Layout(delimiter, given.quote, given.header, given.skip))

    def _in_utf8(self, name: str, path: Path) -> Path:
        if self._options.encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
            return path
        target = self._scratch / "unpacked" / "utf8"
        try:
            with (
                open(path, encoding=self._options.encoding, newline="") as source,
                open(target, "w", encoding="utf-8", newline="") as out,
            ):
                shutil.copyfileobj(source, out)
        except (UnicodeError, LookupError) as wrong:
            raise FoundWrong(
                "LCH-2209",
                f"`{name}` is not written in {self._options.encoding}",
                why=str(wrong),
                fix="correct `encoding`",
            ) from None
        return target

    def _csv(self, name: str, path: Path, layout: Layout) -> _Source:
        names = Records(path, layout).names()
        if not names:
            raise FoundWrong("LCH-2210", f"`{name}` has no header", fix="write one, or say `header: false`")
        if not layout.header:
            demanded = list(self._types)
            names = demanded if len(demanded) == len(names) else [f"column{at}" for at in range(len(names))]
        names = [text or f"column{at}" for at, text in enumerate(names)]
        twice = [text for text in names if names.count(text) > 1 or text in ("_row", "_file")]
        if twice:
            raise FoundWrong("LCH-2211", f"`{name}` has a second column `{twice[0]}`", fix="rename it in the header")
        scan = _read_csv(path, names, layout, self._options.null, lenient=self._looking)
        fields = ", ".join(f"coalesce({identifier(n)}, '')" for n in names)
        raw = f"concat_ws({literal(layout.delimiter)}, {fields})"
        source = _Source(
            name, f"SELECT row_number() OVER () AS _row, * FROM {scan}", dict.fromkeys(names, "VARCHAR"), raw
        )
        if not self._whole(scan, names):
            good = self._divide(source, path, layout, len(names))
            clean = Layout(layout.delimiter, layout.quote)
            source.sql = f"SELECT * FROM {_read_csv(good, ['_row', *names], clean, self._options.null, new_line=True)}"
        return source

    def _json(self, name: str, path: Path) -> _Source:
        layout = Layout(None, None)
        scan = _read_csv(path, ["line"], layout, (), lenient=self._looking)
        source = _Source(name, f"SELECT row_number() OVER () AS _row, line FROM {scan}", {}, "line")
        if not self._whole(scan, ["line"]):
            good = self._divide(source, path, layout, 1)
            source.sql = f"SELECT * FROM {_read_csv(good, ['_row', 'line'], Layout(chr(31), None), (), new_line=True)}"
        lines = f"SELECT * FROM ({source.sql}) WHERE trim(line, ' \t') <> ''"
        keys = self._run(
            "SELECT key FROM (SELECT unnest(keys) AS key, generate_subscripts(keys, 1) AS nth, _row FROM (SELECT _row,"
            " CASE WHEN json_valid(line) THEN CASE WHEN json_type(line) = 'OBJECT' THEN json_keys(line) END END AS keys"
            f" FROM ({lines} LIMIT {SAMPLE}))) GROUP BY key ORDER BY min(CAST(_row AS BIGINT)), min(nth), key"
        )
        # A key that is demanded is a column though no object of the sample has it: JSON leaves out what is null.
        names = list(dict.fromkeys([*(key for (key,) in keys), *self._types]))
        if not names:
            raise FoundWrong("LCH-2212", f"`{name}` holds no JSON object", fix="write one JSON object a line")
        shape = literal("{" + ", ".join(_json_text(n) + ': "VARCHAR"' for n in names) + "}")
        fields = ", ".join(f"struct_extract(_o, {literal(n)}) AS {identifier(n)}" for n in names)
        source.sql = (
            f"SELECT _row, line, _o IS NULL AS _malformed, {fields} FROM (SELECT *, CASE WHEN json_valid(line) THEN CASE WHEN"
            f" json_type(line) = 'OBJECT' THEN from_json(line, {shape}) END END AS _o FROM ({lines}))"
        )
        source.types, source.malformed = dict.fromkeys(names, "VARCHAR"), "_malformed"
        return source

    def _parquet(self, name: str, path: Path) -> _Source:
        import duckdb

        scan = f"read_parquet({literal(str(path))})"
        try:
            described = self._run(f"DESCRIBE FROM {scan}")
        except duckdb.Error as broken:
            raise FoundWrong(
                "LCH-2213",
                f"`{name}` is not a whole Parquet file",
                why=str(broken).split("\n")[0],
                fix="fetch or write it anew",
            ) from None
        types = {column: kind for column, kind, *_ in described}
        fields = ", ".join(f"{identifier(n)} := {identifier(n)}" for n in types)
        raw = f"CAST(to_json(struct_pack({fields})) AS VARCHAR)"
        return _Source(name, f"SELECT row_number() OVER () AS _row, * FROM {scan}", types, raw, sniffed=False)

    def _whole(self, scan: str, names: Sequence[str]) -> bool:
        """Whether DuckDB reads every record; it is asked for all columns, for it looks into no others."""
        import duckdb

        if self._looking:
            return True
        try:
            self._run(f"SELECT {', '.join(f'count({identifier(n)})' for n in names)} FROM {scan}")
        except duckdb.InvalidInputException:
            return False
        return True

    def _divide(self, source: _Source, path: Path, layout: Layout, width: int) -> Path:
        good, bad = self._scratch / "unpacked" / "good", self._scratch / "unpacked" / "bad"
        Records(path, layout).divide(width, good, bad)
        scan = _read_csv(bad, ["_row", "column", "reason", "raw"], Layout(",", chr(34)), ("",), new_line=True)
        source.extra = [
            f"SELECT {literal(source.name)}, CAST(_row AS BIGINT), \"column\", reason, coalesce(raw, '') FROM {scan}"
        ]
        return good

    # ----------------------------------------------------------------------------------- columns and casts

    def _find_columns(self, source: _Source) -> tuple[Column, ...]:
        for name in self._types:
            if name not in source.types:
                raise self._missing(source, name)
        found = {n: kind for n, kind in source.types.items() if n not in self._types and kind != "VARCHAR"}
        texts = [n for n, kind in source.types.items() if n not in self._types and kind == "VARCHAR"]
        if source.sniffed and texts:
            found |= self._guess(source, texts)
        return tuple(Column(n, self._types.get(n) or found.get(n, "VARCHAR")) for n in source.types)

    def _guess(self, source: _Source, names: Sequence[str]) -> dict[str, str]:
        asked, labels = [], []
        for name in names:
            for kind, fits in guesses(identifier(name), self._options.notation).items():
                asked.append(f"count({identifier(name)}) > 0 AND coalesce(bool_and({fits}), true)")
                labels.append((name, kind))
        (answers,) = self._run(f"SELECT {', '.join(asked)} FROM ({source.sql} LIMIT {SAMPLE})")
        found: dict[str, str] = {}
        for (name, kind), fits in zip(labels, answers, strict=True):
            if fits:
                found.setdefault(name, kind)
        return found

    def _missing(self, source: _Source, name: str) -> FoundWrong:
        return FoundWrong(
            "LCH-2201", f"`{source.name}` has no column `{name}`",
            why=f"its columns are {', '.join(source.types)}", fix=did_you_mean(name, source.types),
        )  # fmt: skip

    def _casts(self, source: _Source) -> tuple[dict[str, str], dict[str, str]]:
        values, faults = {}, {}
        for at, column in enumerate(self.columns()):
            if column.name not in source.types:
                raise self._missing(source, column.name)
            text, kind = identifier(column.name), source.types[column.name]
            values[column.name] = cast(text, kind, column.type, self._options.notation)
            wrong = fault(text, f"_v{at}", kind, column.type, self._options.notation)
            if wrong is not None:
                faults[column.name] = wrong
        return values, faults

    def _cast_records(self, source: _Source, values: Mapping[str, str]) -> str:
        cells = "".join(f", {value} AS _v{at}" for at, value in enumerate(values.values()))
        return f"SELECT *{cells} FROM ({source.sql})"

    def _bad(self, source: _Source, faults: Mapping[str, str]) -> str | None:
        """True of a record with a fault: a sum, for DuckDB computes a long OR by halves and takes half as long again."""
        terms = [f"CAST({wrong} AS TINYINT)" for wrong in faults.values()]
        if source.malformed:
            terms.append(f"CAST({source.malformed} AS TINYINT)")
        return f"({' + '.join(terms)}) > 0" if terms else None

    def _good(self, source: _Source, values: Mapping[str, str], faults: Mapping[str, str]) -> str:
        shown = ", ".join(f"_v{at} AS {identifier(name)}" for at, name in enumerate(values))
        bad, kept = self._bad(source, faults), []
        if bad:
            kept.append(f"NOT {bad}")
        if self._since is not None:
            column, value = self._since
            at = list(values).index(column)
            kept.append(f"(_v{at} IS NULL OR _v{at} >= CAST({literal(value)} AS {self.columns()[at].type}))")
        where = f" WHERE {' AND '.join(kept)}" if kept else ""
        return (
            f"SELECT {shown}, CAST(_row AS BIGINT) AS _row, {literal(source.name)} AS _file"
            f" FROM ({self._cast_records(source, values)}){where}"
        )

    def _keep_rejects(self, source: _Source, values: Mapping[str, str], faults: Mapping[str, str]) -> None:
        for rows in source.extra:
            self._run(f"INSERT INTO rejects {rows}")
        bad = self._bad(source, faults)
        if bad is None:
            return
        types = {column.name: column.type for column in self.columns()}
        where = [f"CASE WHEN {wrong} THEN {literal(name)} END" for name, wrong in faults.items()] or ["NULL"]
        why = [
            f"CASE WHEN {wrong} THEN {literal(name + ': `')} || CAST({identifier(name)} AS VARCHAR) || {literal('` is not ' + types[name])} END"
            for name, wrong in faults.items()
        ]
        if source.malformed:
            why = [f"CASE WHEN {source.malformed} THEN 'the line is not a JSON object' END", *why]
        self._run(
            f"INSERT INTO rejects SELECT {literal(source.name)}, CAST(_row AS BIGINT), nullif(concat_ws(', ', {', '.join(where)}), ''),"
            f" left(concat_ws('; ', {', '.join(why)}), {RAW}), left({source.raw}, {RAW})"
            f" FROM ({self._cast_records(source, values)}) WHERE {bad}"
        )


class _Sources:
    """A place's files, ready to be read one after another; what was unpacked is removed at the end."""

    def __init__(self, reading: _Reading, place: Place, most: int | None) -> None:
        self._reading, self._most = reading, most
        self._unpacked = unpacked(place, reading._scratch)

    def __enter__(self) -> Iterator[_Source]:
        members = self._unpacked.__enter__()[: self._most]
        return (self._reading.source(name, path) for name, path in members)

    def __exit__(self, *failure: Any) -> None:
        self._unpacked.__exit__(*failure)


def _read_csv(
    path: Path,
    names: Sequence[str],
    layout: Layout,
    null: Sequence[str],
    *,
    lenient: bool = False,
    new_line: bool = False,
) -> str:
    """A scan in which every column is text and a malformed record is an error, or passed over by a lenient one."""
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    quote = literal(layout.quote or "")
    # Left to itself DuckDB takes a carriage return inside a field for the file's line end; our own files have one kind.
    ends = f", new_line = {literal(chr(92) + 'n')}" if new_line else ""
    nulls = (
        f"nullstr = [{', '.join(map(literal, null))}]"
        if null
        else f"force_not_null = [{', '.join(map(literal, names))}]"
    )
    return (
        f"read_csv({literal(str(path))}, columns = {{{columns}}}, auto_detect = false, header = {literal(layout.header)},"
        f" delim = {literal(layout.delimiter or '')}, quote = {quote}, escape = {quote}, skip = {layout.skip}, {nulls},"
        f" max_line_size = {LONGEST}, ignore_errors = {literal(lenient)}{ends})"
    )


def _json_text(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
