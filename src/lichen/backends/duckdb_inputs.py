"""What a statement reads, made known to its session."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from lichen.ground.quoting import identifier, literal, sql
from lichen.ground.stream import Stream
from lichen.ports import Arrow, Column, Relation

if TYPE_CHECKING:
    import duckdb


class Broken(list[tuple[str, Exception]]):
    """The inputs that broke while they were read, by name: DuckDB keeps an error's text alone."""


def register(session: duckdb.DuckDBPyConnection, inputs: Mapping[str, Relation], broken: Broken) -> None:
    """Make each relation known by its name; the error of an Arrow stream that breaks is kept in `broken`."""
    for name, relation in inputs.items():
        if relation.arrow is not None:
            session.register(name, _watched(name, relation.arrow, broken))
        else:
            session.execute(sql("CREATE TEMP VIEW", identifier(name), "AS", _select(name, relation)))


_WORD = re.compile(r"\w+")


class Shapes:
    """A session in which relations stand as empty tables, for statements to be described one after the other.

    Each is made once and kept for the statements after it, which saves half of the time; one that a statement is not
    given and that it may name is taken away before. Use it in a `with` block: one thread at a time describes.
    """

    def __init__(self, session: duckdb.DuckDBPyConnection) -> None:
        self._session, self._lock = session, Lock()
        self._made: dict[str, tuple[Column, ...]] = {}
        self._odd: set[str] = set()

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *raised: object) -> None:
        self._lock.release()

    def showing(self, select: str, inputs: Mapping[str, Relation]) -> duckdb.DuckDBPyConnection:
        """The session, where a statement finds these relations and no others."""
        given = {name.lower(): relation.columns for name, relation in inputs.items()}
        named = self._made.keys() & set(_WORD.findall(select.lower()))
        for name in (named | self._odd) - given.keys():
            del self._made[name]
            self._odd.discard(name)
            self._session.execute(sql("DROP TABLE", identifier(name)))
        for name, columns in given.items():
            if self._made.get(name) != columns:
                shown = ", ".join(f"{identifier(column.name)} {column.type}" for column in columns)
                self._session.execute(sql("CREATE OR REPLACE TEMP TABLE", identifier(name), "(", shown, ")"))
                self._made[name] = columns
                if not _WORD.fullmatch(name):
                    self._odd.add(name)
        return self._session


def _watched(name: str, arrow: Arrow, broken: Broken) -> Arrow:
    from arro3.core import RecordBatchReader

    if hasattr(arrow, "num_rows"):
        return arrow  # a table in memory cannot break

    def noting(batches: Iterator[Any]) -> Iterator[Any]:
        try:
            yield from batches
        except Exception as error:
            broken.append((name, error))
            raise

    if isinstance(arrow, Stream):
        return Stream(arrow.schema, lambda: noting(arrow.batches()))
    opened = [RecordBatchReader.from_stream(arrow)]
    # The reader that tells the schema serves first; a second reading opens another.
    return Stream(
        opened[0].schema, lambda: noting(iter(opened.pop() if opened else RecordBatchReader.from_stream(arrow)))
    )


def _select(name: str, relation: Relation) -> str:
    if not relation.columns:
        raise ValueError(f"the relation `{name}` has neither columns nor an Arrow stream")
    if not relation.files:
        nulls = ", ".join(f"CAST(NULL AS {c.type}) AS {identifier(c.name)}" for c in relation.columns)
        return sql("SELECT", nulls, "WHERE false")
    # The casts cost nothing where the types agree, and make the declared type hold where they do not.
    shown = ", ".join(f"CAST({identifier(c.name)} AS {c.type}) AS {identifier(c.name)}" for c in relation.columns)
    return sql("SELECT", shown, "FROM", f"read_parquet([{', '.join(map(literal, relation.files))}])")
