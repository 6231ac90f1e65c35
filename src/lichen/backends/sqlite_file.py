"""One SQLite database as a durable file that several processes and threads share."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from lichen.errors import SystemFailed, Where
from lichen.ground.clock import SystemClock
from lichen.ground.failpoint import fp
from lichen.ground.files import disk_full, sync_folder, system_failures, unreachable

_MARK = "CREATE TABLE lichen (kind TEXT NOT NULL, format INTEGER NOT NULL) STRICT;"
_UNREADABLE = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_REFUSED = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})
_TORN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_LOCKS_BYTES = 32 * 1024
_HELD = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_CACHE_KIB = 32_768
"""What a connection remembers of the file, at most; SQLite's own 2 MiB is soon read over and over."""

_TO_READ = ("SELECT count(*) FROM sqlite_master", "PRAGMA query_only = ON")
_AGAIN = 0.005
_RENEW = "use the version of Lichen that wrote it"
_CLOCK = SystemClock()


class SqliteFile:
    """A database in WAL mode with full synchronisation: one connection to read by, one to write by, a lock for each.

    Readers never wait for writers, of this process or another. `kind` and `format` are recorded in the file: a
    database of another kind or format is refused; `renew` says what to do about an older one. The file is made under
    another name and linked into place whole, so an empty file found at `path` is damage, never a store to begin with.

    Whoever opens a database in WAL mode first makes the file of its locks, 32 KiB. Where the disk has no room for it
    each reading holds the database alone for as long as it takes, and keeps its locks in memory. Where its folder
    cannot be written nobody here writes the database either: it is read as it stands, without locks, or as a copy where
    a writer left part of it in its log; what somebody writes meanwhile from elsewhere is seen by the next reading.
    """

    def __init__(
        self, path: Path, *, kind: str, format_: int, tables: str, patience: float, renew: str = _RENEW
    ) -> None:
        self.path = path.absolute()
        self._kind, self._format, self._patience, self._renew = kind, format_, patience, renew
        self._read_lock, self._write_lock = threading.Lock(), threading.RLock()
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._still: tuple[object, ...] = ()
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._closed = False
        with self.failures(f"open the {kind}"):
            if not self.path.exists():
                self._make(tables)
            if self.path.stat().st_size == 0:
                raise self._damaged("the file is empty")
        try:
            with self.reading(f"open the {kind}") as connection:
                self._check_format(connection)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self, what: str = "") -> Iterator[sqlite3.Connection]:
        """The connection to read by, for one thread at a time."""
        with self._read_lock, self.failures(what or f"read the {self._kind}"):
            if self._still and not self._closed and self._still != self._stand():
                self._let_go()
            if self._reader is None:
                self._reader = self._shared_reader()
            if self._reader is not None:
                yield self._reader
                return
            with closing(self._lone_reader()) as connection:
                yield connection

    def rows(self, select: str, each: Iterable[tuple[str | int | bytes, ...]]) -> list[tuple[Any, ...] | None]:
        """The first row a statement gives for each of these parameters, or None: `reading` without its overhead."""
        if self._reader is None or self._still:
            with self.reading() as connection:
                return [connection.execute(select, parameters).fetchone() for parameters in each]
        with self._read_lock:
            execute = self._reader.execute
            try:
                return [execute(select, parameters).fetchone() for parameters in each]
            except sqlite3.DatabaseError:
                with self.failures(f"read the {self._kind}"):
                    raise

    @contextmanager
    def writing(self, points: str) -> Iterator[sqlite3.Connection]:
        """A transaction that is committed whole at the end, or not at all where anything is raised.

        Passes the failpoints `<points>.begin`, `<points>.write` before the commit and `<points>.committed` after it.
        """
        with self._write_lock, self.failures(f"write the {self._kind}"):
            writer = self._writer = self._writer or self._connect(self.path)
            try:
                writer.execute("BEGIN IMMEDIATE")
            except sqlite3.DatabaseError:
                # It may have failed half open, and would keep others from reading.
                self._writer = None
                writer.close()
                raise
            try:
                fp(f"{points}.begin")
                yield writer
                fp(f"{points}.write")
                writer.execute("COMMIT")
            finally:
                if writer.in_transaction:
                    writer.execute("ROLLBACK")
            fp(f"{points}.committed")

    @contextmanager
    def failures(self, what: str) -> Iterator[None]:
        """Turn what SQLite and the system raise inside into a `SystemFailed`; `what` completes "cannot ..."."""
        with system_failures(what, self.path):
            try:
                yield
            except sqlite3.DatabaseError as failure:
                named = self._failed(failure, what)
                if named is None:
                    raise
                raise named from failure

    def close(self) -> None:
        """Close both connections; what is asked afterwards raises `sqlite3.ProgrammingError`."""
        with self._read_lock, self._write_lock:
            self._closed = True
            for connection in (self._reader, self._writer):
                if connection is not None:
                    connection.close()
            if self._copy is not None:
                self._copy.cleanup()

    def _shared_reader(self) -> sqlite3.Connection | None:
        """A connection that has found the file of the locks, or None where the disk has no room to make it."""
        try:
            return self._connect(self.path, *_TO_READ)
        except sqlite3.DatabaseError as failure:
            if _code(failure) in _UNREADABLE | _REFUSED and not os.access(self.path.parent, os.W_OK):
                return self._still_reader()
            if _code(failure) in _UNREADABLE and self._has_no_room():
                return None
            raise

    def _still_reader(self) -> sqlite3.Connection:
        """A connection to a database in a folder that cannot be written, where no locks can be made."""
        self._still = self._stand()
        log = self._log()
        if not log.exists() or log.stat().st_size == 0:
            return self._connect(self.path, *_TO_READ, still=True)
        self._copy = tempfile.TemporaryDirectory(prefix="lichen-")
        copied = Path(self._copy.name) / self.path.name
        for file in (self.path, log):
            shutil.copyfile(file, copied.with_name(file.name))
        return self._connect(copied, *_TO_READ)

    def _stand(self) -> tuple[object, ...]:
        """What changes when somebody writes the database."""
        files = [file.stat() for file in (self.path, self._log()) if file.exists()]
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in files)

    def _let_go(self) -> None:
        """Close the reader, and remove the copy it read, if it did."""
        if self._reader is not None:
            self._reader.close()
        if self._copy is not None:
            self._copy.cleanup()
        self._reader, self._copy, self._still = None, None, ()

    def _log(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    def _lone_reader(self) -> sqlite3.Connection:
        """A connection that holds the database alone; it waits for others that do, as long as its patience lasts.

        Two that each hold a share and wait for the other's would wait for ever: each lets go before it tries again.
        """
        until = _CLOCK.seconds() + self._patience
        while True:
            try:
                return self._connect(self.path, "PRAGMA busy_timeout = 0", "PRAGMA locking_mode = EXCLUSIVE", *_TO_READ)
            except sqlite3.DatabaseError as failure:
                if _code(failure) not in _HELD or _CLOCK.seconds() >= until:
                    raise
                time.sleep(_AGAIN * (1 + os.getpid() % 7))  # not all at the same time

    def _connect(self, path: Path, *first: str, still: bool = False) -> sqlite3.Connection:
        """A connection on which these statements were carried out, or none that is left open."""
        if self._closed:
            raise sqlite3.ProgrammingError(f"the {self._kind} is closed")
        place = f"{path.as_uri()}?mode=ro&immutable=1" if still else str(path)
        connection = sqlite3.connect(
            place, timeout=self._patience, isolation_level=None, check_same_thread=False, uri=still
        )
        try:
            for statement in (*first, "PRAGMA synchronous = FULL", f"PRAGMA cache_size = -{_CACHE_KIB}"):
                connection.execute(statement).fetchall()
        except BaseException:
            connection.close()
            raise
        return connection

    def _make(self, tables: str) -> None:
        """Make the database under a name of this process and thread, then link it into place; the first maker wins."""
        if self._log().exists():
            raise self._damaged(f"the file is missing, while its log {self._log().name} is there")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}.{threading.get_ident()}")
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            with closing(self._connect(fresh)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(f"BEGIN; {_MARK} {tables} COMMIT;")
                connection.execute("INSERT INTO lichen VALUES (?, ?)", (self._kind, self._format))
            try:
                os.link(fresh, self.path)
            except FileExistsError:
                return
            sync_folder(self.path.parent)
        finally:
            fresh.unlink(missing_ok=True)

    def _check_format(self, connection: sqlite3.Connection) -> None:
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'lichen'").fetchone()
        row = None if known is None else connection.execute("SELECT kind, format FROM lichen").fetchone()
        if row is None or row[0] != self._kind:
            found = "another program's database" if row is None else f"the {row[0]}"
            raise SystemFailed(
                "LCH-3013",
                f"this file is not the {self._kind} but {found}",
                where=Where(self.path),
                fix=f"name another file for the {self._kind}",
            )
        if row[1] > self._format:
            raise SystemFailed(
                "LCH-3014",
                f"the {self._kind} was written by a newer Lichen",
                where=Where(self.path),
                why=f"its format is {row[1]}, this Lichen knows up to {self._format}",
                fix="pip install --upgrade lichen",
            )
        if row[1] < self._format:
            raise SystemFailed(
                "LCH-3016",
                f"the {self._kind} was written by an older Lichen",
                where=Where(self.path),
                why=f"its format is {row[1]}, this Lichen knows {self._format} alone",
                fix=self._renew,
            )

    def _failed(self, failure: sqlite3.DatabaseError, what: str) -> SystemFailed | None:
        code = _code(failure)
        # Without room for the file of its locks SQLite tells an I/O error, and not that the disk is full.
        if code == sqlite3.SQLITE_FULL or (code in _UNREADABLE and self._has_no_room()):
            return disk_full(what, self.path)
        if code in _UNREADABLE or code in _REFUSED:
            refused = code in _REFUSED or not os.access(self.path.parent, os.W_OK)
            return unreachable(what, self.path, str(failure), refused=refused)
        if code in _TORN:
            return self._damaged(str(failure))
        if code in _HELD:
            return SystemFailed(
                "LCH-3011",
                f"cannot {what}: another process has held it for more than {self._patience:g} s",
                where=Where(self.path),
                fix="wait for that process to end, or end it, then run again",
            )
        return None

    def _has_no_room(self) -> bool:
        try:
            return shutil.disk_usage(self.path.parent).free < _LOCKS_BYTES
        except OSError:
            return False

    def _damaged(self, why: str) -> SystemFailed:
        return SystemFailed(
            "LCH-3012",
            f"the {self._kind} is damaged",
            where=Where(self.path),
            why=why,
            fix="move the file away and restore it from a backup",
        )


def _code(failure: sqlite3.DatabaseError) -> int:
    return int(getattr(failure, "sqlite_errorcode", -1)) & 0xFF
