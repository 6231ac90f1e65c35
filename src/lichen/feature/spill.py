"""Rows gathered in memory, or on disk in parts by their entity where there are many of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np

from lichen.feature.kernels import kernel

Columns = dict[str, Any]
"""Arrays of one length by name; `_e` is the entity's number."""

IN_MEMORY = 512 * 2**20
"""The bytes that are held before rows go to disk."""

_FILES = 64
"""The parts that rows are in on disk."""

_ROWS = 65_536
"""Rows of a part in memory, about: few enough to stay close to the processor."""

Part = tuple[int, int, Columns]
"""The entity that rows begin with, the one that they end before, and the rows, their entities numbered from 0."""


class Gathered:
    """Rows of many entities, added piece by piece, and given back entity range by entity range.

    They are held in memory up to `most` bytes; beyond, all go to files in `scratch`, one for each column and part. Use
    it in a `with` block, which removes the files.
    """

    def __init__(self, entities: int, most: int = IN_MEMORY, scratch: Path | None = None) -> None:
        self._entities, self.most, self._scratch = entities, most, scratch
        self._pieces: list[Columns] = []
        self._bytes = 0
        self._folder: TemporaryDirectory[str] | None = None
        self._types: dict[str, Any] = {"_e": np.int64, "_t": np.int64}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, columns: Columns) -> None:
        """Add rows."""
        self._types = {name: values.dtype for name, values in columns.items()}
        self._pieces.append(columns)
        self._bytes += sum(values.nbytes for values in columns.values())
        if self._bytes > self.most:
            self._spill()

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="lichen-join-", dir=self._scratch)
        width = max(1, -(-self._entities // _FILES))
        for part, columns in enumerate(self._spread(width, _FILES)):
            for name, pieces in columns.items():
                with open(self._file(part, name), "ab") as file:
                    for piece in pieces:
                        piece.tofile(file)

    def _file(self, part: int, name: str) -> Path:
        assert self._folder is not None
        return Path(self._folder.name, f"{part}{name}")

    def _spread(self, width: int, parts: int) -> list[dict[str, list[Any]]]:
        """What is held, by parts of `width` entities, each column in pieces; it is let go here."""
        pieces, self._pieces, self._bytes = self._pieces, [], 0
        found: list[dict[str, list[Any]]] = [{name: [] for name in self._types} for _ in range(parts)]
        pieces.reverse()
        while pieces:
            piece = pieces.pop()
            ends, order = np.empty(parts + 1, np.int64), np.empty(len(piece["_e"]), np.int64)
            kernel("spread")(piece["_e"], width, ends, order)
            cuts = ends.tolist()
            for name in list(piece):
                arranged = piece.pop(name)[order]
                for part, (start, end) in enumerate(pairwise(cuts)):
                    if end > start:
                        found[part][name].append(arranged[start:end])
        return found

    def parts(self) -> Iterator[list[Part]]:
        """The rows, by ranges of entities: in parts, as many at a time as were held in memory."""
        if self._folder is None:
            yield self._in_memory(0, self._entities)
            return
        self._spill()
        width = max(1, -(-self._entities // _FILES))
        for place in range(_FILES):
            start, end = place * width, min((place + 1) * width, self._entities)
            if start >= end:
                continue
            columns: Columns = {}
            for name, type_ in self._types.items():
                file = self._file(place, name)
                columns[name] = np.fromfile(file, type_) if file.exists() else np.empty(0, type_)
                file.unlink(missing_ok=True)
            columns["_e"] -= start
            self._pieces = [columns]
            yield self._in_memory(start, end)

    def _in_memory(self, start: int, end: int) -> list[Part]:
        rows = sum(len(piece["_e"]) for piece in self._pieces)
        parts = max(1, min(end - start, rows // _ROWS))
        width = max(1, -(-(end - start) // parts))
        found = []
        for place, pieces in enumerate(self._spread(width, parts)):
            a, z = place * width, min((place + 1) * width, end - start)
            if a < z:
                columns = {name: _joined(pieces.pop(name), self._types[name]) for name in list(pieces)}
                columns["_e"] = columns["_e"] - a
                found.append((start + a, start + z, columns))
        return found


def _joined(pieces: list[Any], type_: Any) -> Any:
    return np.concatenate(pieces) if pieces else np.empty(0, type_)
