"""A disk that is full: one clear error, readers go on reading, and with room again the run completes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from facts import audit_is_whole, face_equals_release, little_is_left_over, released, tables_hold_what_was_sent
from processes import KILLED, Ended, Nursery
from small_project import SmallProject

SIZES = range(1, 11)
"""Elevenths of the room that a run takes."""

LOCKS = 36 * 1024
"""What SQLite takes for the file of its locks before a run can begin."""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("disk")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(folder)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("a small file system of its own takes the right to mount one, which this user has not")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _leave(disk: Path, room: int) -> Path:
    """Fill the disk so that just this many bytes are left."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with open(filler, "wb") as out:
        os.posix_fallocate(out.fileno(), 0, free - room)
    return filler


def _used(disk: Path) -> int:
    facts = os.statvfs(disk)
    return (facts.f_blocks - facts.f_bfree) * facts.f_frsize


@pytest.fixture(scope="module")
def ready(disk: Path, nursery: Nursery) -> tuple[SmallProject, Path, int]:
    """A project that has been run once, its copy elsewhere, and the room that the next run takes."""
    small = SmallProject(disk / "small", seed=41)
    assert nursery.lichen(small.root, "run").code == 0
    small.grow(20)
    saved = disk.with_name(f"{disk.name}-saved")
    shutil.copytree(small.root, saved)
    before = _used(disk)
    assert nursery.lichen(small.root, "run").code == 0
    return small, saved, _used(disk) - before


@pytest.mark.parametrize("size", SIZES)
def test_a_run_on_a_full_disk(size: int, ready: tuple[SmallProject, Path, int], disk: Path, nursery: Nursery) -> None:
    small, saved, room = ready
    shutil.rmtree(small.root)
    shutil.copytree(saved, small.root)
    filler = _leave(disk, LOCKS + (room - LOCKS) * size // 11 // 4096 * 4096)
    totals = nursery.lichen(small.root, "query", "--json", "FROM totals ORDER BY shop")
    ended = nursery.lichen(small.root, "run", "--json")
    _told(ended)
    assert released(small.root)[0].number == 1
    _readers_read(small, totals, nursery)
    filler.unlink()
    again = nursery.lichen(small.root, "run", "--json")
    assert (again.code, again.err, again.facts["release"]) == (0, "", 2), again
    tables_hold_what_was_sent(small)
    face_equals_release(small.root)
    audit_is_whole(small.root)
    little_is_left_over(small.root)


@pytest.mark.parametrize("left", [0, 4096, 28 * 1024])
def test_readers_read_without_room_for_their_locks(
    left: int, ready: tuple[SmallProject, Path, int], disk: Path, nursery: Nursery
) -> None:
    small, saved, _ = ready
    _leave(disk, 0).unlink()
    shutil.rmtree(small.root)
    shutil.copytree(saved, small.root)
    totals = nursery.lichen(small.root, "query", "--json", "FROM totals ORDER BY shop")
    filler = _leave(disk, left)
    for path in (small.root / ".lichen").glob("state.db-*"):
        path.unlink()  # as it is when nobody has the store open
    _told(nursery.lichen(small.root, "run", "--json"))
    _readers_read(small, totals, nursery)
    at_once = [nursery.start(small.root, "status", "--json") for _ in range(4)]
    for ended in [born.end() for born in at_once]:
        assert (ended.code, ended.facts["release"]) == (0, 1), ended
    filler.unlink()
    assert nursery.lichen(small.root, "status", "--json").facts["release"] == 1
    assert nursery.lichen(small.root, "run").code == 0
    tables_hold_what_was_sent(small)


def test_a_log_that_a_kill_left_is_read_without_room(
    ready: tuple[SmallProject, Path, int], disk: Path, nursery: Nursery
) -> None:
    small, saved, _ = ready
    _leave(disk, 0).unlink()
    shutil.rmtree(small.root)
    shutil.copytree(saved, small.root)
    killed = nursery.lichen(small.root, "run", failpoints="release.moved=kill")
    assert killed.code == KILLED, killed
    assert (small.root / ".lichen/state.db-wal").stat().st_size > 0
    (small.root / ".lichen/state.db-shm").unlink()
    _leave(disk, 0)
    status = nursery.lichen(small.root, "status", "--json")
    assert (status.code, status.facts["release"]) == (0, 2), status
    (disk / "filler").unlink()
    assert nursery.lichen(small.root, "run").code == 0
    face_equals_release(small.root)


def _told(ended: Ended) -> None:
    assert (ended.code, ended.err) == (3, ""), ended
    assert ended.error["code"] == "LCH-3001", ended
    assert "the disk is full" in str(ended.error["what"])
    assert ended.error["fix"]


def _readers_read(small: SmallProject, totals: Ended, nursery: Nursery) -> None:
    assert totals.code == 0, totals
    again = nursery.lichen(small.root, "query", "--json", "FROM totals ORDER BY shop")
    assert (again.code, again.out) == (0, totals.out), again
    status = nursery.lichen(small.root, "status", "--json")
    assert (status.code, status.facts["release"]) == (0, 1), status
    assert nursery.lichen(small.root, "history", "--json").code == 0
