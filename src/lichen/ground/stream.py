"""Rows as an Arrow stream that Python gives batch by batch, and the error that broke it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lichen.errors import LichenError


class Stream:
    """Rows computed while they are read; `failure` is the error that broke the last reading, or None.

    A C stream carries an error's text and not the error: who reads a stream looks here for what to raise.
    `batches` is called once for each reading. The schema is there without one, for DuckDB asks it while it
    holds a lock of its own: what ran a statement then, in another thread, would wait for ever.
    """

    def __init__(self, schema: Any, batches: Callable[[], Iterator[Any]]) -> None:
        self._schema, self._batches = schema, batches
        self.failure: LichenError | None = None

    def __arrow_c_schema__(self) -> object:
        return self._schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        from arro3.core import RecordBatchReader

        return RecordBatchReader.from_batches(self._schema, self._watched()).__arrow_c_stream__(requested_schema)

    def _watched(self) -> Iterator[Any]:
        self.failure = None
        try:
            yield from self._batches()
        except LichenError as failure:
            self.failure = failure
            raise
