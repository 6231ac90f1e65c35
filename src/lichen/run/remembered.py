"""What was learned of statements, kept on disk by the hash of their text: an unchanged one is not parsed again.

The file is a cache: nothing is lost with it, and one that cannot be read or written is as good as none.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from lichen.errors import Where
from lichen.graph import fingerprint, statement_lineage
from lichen.graph.statement import Statement, parse_statement
from lichen.graph.statement_lineage import StatementLineage
from lichen.ground.digest import digest

MOST = 10_000
"""How many statements are remembered: those that were read last."""

_MOST_LINEAGES = 4
"""How many lineages of one statement: over inputs with other columns it has another."""


class Entry(msgspec.Struct, gc=False):
    """What is known of one text; it stays JSON until it is asked for."""

    statement: msgspec.Raw
    lineages: dict[str, msgspec.Raw] = {}


class Known(msgspec.Struct):
    """The file: by whom it was written, and what is known by the hash of each text, the newest last."""

    maker: str = ""
    entries: dict[str, Entry] = {}


MAKER = f"{fingerprint.FORMAT} {statement_lineage.FORMAT} {version('sqlglot')}"
"""What another version of Lichen or of the parser learned does not count."""


_ODD = (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError)
"""What an entry of another shape than ours raises when it is read."""


class Remembered:
    """Reads statements and their lineage, from a file where they are known, and keeps what is new in it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._new = False

    @cached_property
    def _known(self) -> Known:
        try:
            found = msgspec.json.decode(self.file.read_bytes(), type=Known)
        except (OSError, msgspec.MsgspecError):
            return Known(MAKER)
        return found if found.maker == MAKER else Known(MAKER)

    def statement(self, text: str, where_line: Callable[[int, int], Where]) -> Statement:
        """A statement as `parse_statement` gives it; what is wrong with one is never remembered."""
        entries, key = self._known.entries, _hash(text)
        known = entries.pop(key, None)
        if known is not None:
            with contextlib.suppress(*_ODD):
                made = Statement.from_dict(text, msgspec.json.decode(known.statement))
                entries[key] = known
                return made
        made = parse_statement(text, where_line)
        entries[key] = Entry(_raw(made.as_dict()))
        self._new = True
        return made

    def lineage(
        self, statement: Statement, inputs: Mapping[str, Sequence[str] | None], described: Sequence[str] | None = None
    ) -> StatementLineage:
        """A statement's lineage as `statement_lineage` gives it."""
        entry = self._known.entries.get(_hash(statement.written))
        key = digest([dict(inputs), described])
        if entry is not None and key in entry.lineages:
            with contextlib.suppress(*_ODD):
                return StatementLineage.from_dict(msgspec.json.decode(entry.lineages[key]))
        made = statement_lineage.statement_lineage(statement, inputs, described)
        if entry is not None:
            newest = list(entry.lineages.items())[-(_MOST_LINEAGES - 1) :]
            entry.lineages = {**dict(newest), key: _raw(made.as_dict())}
            self._new = True
        return made

    def keep(self) -> None:
        """Write what is new, whole or not at all."""
        if not self._new:
            return
        self._new = False
        newest = list(self._known.entries.items())[-MOST:]
        content = msgspec.json.encode(Known(MAKER, dict(newest)))
        staged = self.file.with_name(f".{self.file.name}.{os.getpid()}-{threading.get_ident()}.staged")
        # A disk that is full or read-only costs the next reader the parsing, and nobody anything else.
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            try:
                staged.write_bytes(content)
                os.replace(staged, self.file)
            finally:
                staged.unlink(missing_ok=True)


def _raw(value: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _hash(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()
