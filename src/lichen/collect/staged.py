"""Rows that were written and are not yet durable: what a stage gives before its contract is judged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lichen.ports import Column, DataFile, Relation


@dataclass(frozen=True)
class Staged:
    """Files in a staging folder, and the columns of their rows."""

    folder: Path
    files: tuple[DataFile, ...]
    columns: tuple[Column, ...]

    @property
    def rows(self) -> int:
        """How many rows were written."""
        return sum(file.rows for file in self.files)

    @property
    def relation(self) -> Relation:
        """The rows, for an engine to read."""
        return Relation(self.columns, tuple(str(self.folder / file.path) for file in self.files))

    def discard(self) -> None:
        """Remove the staging folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A staging folder that is removed, with what was written in it, if the block fails."""
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
