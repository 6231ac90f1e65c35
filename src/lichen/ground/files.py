"""Files that are whole or absent, whatever happens to the process or the power."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lichen.errors import SystemFailed, Where
from lichen.ground.failpoint import fp

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make a file's content durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that after any crash it holds the old content or the new, and never a part."""
    _make_folder(path.parent)
    staged = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.staged")
    try:
        with open(staged, "wb") as out:
            out.write(content)
            out.flush()
            fp("files.written", file=staged)
            os.fsync(out.fileno())
        os.replace(staged, path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    fp("files.renamed")
    sync_folder(path.parent)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each durable in the one that holds it."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def adopt(staged: Path, final: Path) -> None:
    """Move a finished file to its durable name: fsync it, rename it, and leave the folder's fsync to the caller."""
    fp("files.staged", file=staged)
    sync_file(staged)
    os.replace(staged, final)
    fp("files.adopted")


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


@contextmanager
def system_failures(what: str, path: Path) -> Iterator[None]:
    """Turn an `OSError` raised inside into a `SystemFailed` that names the place; `what` completes "cannot ...".

    >>> with system_failures("read the state", Path("/no/such/file")):
    ...     raise FileNotFoundError(2, "No such file or directory")
    Traceback (most recent call last):
    lichen.errors.SystemFailed: LCH-3002: cannot read the state
      at /no/such/file
      why: No such file or directory
      fix: look whether the disk is mounted and healthy, then run again
    """
    try:
        yield
    except OSError as failure:
        if failure.errno in _FULL:
            raise disk_full(what, path) from failure
        raise unreachable(what, path, failure.strerror or str(failure), refused=failure.errno in _REFUSED) from failure


def disk_full(what: str, path: Path) -> SystemFailed:
    """The error for a disk with no room left; `what` completes "cannot ..."."""
    return SystemFailed(
        "LCH-3001",
        f"the disk is full: cannot {what}",
        where=Where(path),
        fix="free some space, then run again: what was written before is whole",
    )


def unreachable(what: str, path: Path, why: str, *, refused: bool = False) -> SystemFailed:
    """The error for a place that cannot be read or written; `refused` where permission is what lacks."""
    if refused:
        fix = "give the user who runs lichen the right to read and write there, then run again"
    else:
        fix = "look whether the disk is mounted and healthy, then run again"
    return SystemFailed("LCH-3002", f"cannot {what}", where=Where(path), why=why, fix=fix)


def altered(table: str, path: Path, why: str, fix: str) -> SystemFailed:
    """The error for a file of a table that is no longer as it was written; `fix` says how its rows come back."""
    return SystemFailed(
        "LCH-3004",
        f"a file of table `{table}` is not what was written",
        where=Where(path),
        why=why,
        fix=f"{fix}; or restore the file from a copy, as recorded predictions must be",
    )
