"""Lichen's own way to ask: one row, many rows, or an Arrow stream of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lichen.deploy.answer import Answer, RowPath
from lichen.deploy.arrow_stream import KIND, columns_of
from lichen.deploy.body import MOST_ROWS, rows_of, wrong_count
from lichen.deploy.contributions import Contributions, asked
from lichen.deploy.door import JSON_KIND
from lichen.deploy.question import Question
from lichen.deploy.refused import unknown_field
from lichen.deploy.reply import Reply, encode
from lichen.deploy.stream import answers_stream


class Predict:
    """Reads `/predict`: JSON or an Arrow stream in, and out as the client accepts."""

    kinds = (JSON_KIND, KIND)

    def __init__(self, path: RowPath) -> None:
        self.path = path

    def read(self, body: bytes, kind: str, accept: str, query: str = "") -> Question:
        """The rows of a JSON body or an Arrow stream; `query` may ask for contributions."""
        parts = asked(query) if query else False
        rows, many = (self._streamed(body), True) if kind == KIND else rows_of(body)
        if accepts_arrow(accept):
            return Question(rows, self._as_stream, many, parts)
        return Question(rows, self._as_rows if many else self._as_row, many, parts)

    def _streamed(self, body: bytes) -> list[dict[str, Any]]:
        columns, rows = columns_of(body, MOST_ROWS)
        for name in columns:
            if not self.path.fields.has(name) and not self.path.fields.ignore_unknown:
                raise unknown_field(name, self.path.fields.names)
        if rows == 0:
            raise wrong_count(0)
        names = tuple(columns)
        if not names:
            return [{} for _ in range(rows)]
        return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def _as_row(self, answers: Sequence[Answer], contributions: Sequence[Contributions] = ()) -> Reply:
        return Reply(200, encode(self.path.all_shown(answers, contributions)[0]))

    def _as_rows(self, answers: Sequence[Answer], contributions: Sequence[Contributions] = ()) -> Reply:
        return Reply(200, encode({"predictions": self.path.all_shown(answers, contributions)}))

    def _as_stream(self, answers: Sequence[Answer], contributions: Sequence[Contributions] = ()) -> Reply:
        return Reply(200, answers_stream(self.path.all_shown(answers, contributions)), KIND.encode())


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
