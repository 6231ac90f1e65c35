"""Rows gathered in memory, or on disk in parts by their entity where there are many of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
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
"""The files that a column is in on disk."""

_SLICES = 128
"""The ranges of entities by which rows are put in order as they come; a part is one or several of them."""

_ROWS = 65_536
"""Rows of a part in memory, about: few enough to stay close to the processor."""

Part = tuple[int, int, Columns]
"""The entity that rows begin with, the one that they end before, and the rows, their entities numbered from 0."""


@dataclass(frozen=True)
class Piece:
    """Rows in the order of the slices that their entities are in; `ends` has where each slice begins, and the end."""

    columns: Columns
    ends: list[int]

    def within(self, name: str, first: int, last: int) -> Any:
        """A column's rows of the slices from one up to another."""
        return self.columns[name][self.ends[first] : self.ends[last]]


class Gathered:
    """Rows of many entities, added piece by piece, and given back entity range by entity range.

    They are held in memory up to `most` bytes; beyond, all go to files in `scratch`, one for each column and range of
    entities. Use it in a `with` block, which removes the files.
    """

    def __init__(self, entities: int, most: float = IN_MEMORY, scratch: Path | None = None) -> None:
        self._entities, self.most, self._scratch = entities, most, scratch
        self._width = max(1, -(-entities // _SLICES))
        self._slices = max(1, -(-entities // self._width))
        self._pieces: list[Piece] = []
        self._bytes = 0
        self._folder: TemporaryDirectory[str] | None = None
        self._types: dict[str, Any] = {"_e": np.int64, "_t": np.int64}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def spread(self, columns: Columns) -> Piece:
        """Rows put in the order of their slices; nothing is added yet, so that any thread may do it."""
        ends, order = np.empty(self._slices + 1, np.int64), np.empty(len(columns["_e"]), np.int64)
        kernel("spread")(columns["_e"], self._width, ends, order)
        return Piece({name: values[order] for name, values in columns.items()}, ends.tolist())

    def add(self, piece: Piece) -> None:
        """Add rows."""
        self._types = {name: values.dtype for name, values in piece.columns.items()}
        self._pieces.append(piece)
        self._bytes += sum(values.nbytes for values in piece.columns.values())
        if self._bytes > self.most:
            self._spill()

    def parts(self) -> Iterator[Iterator[Part]]:
        """The rows, by ranges of entities: in parts, as many at a time as were held in memory.

        A part is put together when it is asked for, so that the one before may be worked on meanwhile.
        """
        if self._folder is None:
            yield self._in_memory()
            return
        self._spill()
        for place, (first, last) in enumerate(self._ranges(_FILES)):
            start, end = first * self._width, min(last * self._width, self._entities)
            columns: Columns = {}
            for name, type_ in self._types.items():
                file = self._file(place, name)
                columns[name] = np.fromfile(file, type_) if file.exists() else np.empty(0, type_)
                file.unlink(missing_ok=True)
            columns["_e"] -= start
            within = Gathered(end - start, inf)
            within.add(within.spread(columns))
            yield ((start + a, start + z, rows) for a, z, rows in within._in_memory())

    def _ranges(self, most: int) -> list[tuple[int, int]]:
        """All slices in so many ranges, at most."""
        each = -(-self._slices // max(1, most))
        return [(first, min(first + each, self._slices)) for first in range(0, self._slices, each)]

    def _in_memory(self) -> Iterator[Part]:
        rows = sum(piece.ends[-1] for piece in self._pieces)
        for first, last in self._ranges(rows // _ROWS) if self._entities else []:
            columns = {}
            for name, type_ in self._types.items():
                pieces = [piece.within(name, first, last) for piece in self._pieces]
                columns[name] = np.concatenate(pieces) if pieces else np.empty(0, type_)
            start, end = first * self._width, min(last * self._width, self._entities)
            columns["_e"] -= start
            yield start, end, columns

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="lichen-join-", dir=self._scratch)
        pieces, self._pieces, self._bytes = self._pieces, [], 0
        for place, (first, last) in enumerate(self._ranges(_FILES)):
            for name in self._types:
                with open(self._file(place, name), "ab") as file:
                    for piece in pieces:
                        piece.within(name, first, last).tofile(file)

    def _file(self, place: int, name: str) -> Path:
        assert self._folder is not None
        return Path(self._folder.name, f"{place}{name}")
