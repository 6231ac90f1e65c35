"""Lichen's own way to ask: one row, many rows, or an Arrow stream of them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lichen.deploy.answer import Answer, RowPath
from lichen.deploy.arrow_stream import KIND, columns_of
from lichen.deploy.body import MOST_ROWS, rows_of, wrong_count
from lichen.deploy.door import JSON_KIND
from lichen.deploy.question import Question
from lichen.deploy.refused import unknown_field
from lichen.deploy.reply import Reply, encode


class Predict:
    """Reads `/predict`: JSON or an Arrow stream in, and out as the client accepts."""

    kinds = (JSON_KIND, KIND)

    def __init__(self, path: RowPath) -> None:
        self.path = path

    def read(self, body: bytes, kind: str, accept: str) -> Question:
        """The rows of a JSON body or an Arrow stream."""
        rows, many = (self._streamed(body), True) if kind == KIND else rows_of(body)
        if accepts_arrow(accept):
            return Question(rows, self._as_stream, many)
        return Question(rows, self._as_rows if many else self._as_row, many)

    def _streamed(self, body: bytes) -> list[dict[str, Any]]:
        columns, rows = columns_of(body, MOST_ROWS)
        for name in columns:
            if not self.path.fields.has(name):
                raise unknown_field(name, self.path.fields.names)
        if rows == 0:
            raise wrong_count(0)
        names = tuple(columns)
        if not names:
            return [{} for _ in range(rows)]
        return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def _as_row(self, answers: Sequence[Answer]) -> Reply:
        return Reply(200, encode(self.path.shown(answers[0])))

    def _as_rows(self, answers: Sequence[Answer]) -> Reply:
        return Reply(200, encode({"predictions": [self.path.shown(answer) for answer in answers]}))

    def _as_stream(self, answers: Sequence[Answer]) -> Reply:
        return Reply(200, stream_of([self.path.shown(answer) for answer in answers]), KIND.encode())


def accepts_arrow(accept: str) -> bool:
    """Whether a client asks for an Arrow stream: the header `accept` names its type, and not with a weight of nothing.

    >>> accepts_arrow("application/vnd.apache.arrow.stream;q=0.9, */*"), accepts_arrow("application/json")
    (True, False)
    """
    for said in accept.lower().split(","):
        kind, *more = (part.strip() for part in said.split(";"))
        if kind == KIND:
            return not any(part.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") for part in more)
    return False


def stream_of(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows of the same names as an Arrow stream; what is no number, text, boolean or instant is JSON text."""
    import nanoarrow.ipc

    from lichen.deploy.predictions import array_of

    names = list(dict.fromkeys(name for row in rows for name in row))
    from arro3.core import Table

    arrays = []
    for name in names:
        values = [row.get(name) for row in rows]
        kind = _kind(values)
        if kind == "JSON":
            values = [None if value is None else json.dumps(value, default=str) for value in values]
        arrays.append(array_of(values, "VARCHAR" if kind == "JSON" else kind))
    out = io.BytesIO()
    with nanoarrow.ipc.StreamWriter.from_writable(out) as writer:
        writer.write_stream(Table.from_arrays(arrays, names=names))
    return out.getvalue()


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
    if found == {int, float}:
        return "DOUBLE"
    return _KINDS.get(found.pop(), "JSON") if len(found) == 1 else ("JSON" if found else "BOOLEAN")
