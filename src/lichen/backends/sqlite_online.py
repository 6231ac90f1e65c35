"""Feature state by key, in one SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lichen.backends import online_refusals as refused
from lichen.backends.sqlite_file import SqliteFile
from lichen.errors import Where
from lichen.ground.failpoint import fp

_FORMAT = 2
_BATCH = 5_000
_BATCH_BYTES = 16 << 20
_TABLES = """
CREATE TABLE generations (
  id INTEGER PRIMARY KEY AUTOINCREMENT, view TEXT NOT NULL, line INTEGER, number INTEGER, cursor TEXT) STRICT;
CREATE UNIQUE INDEX generation_number ON generations (view, number);
CREATE INDEX generation_line ON generations (line);
CREATE TABLE pointers (view TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT;
CREATE TABLE states (line INTEGER, key BLOB, version INTEGER, state BLOB, PRIMARY KEY (line, key, version))
  STRICT, WITHOUT ROWID;
CREATE TABLE changed (version INTEGER, key BLOB, PRIMARY KEY (version, key)) STRICT, WITHOUT ROWID;
CREATE TABLE leavings (id INTEGER PRIMARY KEY, line INTEGER NOT NULL, shown INTEGER NOT NULL) STRICT;
"""
_STATE = "SELECT state FROM states WHERE line = ? AND key = ? AND version <= ? ORDER BY version DESC LIMIT 1"
_PLACE = "SELECT line, id FROM generations WHERE view = ? AND number = ?"
_VISIBLE = "SELECT number, cursor, line, id FROM pointers JOIN generations USING (view, number) WHERE view = ?"
_SEEN = """
SELECT key, length(state) AS size FROM states AS s WHERE line = ?1 AND key > ?2 AND state IS NOT NULL AND version =
  (SELECT max(version) FROM states WHERE line = s.line AND key = s.key AND version <= ?3)
ORDER BY key
"""
_TAKEN = """
INSERT OR IGNORE INTO states SELECT ?1, key, ?1, state FROM states AS s
WHERE line = ?2 AND key > ?3 AND key <= ?4 AND state IS NOT NULL AND version =
  (SELECT max(version) FROM states WHERE line = s.line AND key = s.key AND version <= ?5)
"""
_OLDEST = "SELECT id, line FROM generations JOIN pointers USING (view) WHERE generations.number < pointers.number"
_MOST_PLACES = 1_000


class SQLiteOnlineStore:
    """Keeps the visible generation of each view and the one before it, in one SQLite file.

    `replace` begins a line of generations; `change` continues one, and adds versions of the states it was given: a
    reader sees of each key the newest version that is not newer than its generation. Both write in batches under an
    id without a number, and one transaction then gives it its number and moves the view's pointer. What a killed
    writer left has no number; the view's next writer removes it. A writer that is overtaken by another of the same
    view stops: the one that began last wins.

    A base is copied after the items, from key to key, and what was written stays; a removed key is written without a
    state until then. Each batch is copied in one transaction that finds the base's generation still there, and a
    generation is forgotten before its states are: so each batch is the base's, or none is copied.

    What no generation needs any more stands in `leavings` until it is removed: whole lines, the versions of a writer
    that stopped, and those older than what `changed` says came after them.
    """

    def __init__(self, path: Path, *, patience: float = 30.0) -> None:
        self._file = SqliteFile(
            path,
            kind="online store",
            format_=_FORMAT,
            tables=_TABLES,
            patience=patience,
            renew="move the file away: the next `lichen run` or `lichen serve` fills a new one",
        )
        self._places: dict[tuple[str, int], tuple[int, int]] = {}

    def replace(
        self,
        view: str,
        items: Iterable[tuple[bytes, bytes | None]],
        cursor: str,
        base: tuple[str, int] | None = None,
    ) -> int:
        """Make these (key, state) pairs the view's new generation, atomically; returns its number (from 1).

        With `base`, a view's name and a generation of it, the new generation is that one with these keys' states
        replaced (None: removed). A key given twice is refused, for nothing tells which of its states is right.
        """
        place = None if base is None else self._place(*base)
        line, new = self._begin(view, None)
        self._write(view, line, new, items)
        if base is not None and place is not None:
            self._take_over(view, new, base, place)
        self._settle(line, new, undo=False)
        return self._show(view, line, new, cursor)

    def change(self, view: str, generation: int, items: Iterable[tuple[bytes, bytes | None]], cursor: str) -> int:
        """Make a new generation that is `generation` with these keys' states replaced (None: removed), atomically.

        Returns its number. It costs what its items cost, whatever the view holds.
        """
        line, new = self._begin(view, generation)
        self._write(view, line, new, items)
        return self._show(view, line, new, cursor)

    def generation(self, view: str) -> tuple[int, str] | None:
        """The visible generation's number and cursor, or None where the view was never materialised."""
        (row,) = self._file.rows(_VISIBLE, [(view,)])
        if row is None:
            return None
        number, cursor, line, version = row
        self._remember(view, number, (line, version))
        return number, cursor

    def get(self, view: str, generation: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """The states of these keys in that generation, None for a key it does not hold.

        A generation that is no longer kept raises `SystemFailed`: its keys are not absent, they are unknown.
        """
        line, version = place = self._places.get((view, generation)) or self._place(view, generation)
        rows = self._file.rows(_STATE, [(line, key, version) for key in keys])
        if None not in rows:
            return [row[0] for row in rows]  # type: ignore[index]
        # A generation is forgotten before its states are, so if it is there now, what was read is whole.
        if self._place(view, generation) == place:
            return [None if row is None else row[0] for row in rows]
        # The view was dropped and written anew: another generation has this number.
        return self.get(view, generation, keys)

    def drop(self, view: str) -> None:
        """Forget a view, all its generations."""
        with self._file.writing("online") as connection:
            connection.execute("DELETE FROM pointers WHERE view = ?", (view,))
            _leave(connection, view, "true")
        self._clean()

    def views(self) -> list[str]:
        """The views that have a visible generation."""
        with self._file.reading() as connection:
            return [row[0] for row in connection.execute("SELECT view FROM pointers ORDER BY view").fetchall()]

    def close(self) -> None:
        """Release what the store holds open."""
        self._file.close()

    def _place(self, view: str, generation: int) -> tuple[int, int]:
        """A generation's line, and its own id, the newest version that its readers see."""
        (row,) = self._file.rows(_PLACE, [(view, generation)])
        if row is None:
            self._places.pop((view, generation), None)
            raise refused.gone(view, generation, Where(self._file.path))
        self._remember(view, generation, (row[0], row[1]))
        return row[0], row[1]

    def _remember(self, view: str, number: int, place: tuple[int, int]) -> None:
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
        self._places[view, number] = place

    def _write(self, view: str, line: int, new: int, items: Iterable[tuple[bytes, bytes | None]]) -> None:
        # What a writer left that was killed while it changed this line would be seen once there is a newer generation.
        self._clean()
        for batch in _batches(items):
            self._add(view, line, new, batch)

    def _take_over(self, view: str, new: int, base: tuple[str, int], place: tuple[int, int]) -> None:
        """Copy the states that a base's readers see and nothing was written for, in batches in the order of keys."""
        line, version = place
        last: bytes | str = ""  # before every key: no text is greater than a blob, the empty one neither
        while True:
            with self._file.writing("online") as connection:
                self._still_ours(connection, view, new)
                if connection.execute(_PLACE, base).fetchone() != place:
                    raise refused.gone(*base, Where(self._file.path))
                end = _last_of_batch(connection, line, last, version)
                if end is None:
                    return
                connection.execute(_TAKEN, (new, line, last, end, version))
            last = end

    def _show(self, view: str, line: int, new: int, cursor: str) -> int:
        """Make what was written visible; returns its number."""
        fp("online.written")
        number = self._flip(view, new, cursor)
        fp("online.flipped")
        self._remember(view, number, (line, new))
        self._clean()
        return number

    def _begin(self, view: str, changes: int | None) -> tuple[int, int]:
        """Take the view over from whoever writes it; returns the line and the id of the generation to be written."""
        with self._file.writing("online") as connection:
            row = None if changes is None else connection.execute(_VISIBLE, (view,)).fetchone()
            if changes is not None and (row is None or row[0] != changes):
                visible = None if row is None else row[0]
                raise refused.not_visible(view, changes, visible, Where(self._file.path))
            _leave(connection, view, "number IS NULL")
            new = connection.execute("INSERT INTO generations (view) VALUES (?)", (view,)).lastrowid
            assert new is not None
            line = new if row is None else row[2]
            connection.execute("UPDATE generations SET line = ? WHERE id = ?", (line, new))
        return line, new

    def _add(self, view: str, line: int, new: int, batch: Sequence[tuple[bytes, bytes | None]]) -> None:
        with self._file.writing("online") as connection:
            self._still_ours(connection, view, new)
            try:
                connection.executemany(
                    "INSERT INTO states VALUES (?, ?, ?, ?)", ((line, key, new, state) for key, state in batch)
                )
            except sqlite3.IntegrityError as twice:
                raise refused.given_twice(view) from twice
            # Of a new line those are marked that are removed: what they stand for is that no base's state comes.
            marks = ((new, key) for key, state in batch if line != new or state is None)
            connection.executemany("INSERT INTO changed VALUES (?, ?)", marks)

    def _flip(self, view: str, new: int, cursor: str) -> int:
        with self._file.writing("online") as connection:
            self._still_ours(connection, view, new)
            row = connection.execute("SELECT number FROM pointers WHERE view = ?", (view,)).fetchone()
            number = 1 if row is None else int(row[0]) + 1
            connection.execute("UPDATE generations SET number = ?, cursor = ? WHERE id = ?", (number, cursor, new))
            connection.execute("INSERT OR REPLACE INTO pointers VALUES (?, ?)", (view, number))
            _leave(connection, view, f"number < {number - 1}")
        return number

    def _still_ours(self, connection: sqlite3.Connection, view: str, new: int) -> None:
        if connection.execute("SELECT 1 FROM generations WHERE id = ?", (new,)).fetchone() is None:
            raise refused.overtaken(view, Where(self._file.path))

    def _clean(self) -> None:
        """Remove what no generation needs any more, in batches, so that no other writer waits long."""
        for left, line, shown in self._listed("SELECT id, line, shown FROM leavings ORDER BY id"):
            if not self._listed("SELECT 1 FROM generations WHERE line = ? LIMIT 1", line):
                self._remove("states", "line", line)
                self._remove("changed", "version", left)
            else:
                self._settle(line, left, undo=not shown)
            with self._file.writing("online") as connection:
                connection.execute("DELETE FROM leavings WHERE id = ?", (left,))
        # Of the oldest generation that is kept, what its change came after is no longer seen by anybody.
        for version, line in self._listed(_OLDEST):
            self._settle(line, version, undo=False)

    def _settle(self, line: int, version: int, *, undo: bool) -> None:
        """Remove what a change wrote, or else what stood before it, and the marks of what it removed."""
        older = "version < ?2 OR (version = ?2 AND state IS NULL)"
        delete = f"DELETE FROM states WHERE line = ?1 AND key = ?3 AND ({'version = ?2' if undo else older})"  # noqa: S608
        while self._listed("SELECT 1 FROM changed WHERE version = ? LIMIT 1", version):
            with self._file.writing("online") as connection:
                keys = connection.execute("SELECT key FROM changed WHERE version = ? LIMIT ?", (version, _BATCH))
                batch = [key for (key,) in keys.fetchall()]
                connection.executemany(delete, ((line, version, key) for key in batch))
                marks = ((version, key) for key in batch)
                connection.executemany("DELETE FROM changed WHERE version = ? AND key = ?", marks)

    def _remove(self, table: str, column: str, value: int) -> None:
        """Remove the rows of a table that have this value, in batches of keys."""
        keys = f"SELECT key FROM {table} WHERE {column} = ?1 LIMIT ?2"  # noqa: S608 - both are words of this class
        more = True
        while more:
            with self._file.writing("online") as connection:
                delete = f"DELETE FROM {table} WHERE {column} = ?1 AND key IN ({keys})"  # noqa: S608
                more = connection.execute(delete, (value, _BATCH)).rowcount > 0

    def _listed(self, select: str, *values: int) -> list[tuple[int, ...]]:
        with self._file.reading() as connection:
            return connection.execute(select, values).fetchall()


def _batches(items: Iterable[tuple[bytes, bytes | None]]) -> Iterator[list[tuple[bytes, bytes | None]]]:
    """Items in lists that memory holds with ease, and whose writing keeps no other writer long."""
    batch: list[tuple[bytes, bytes | None]] = []
    size = 0
    for key, state in items:
        batch.append((key, state))
        size += len(key) + len(state or b"")
        if len(batch) >= _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _last_of_batch(connection: sqlite3.Connection, line: int, after: bytes | str, version: int) -> bytes | None:
    """The key up to which the states after another are copied at once; None where none is left."""
    key: bytes | None = None
    room, size = _BATCH, 0
    for found, length in connection.execute(_SEEN, (line, after, version)):
        key, room, size = found, room - 1, size + length
        if room == 0 or size >= _BATCH_BYTES:
            break
    return key


def _leave(connection: sqlite3.Connection, view: str, which: str) -> None:
    """Move a view's generations that meet a condition to those whose states are to be removed."""
    leaving = "INSERT INTO leavings SELECT id, line, number IS NOT NULL FROM generations"
    connection.execute(f"{leaving} WHERE view = ? AND {which}", (view,))
    connection.execute(f"DELETE FROM generations WHERE view = ? AND {which}", (view,))  # noqa: S608
