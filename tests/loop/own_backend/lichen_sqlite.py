"""A connector of another package: the rows of a table in a SQLite file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from arro3.core import Array, DataType, Table

from lichen.errors import FoundWrong, SystemFailed
from lichen.ports import Arrow, Column, Extract, Since

# The types that this connector can give, each with what makes a value of it and its Arrow type.
TYPES: Mapping[str, tuple[Callable[[Any], Any], DataType]] = {
    "BIGINT": (int, DataType.int64()),
    "DOUBLE": (float, DataType.float64()),
    "VARCHAR": (str, DataType.utf8()),
}
REJECT = {"_file": "VARCHAR", "_row": "BIGINT", "column": "VARCHAR", "reason": "VARCHAR", "raw": "VARCHAR"}


class SQLiteConnector:
    """Reads a table of a SQLite file."""

    options: ClassVar[Mapping[str, str]] = {
        "path": "The SQLite file.",
        "table": "The table in it.",
    }
    option_types: ClassVar[Mapping[str, Any]] = {"path": str, "table": str}

    def token(self, options: Mapping[str, Any], before: str | None = None) -> str:
        """The file's size and time of change; nothing in it is read."""
        try:
            facts = Path(options["path"]).stat()
        except OSError as error:
            raise SystemFailed(
                "SQLITE-1", f"there is no file `{options['path']}`", why=error.strerror, fix="look at `path`"
            ) from error
        return f"{facts.st_size} {facts.st_mtime_ns}"

    def columns(self, options: Mapping[str, Any], types: Mapping[str, str]) -> tuple[Column, ...]:
        """The table's columns: of the type demanded, or else text."""
        with closing(self._opened(options)) as file:
            found = file.execute("SELECT name FROM pragma_table_info(?)", (options["table"],)).fetchall()
        if not found:
            raise FoundWrong("SQLITE-2", f"there is no table `{options['table']}`", fix="look at `table`")
        wrong = [kind for kind in types.values() if kind not in TYPES]
        if wrong:
            raise FoundWrong("SQLITE-3", f"`sqlite` cannot give {wrong[0]}", fix=f"declare one of {', '.join(TYPES)}")
        return tuple(Column(name, types.get(name, "VARCHAR")) for (name,) in found)

    def read(self, options: Mapping[str, Any], types: Mapping[str, str], since: Since | None = None) -> Extract:
        """The table's rows; a value that is not of its column's type makes its row a reject."""
        columns = self.columns(options, types)
        good: list[tuple[Any, ...]] = []
        rejects: list[tuple[Any, ...]] = []
        for number, row in enumerate(self._rows(options), 1):
            made = _typed(columns, row)
            if isinstance(made, Column):
                reason = f"it is not {made.type}: {row[columns.index(made)]!r}"
                rejects.append((str(options["path"]), number, made.name, reason, repr(row)))
            elif since is None or _is_since(columns, made, since.column, since.value):
                good.append((*made, number, str(options["path"])))
        kinds = {**{column.name: column.type for column in columns}, "_row": "BIGINT", "_file": "VARCHAR"}
        return Extract(_arrow(kinds, good), lambda: _arrow(REJECT, rejects))

    def _opened(self, options: Mapping[str, Any]) -> sqlite3.Connection:
        self.token(options)  # says clearly that the file is not there; sqlite3 would make one
        return sqlite3.connect(f"file:{os.fspath(options['path'])}?mode=ro", uri=True)

    def _rows(self, options: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        name = str(options["table"]).replace('"', '""')
        with closing(self._opened(options)) as file:
            yield from file.execute(f'SELECT * FROM "{name}" ORDER BY rowid')


def _typed(columns: Sequence[Column], row: Sequence[Any]) -> list[Any] | Column:
    """The row's values in their columns' types, or the column whose value has none."""
    made = []
    for column, value in zip(columns, row, strict=True):
        try:
            made.append(None if value is None else TYPES[column.type][0](value))
        except ValueError:
            return column
    return made


def _is_since(columns: Sequence[Column], row: Sequence[Any], name: str, start: str) -> bool:
    place = next(place for place, column in enumerate(columns) if column.name == name)
    return row[place] is None or row[place] >= TYPES[columns[place].type][0](start)


def _arrow(kinds: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> Arrow:
    values = list(zip(*rows, strict=True)) or [()] * len(kinds)
    arrays = [Array(list(own), TYPES[kind][1]) for own, kind in zip(values, kinds.values(), strict=True)]
    table: Arrow = Table.from_arrays(arrays, names=list(kinds))
    return table
