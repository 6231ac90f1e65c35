"""Rows as an Arrow stream that Python gives batch by batch, and the error that broke it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lichen.errors import LichenError


class Stream:
    """Rows computed while they are read; `failure` is the error that broke the last reading, or None.

    A C stream carries an error's text and not the error: who reads a stream looks here for what to raise.
    `open` gives the Arrow schema and the batches, and is called once for each reading.
    """

    def __init__(self, open_: Callable[[], tuple[Any, Iterator[Any]]]) -> None:
        self._open = open_
        self.failure: LichenError | None = None

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        from arro3.core import RecordBatchReader

        self.failure = None
        schema, batches = self._open()
        return RecordBatchReader.from_batches(schema, self._watched(batches)).__arrow_c_stream__(requested_schema)

    def _watched(self, batches: Iterator[Any]) -> Iterator[Any]:
        try:
            yield from batches
        except LichenError as failure:
            self.failure = failure
            raise
