"""Feature state by key, in one SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from lichen.backends.sqlite_file import SqliteFile
from lichen.errors import FoundWrong, SystemFailed, Where
from lichen.ground.failpoint import fp

_FORMAT = 1
_BATCH = 5_000
_TABLES = """
CREATE TABLE generations (id INTEGER PRIMARY KEY AUTOINCREMENT, view TEXT NOT NULL, number INTEGER, cursor TEXT) STRICT;
CREATE UNIQUE INDEX generation_number ON generations (view, number);
CREATE TABLE pointers (view TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT;
CREATE TABLE states (generation INTEGER, key BLOB, state BLOB NOT NULL, PRIMARY KEY (generation, key))
  STRICT, WITHOUT ROWID;
"""
_STATE = """
SELECT state FROM states
WHERE generation = (SELECT id FROM generations WHERE view = ? AND number = ?) AND key = ?
"""
_KEPT = "SELECT 1 FROM generations WHERE view = ? AND number = ?"


class SQLiteOnlineStore:
    """Keeps the visible generation of each view and the one before it, in one SQLite file.

    A generation is written in batches under an id without a number, and one transaction then gives it its number and
    moves the view's pointer. What a killed writer left has no number; the view's next writer removes it. A writer that
    is overtaken by another of the same view stops: the one that began last wins.
    """

    def __init__(self, path: Path, *, patience: float = 30.0) -> None:
        self._file = SqliteFile(path, kind="online store", format_=_FORMAT, tables=_TABLES, patience=patience)

    def replace(self, view: str, items: Iterable[tuple[bytes, bytes]], cursor: str) -> int:
        """Make these (key, state) pairs the view's new generation, atomically; returns its number (from 1).

        A key given twice is refused, for nothing tells which of its states is right.
        """
        new = self._begin(view)
        self._clean()
        stream = iter(items)
        while batch := list(islice(stream, _BATCH)):
            self._add(view, new, batch)
        fp("online.written")
        number = self._flip(view, new, cursor)
        fp("online.flipped")
        self._clean()
        return number

    def generation(self, view: str) -> tuple[int, str] | None:
        """The visible generation's number and cursor, or None where the view was never materialised."""
        with self._file.reading() as connection:
            row = connection.execute(
                "SELECT number, cursor FROM pointers JOIN generations USING (view, number) WHERE view = ?", (view,)
            ).fetchone()
        return None if row is None else (int(row[0]), str(row[1]))

    def get(self, view: str, generation: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """The states of these keys in that generation, None for a key it does not hold.

        A generation that is no longer kept raises `SystemFailed`: its keys are not absent, they are unknown.
        """
        rows = self._file.rows(_STATE, [(view, generation, key) for key in keys])
        # A generation loses its number before it loses its states, so if it has one now, what was read is whole.
        if None in rows and self._file.rows(_KEPT, [(view, generation)]) == [None]:
            raise self._gone(view, generation)
        return [None if row is None else row[0] for row in rows]

    def drop(self, view: str) -> None:
        """Forget a view, all its generations."""
        with self._file.writing("online") as connection:
            connection.execute("DELETE FROM pointers WHERE view = ?", (view,))
            connection.execute("DELETE FROM generations WHERE view = ?", (view,))
        self._clean()

    def views(self) -> list[str]:
        """The views that have a visible generation."""
        with self._file.reading() as connection:
            return [row[0] for row in connection.execute("SELECT view FROM pointers ORDER BY view").fetchall()]

    def close(self) -> None:
        """Release what the store holds open."""
        self._file.close()

    def _begin(self, view: str) -> int:
        with self._file.writing("online") as connection:
            connection.execute("DELETE FROM generations WHERE view = ? AND number IS NULL", (view,))
            new = connection.execute("INSERT INTO generations (view) VALUES (?)", (view,)).lastrowid
        assert new is not None
        return new

    def _add(self, view: str, new: int, batch: Sequence[tuple[bytes, bytes]]) -> None:
        with self._file.writing("online") as connection:
            self._still_ours(connection, view, new)
            try:
                connection.executemany(
                    "INSERT INTO states VALUES (?, ?, ?)", ((new, key, state) for key, state in batch)
                )
            except sqlite3.IntegrityError as twice:
                raise FoundWrong(
                    "LCH-3022",
                    f"view `{view}`: a key was given twice in one generation",
                    fix="give each entity one row; the last one known, for instance",
                ) from twice

    def _flip(self, view: str, new: int, cursor: str) -> int:
        with self._file.writing("online") as connection:
            self._still_ours(connection, view, new)
            row = connection.execute("SELECT number FROM pointers WHERE view = ?", (view,)).fetchone()
            number = 1 if row is None else int(row[0]) + 1
            connection.execute("UPDATE generations SET number = ?, cursor = ? WHERE id = ?", (number, cursor, new))
            connection.execute("INSERT OR REPLACE INTO pointers VALUES (?, ?)", (view, number))
            connection.execute("DELETE FROM generations WHERE view = ? AND number < ?", (view, number - 1))
        return number

    def _clean(self) -> None:
        """Remove states whose generation is gone, in batches, so that no other writer waits long."""
        for generation in self._orphans():
            more = True
            while more:
                with self._file.writing("online") as connection:
                    more = (
                        connection.execute(
                            "DELETE FROM states WHERE generation = ? AND key IN "
                            "(SELECT key FROM states WHERE generation = ? LIMIT ?)",
                            (generation, generation, _BATCH),
                        ).rowcount
                        > 0
                    )

    def _orphans(self) -> Iterator[int]:
        """Ids that have states and no generation, found by leaping from one id to the next."""
        found: tuple[int] | None = (0,)
        while found is not None:
            with self._file.reading() as connection:
                found = connection.execute(
                    "SELECT generation FROM states WHERE generation > ? ORDER BY generation LIMIT 1", found
                ).fetchone()
                kept = found is None or connection.execute("SELECT 1 FROM generations WHERE id = ?", found).fetchone()
            if found is not None and kept is None:
                yield found[0]

    def _still_ours(self, connection: sqlite3.Connection, view: str, new: int) -> None:
        if connection.execute("SELECT 1 FROM generations WHERE id = ?", (new,)).fetchone() is None:
            raise SystemFailed(
                "LCH-3023",
                f"view `{view}`: another process began to replace it, or dropped it, so this one stopped",
                where=Where(self._file.path),
                fix="wait for the other one; run again if it failed",
            )

    def _gone(self, view: str, generation: int) -> SystemFailed:
        return SystemFailed(
            "LCH-3021",
            f"view `{view}`: generation {generation} is no longer kept",
            where=Where(self._file.path),
            fix="ask for the visible generation; run `lichen run` if the release names this one",
        )
