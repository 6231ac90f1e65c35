"""One file's records as SQL: what a CSV, a JSON-lines and a Parquet file have in common for who reads them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lichen.backends.files_options import Options
from lichen.backends.records import LONGEST, Layout, Records
from lichen.errors import FoundWrong
from lichen.ground.quoting import identifier, literal, sql

SAMPLE = 20_480
BESIDES = ("_row", "_file")
Run = Callable[[str], list[tuple[Any, ...]]]
_LINES = Layout(None, None)


@dataclass(frozen=True)
class Source:
    """The records of one file: `sql` gives `_row`, the cells `c0`, `c1`, ... and what `raw` and `malformed` need.

    `types` are the columns' names with the type each comes in; `sample` gives the first records alone, without
    those that DuckDB cannot read. `divide` puts the latter apart: it gives a source without them and the SQL of the
    rejects. It is there for text, where DuckDB stops at the first such record. `texts` gives the records of these
    numbers as they stand in the file, where `raw` is only made of their cells. `sniffed`: the types are still to be
    found in the text; `same_for_all`: the columns are all the file has, and those of the first file.
    """

    name: str
    sql: str
    sample: str
    types: Mapping[str, str]
    raw: str
    malformed: str = "false"
    sniffed: bool = True
    same_for_all: bool = True
    divide: Callable[[Path], tuple[Source, str]] | None = None
    texts: Callable[[Container[int]], Iterator[tuple[int, str]]] | None = None

    def __post_init__(self) -> None:
        seen = {name.casefold() for name in BESIDES}
        for name in self.types:
            if name.casefold() in seen:
                raise FoundWrong("LCH-2211", f"`{self.name}` has a second column `{name}`", fix="rename it in the file")
            seen.add(name.casefold())


def csv_source(name: str, path: Path, layout: Layout, options: Options, types: Sequence[str]) -> Source:
    """Every cell of a CSV file is text."""
    names = Records(path, layout).names()
    if not names:
        raise FoundWrong("LCH-2210", f"`{name}` has no header", fix="write one, or say `header: false`")
    if not layout.header:
        names = list(types) if len(types) == len(names) else [f"column{at}" for at in range(len(names))]
    names = [text or f"column{at}" for at, text in enumerate(names)]
    twice = [text for at, text in enumerate(names) if text in names[:at]]
    if twice:
        raise FoundWrong("LCH-2211", f"`{name}` has a second column `{twice[0]}`", fix="rename it in the file")
    cells = [f"c{at}" for at in range(len(names))]
    fields = ", ".join(f"coalesce({cell}, '')" for cell in cells)
    raw = f"concat_ws({literal(layout.delimiter)}, {fields})"
    known = dict.fromkeys(names, "VARCHAR")

    def divide(folder: Path) -> tuple[Source, str]:
        good, bad = folder / "good", folder / "bad"
        Records(path, layout).divide(len(names), good, bad)
        clean = Layout(layout.delimiter, layout.quote)
        scan = read_csv(good, ["_row", *cells], clean, options.null, ours=True)
        return replace(source, sql=sql("SELECT * FROM", scan), divide=None), _rejected(name, bad)

    def texts(wanted: Container[int]) -> Iterator[tuple[int, str]]:
        return Records(path, layout).texts(len(names), wanted)

    sample = _first(read_csv(path, cells, layout, options.null, lenient=True))
    whole = _numbered(read_csv(path, cells, layout, options.null))
    source = Source(name, whole, sample, known, raw, divide=divide, texts=texts)
    return source


def json_source(name: str, path: Path, types: Sequence[str], run: Run) -> Source:
    """Every line is an object, and every value its text; the keys are those of the first records and those demanded."""
    sample = _first(read_csv(path, ["line"], _LINES, (), lenient=True))
    keys = run(_keys_of(sample))
    # A key that is demanded is a column though no object of the sample has it: JSON leaves out what is null.
    names = list(dict.fromkeys([*(key for (key,) in keys), *types]))
    if not names:
        raise FoundWrong("LCH-2212", f"`{name}` holds no JSON object", fix="write one JSON object a line")
    known = dict.fromkeys(names, "VARCHAR")

    def divide(folder: Path) -> tuple[Source, str]:
        good, bad = folder / "good", folder / "bad"
        Records(path, _LINES).divide(1, good, bad)
        scan = read_csv(good, ["_row", "line"], Layout(chr(31), None), (), ours=True)
        apart = _objects(_not_blank(sql("SELECT * FROM", scan)), names)
        return replace(source, sql=apart, divide=None), _rejected(name, bad)

    whole = _objects(_not_blank(_numbered(read_csv(path, ["line"], _LINES, ()))), names)
    source = Source(
        name, whole, _objects(sample, names), known, "line", "_malformed", same_for_all=False, divide=divide
    )
    return source


def parquet_source(name: str, path: Path, run: Run) -> Source:
    """The columns come in their own types."""
    import duckdb

    scan = f"read_parquet({literal(str(path))})"
    try:
        described = run(sql("DESCRIBE FROM", scan))
    except duckdb.Error as broken:
        raise FoundWrong(
            "LCH-2213",
            f"`{name}` is not a whole Parquet file",
            why=str(broken).split("\n")[0],
            fix="fetch or write it anew",
        ) from None
    types = {column: kind for column, kind, *_ in described}
    fields = ", ".join(f"{identifier(column)} := c{at}" for at, column in enumerate(types))
    cells = ", ".join(f"{identifier(column)} AS c{at}" for at, column in enumerate(types))
    numbered = sql("SELECT row_number() OVER () AS _row,", cells, "FROM", scan)
    return Source(name, numbered, numbered, types, f"CAST(to_json(struct_pack({fields})) AS VARCHAR)", sniffed=False)


def read_csv(
    path: Path, names: Sequence[str], layout: Layout, null: Sequence[str], *, lenient: bool = False, ours: bool = False
) -> str:
    """A scan in which every cell is text and a malformed record is an error, or passed over by a lenient one.

    `ours` is a file that Records wrote.
    """
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    quote = literal(layout.quote or "")
    # Left to itself DuckDB takes a carriage return in a field for the file's line end; our own files have one kind.
    ends = f", new_line = {literal(chr(92) + 'n')}" if ours else ""
    nulls = f"nullstr = [{', '.join(map(literal, null))}]"
    if not null:
        nulls = f"force_not_null = [{', '.join(map(literal, names))}]"
    return (
        f"read_csv({literal(str(path))}, columns = {{{columns}}}, auto_detect = false,"
        f" header = {literal(layout.header)}, delim = {literal(layout.delimiter or '')}, quote = {quote},"
        f" escape = {quote}, skip = {layout.skip}, {nulls}, max_line_size = {LONGEST},"
        f" ignore_errors = {literal(lenient)}{ends})"
    )


def _numbered(scan: str) -> str:
    return sql("SELECT row_number() OVER () AS _row, * FROM", scan)


def _rejected(name: str, bad: Path) -> str:
    scan = read_csv(bad, ["_row", "column", "reason", "raw"], Layout(",", '"'), ("",), ours=True)
    cells = "CAST(_row AS BIGINT) AS _row, \"column\", reason, coalesce(raw, '') AS raw"
    return sql("SELECT", literal(name), "AS _file,", cells, "FROM", scan)


def _first(scan: str) -> str:
    return sql("SELECT row_number() OVER () AS _row, * FROM", scan, f"LIMIT {SAMPLE}")


def _not_blank(lines: str) -> str:
    return sql("SELECT * FROM (", lines, ") WHERE trim(line, ' \t') <> ''")


def _keys_of(sample: str) -> str:
    is_object = "json_valid(line) THEN CASE WHEN json_type(line) = 'OBJECT' THEN json_keys(line) END"
    keys = sql("SELECT _row, CASE WHEN", is_object, "END AS keys FROM (", sample, ")")
    each = sql("SELECT unnest(keys) AS key, generate_subscripts(keys, 1) AS nth, _row FROM (", keys, ")")
    return sql("SELECT key FROM (", each, ") GROUP BY key ORDER BY min(_row), min(nth), key")


def _objects(lines: str, names: Sequence[str]) -> str:
    shape = literal("{" + ", ".join(f'{_json_text(name)}: "VARCHAR"' for name in names) + "}")
    parsed = f"json_type(line) = 'OBJECT' THEN from_json(line, {shape}) END"
    objects = sql("SELECT *, CASE WHEN json_valid(line) THEN CASE WHEN", parsed, "END AS _o FROM (", lines, ")")
    cells = ", ".join(f"struct_extract(_o, {literal(name)}) AS c{at}" for at, name in enumerate(names))
    return sql("SELECT _row, line, _o IS NULL AS _malformed,", cells, "FROM (", objects, ")")


def _json_text(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
