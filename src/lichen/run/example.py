"""Values that are right for a service's request, for its description: taken from what its model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arro3.core import Table

from lichen.graph.version import Version
from lichen.ground.quoting import identifier, literal, sql
from lichen.ground.types import vector_of
from lichen.ports import Column
from lichen.run.workshop import Workshop

EXAMPLE = "example"
"""The fact under which a service's version keeps its example."""

FEWEST = 10
"""A text that fewer rows hold may tell whose row it is: it is no example."""


def example(trained: Version, request: Sequence[Column], workshop: Workshop) -> dict[str, Any]:
    """A typical value of each request column, as JSON has it; a column without one is left out.

    A number's is the median, a text's and a boolean's the most frequent, an instant's or a date's the last.
    """
    there = {column.name for column in trained.columns}
    asked = [column for column in request if column.name in there and not vector_of(column.type)]
    if not asked or not trained.rows:
        return {}
    parts = [f"{_typical(column)} AS {identifier(column.name)}" for column in asked]
    found = Table.from_arrow(
        workshop.engine.query(sql("SELECT", ", ".join(parts), "FROM rows"), {"rows": workshop.relation(trained)})
    )
    values = {name: found.column(name).to_pylist()[0] for name in found.column_names}
    return {name: _as_json(value) for name, value in values.items() if value is not None}


def _typical(column: Column) -> str:
    name = identifier(column.name)
    if column.type in ("VARCHAR", "BOOLEAN"):
        frequent = sql("SELECT", name, "FROM rows WHERE", name, "IS NOT NULL GROUP BY", name)
        return sql("(", frequent, "HAVING count(*) >=", literal(FEWEST), "ORDER BY count(*) DESC,", name, "LIMIT 1)")
    if column.type in ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"):
        return f"max({name}) FILTER (isfinite({name}))"
    return f"quantile_disc({name}, 0.5)"


def _as_json(value: Any) -> Any:
    if isinstance(value, bool | int | float | str):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
