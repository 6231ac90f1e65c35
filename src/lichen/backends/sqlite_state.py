"""The truth, in one SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lichen.backends.sqlite_file import SqliteFile
from lichen.ground.clock import Clock, SystemClock
from lichen.ground.digest import canonical
from lichen.ground.duration import microseconds
from lichen.ports import Append, Conflict, Expect, Forget, Put

_FORMAT = 1
_CLOCK = SystemClock()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TABLES = """
CREATE TABLE documents (collection TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (collection, key)) STRICT;
CREATE TABLE entries (journal TEXT, number INTEGER, value TEXT NOT NULL, PRIMARY KEY (journal, number)) STRICT;
CREATE TABLE leases (resource TEXT PRIMARY KEY, owner TEXT NOT NULL, lapses INTEGER NOT NULL) STRICT;
"""


class SQLiteStateStore:
    """Keeps documents, journals and leases in one SQLite file that any number of processes may share.

    Two documents are equal where their JSON is, whatever the order of their keys. `patience` is how many seconds a
    write waits for another process's; leases go by the machine's clock.
    """

    def __init__(self, path: Path, *, clock: Clock = _CLOCK, patience: float = 30.0) -> None:
        self._file = SqliteFile(path, kind="state store", format_=_FORMAT, tables=_TABLES, patience=patience)
        self._clock = clock

    def get(self, collection: str, key: str) -> Mapping[str, Any] | None:
        """A document, or None."""
        with self._file.reading() as connection:
            text = _text(connection, collection, key)
        return None if text is None else _object(text)

    def scan(self, collection: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """All documents of a collection, by key, as they were when this was called."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT key, value FROM documents WHERE collection = ? ORDER BY key", (collection,)
            ).fetchall()
        return ((key, _object(text)) for key, text in rows)

    def entries(self, journal: str, after: int = 0, last: int | None = None) -> list[tuple[int, Mapping[str, Any]]]:
        """A journal's entries with numbers above `after`; with `last`, only that many newest. Oldest first."""
        most = -1 if last is None else max(last, 0)
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT number, value FROM entries WHERE journal = ? AND number > ? ORDER BY number DESC LIMIT ?",
                (journal, after, most),
            ).fetchall()
        return [(number, _object(text)) for number, text in reversed(rows)]

    def write(self, *writes: Put | Append | Forget) -> list[int]:
        """Carry out all these writes in one transaction, or raise `Conflict`; returns the appends' numbers.

        They are carried out in order: a later one sees what an earlier one wrote.
        """
        if not writes:
            return []
        texts = ["" if isinstance(write, Forget) else _json(write.value) for write in writes]
        numbers = []
        with self._file.writing("state") as connection:
            for write, text in zip(writes, texts, strict=True):
                if isinstance(write, Append):
                    numbers.append(_append(connection, write.journal, text))
                elif isinstance(write, Forget):
                    gone = (write.collection, write.key)
                    connection.execute("DELETE FROM documents WHERE collection = ? AND key = ?", gone)
                else:
                    _put(connection, write, text)
        return numbers

    def lease(self, resource: str, owner: str, seconds: float) -> str | None:
        """Take or renew a lease; returns None once `owner` holds it, else the name of who does."""
        with self._file.writing("state") as connection:
            now = self._now()
            row = connection.execute("SELECT owner, lapses FROM leases WHERE resource = ?", (resource,)).fetchone()
            if row is not None and row[0] != owner and row[1] > now:
                return str(row[0])
            lapses = now + microseconds(timedelta(seconds=seconds))
            connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (resource, owner, lapses))
        return None

    def holder(self, resource: str) -> str | None:
        """Who holds a lease that has not lapsed, or None; nothing is written."""
        with self._file.reading() as connection:
            select = "SELECT owner FROM leases WHERE resource = ? AND lapses > ?"
            row = connection.execute(select, (resource, self._now())).fetchone()
        return None if row is None else str(row[0])

    def free(self, resource: str, owner: str) -> None:
        """Give a lease back; nothing happens where `owner` does not hold it."""
        with self._file.writing("state") as connection:
            connection.execute("DELETE FROM leases WHERE resource = ? AND owner = ?", (resource, owner))

    def close(self) -> None:
        """Release what the store holds open."""
        self._file.close()

    def _now(self) -> int:
        return microseconds(self._clock.now() - _EPOCH)


def _text(connection: sqlite3.Connection, collection: str, key: str) -> str | None:
    row = connection.execute(
        "SELECT value FROM documents WHERE collection = ? AND key = ?", (collection, key)
    ).fetchone()
    return None if row is None else str(row[0])


def _put(connection: sqlite3.Connection, put: Put, text: str) -> None:
    if not isinstance(put.expect, Expect):
        there = _text(connection, put.collection, put.key)
        expected = None if put.expect is None else canonical(put.expect)
        if (None if there is None else canonical(_object(there))) != expected:
            state = "is there already" if put.expect is None else "is not what this write expected"
            raise Conflict(f"`{put.key}` in `{put.collection}` {state}")
    connection.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (put.collection, put.key, text))


def _append(connection: sqlite3.Connection, journal: str, text: str) -> int:
    row = connection.execute("SELECT max(number) FROM entries WHERE journal = ?", (journal,)).fetchone()
    number = (row[0] or 0) + 1
    connection.execute("INSERT INTO entries VALUES (?, ?, ?)", (journal, number, text))
    return int(number)


def _json(value: Mapping[str, Any]) -> str:
    # Keys keep their order: to some of those who keep values here it means something.
    return json.dumps(dict(value), separators=(",", ":"), allow_nan=False)


def _object(text: str) -> Mapping[str, Any]:
    value: dict[str, Any] = json.loads(text)
    return value
