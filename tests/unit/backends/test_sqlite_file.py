from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from read_only import ReadOnly

from lichen.backends.sqlite_file import SqliteFile
from lichen.errors import SystemFailed


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteFile]:
    file = SqliteFile(tmp_path / "x.db", kind="thing", format_=1, tables="CREATE TABLE t (n);", patience=0.05)
    yield file
    file.close()


def _count(file: SqliteFile) -> int:
    with file.reading() as connection:
        count: int = connection.execute("SELECT count(*) FROM t").fetchone()[0]
    return count


def _write_two_of_which_one_is_wrong(file: SqliteFile) -> None:
    with file.writing("x") as connection:
        connection.execute("INSERT INTO t VALUES (2)")
        connection.execute("INSERT INTO lichen VALUES (NULL, NULL)")


def test_a_transaction_is_whole_or_absent(file: SqliteFile) -> None:
    with file.writing("x") as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        assert _count(file) == 0
    assert _count(file) == 1
    with pytest.raises(sqlite3.IntegrityError):
        _write_two_of_which_one_is_wrong(file)
    assert _count(file) == 1


def test_what_is_read_by_cannot_write(file: SqliteFile) -> None:
    with pytest.raises(SystemFailed) as caught, file.reading() as connection:
        connection.execute("INSERT INTO t VALUES (1)")
    assert str(caught.value) == (
        f"LCH-3002: cannot read the thing\n  at {file.path}\n  why: attempt to write a readonly database\n"
        "  fix: give the user who runs lichen the right to read and write there, then run again"
    )


def test_a_row_for_each_of_many_parameters(file: SqliteFile) -> None:
    with file.writing("x") as connection:
        connection.execute("INSERT INTO t VALUES (1), (2)")
    assert file.rows("SELECT n FROM t WHERE n = ?", [(2,), (3,), (1,)]) == [(2,), None, (1,)]


COUNT = """
import sys
from pathlib import Path
from lichen.backends.sqlite_file import SqliteFile
file = SqliteFile(Path("x.db").absolute(), kind="thing", format_=1, tables="", patience=1)
print(len(file.rows("SELECT n FROM t WHERE n = ?", [(1,)])), file.rows("SELECT count(*) FROM t WHERE n < ?", [(9,)]))
with file.writing("x") as connection:
    connection.execute("INSERT INTO t VALUES (3)")
"""


@pytest.mark.parametrize("logged", [False, True], ids=["whole", "partly in its log"])
def test_a_database_that_nobody_can_write_is_read(
    file: SqliteFile, tmp_path: Path, read_only: ReadOnly, logged: bool
) -> None:
    with file.writing("x") as connection:
        connection.execute("INSERT INTO t VALUES (1), (2)")
    log = tmp_path / "x.db-wal"
    left = log.read_bytes()
    assert left
    if logged:
        shutil.copyfile(tmp_path / "x.db", tmp_path / "before")
    file.close()
    if logged:
        (tmp_path / "before").replace(tmp_path / "x.db")
        log.write_bytes(left)
    there = sorted(path.name for path in tmp_path.iterdir())
    ended = read_only(tmp_path, "-c", COUNT)
    assert ended.stdout == "1 [(2,)]\n", ended.stderr
    assert "LCH-3002: cannot write the thing" in ended.stderr
    assert "fix: give the user who runs lichen the right to read and write there" in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == there


def test_wrong_sql_is_not_taken_for_a_failing_system(file: SqliteFile) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table: nowhere"):
        file.rows("SELECT * FROM nowhere WHERE ? = 1", [(1,)])


def test_another_writer_in_the_way(file: SqliteFile) -> None:
    with sqlite3.connect(file.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SystemFailed, match="LCH-3011: cannot write the thing: another process has held it"):
            file.writing("x").__enter__()
        other.execute("ROLLBACK")
    other.close()


def test_what_is_closed_stays_closed(file: SqliteFile) -> None:
    file.close()
    with pytest.raises(sqlite3.ProgrammingError):
        _count(file)
    with pytest.raises(sqlite3.ProgrammingError):
        file.writing("x").__enter__()


def test_a_reader_that_holds_the_database_alone_waits_for_the_others(file: SqliteFile) -> None:
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        file._lone_reader()
    file.close()
    again = SqliteFile(file.path, kind="thing", format_=1, tables="", patience=0.1)
    again.close()
    again._closed = False
    with closing(again._lone_reader()) as alone:
        assert alone.execute("PRAGMA locking_mode").fetchone() == ("exclusive",)
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            again._lone_reader()
