"""Files as a source: CSV, TSV, JSON lines and Parquet, on this machine, in a package or behind an fsspec URL."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

from lichen.backends.files_options import HELP, Options
from lichen.backends.files_reading import Reading
from lichen.backends.places import places
from lichen.ground.stream import Stream
from lichen.ports import Column, Extract, Since


class FilesConnector:
    """Reads files."""

    options: ClassVar[Mapping[str, str]] = HELP

    def __init__(self) -> None:
        # A source is asked for its columns and then read: the second looks at its first records no more.
        self._last: tuple[Hashable, tuple[Column, ...]] | None = None

    def token(self, options: Mapping[str, Any]) -> str:
        """The files' names, sizes and times of change; nothing in them is read."""
        return "\n".join(place.facts() for place in places(Options.of(options).path))

    def columns(self, options: Mapping[str, Any], types: Mapping[str, str]) -> tuple[Column, ...]:
        """The columns of the first file, each with the type demanded or else found in its first records."""
        reading = self._reading(options, types)
        reading.close()
        return reading.columns()

    def read(self, options: Mapping[str, Any], types: Mapping[str, str], since: Since | None = None) -> Extract:
        """The records of all files, file by file; every record that cannot be read is among the rejects."""
        reading = self._reading(options, types, since)
        rows = Stream(reading.schema, reading.batches)
        return Extract(rows, reading.rejects, reading.earlier if since is not None else None)

    def _reading(self, options: Mapping[str, Any], types: Mapping[str, str], since: Since | None = None) -> Reading:
        """A reading that knows its columns, from the last look if that was at the very same files and options."""
        reading = Reading(Options.of(options), types, since)
        try:
            key = reading.identity()
            self._last = (key, reading.columns(self._last[1] if self._last and self._last[0] == key else None))
        except BaseException:
            reading.close()
            raise
        return reading
