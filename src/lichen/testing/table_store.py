"""What every table store must do."""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest
from arro3.core import Table

from lichen.errors import FoundWrong, SystemFailed
from lichen.ports import Arrow, Column, DataFile, TableStore
from lichen.testing import child

COLUMNS = (Column("n", "BIGINT"), Column("s", "VARCHAR"))
Rows = list[tuple[Any, ...]]


def stage(store: TableStore, table: str, *selects: str) -> tuple[Path, tuple[DataFile, ...]]:
    """Write each SELECT's rows as one file in a fresh staging folder, as an engine would."""
    staging = store.staging(table)
    files = []
    for nth, select in enumerate(selects):
        path = staging / f"part{nth}.parquet"
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            copied = connection.execute(f"COPY ({select}) TO $1 (FORMAT parquet, RETURN_STATS)", [str(path)]).fetchall()
        stats = {name.strip('"'): known for name, known in copied[0][4].items() if '"."' not in name}
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        files.append(DataFile(path.name, copied[0][1], path.stat().st_size, sha256, stats))
    return staging, tuple(files)


def add(store: TableStore, table: str, *selects: str) -> tuple[DataFile, ...]:
    """Stage and adopt files."""
    staging, files = stage(store, table, *selects)
    return store.adopt(table, staging, files)


def read(paths: Sequence[str], columns: str = "*") -> Rows:
    """These columns of these files, sorted; a file named twice is read twice."""
    rows: Rows = []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for path in paths:
            rows += rows_of(connection.sql(f"SELECT {columns} FROM read_parquet(?)", params=[path]))
    return sorted(rows, key=repr)


def rows_of(stream: Arrow) -> Rows:
    """The rows of an Arrow stream as tuples of Python values."""
    columns = [column.to_pylist() for column in Table.from_arrow(stream).columns]
    return list(zip(*columns, strict=True))


class TableStoreSuite(ABC):
    """Subclass it, say how to `make` your store and how an outsider reads a face, and name its failpoints."""

    adopting: tuple[str, ...] = ()
    """Failpoints within `adopt`."""

    publishing: tuple[str, ...] = ()
    """Failpoints within `publish`."""

    withdrawing: tuple[str, ...] = ()
    """Failpoints within `withdraw`."""

    @abstractmethod
    def make(self, folder: Path) -> TableStore:
        """A store that keeps what it holds in `folder`."""

    @abstractmethod
    def face(self, folder: Path, table: str) -> Rows | None:
        """The table's rows, sorted by `repr`, as a reader who does not know Lichen sees them; None for no table."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> TableStore:
        """A fresh store."""
        return self.make(tmp_path)

    def test_staging_folders_are_fresh_and_empty(self, store: TableStore) -> None:
        one, other = store.staging("t"), store.staging("t")
        assert one != other
        assert not list(one.iterdir())
        assert one.is_dir()

    def test_adopted_files_are_read_where_the_store_says(self, store: TableStore) -> None:
        staging, staged = stage(store, "t", "SELECT 1::BIGINT n, 'a' s", "SELECT 2::BIGINT n, 'b' s")
        files = store.adopt("t", staging, staged)
        assert not staging.exists()
        assert [(f.rows, f.bytes, f.sha256, f.stats) for f in files] == [
            (f.rows, f.bytes, f.sha256, f.stats) for f in staged
        ]
        assert read(store.locations("t", files)) == [(1, "a"), (2, "b")]

    def test_adopting_the_same_content_twice_gives_the_same_name(self, store: TableStore) -> None:
        first = add(store, "t", "SELECT 1::BIGINT n, 'a' s")
        assert add(store, "t", "SELECT 1::BIGINT n, 'a' s") == first
        assert read(store.locations("t", first)) == [(1, "a")]

    def test_adopting_nothing(self, store: TableStore) -> None:
        staging = store.staging("t")
        assert store.adopt("t", staging, ()) == ()
        assert not staging.exists()
        assert store.locations("t", ()) == ()

    def test_adopting_a_file_that_is_not_what_was_written(self, store: TableStore) -> None:
        staging, (file,) = stage(store, "t", "SELECT 1::BIGINT n, 'a' s")
        content = (staging / file.path).read_bytes()
        (staging / file.path).write_bytes(content[:-1])
        with pytest.raises(SystemFailed):
            store.adopt("t", staging, (file,))

    def test_a_file_outside_its_staging_folder_is_not_adopted(self, store: TableStore, tmp_path: Path) -> None:
        outside = tmp_path / "outside.parquet"
        outside.write_bytes(b"mine")
        for path in ("../../outside.parquet", str(outside)):
            with pytest.raises(FoundWrong):
                store.adopt("t", store.staging("t"), (DataFile(path, 1, 4, "0" * 64),))
        assert outside.read_bytes() == b"mine"

    @pytest.mark.parametrize(
        "name", ["", "..", "a/b", "/a", "a.b", "a b", ".staging", "_delta_log/x", "1a", "tablé", "a\n"]
    )
    def test_a_name_that_is_no_identifier_is_refused(self, store: TableStore, name: str) -> None:
        for call in (
            lambda: store.staging(name),
            lambda: store.adopt(name, store.staging("t"), ()),
            lambda: store.locations(name, ()),
            lambda: store.publish(name, COLUMNS, (), 1),
            lambda: store.withdraw(name, 1),
        ):
            with pytest.raises(FoundWrong):
                call()

    def test_a_missing_file_is_told(self, store: TableStore) -> None:
        (file,) = add(store, "t", "SELECT 1::BIGINT n, 'a' s")
        Path(store.locations("t", (file,))[0]).unlink()
        with pytest.raises(SystemFailed):
            store.locations("t", (file,))
        with pytest.raises(SystemFailed):
            store.publish("t", COLUMNS, (file,), 1)
        assert store.published() == {}

    def test_nothing_is_published_until_it_is(self, store: TableStore, tmp_path: Path) -> None:
        assert store.published() == {}
        add(store, "t", "SELECT 1::BIGINT n, 'a' s")
        assert store.published() == {}
        assert self.face(tmp_path, "t") is None

    def test_the_face_shows_exactly_what_was_published(self, store: TableStore, tmp_path: Path) -> None:
        first = add(store, "t", "SELECT 1::BIGINT n, 'a' s", "SELECT 2::BIGINT n, NULL::VARCHAR s")
        second = add(store, "t", "SELECT 3::BIGINT n, 'c' s")
        store.publish("t", COLUMNS, first, 1)
        assert self.face(tmp_path, "t") == [(1, "a"), (2, None)]
        store.publish("t", COLUMNS, (*first[:1], *second), 3)
        assert self.face(tmp_path, "t") == [(1, "a"), (3, "c")]
        store.publish("t", COLUMNS, first, 4)
        assert self.face(tmp_path, "t") == [(1, "a"), (2, None)]
        assert store.published() == {"t": 4}

    def test_publishing_a_release_again_does_nothing(self, store: TableStore, tmp_path: Path) -> None:
        first = add(store, "t", "SELECT 1::BIGINT n, 'a' s")
        second = add(store, "t", "SELECT 2::BIGINT n, 'b' s")
        store.publish("t", COLUMNS, first, 7)
        store.publish("t", COLUMNS, first, 7)
        store.publish("t", COLUMNS, second, 7)
        store.publish("t", COLUMNS, second, 6)
        assert self.face(tmp_path, "t") == [(1, "a")]
        assert store.published() == {"t": 7}

    def test_a_release_that_changed_nothing_is_recorded(self, store: TableStore, tmp_path: Path) -> None:
        files = add(store, "t", "SELECT 1::BIGINT n, 'a' s")
        for release in (1, 2, 9):
            store.publish("t", COLUMNS, files, release)
            assert store.published() == {"t": release}
            assert self.face(tmp_path, "t") == [(1, "a")]

    def test_a_table_of_no_rows_is_a_table(self, store: TableStore, tmp_path: Path) -> None:
        store.publish("t", COLUMNS, (), 1)
        assert store.published() == {"t": 1}
        assert self.face(tmp_path, "t") == []
        store.publish("t", COLUMNS, add(store, "t", "SELECT 1::BIGINT n, 'a' s"), 2)
        store.publish("t", COLUMNS, (), 3)
        assert self.face(tmp_path, "t") == []
        assert store.published() == {"t": 3}

    def test_equal_files_are_as_many_rows_as_they_hold(self, store: TableStore, tmp_path: Path) -> None:
        files = add(store, "t", *["SELECT 1::BIGINT n, 'a' s"] * 3)
        assert read(store.locations("t", files)) == [(1, "a")] * 3
        store.publish("t", COLUMNS, files, 1)
        assert self.face(tmp_path, "t") == [(1, "a")] * 3
        store.publish("t", COLUMNS, files[:2], 2)
        assert self.face(tmp_path, "t") == [(1, "a")] * 2

    def test_a_table_may_change_its_columns(self, store: TableStore, tmp_path: Path) -> None:
        store.publish("t", COLUMNS, add(store, "t", "SELECT 1::BIGINT n, 'a' s"), 1)
        store.publish("t", COLUMNS[1:], add(store, "t", "SELECT 'b' s"), 2)
        assert self.face(tmp_path, "t") == [("b",)]
        wider = (Column("x", "DOUBLE"), *COLUMNS)
        store.publish("t", wider, add(store, "t", "SELECT 0.5::DOUBLE x, 2::BIGINT n, 'c' s"), 3)
        assert self.face(tmp_path, "t") == [(0.5, 2, "c")]

    def test_a_table_may_change_the_order_of_its_columns(self, store: TableStore, tmp_path: Path) -> None:
        turned = COLUMNS[::-1]
        store.publish("t", COLUMNS, add(store, "t", "SELECT 1::BIGINT n, 'a' s"), 1)
        files = add(store, "t", *["SELECT 'b' s, 2::BIGINT n"] * 2)
        store.publish("t", turned, files, 2)
        assert self.face(tmp_path, "t") == [("b", 2)] * 2
        files += add(store, "t", "SELECT 'c' s, 3::BIGINT n")
        store.publish("t", turned, files, 3)
        assert self.face(tmp_path, "t") == [("b", 2)] * 2 + [("c", 3)]
        store.publish("t", COLUMNS, files[1:], 4)
        assert self.face(tmp_path, "t") == [(2, "b"), (3, "c")]
        store.publish("t", turned, files, 5)
        assert self.face(tmp_path, "t") == [("b", 2)] * 2 + [("c", 3)]
        store.publish("t", turned, files[:1], 6)
        assert self.face(tmp_path, "t") == [("b", 2)]
        assert store.published() == {"t": 6}
        store.sweep({"t": frozenset()})
        assert self.face(tmp_path, "t") == [("b", 2)]

    def test_a_withdrawn_table_is_no_table(self, store: TableStore, tmp_path: Path) -> None:
        files = add(store, "t", "SELECT 1::BIGINT n, 'a' s")
        store.withdraw("t", 1)
        store.publish("t", COLUMNS, files, 1)
        store.withdraw("t", 2)
        store.withdraw("t", 2)
        assert store.published() == {}
        assert self.face(tmp_path, "t") is None
        assert read(store.locations("t", files)) == [(1, "a")]
        store.publish("t", COLUMNS, files, 3)
        assert self.face(tmp_path, "t") == [(1, "a")]

    def test_a_withdrawal_older_than_the_face_does_nothing(self, store: TableStore, tmp_path: Path) -> None:
        store.publish("t", COLUMNS, add(store, "t", "SELECT 1::BIGINT n, 'a' s"), 5)
        store.withdraw("t", 4)
        assert store.published() == {"t": 5}
        assert self.face(tmp_path, "t") == [(1, "a")]

    def test_a_sweep_keeps_what_is_kept_and_what_the_face_shows(self, store: TableStore, tmp_path: Path) -> None:
        kept, shown, gone = (add(store, "t", f"SELECT {n}::BIGINT n, 'a' s") for n in range(3))
        other = add(store, "u", "SELECT 1::BIGINT n, 'a' s")
        store.publish("t", COLUMNS, shown, 1)
        staging, staged = stage(store, "t", "SELECT 4::BIGINT n, 'a' s")
        freed = store.sweep({"t": frozenset(file.path for file in kept)})
        assert freed == gone[0].bytes + other[0].bytes + staged[0].bytes
        assert not staging.exists()
        assert read(store.locations("t", (*kept, *shown))) == [(0, "a"), (1, "a")]
        assert self.face(tmp_path, "t") == [(1, "a")]
        for table, file in (("t", gone), ("u", other)):
            with pytest.raises(SystemFailed):
                store.locations(table, file)
        assert store.sweep({"t": frozenset(file.path for file in kept)}) == 0

    def test_a_store_opened_anew_knows_what_was_there(self, store: TableStore, tmp_path: Path) -> None:
        files = add(store, "t", "SELECT 1::BIGINT n, 'a' s")
        store.publish("t", COLUMNS, files, 3)
        again = self.make(tmp_path)
        assert again.published() == {"t": 3}
        assert read(again.locations("t", files)) == [(1, "a")]

    def test_threads_adopt_the_same_content_at_once(self, store: TableStore) -> None:
        with ThreadPoolExecutor(4) as pool:
            adopted = list(pool.map(lambda _: add(store, "t", "SELECT 1::BIGINT n, 'a' s"), range(8)))
        assert all(files == adopted[0] for files in adopted)
        assert read(store.locations("t", adopted[0])) == [(1, "a")]

    def test_processes_that_publish_one_release_publish_it_once(self, store: TableStore, tmp_path: Path) -> None:
        children = [child.start(self, tmp_path, "publish_many", "12") for _ in range(3)]
        for process in children:
            child.finish(process)
        assert store.published() == {"t": 12}
        assert self.face(tmp_path, "t") == [(1, "new"), (12, "new")]

    def test_a_kill_while_adopting_leaves_no_part_of_a_file(self, store: TableStore, tmp_path: Path) -> None:
        for point in self.adopting:
            child.run_to_death(self, tmp_path, "publish_new", "2", point=point)
        assert store.published() == {}
        store.sweep({})
        files = add(store, "t", "SELECT 2::BIGINT n, 'new' s")
        assert read(store.locations("t", files)) == [(2, "new")]

    def test_a_kill_while_publishing_leaves_the_old_face_or_the_new(self, store: TableStore, tmp_path: Path) -> None:
        old = [(1, "old")]
        store.publish("t", COLUMNS, add(store, "t", "SELECT 1::BIGINT n, 'old' s"), 1)
        for release, point in enumerate(self.publishing, 2):
            child.run_to_death(self, tmp_path, "publish_new", f"{release}", point=point)
            shown = store.published()["t"]
            new = [(1, "new"), (release, "new")]
            assert self.face(tmp_path, "t") == (new if shown == release else old)
            child.run(self, tmp_path, "publish_new", f"{release}")
            assert store.published() == {"t": release}
            assert self.face(tmp_path, "t") == new
            old = new

    def test_a_kill_while_withdrawing_is_mended_by_repeating(self, store: TableStore, tmp_path: Path) -> None:
        for release, point in enumerate(self.withdrawing, 1):
            store.publish("t", COLUMNS, add(store, "t", "SELECT 1::BIGINT n, 'a' s"), release)
            child.run_to_death(self, tmp_path, "take_away", f"{release}", point=point)
            assert self.face(tmp_path, "t") in (None, [(1, "a")])
            store.withdraw("t", release)
            assert store.published() == {}

    def test_publishers_killed_at_any_moment_leave_a_whole_face(self, store: TableStore, tmp_path: Path) -> None:
        for wait in (0.0, 0.01, 0.03):
            before = store.published()
            process = child.start(self, tmp_path, "publish_many", "100000")
            deadline = time.monotonic() + 30
            while store.published() == before:
                assert time.monotonic() < deadline, "waited 30 s in vain"
            time.sleep(wait)
            child.kill(process)
            shown = store.published()["t"]
            assert self.face(tmp_path, "t") == sorted([(1, "new"), (shown, "new")], key=repr)

    def publish_new(self, store: TableStore, release: str) -> None:
        """In a process of its own: publish a release of two files."""
        files = add(store, "t", "SELECT 1::BIGINT n, 'new' s", f"SELECT {int(release)}::BIGINT n, 'new' s")
        store.publish("t", COLUMNS, files, int(release))

    def publish_many(self, store: TableStore, last: str) -> None:
        """In a process of its own: publish release after release, from the one shown on."""
        for release in range(store.published().get("t", 0) + 1, int(last) + 1):
            try:
                self.publish_new(store, f"{release}")
            except SystemFailed:  # overtaken by another publisher: the last release settles it
                if release == int(last):
                    self.publish_new(store, f"{release}")

    def take_away(self, store: TableStore, release: str) -> None:
        """In a process of its own: withdraw a table."""
        store.withdraw("t", int(release))
