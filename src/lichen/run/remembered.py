"""What was learned of statements, kept on disk: an unchanged one is neither parsed nor described again.

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
from typing import TypeVar

import msgspec

from lichen.errors import Where
from lichen.graph import fingerprint, statement_lineage
from lichen.graph.statement import Statement, parse_statement
from lichen.graph.statement_lineage import StatementLineage
from lichen.ground.digest import digest
from lichen.ports import Column, Engine, Relation
from lichen.transform.build import Describe

T = TypeVar("T")

MOST = 10_000
"""How many statements are remembered, and how many descriptions: those that were read last."""

_MOST_LINEAGES = 4
"""How many lineages of one statement: over inputs with other columns it has another."""


class Entry(msgspec.Struct, gc=False):
    """What is known of one text; it stays JSON until it is asked for."""

    statement: msgspec.Raw
    lineages: dict[str, msgspec.Raw] = {}


class Known(msgspec.Struct):
    """The file: by whom it was written, and what is known by the hash of what was asked, the newest last."""

    maker: str = ""
    entries: dict[str, Entry] = {}
    described: dict[str, msgspec.Raw] = {}


MAKER = f"lichen {version('lichen')} {fingerprint.FORMAT} {statement_lineage.FORMAT} sqlglot {version('sqlglot')}"
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

    def described_by(self, engine: Engine) -> Describe:
        """Describes statements as the engine does; what is wrong with one is never remembered."""
        version = engine.version

        def describe(select: str, inputs: Mapping[str, Relation]) -> tuple[Column, ...]:
            shapes = {name: [(column.name, column.type) for column in given.columns] for name, given in inputs.items()}
            key = digest([version, select, shapes])
            known = self._known.described.pop(key, None)
            if known is not None:
                with contextlib.suppress(*_ODD):
                    found = tuple(Column(name, type_) for name, type_ in msgspec.json.decode(known))
                    self._known.described[key] = known
                    return found
            made = engine.describe(select, inputs)
            self._known.described[key] = _raw([(column.name, column.type) for column in made])
            self._new = True
            return made

        return describe

    def keep(self) -> None:
        """Write what is new, whole or not at all."""
        if not self._new:
            return
        self._new = False
        content = msgspec.json.encode(Known(MAKER, _newest(self._known.entries), _newest(self._known.described)))
        staged = self.file.with_name(f".{self.file.name}.{os.getpid()}-{threading.get_ident()}.staged")
        # A disk that is full or read-only costs the next reader the parsing, and nobody anything else.
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            try:
                staged.write_bytes(content)
                os.replace(staged, self.file)
            finally:
                staged.unlink(missing_ok=True)


def _newest(known: dict[str, T]) -> dict[str, T]:
    return dict(list(known.items())[-MOST:])


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _hash(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()
