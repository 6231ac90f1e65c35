from __future__ import annotations

import sqlite3
import stat
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from lichen.backends import sqlite_online
from lichen.backends.sqlite_online import SQLiteOnlineStore
from lichen.errors import FoundWrong, SystemFailed
from lichen.ground import failpoint
from lichen.ports import OnlineStore
from lichen.testing.online_store import OnlineStoreSuite


class TestSQLiteOnlineStore(OnlineStoreSuite):
    before = ("online.begin@1", "online.write@3", "online.committed@2", "online.written")
    copying = ("online.committed@4", "online.write@5", "online.begin@6", "online.committed@7")
    after = ("online.flipped",)

    def make(self, folder: Path) -> OnlineStore:
        return SQLiteOnlineStore(folder / "online.db")

    def held(self, folder: Path) -> int:
        return _held(folder / "online.db", "states")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "online.db"


@pytest.fixture
def store(path: Path) -> SQLiteOnlineStore:
    return SQLiteOnlineStore(path)


def _held(path: Path, table: str) -> int:
    with sqlite3.connect(path) as connection:
        count: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    connection.close()
    return count


def test_only_its_owner_reads_it(path: Path, store: SQLiteOnlineStore) -> None:
    store.replace("v", [], "c")
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_no_more_than_two_generations_are_kept(path: Path, store: SQLiteOnlineStore) -> None:
    for n in range(5):
        store.replace("v", ((b"%d" % key, b"") for key in range(7_000)), f"{n}")
    assert _held(path, "states") == 14_000
    assert _held(path, "generations") == 2
    store.drop("v")
    assert _held(path, "states") == 0
    assert _held(path, "generations") == 0


def test_what_a_failed_replacement_left_is_removed_by_the_next(path: Path, store: SQLiteOnlineStore) -> None:
    def broken() -> Iterator[tuple[bytes, bytes]]:
        for key in range(7_000):
            yield b"%d" % key, b""
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.replace("v", broken(), "c")
    assert _held(path, "states") == 5_000
    store.replace("v", [(b"k", b"")], "c")
    assert _held(path, "states") == 1
    assert _held(path, "generations") == 1


def test_memory_does_not_grow_with_the_number_of_items(store: SQLiteOnlineStore) -> None:
    tracemalloc.start()
    store.replace("v", ((b"%d" % key, bytes(1000)) for key in range(20_000)), "c")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.5 * sqlite_online._BATCH * 1000


def test_a_generation_no_longer_kept_is_not_a_generation_of_nothing(path: Path, store: SQLiteOnlineStore) -> None:
    for n in range(3):
        store.replace("v", [(b"k", b"%d" % n)], f"{n}")
    with pytest.raises(SystemFailed) as caught:
        store.get("v", 1, [b"k"])
    assert str(caught.value) == (
        f"LCH-3021: view `v`: generation 1 is no longer kept\n  at {path}\n"
        "  fix: ask for the visible generation; run `lichen run` if the release names this one"
    )


def test_a_key_given_twice_is_refused(store: SQLiteOnlineStore) -> None:
    with pytest.raises(FoundWrong) as caught:
        store.replace("v", [(b"k", b"1"), (b"k", b"2")], "c")
    assert str(caught.value) == (
        "LCH-3022: view `v`: a key was given twice in one generation\n"
        "  fix: give each entity one row; the last one known, for instance"
    )
    assert store.generation("v") is None


def test_the_replacement_that_began_last_wins(path: Path, store: SQLiteOnlineStore) -> None:
    other = SQLiteOnlineStore(path)

    def overtaken() -> Iterator[tuple[bytes, bytes]]:
        yield b"k", b"first"
        assert other.replace("v", [(b"k", b"second")], "second") == 1

    with pytest.raises(SystemFailed) as caught:
        store.replace("v", overtaken(), "first")
    assert str(caught.value) == (
        f"LCH-3023: view `v`: another process began to write it, or dropped it, so this one stopped\n  at {path}\n"
        "  fix: wait for the other one; run again if it failed"
    )
    assert store.get("v", 1, [b"k"]) == [b"second"]


@pytest.mark.parametrize(("action", "code"), [("enospc", "LCH-3001"), ("eio", "LCH-3002")])
def test_a_failing_disk_leaves_the_old_generation(
    store: SQLiteOnlineStore, action: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.replace("v", [(b"k", b"old")], "old")
    for nth in (1, 2, 3):
        monkeypatch.setattr(failpoint, "_armed", failpoint._parse(f"online.write={action}@{nth}"))
        with pytest.raises(SystemFailed, match=f"{code}: .*cannot write the online store"):
            store.replace("v", [(b"k", b"new")], "new")
        assert store.generation("v") == (1, "old")
        assert store.get("v", 1, [b"k"]) == [b"old"]
    assert store.replace("v", [(b"k", b"new")], "new") == 2


def test_an_empty_file_is_damage(path: Path) -> None:
    path.touch()
    with pytest.raises(SystemFailed, match="LCH-3012: the online store is damaged"):
        SQLiteOnlineStore(path)


def test_what_a_change_does_does_not_grow_with_the_view(store: SQLiteOnlineStore) -> None:
    def steps(keys: int) -> int:
        """How many instructions SQLite carries out for two changes of ten keys."""
        store.drop("v")
        store.replace("v", ((b"%d" % key, b"1") for key in range(keys)), "1")
        counted = 0

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        connections = (store._file._reader, store._file._writer)
        for connection in connections:
            assert connection is not None
            connection.set_progress_handler(count, 1)
        for number in (1, 2):
            store.change("v", number, [(b"%d" % key, b"new") for key in range(10)], "new")
        for connection in connections:
            assert connection is not None
            connection.set_progress_handler(None, 0)
        return counted

    assert 0 < steps(100) == steps(20_000)


def test_only_the_visible_generation_is_changed(path: Path, store: SQLiteOnlineStore) -> None:
    told = (
        "LCH-3024: view `v`: generation 1 was to be changed, and it is not the visible one\n"
        f"  at {path}\n  why: %s\n"
        "  fix: read the visible generation and change that; or run again, if another process wrote the view meanwhile"
    )
    with pytest.raises(SystemFailed) as caught:
        store.change("v", 1, [(b"k", b"new")], "new")
    assert str(caught.value) == told % "the store holds no generation of it"
    for n in (1, 2):
        store.replace("v", [(b"k", b"%d" % n)], f"{n}")
    with pytest.raises(SystemFailed) as caught:
        store.change("v", 1, [(b"k", b"new")], "new")
    assert str(caught.value) == told % "the visible one is 2"
    assert _held(path, "states") == 2


def test_a_view_that_another_store_dropped_and_wrote_anew_is_read_anew(path: Path, store: SQLiteOnlineStore) -> None:
    store.replace("v", [(b"k", b"1")], "1")
    other = SQLiteOnlineStore(path)
    other.drop("v")
    other.replace("v", [(b"k", b"2")], "2")
    assert store.get("v", 1, [b"k"]) == [b"2"]


def test_nothing_is_left_of_changes_that_came_after_one_another(path: Path, store: SQLiteOnlineStore) -> None:
    number = store.replace("v", ((b"%d" % key, b"1") for key in range(100)), "1")
    for n in range(10):
        number = store.change("v", number, ((b"%d" % key, b"%d" % n) for key in range(20)), f"{n}")
    assert [_held(path, table) for table in ("states", "changed", "leavings", "generations")] == [120, 20, 0, 2]
    store.drop("v")
    assert [_held(path, table) for table in ("states", "changed", "leavings", "generations")] == [0, 0, 0, 0]


def test_a_store_of_an_older_format_is_refused(path: Path, store: SQLiteOnlineStore) -> None:
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE lichen SET format = 1")
    connection.close()
    with pytest.raises(SystemFailed) as caught:
        SQLiteOnlineStore(path)
    assert str(caught.value) == (
        f"LCH-3016: the online store was written by an older Lichen\n  at {path}\n"
        "  why: its format is 1, this Lichen knows 2 alone\n"
        "  fix: move the file away: the next `lichen run` or `lichen serve` fills a new one"
    )
