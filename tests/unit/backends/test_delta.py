from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import CommitProperties, DeltaTable, QueryBuilder, Schema, Transaction
from deltalake.transaction import AddAction

from lichen.backends import delta
from lichen.backends.delta import DeltaTableStore
from lichen.errors import FoundWrong, SystemFailed, WrongUsage
from lichen.ground import failpoint
from lichen.ground.quoting import identifier
from lichen.ports import Column, DataFile, TableStore
from lichen.testing.table_store import COLUMNS, Rows, TableStoreSuite, add, read, rows_of, stage

ONE = "SELECT 1::BIGINT n, 'a' s"
TWO = "SELECT 2::BIGINT n, 'b' s"


def _delta_rows(path: Path) -> Rows:
    face = QueryBuilder().register("face", DeltaTable(str(path)))
    return sorted(rows_of(face.execute("SELECT * FROM face").read_all()), key=repr)


class TestDeltaTableStore(TableStoreSuite):
    adopting = ("lake.staged", "lake.staged@2", "files.staged", "files.adopted", "lake.renamed", "lake.synced")
    publishing = ("lake.publishing", "lake.published")
    withdrawing = ("lake.withdrawn",)

    def make(self, folder: Path) -> TableStore:
        return DeltaTableStore(folder / "lake")

    def face(self, folder: Path, table: str) -> Rows | None:
        path = folder / "lake" / table
        if not DeltaTable.is_deltatable(str(path)):
            return None
        face = DeltaTable(str(path))
        rows = read(face.file_uris(), ", ".join(identifier(field.name) for field in face.schema().fields))
        assert _delta_rows(path) == rows
        return rows


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def store(root: Path) -> DeltaTableStore:
    return DeltaTableStore(root)


def _log(root: Path, version: int) -> list[dict[str, Any]]:
    text = (root / "t" / "_delta_log" / f"{version:020}.json").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_a_file_is_named_by_its_content(store: DeltaTableStore, root: Path) -> None:
    (file,) = add(store, "t", ONE)
    assert file.path == f"{file.sha256[:32]}.parquet"
    assert store.locations("t", (file,)) == (str(root / "t" / file.path),)


def test_a_commit_names_only_the_difference(store: DeltaTableStore, root: Path) -> None:
    one, two = add(store, "t", ONE, TWO)
    (three,) = add(store, "t", "SELECT 3::BIGINT n, 'c' s")
    store.publish("t", COLUMNS, (one, two), 1)
    store.publish("t", COLUMNS, (two, three), 2)
    store.publish("t", COLUMNS, (two, three), 3)
    commit = _log(root, 1)
    assert [action["add"]["path"] for action in commit if "add" in action] == [three.path]
    assert [action["remove"]["path"] for action in commit if "remove" in action] == [one.path]
    assert [set(action) for action in _log(root, 2)] == [{"commitInfo"}, {"txn"}]
    assert _log(root, 2)[1]["txn"] == {"appId": "lichen", "version": 3}
    (add_two,) = (action["add"] for action in _log(root, 0) if action.get("add", {}).get("path") == two.path)
    assert json.loads(add_two["stats"]) == {
        "numRecords": 1,
        "minValues": {"n": 2, "s": "b"},
        "maxValues": {"n": 2, "s": "b"},
        "nullCount": {"n": 0, "s": 0},
    }


def test_old_readers_can_read_a_table_of_instants(store: DeltaTableStore, root: Path) -> None:
    files = add(store, "t", "SELECT TIMESTAMPTZ '2013-12-01 00:00:00.123456+00' AS t")
    store.publish("t", (Column("t", "TIMESTAMP WITH TIME ZONE"),), files, 1)
    protocol = DeltaTable(str(root / "t")).protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)
    assert _delta_rows(root / "t") == [(datetime(2013, 12, 1, 0, 0, 0, 123456, tzinfo=UTC),)]


@pytest.mark.parametrize("is_new", [True, False])
def test_timestamps_without_zone_are_read_back_as_they_are(store: DeltaTableStore, root: Path, is_new: bool) -> None:
    if not is_new:
        store.publish("t", COLUMNS, add(store, "t", ONE), 1)
    files = add(store, "t", "SELECT TIMESTAMP '2013-12-01 00:00:00.123456' t, [TIMESTAMP '2013-01-01'] l")
    store.publish("t", (Column("t", "TIMESTAMP"), Column("l", "TIMESTAMP[]")), files, 2)
    protocol = DeltaTable(str(root / "t")).protocol()
    assert protocol.reader_features == ["timestampNtz"]
    assert store.published() == {"t": 2}
    expected = [(datetime(2013, 12, 1, 0, 0, 0, 123456), [datetime(2013, 1, 1)])]  # noqa: DTZ001
    assert _delta_rows(root / "t") == expected
    assert read(DeltaTable(str(root / "t")).file_uris()) == expected


def test_a_long_history_stays_readable_and_checkpointed(store: DeltaTableStore, root: Path) -> None:
    one, two = add(store, "t", ONE), add(store, "t", TWO)
    for release in range(1, 26):
        store.publish("t", COLUMNS, one if release % 2 else two, release)
    assert list((root / "t" / "_delta_log").glob("*.checkpoint.parquet"))
    assert _delta_rows(root / "t") == [(1, "a")]
    assert store.published() == {"t": 25}


def test_readers_skip_files_by_their_statistics_and_miss_no_row(store: DeltaTableStore, root: Path) -> None:
    kinds = {
        "i": "BIGINT", "d": "DOUBLE", "x": "DECIMAL(10,2)", "v": "VARCHAR", "b": "DATE",
        "t": "TIMESTAMP WITH TIME ZONE", "f": "DOUBLE",
    }  # fmt: skip
    select = (
        "SELECT i, i + 0.5::DOUBLE d, (i * 1.25)::DECIMAL(10,2) x, 'v' || i v, DATE '2013-12-01' + i::INTEGER b, "
        "TIMESTAMPTZ '2013-12-01 00:00:00.123456+00' + INTERVAL (i) HOUR t, "
        "CASE WHEN i % 2 = 0 THEN 'nan'::DOUBLE ELSE i END f FROM range({0}, {0} + 3) r(i)"
    )
    files = add(store, "t", *(select.format(start) for start in (0, 10, 20)))
    store.publish("t", tuple(Column(name, kind) for name, kind in kinds.items()), files, 1)
    face = QueryBuilder().register("face", DeltaTable(str(root / "t")))
    for condition, expected in {
        "i >= 12": [12, 20, 21, 22],
        "d < 1.5": [0],
        "x = 13.75": [11],
        "v = 'v21'": [21],
        "b = DATE '2013-12-13'": [12],
        "t = TIMESTAMP '2013-12-01T11:00:00.123456Z'": [11],
        "f > 100": [0, 2, 10, 12, 20, 22],
    }.items():
        found = face.execute(f"SELECT i FROM face WHERE {condition} ORDER BY i").read_all()
        assert rows_of(found) == [(i,) for i in expected], condition


def test_a_table_name_is_no_path(store: DeltaTableStore) -> None:
    with pytest.raises(FoundWrong) as caught:
        store.staging("../t")
    assert str(caught.value) == (
        "LCH-3003: `../t` is no name for a table\n  fix: a name is a letter or `_`, then letters, digits and `_`"
    )


def test_only_a_staging_folder_is_emptied(store: DeltaTableStore, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage) as caught:
        store.adopt("t", tmp_path, ())
    assert str(caught.value) == (
        f"LCH-3007: `{tmp_path}` is no staging folder of this store\n  fix: take one by `staging`"
    )
    assert tmp_path.exists()


def test_a_staged_file_elsewhere(store: DeltaTableStore) -> None:
    with pytest.raises(FoundWrong) as caught:
        store.adopt("t", store.staging("t"), (DataFile("../x", 1, 1, "0" * 64),))
    assert str(caught.value) == "LCH-3007: table `t`: the file `../x` lies outside its staging folder"


def test_a_file_by_another_name_is_not_looked_for(store: DeltaTableStore) -> None:
    with pytest.raises(FoundWrong) as caught:
        store.locations("t", (DataFile("../../etc/passwd", 1, 1, "0" * 64),))
    assert str(caught.value) == "LCH-3007: table `t`: `../../etc/passwd` is no name of an adopted file"


def test_a_missing_and_a_cut_file(store: DeltaTableStore, root: Path) -> None:
    (file,) = add(store, "t", ONE)
    path = root / "t" / file.path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SystemFailed) as caught:
        store.publish("t", COLUMNS, (file,), 1)
    text = (
        "LCH-3004: a file of table `t` is not what was written\n  at {}\n  why: {}\n"
        "  fix: build the table anew: lichen run; or restore the file from a copy, as recorded predictions must be"
    )
    assert str(caught.value) == text.format(path, f"it has {file.bytes - 1} bytes, {file.bytes} were written")
    path.unlink()
    with pytest.raises(SystemFailed) as caught:
        store.locations("t", (file,))
    assert str(caught.value) == text.format(path, "it is missing")


def test_a_staged_file_cut_short(store: DeltaTableStore) -> None:
    staging, (file,) = stage(store, "t", ONE)
    (staging / file.path).write_bytes(b"PAR1")
    with pytest.raises(SystemFailed, match="LCH-3004: a file of table `t` is not what was written"):
        store.adopt("t", staging, (file,))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("00000000000000000001.json", b'{"add":', "Kernel error: Json error: Truncated record whilst reading value"),
        ("00000000000000000001.json", b"", "00000000000000000001.json is empty"),
        ("00000000000000000000.json", b"\xff\x00", "Kernel error: "),
        ("00000000000000000000.json", None, "Kernel error: "),
    ],
)
def test_a_damaged_log_is_told_and_mended_by_publishing_anew(
    store: DeltaTableStore, root: Path, name: str, content: bytes | None, why: str
) -> None:
    files = add(store, "t", ONE)
    store.publish("t", COLUMNS, files, 1)
    store.publish("t", COLUMNS, files, 2)
    log = root / "t" / "_delta_log"
    if content is None:
        (log / name).unlink()
    else:
        (log / name).write_bytes(content)
    for call in (
        store.published,
        lambda: store.publish("t", COLUMNS, files, 3),
        lambda: store.withdraw("t", 3),
        lambda: store.sweep({}),
    ):
        with pytest.raises(SystemFailed) as caught:
            call()
        what, where, told, fix = str(caught.value).splitlines()
        assert what == "LCH-3005: the published face of table `t` is damaged"
        assert where == f"  at {log}"
        assert told.startswith(f"  why: {why}")
        assert fix == "  fix: remove this folder and run again: the face is published anew, and no row is lost"
    for path in log.iterdir():
        path.unlink()
    log.rmdir()
    store.publish("t", COLUMNS, files, 3)
    assert _delta_rows(root / "t") == [(1, "a")]


def test_a_first_publication_that_never_came_is_no_face(store: DeltaTableStore, root: Path) -> None:
    files = add(store, "t", ONE)
    (root / "t" / "_delta_log").mkdir()
    assert store.published() == {}
    store.publish("t", COLUMNS, files, 1)
    assert store.published() == {"t": 1}


def test_new_columns_with_an_old_file_are_refused(store: DeltaTableStore, root: Path) -> None:
    files = add(store, "t", ONE)
    store.publish("t", COLUMNS, files, 1)
    with pytest.raises(FoundWrong) as caught:
        store.publish("t", (Column("n", "VARCHAR"), COLUMNS[1]), files, 2)
    assert str(caught.value) == (
        f"LCH-3008: table `t` has new columns, but its file `{files[0].path}` was published with the old ones\n"
        "  fix: build the table anew, so that every file has the new columns"
    )
    assert store.published() == {"t": 1}


def test_the_same_columns_in_another_order_are_one_commit(store: DeltaTableStore, root: Path) -> None:
    (one,) = add(store, "t", ONE)
    store.publish("t", COLUMNS, (one,), 1)
    store.publish("t", COLUMNS[::-1], (one,), 2)
    commit = {kind: what for action in _log(root, 1) for kind, what in action.items()}
    assert commit.keys() == {"commitInfo", "metaData", "add", "remove", "txn"}
    assert [field["name"] for field in json.loads(commit["metaData"]["schemaString"])["fields"]] == ["s", "n"]
    assert (commit["add"]["path"], commit["remove"]["path"]) == (f"{one.path[:32]}-2.parquet", one.path)
    assert commit["txn"]["version"] == 2
    (two,) = add(store, "t", TWO)
    store.publish("t", COLUMNS[::-1], (one, two), 3)
    assert _delta_rows(root / "t") == [("a", 1), ("b", 2)]
    with duckdb.connect() as connection:
        shown = connection.read_parquet(DeltaTable(str(root / "t")).file_uris())
        assert sorted(shown.project("s, n").fetchall()) == [("a", 1), ("b", 2)]


def test_a_face_left_in_an_older_order_is_mended_by_the_next_release(store: DeltaTableStore, root: Path) -> None:
    store.publish("t", COLUMNS, add(store, "t", ONE), 1)
    (file,) = add(store, "t", "SELECT 'b' s, 2::BIGINT n")
    face = DeltaTable(str(root / "t"))
    again = AddAction(file.path, file.bytes, {}, 0, True, "{}")
    released = CommitProperties(app_transactions=[Transaction("lichen", 2)])
    turned = Schema(face.schema().fields[::-1])
    face.create_write_transaction([again], "overwrite", turned, commit_properties=released)
    assert _delta_rows(root / "t") == [(2, "b")]
    store.publish("t", COLUMNS[::-1], (file, *add(store, "t", "SELECT 'c' s, 3::BIGINT n")), 3)
    assert _delta_rows(root / "t") == [("b", 2), ("c", 3)]


def test_a_struct_whose_members_change_their_order(store: DeltaTableStore, root: Path) -> None:
    for release, members in enumerate(("a: 1::BIGINT, b: 'x'", "b: 'x', a: 1::BIGINT"), 1):
        kind = "STRUCT(a BIGINT, b VARCHAR)" if release == 1 else "STRUCT(b VARCHAR, a BIGINT)"
        store.publish("t", (Column("r", kind),), add(store, "t", f"SELECT {{{members}}} r"), release)
        (field,) = DeltaTable(str(root / "t")).schema().fields
        assert [inner.name for inner in field.type.fields] == (["a", "b"] if release == 1 else ["b", "a"])


def test_a_commit_that_the_library_refuses(store: DeltaTableStore, root: Path) -> None:
    files = add(store, "t", ONE)
    store.publish("t", COLUMNS, files, 1)
    face = DeltaTable(str(root / "t"))
    face.alter.set_table_properties({"delta.appendOnly": "true"})
    with pytest.raises(SystemFailed) as caught:
        store.publish("t", COLUMNS, add(store, "t", TWO), 2)
    what, where, why, fix = str(caught.value).splitlines()
    assert what == "LCH-3009: cannot publish table `t`"
    assert where == f"  at {root / 't'}"
    assert "append" in why
    assert fix == "  fix: run again"


FULL = """LCH-3001: the disk is full: cannot write table `t`
  at {}
  fix: free some space, then run again: what was written before is whole"""
BROKEN = """LCH-3002: cannot write table `t`
  at {}
  why: Input/output error
  fix: look whether the disk is mounted and healthy, then run again"""


@pytest.mark.parametrize("point", ["lake.staged", "lake.renamed", "lake.synced"])
@pytest.mark.parametrize(("action", "text"), [("enospc", FULL), ("eio", BROKEN)])
def test_a_failing_disk(
    store: DeltaTableStore, root: Path, point: str, action: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failpoint, "_armed", failpoint._parse(f"{point}={action}"))
    with pytest.raises(SystemFailed) as caught:
        add(store, "t", ONE)
    assert str(caught.value) == text.format(root / "t")
    assert read(store.locations("t", add(store, "t", ONE))) == [(1, "a")]


def test_a_file_in_the_place_of_the_lake(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("")
    with pytest.raises(SystemFailed) as caught:
        DeltaTableStore(tmp_path / "lake").staging("t")
    assert str(caught.value).startswith(
        f"LCH-3002: cannot stage files of table `t`\n  at {tmp_path / 'lake' / '.staging'}\n  why: "
    )


def test_files_that_are_not_ours_are_not_swept(store: DeltaTableStore, root: Path) -> None:
    add(store, "t", ONE)
    (root / "t" / "notes.txt").write_text("mine")
    (root / "t" / "mine.parquet").write_text("mine")
    store.sweep({})
    assert sorted(path.name for path in (root / "t").iterdir()) == ["mine.parquet", "notes.txt"]


def test_duckdb_reads_every_type_that_can_be_published(store: DeltaTableStore, root: Path) -> None:
    select = (
        "SELECT 1::BIGINT a, 2::INTEGER b, 3::SMALLINT c, 4::TINYINT d, 0.5::DOUBLE e, 0.25::FLOAT f, "
        "1.25::DECIMAL(18,3) g, 'ключ 😀' h, true i, DATE '2013-12-01' j, '\\xFF'::BLOB k, [1, NULL]::BIGINT[] l, "
        "{'x': 1::INTEGER, 'y z': [0.5::DOUBLE]} m, TIMESTAMPTZ '2013-12-01 00:00:00+00' n, "
        "12345678901234567890123456789012345678::DECIMAL(38,0) o"
    )
    with duckdb.connect() as connection:
        described = connection.execute(f"DESCRIBE {select}").fetchall()
    files = add(store, "t", select)
    store.publish("t", tuple(Column(row[0], row[1]) for row in described), files, 1)
    expected = [(
        1, 2, 3, 4, 0.5, 0.25, Decimal("1.250"), "ключ 😀", True, date(2013, 12, 1), b"\xff", [1, None],
        {"x": 1, "y z": [0.5]}, datetime(2013, 12, 1, tzinfo=UTC), Decimal(12345678901234567890123456789012345678),
    )]  # fmt: skip
    assert _delta_rows(root / "t") == expected
    assert read(DeltaTable(str(root / "t")).file_uris()) == expected


def test_a_disk_that_fills_up_while_the_library_commits(root: Path) -> None:
    """What deltalake 1.6.6 raised on a full tmpfs; a test cannot count on being allowed to mount one."""
    told = (
        "Generic LocalFileSystem error\n"
        "          \x1b[31m↳\x1b[0m Unable to copy data to file\n"
        "           \x1b[31m↳\x1b[0m No space left on device (os error 28)\n\n"
    )
    failure = delta._refused(root / "t", OSError(told))
    assert str(failure) == FULL.replace("write", "publish", 1).format(root / "t")
    failure = delta._refused(root / "t", OSError(told.replace("No space left on device (os error 28)", "Oh")))
    assert failure.why == "Generic LocalFileSystem error: Unable to copy data to file: Oh"


def test_other_readers_read_a_map(store: DeltaTableStore, root: Path) -> None:
    files = add(store, "t", "SELECT i, MAP {'a': i, 'b': NULL} AS m FROM range(2) r(i)")
    store.publish("t", (Column("i", "BIGINT"), Column("m", "MAP(VARCHAR, BIGINT)")), files, 1)
    face = QueryBuilder().register("face", DeltaTable(str(root / "t")))
    found = face.execute("SELECT i, m['a'] AS a, m['b'] AS b FROM face ORDER BY i").read_all()
    assert [[None if v == [None] else v for v in row] for row in rows_of(found)] == [[0, 0, None], [1, 1, None]]


def test_a_folder_that_holds_other_things_is_no_lake(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id")
    with pytest.raises(FoundWrong) as caught:
        DeltaTableStore(tmp_path)
    assert str(caught.value) == (
        f"LCH-3015: the folder `{tmp_path.name}` cannot be the lake: it holds other things, such as `x.csv`\n"
        "  why: the lake's files are written, moved and removed by Lichen alone\n"
        "  fix: name a folder in `lake:` that is empty or not there yet, as in `lake: .lichen/lake`"
    )


def test_a_lake_that_was_copied_without_its_empty_folders_is_one(tmp_path: Path) -> None:
    store = DeltaTableStore(tmp_path / "lake")
    add(store, "t", ONE)
    (tmp_path / "lake/.staging").rmdir()
    DeltaTableStore(tmp_path / "lake")
    (tmp_path / "lake/.staging").mkdir()
    (tmp_path / "lake/left.txt").touch()
    DeltaTableStore(tmp_path / "lake")
