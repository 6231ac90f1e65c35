"""Where something comes from: columns, and how each of them reaches it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntFlag
from functools import cache
from typing import Literal, NamedTuple

ROWS = "*"
"""What stands in a column's place for a relation's rows themselves: which there are, how many, in which order."""


class How(IntFlag):
    """The ways in which a column reaches another, together.

    With VALUE the column's value is handed on or computed with; COMPUTED, AGGREGATED (over the rows of a group) and
    WINDOWED (over the rows of a window) say what happened on the way. FILTER, JOIN, GROUP, ORDER, WINDOW (its
    partition and its order), DISTINCT and LIMIT decide which rows there are and which of them meet; ORDER alone only
    says in which order they come. COUNT: how many rows there are. LABEL: a model learned from it. OPAQUE: the
    statement could not be read, so that all inputs reach all outputs.
    """

    VALUE = 1
    COMPUTED = 2
    AGGREGATED = 4
    WINDOWED = 8
    FILTER = 16
    JOIN = 32
    GROUP = 64
    ORDER = 128
    WINDOW = 256
    DISTINCT = 512
    LIMIT = 1024
    COUNT = 2048
    LABEL = 4096
    OPAQUE = 8192

    @property
    def kind(self) -> Kind:
        """`value` where the value itself is handed on or computed with, else `influence`."""
        return "value" if self & How.VALUE else "influence"

    @property
    def mixes_rows(self) -> bool:
        """Whether values of several rows may meet on the way."""
        return bool(self & (How.AGGREGATED | How.WINDOWED | How.OPAQUE))

    @property
    def words(self) -> tuple[str, ...]:
        """Each way by its name, in small letters."""
        return _words(self)


Kind = Literal["value", "influence"]

UNREAD = How.VALUE | How.COMPUTED | How.OPAQUE
"""How all inputs reach what could not be read."""

_KEPT = How.AGGREGATED | How.WINDOWED | How.OPAQUE


@cache
def _words(how: How) -> tuple[str, ...]:
    return tuple(str(one.name).lower() for one in How if one & how)


class Origin(NamedTuple):
    """A column of a relation that a statement reads, both in small letters; the column `*` is the relation's rows."""

    relation: str
    column: str

    def __str__(self) -> str:
        return f"{self.relation}.{self.column}"


Origins = Mapping[Origin, How]
"""The columns that something comes from, each with how."""

NOTHING: Origins = {}


def merged(several: Iterable[Origins]) -> Origins:
    """All of these together; a column that is in several reaches it in all their ways."""
    found: dict[Origin, How] = {}
    for origins in several:
        for origin, how in origins.items():
            before = found.get(origin)
            found[origin] = how if before is None else before | how
    return found


def marked(origins: Origins, how: How) -> Origins:
    """The same columns, and more that happened on the way to a value."""
    return {origin: old | how if old & How.VALUE else old | (how & _KEPT) for origin, old in origins.items()}


def influence(origins: Origins, how: How) -> Origins:
    """The same columns where they decide on rows, and their values are not handed on."""
    kept = ~(How.VALUE | How.COMPUTED)
    return {origin: old & kept | how for origin, old in origins.items()}
