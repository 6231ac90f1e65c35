# ruff: noqa: ISC004 (texts in a table are read line by line)

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lichen.errors import SystemFailed
from lichen.ground.failpoint import VARIABLE
from lichen.ground.files import adopt, digest, disk_full, system_failures, unreachable, write_durably

WRITE = """
import sys
from pathlib import Path
from lichen.ground.files import system_failures, write_durably
from lichen.errors import SystemFailed
path = Path(sys.argv[1])
try:
    with system_failures("write the thing", path):
        write_durably(path, b"new" * 100_000)
except SystemFailed as error:
    print(error.code)
"""


def write_in_a_process(path: Path, armed: str) -> tuple[int, str]:
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), VARIABLE: armed}
    command = [sys.executable, "-c", WRITE, str(path)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.strip()


def test_a_file_is_written_with_the_folders_above_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.txt"
    write_durably(path, b"one")
    write_durably(path, b"two")
    assert path.read_bytes() == b"two"
    assert [child.name for child in path.parent.iterdir()] == ["c.txt"]


@pytest.mark.parametrize(("point", "after"), [("files.written", b"old"), ("files.renamed", b"new" * 100_000)])
def test_a_killed_write_leaves_the_old_content_or_the_new(tmp_path: Path, point: str, after: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    assert write_in_a_process(path, f"{point}=kill") == (-signal.SIGKILL, "")
    assert path.read_bytes() == after
    assert write_in_a_process(path, "") == (0, "")
    assert path.read_bytes() == b"new" * 100_000


@pytest.mark.parametrize(("action", "code"), [("enospc", "LCH-3001"), ("eio", "LCH-3002"), ("short", "LCH-3002")])
def test_a_failed_write_leaves_the_old_content_and_nothing_beside_it(tmp_path: Path, action: str, code: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    assert write_in_a_process(path, f"files.written={action}") == (0, code)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_threads_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    path, failures = tmp_path / "x", []

    def write(letter: bytes) -> None:
        try:
            for _ in range(20):
                write_durably(path, letter * 50_000)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert path.read_bytes() in (b"a" * 50_000, b"b" * 50_000)


def test_a_write_where_a_folder_is_in_the_way_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    with pytest.raises(OSError):
        write_durably(tmp_path / "x", b"new")
    assert [child.name for child in tmp_path.iterdir()] == ["x"]


def test_adopt_moves_a_finished_file(tmp_path: Path) -> None:
    staged = tmp_path / "staged"
    staged.write_bytes(b"rows")
    adopt(staged, tmp_path / "final")
    assert [child.name for child in tmp_path.iterdir()] == ["final"]


def test_digest_is_the_sha_256_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert digest(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (
            errno.ENOSPC,
            "LCH-3001: the disk is full: cannot keep the rows\n  at there\n"
            "  fix: free some space, then run again: what was written before is whole",
        ),
        (
            errno.EACCES,
            "LCH-3002: cannot keep the rows\n  at there\n  why: Permission denied\n"
            "  fix: give the user who runs lichen the right to read and write there, then run again",
        ),
        (
            errno.EIO,
            "LCH-3002: cannot keep the rows\n  at there\n  why: Input/output error\n"
            "  fix: look whether the disk is mounted and healthy, then run again",
        ),
    ],
)
def test_what_the_system_says_becomes_an_error_that_says_what_to_do(number: int, text: str) -> None:
    with pytest.raises(SystemFailed) as caught, system_failures("keep the rows", Path("there")):
        raise OSError(number, os.strerror(number))
    assert str(caught.value) == text
    assert isinstance(caught.value.__cause__, OSError)


def test_what_is_no_failure_of_the_system_passes() -> None:
    with pytest.raises(KeyError), system_failures("x", Path("y")):
        raise KeyError("k")


def test_the_errors_by_name() -> None:
    assert disk_full("write", Path("p")).code == "LCH-3001"
    assert unreachable("read", Path("p"), "it is away").why == "it is away"
