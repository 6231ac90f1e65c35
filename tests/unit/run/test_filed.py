import csv
import json

import pytest
from arro3.core import Array, DataType, Table

from lichen.errors import FoundWrong, SystemFailed
from lichen.run.filed import Rejected, write, write_rejected
from lichen.run.workshop import Workshop
from lichen.spec import ProjectFile


def tables():
    for start in (0, 3):
        numbers = Array([start, None, start + 2], type=DataType.int64())
        flags = Array([True, False, None], type=DataType.bool())
        texts = Array(["a,b", "é", None], type=DataType.utf8())
        instants = Array([0, None, 1_500_000], type=DataType.int64()).cast(DataType.timestamp("us", tz="UTC"))
        yield Table.from_arrays([numbers, flags, texts, instants], names=["n", "flag", "text", "at"])


@pytest.fixture
def workshop(tmp_path):
    with Workshop(tmp_path, ProjectFile(name="small")) as made:
        yield made


def test_csv(tmp_path, workshop):
    out = tmp_path / "out.csv"
    write(out, tables(), workshop)
    with open(out, newline="", encoding="utf-8") as text:
        rows = list(csv.reader(text))
    assert rows[:4] == [
        ["n", "flag", "text", "at"],
        ["0", "true", "a,b", "1970-01-01T00:00:00+00:00"],
        ["", "false", "é", ""],
        ["2", "", "", "1970-01-01T00:00:01.500000+00:00"],
    ]
    assert len(rows) == 7


def test_json_lines(tmp_path, workshop):
    out = tmp_path / "out.jsonl"
    write(out, tables(), workshop)
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert rows[1] == {"n": None, "flag": False, "text": "é", "at": None}
    assert len(rows) == 6


def test_parquet(tmp_path, workshop):
    out = tmp_path / "out.parquet"
    write(out, tables(), workshop)
    assert [column.name for column in workshop.engine.file_columns(str(out))] == ["n", "flag", "text", "at"]
    with pytest.raises(FoundWrong) as wrong:
        write(out, iter(()), workshop)
    assert (wrong.value.code, wrong.value.what) == ("LCH-1885", "there is no answer to write")
    assert out.exists(), "what stood there before stays"


def test_a_place_that_cannot_be_written(tmp_path, workshop):
    with pytest.raises(SystemFailed) as failed:
        write(tmp_path / "none" / "out.csv", tables(), workshop)
    assert failed.value.code == "LCH-3002"


def test_what_breaks_off_leaves_no_file(tmp_path, workshop):
    def breaking():
        yield next(tables())
        raise ZeroDivisionError

    for name in ("out.csv", "out.parquet"):
        with pytest.raises(Exception):  # noqa: B017 - whatever it comes out as
            write(tmp_path / name, breaking(), workshop)
        assert not list(tmp_path.glob("*out.*"))


def test_rejected_rows_as_csv(tmp_path):
    write_rejected(
        tmp_path / "r.csv", [Rejected(3, "cents", "LCH-1803", "`cents` is 'many'"), Rejected(4, None, "X", "y")]
    )
    with open(tmp_path / "r.csv", newline="", encoding="utf-8") as text:
        assert list(csv.reader(text)) == [
            ["row", "field", "code", "reason"],
            ["3", "cents", "LCH-1803", "`cents` is 'many'"],
            ["4", "", "X", "y"],
        ]
