from __future__ import annotations

import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lichen.backends.sqlite_state import SQLiteStateStore
from lichen.errors import SystemFailed
from lichen.ground import failpoint
from lichen.ground.clock import FixedClock
from lichen.ports import Append, Conflict, Put, StateStore
from lichen.testing.state_store import StateStoreSuite


class TestSQLiteStateStore(StateStoreSuite):
    before = ("state.begin", "state.write")
    after = ("state.committed",)

    def make(self, folder: Path) -> StateStore:
        return SQLiteStateStore(folder / "state.db")

    def make_at(self, folder: Path, clock: FixedClock) -> StateStore:
        return SQLiteStateStore(folder / "state.db", clock=clock)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def _error(path: Path) -> str:
    with pytest.raises(SystemFailed) as caught:
        SQLiteStateStore(path, patience=0.05)
    return str(caught.value)


def test_only_its_owner_reads_it(path: Path) -> None:
    store = SQLiteStateStore(path)
    store.write(Append("j", {}))
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_it_makes_its_folder_and_leaves_no_litter(tmp_path: Path) -> None:
    store = SQLiteStateStore(tmp_path / "a" / "b" / "state.db")
    store.close()
    assert [file.name for file in (tmp_path / "a" / "b").iterdir()] == ["state.db"]


def test_every_commit_is_synchronised(path: Path) -> None:
    store = SQLiteStateStore(path)
    with store._file.writing("state") as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_conflicts_say_which_document(path: Path) -> None:
    store = SQLiteStateStore(path)
    store.write(Put("envs", "prod", {}))
    with pytest.raises(Conflict) as caught:
        store.write(Put("envs", "prod", {}, expect=None))
    assert str(caught.value) == "`prod` in `envs` is there already"
    with pytest.raises(Conflict) as caught:
        store.write(Put("envs", "prod", {}, expect={"n": 1}))
    assert str(caught.value) == "`prod` in `envs` is not what this write expected"


def test_reading_does_not_wait_for_a_writer_and_writing_says_who_is_in_the_way(path: Path) -> None:
    store = SQLiteStateStore(path, patience=0.05)
    store.write(Put("c", "k", {"n": 1}))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert store.get("c", "k") == {"n": 1}
    with pytest.raises(SystemFailed) as caught:
        store.write(Append("j", {}))
    assert str(caught.value) == (
        "LCH-3011: cannot write the state store: another process has held it for more than 0.05 s\n"
        f"  at {path}\n"
        "  fix: wait for that process to end, or end it, then run again"
    )
    other.execute("ROLLBACK")
    other.close()
    assert store.write(Append("j", {})) == [1]


FULL = """LCH-3001: the disk is full: cannot write the state store
  at {path}
  fix: free some space, then run again: what was written before is whole"""
BROKEN = """LCH-3002: cannot write the state store
  at {path}
  why: Input/output error
  fix: look whether the disk is mounted and healthy, then run again"""


@pytest.mark.parametrize(("action", "text"), [("enospc", FULL), ("eio", BROKEN)])
def test_a_failing_disk_fails_the_write_and_leaves_nothing(
    path: Path, action: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SQLiteStateStore(path)
    monkeypatch.setattr(failpoint, "_armed", failpoint._parse(f"state.write={action}"))
    with pytest.raises(SystemFailed) as caught:
        store.write(Append("j", {"n": 1}))
    assert str(caught.value) == text.format(path=path)
    assert store.entries("j") == []
    assert store.write(Append("j", {"n": 2})) == [1]


def test_a_full_database_is_a_full_disk(path: Path) -> None:
    store = SQLiteStateStore(path)
    with store._file.writing("state") as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SystemFailed, match="LCH-3001: the disk is full: cannot write the state store"):
        store.write(Put("c", "k", {"v": "x" * 100_000}))
    assert store.get("c", "k") is None


def test_an_empty_file_is_damage_and_not_a_new_store(path: Path) -> None:
    path.touch()
    assert _error(path) == (
        f"LCH-3012: the state store is damaged\n  at {path}\n  why: the file is empty\n"
        "  fix: move the file away and restore it from a backup"
    )


def test_a_log_without_its_file_is_damage(path: Path) -> None:
    path.with_name("state.db-wal").touch()
    assert _error(path) == (
        f"LCH-3012: the state store is damaged\n  at {path}\n"
        "  why: the file is missing, while its log state.db-wal is there\n"
        "  fix: move the file away and restore it from a backup"
    )


def test_what_is_no_database_is_damage(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 100)
    assert _error(path) == (
        f"LCH-3012: the state store is damaged\n  at {path}\n  why: file is not a database\n"
        "  fix: move the file away and restore it from a backup"
    )


def test_a_torn_file_is_damage_wherever_it_is_met(path: Path) -> None:
    store = SQLiteStateStore(path)
    store.write(*(Put("c", f"{n}", {"v": "x" * 1000}) for n in range(100)))
    store.close()
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\xff" * (len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(SystemFailed, match="LCH-3012: the state store is damaged"):
        list(SQLiteStateStore(path).scan("c"))


def test_a_newer_format_is_refused(path: Path) -> None:
    SQLiteStateStore(path).close()
    with sqlite3.connect(path) as other:
        other.execute("UPDATE lichen SET format = 9")
    other.close()
    assert _error(path) == (
        f"LCH-3014: the state store was written by a newer Lichen\n  at {path}\n"
        "  why: its format is 9, this Lichen knows up to 1\n  fix: pip install --upgrade lichen"
    )


def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    assert _error(path) == (
        f"LCH-3013: this file is not the state store but another program's database\n  at {path}\n"
        "  fix: name another file for the state store"
    )
    assert path.read_bytes() == before


def test_the_online_store_is_not_the_state_store(path: Path) -> None:
    SQLiteStateStore(path).close()
    with sqlite3.connect(path) as other:
        other.execute("UPDATE lichen SET kind = 'online store'")
    other.close()
    assert "LCH-3013: this file is not the state store but the online store" in _error(path)


def test_a_folder_in_the_way_is_unreadable(path: Path) -> None:
    path.mkdir()
    assert _error(path) == (
        f"LCH-3002: cannot open the state store\n  at {path}\n  why: unable to open database file\n"
        "  fix: look whether the disk is mounted and healthy, then run again"
    )


def test_a_file_in_the_place_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "state.db"
    assert _error(path).startswith(f"LCH-3002: cannot open the state store\n  at {path}\n  why: ")


def test_a_closed_store_says_so(path: Path) -> None:
    store = SQLiteStateStore(path)
    store.close()
    with pytest.raises(sqlite3.ProgrammingError, match="Cannot operate on a closed database"):
        store.get("c", "k")


def test_a_lease_goes_by_the_clock_it_was_given(path: Path) -> None:
    clock = FixedClock(datetime(2013, 12, 1, tzinfo=UTC))
    SQLiteStateStore(path, clock=clock).lease("r", "me", 60)
    assert SQLiteStateStore(path).lease("r", "you", 60) is None
