"""Rows on their way out as an Arrow stream."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from lichen.deploy.contributions import NAME
from lichen.ports import Arrow


def answers_stream(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Answers as an Arrow stream; what is no number, text, boolean or instant is JSON text."""
    return stream_of(answers_table(rows))


def answers_table(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Answers as an Arrow table; of contributions each has a column of its own.

    >>> answers_table([{"score": 0.5, "contributions": {"base": 1.0, "features": {"v.x": 2.0}}}]).column_names
    ['score', 'contributions.base', 'contributions.features.v.x']
    """
    flat = [dict(_flat(row)) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    return table_of({name: [row.get(name) for row in flat] for name in names})


def _flat(row: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping) and (within or name == NAME):
            yield from _flat(value, f"{within}{name}.")
        else:
            yield within + name, value


def stream_of(table: Arrow) -> bytes:
    """A table's bytes as an Arrow stream."""
    import nanoarrow.ipc

    out = io.BytesIO()
    with nanoarrow.ipc.StreamWriter.from_writable(out) as writer:
        writer.write_stream(table)
    return out.getvalue()


def table_of(columns: Mapping[str, Sequence[Any]]) -> Any:
    """Columns of plain values as an Arrow table, each of the type of its values."""
    from arro3.core import Table

    from lichen.deploy.predictions import array_of

    arrays = []
    for values in columns.values():
        kind = _kind(values)
        if kind == "JSON":
            values = [None if value is None else json.dumps(value, default=str) for value in values]  # noqa: PLW2901
        arrays.append(array_of(values, "VARCHAR" if kind == "JSON" else kind))
    return Table.from_arrays(arrays, names=list(columns))


_KINDS: dict[type, str] = {
    bool: "BOOLEAN",
    int: "BIGINT",
    float: "DOUBLE",
    str: "VARCHAR",
    datetime: "TIMESTAMP WITH TIME ZONE",
}


def _kind(values: Sequence[Any]) -> str:
    """The type of a column of answers, in DuckDB's words."""
    found = {type(value) for value in values if value is not None}
    if found == {tuple}:
        sizes = {len(value) for value in values if value is not None}
        return f"DOUBLE[{sizes.pop()}]" if len(sizes) == 1 else "JSON"
    if found == {int, float}:
        return "DOUBLE"
    return _KINDS.get(found.pop(), "JSON") if len(found) == 1 else ("JSON" if found else "BOOLEAN")
