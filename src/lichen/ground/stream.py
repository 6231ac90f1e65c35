"""Rows as an Arrow stream that Python gives batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class Stream:
    """Rows computed while they are read; `batches` is called once for each reading.

    The schema is there without a reading, for DuckDB asks it while it holds a lock of its own: what ran a
    statement then, in another thread, would wait for ever. A C stream carries an error's text and not the
    error: who wants the error reads `batches` itself.
    """

    def __init__(self, schema: Any, batches: Callable[[], Iterator[Any]]) -> None:
        self.schema, self.batches = schema, batches

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        from arro3.core import RecordBatchReader

        return RecordBatchReader.from_batches(self.schema, self.batches()).__arrow_c_stream__(requested_schema)
