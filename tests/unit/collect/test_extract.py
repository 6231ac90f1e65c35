from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from arro3.core import Table

from lichen.backends.files import FilesConnector
from lichen.collect.extract import declared_types, extract, located, stored_columns
from lichen.errors import FoundWrong, LichenError
from lichen.ground.secret import Secret
from lichen.ports import Column, Since
from lichen.spec import Source


def _source(**keys):
    return Source.model_validate(keys)


@pytest.fixture
def read(engine, tables, tmp_path):
    def run(text, source, **given):
        (tmp_path / "s.csv").write_text(text)
        options = located(source, tmp_path)
        types = declared_types(source, engine, {})
        return extract("s", options, FilesConnector(), engine, tables, types=types, **given)

    return run


def test_rows_are_staged_with_their_place_and_rejects_told_apart(read, fetch):
    source = _source(path="s.csv", contract={"columns": {"n": {"type": "bigint"}}})
    got = read("n,t\n1,a\nx,b\n3,c\n4.5,d\n5,e\n", source)
    assert got.columns == (Column("n", "BIGINT"), Column("t", "VARCHAR"))
    assert fetch(got.staged.relation, "SELECT n, t, _row, parse_filename(_file) FROM r") == [
        (1, "a", 1, "s.csv"),
        (3, "c", 3, "s.csv"),
        (5, "e", 5, "s.csv"),
    ]
    assert got.rejected == 2
    assert Table.from_arrow(got.rejects).column("_row").to_pylist() == [2, 4]


def test_a_file_of_a_header_alone_gives_no_rows(read):
    got = read("n,t\n", _source(path="s.csv"))
    assert (got.staged.rows, got.rejected) == (0, 0)


def test_a_file_of_bad_rows_alone_gives_rejects_alone(read):
    got = read("n\nx\ny\n", _source(path="s.csv", contract={"columns": {"n": {"type": "double"}}}))
    assert (got.staged.rows, got.rejected) == (0, 2)


def test_only_rows_from_since_on_are_read_and_those_without_a_cursor(read, fetch):
    source = _source(path="s.csv", cursor="at", contract={"key": ["k"], "columns": {"at": {"type": "timestamptz"}}})
    text = "k,at\n1,2020-01-01 00:00:00Z\n2,2020-01-02 00:00:00Z\n3,\n4,2020-01-03 00:00:00Z\n"
    got = read(text, source, since=Since("at", "2020-01-02 00:00:00+00", ("k",)))
    assert fetch(got.staged.relation, "SELECT k FROM r") == [(2,), (3,), (4,)]


@pytest.mark.parametrize("path", ["s.csv", "/there/s.csv", "package://p/s.csv", "s3://b/s.csv"])
def test_a_relative_path_starts_at_the_project(path):
    want = "/project/s.csv" if path == "s.csv" else path
    found = located(_source(path=path), Path("/project"))["path"]
    assert (found.reveal(), str(found)) == (want, path)


def test_a_path_is_shown_as_it_is_written():
    path = Secret("d/s.csv", "${DATA}/s.csv", {"${DATA}": "d"})
    found = located(_source(path=path), Path("/project"))["path"]
    assert (found.reveal(), str(found), found.held) == ("/project/d/s.csv", "${DATA}/s.csv", {"${DATA}": "d"})


def test_a_failed_reading_leaves_no_staging(read, tables, tmp_path):
    source = _source(path="s*.csv", contract={"columns": {"n": {"type": "bigint"}}})
    (tmp_path / "s2.csv").write_text("m\n1\n")
    with pytest.raises(LichenError):
        read("n\n1\n", source)
    assert list((tmp_path / "lake" / ".staging").glob("*")) == []


def test_a_type_that_no_table_holds_is_refused_and_one_that_has_a_kin_is_read_as_that(tmp_path):
    with duckdb.connect() as session:
        session.execute(f"COPY (SELECT uuid() AS u, 1::UTINYINT AS n) TO '{tmp_path}/s.parquet'")
        session.execute(f"COPY (SELECT 1 AS n, TIME '10:00' AS t) TO '{tmp_path}/t.parquet'")
        session.execute(f"COPY (SELECT INTERVAL 1 DAY AS i) TO '{tmp_path}/i.parquet'")
    columns, types = stored_columns({"path": f"{tmp_path}/s.parquet"}, FilesConnector(), {})
    assert columns == (Column("u", "VARCHAR"), Column("n", "SMALLINT"))
    assert types == {"u": "VARCHAR", "n": "SMALLINT"}
    for name, kind in (("t", "TIME"), ("i", "INTERVAL")):
        with pytest.raises(FoundWrong) as caught:
            stored_columns({"path": f"{tmp_path}/{name}.parquet"}, FilesConnector(), {})
        assert str(caught.value) == (
            f"LCH-2310: column `{name}` has type {kind}, which a table cannot hold\n"
            "  why: the lake's other readers (Delta, Spark) have no such type\n"
            "  fix: give it another in the contract, and it is read as that: columns: {name: {type: varchar}}"
        )
        columns, _ = stored_columns({"path": f"{tmp_path}/{name}.parquet"}, FilesConnector(), {name: "VARCHAR"})
        assert Column(name, "VARCHAR") in columns
