"""Files as a source: CSV, TSV, JSON lines and Parquet, on this machine, in a package or behind an fsspec URL."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

from lichen.backends.files_options import HELP, TYPES, Options
from lichen.backends.files_reading import Reading
from lichen.backends.places import Place, places
from lichen.ground.digest import canonical
from lichen.ground.stream import Stream
from lichen.ports import Column, Extract, Since

LOOKS = 64
"""How many looks at the first records of files are remembered."""


class FilesConnector:
    """Reads files."""

    options: ClassVar[Mapping[str, str]] = HELP
    option_types: ClassVar[Mapping[str, Any]] = TYPES

    def __init__(self) -> None:
        # A source is asked for its columns and then read: the second looks at its first records no more.
        self._looks: dict[Hashable, tuple[Column, ...]] = {}
        # It is asked for its token by the plan and again by the run: what a file holds is read once.
        self._digests: dict[Hashable, str | None] = {}

    def token(self, options: Mapping[str, Any], before: str | None = None) -> str:
        """Each file's name, size, time of change and the hash of what it holds, which is read where that is not known.

        A file that was only copied or touched keeps what `before` says of it.
        """
        known = {facts[0]: facts for facts in _facts(before)}
        return canonical([self._facts(place, known.get(place.name)) for place in places(Options.of(options).path)])

    def _facts(self, place: Place, before: list[Any] | None) -> list[Any]:
        size, changed = place.facts()
        if before is not None and before[1:3] == [size, changed]:
            return before
        key = (place.path, size, changed)
        if key not in self._digests:
            self._digests[key] = place.digest()
        now = [place.name, size, changed, self._digests[key]]
        return before if before is not None and now[3] and before[1::2] == now[1::2] else now

    def columns(self, options: Mapping[str, Any], types: Mapping[str, str]) -> tuple[Column, ...]:
        """The columns of the first file, each with the type demanded or else found in its first records."""
        reading = self._reading(options, types)
        reading.close()
        return reading.columns()

    def read(self, options: Mapping[str, Any], types: Mapping[str, str], since: Since | None = None) -> Extract:
        """The records of all files, file by file; every record that cannot be read is among the rejects."""
        reading = self._reading(options, types, since)
        rows = Stream(reading.schema, reading.batches)
        return Extract(rows, reading.rejects, reading.earlier if since is not None else None, reading.cut)

    def _reading(self, options: Mapping[str, Any], types: Mapping[str, str], since: Since | None = None) -> Reading:
        """A reading that knows its columns, from an earlier look if that was at the very same files and options."""
        reading = Reading(Options.of(options), types, since)
        try:
            key = reading.identity()
            found = reading.columns(self._looks.pop(key, None))
            self._looks = {**dict(list(self._looks.items())[1 - LOOKS :]), key: found}
        except BaseException:
            reading.close()
            raise
        return reading


def _facts(token: str | None) -> list[list[Any]]:
    """What a token of ours says of each file; nothing where it is of another connector."""
    try:
        told = json.loads(token or "[]")
    except ValueError:
        return []
    return told if isinstance(told, list) and all(isinstance(one, list) and len(one) == 4 for one in told) else []
