"""What a statement reads, made known to its session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lichen.errors import FoundWrong
from lichen.ground.quoting import identifier, literal, sql
from lichen.ground.stream import Stream
from lichen.ports import Arrow, Relation

if TYPE_CHECKING:
    import duckdb


class Inputs:
    """The relations of one session; an Arrow stream that breaks ends there, and `demand_whole` raises why.

    DuckDB 2.0 crashes the process where a stream it reads raises while its own rows are streamed out. So none
    does: the statement sees the rows up to the break, and whoever ran it asks here before believing its result.
    """

    def __init__(self, session: duckdb.DuckDBPyConnection, inputs: Mapping[str, Relation]) -> None:
        self._broken: list[tuple[str, Exception]] = []
        for name, relation in inputs.items():
            if relation.arrow is not None:
                session.register(name, self._quiet(name, relation.arrow))
            else:
                session.execute(sql("CREATE VIEW", identifier(name), "AS", _select(name, relation)))

    def demand_whole(self) -> None:
        """Raise the error that broke an input, if one did: its own where it is ours, else its words."""
        for name, error in self._broken:
            if type(error) is not Exception:
                raise error
            # What comes through a C stream is a plain Exception with a text.
            raise FoundWrong(
                "LCH-2305", f"the rows of `{name}` broke off", why=str(error), fix="mend what gives them"
            ) from error

    def _quiet(self, name: str, arrow: Arrow) -> Arrow:
        from arro3.core import RecordBatchReader

        if hasattr(arrow, "num_rows"):
            return arrow  # a table in memory cannot break
        if isinstance(arrow, Stream):
            return Stream(arrow.schema, lambda: self._until_broken(name, arrow.batches()))
        opened = [RecordBatchReader.from_stream(arrow)]
        schema = opened[0].schema

        def batches() -> Iterator[Any]:
            # The reader that told the schema serves first; a second reading opens another.
            return iter(opened.pop() if opened else RecordBatchReader.from_stream(arrow))

        return Stream(schema, lambda: self._until_broken(name, batches()))

    def _until_broken(self, name: str, batches: Iterator[Any]) -> Iterator[Any]:
        try:
            yield from batches
        except Exception as error:  # noqa: BLE001 it is raised again by demand_whole
            self._broken.append((name, error))


def _select(name: str, relation: Relation) -> str:
    if not relation.columns:
        raise ValueError(f"the relation `{name}` has neither columns nor an Arrow stream")
    if not relation.files:
        nulls = ", ".join(f"CAST(NULL AS {c.type}) AS {identifier(c.name)}" for c in relation.columns)
        return sql("SELECT", nulls, "WHERE false")
    # The casts cost nothing where the types agree, and make the declared type hold where they do not.
    shown = ", ".join(f"CAST({identifier(c.name)} AS {c.type}) AS {identifier(c.name)}" for c in relation.columns)
    return sql("SELECT", shown, "FROM", f"read_parquet([{', '.join(map(literal, relation.files))}])")
