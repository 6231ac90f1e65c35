"""A reader of flatbuffers, as far as Arrow's messages need it: every step is checked before it is taken."""

from __future__ import annotations

import struct
from typing import Self


class MalformedError(Exception):
    """Bytes that are not what they say; the text tells a client why."""


class Flat:
    """A table in a flatbuffer: fields by their number, each with a default where it is absent.

    Every position is seen to lie inside the buffer, and every vector inside what follows it.
    """

    def __init__(self, buffer: bytes, at: int) -> None:
        self._buffer, self._at = buffer, at
        self._fields = at - self._get("<i", at)
        self._size = self._get("<H", self._fields)

    @classmethod
    def root(cls, buffer: bytes) -> Self:
        """The table that a buffer begins with."""
        if len(buffer) < 8:
            raise MalformedError("a message is empty")
        return cls(buffer, struct.unpack_from("<I", buffer)[0])

    def has(self, field: int) -> bool:
        """Whether a field is there."""
        return self._place(field) is not None

    def byte(self, field: int, default: int = 0) -> int:
        """A number of one byte, or a boolean."""
        return self._scalar("<B", field, default)

    def short(self, field: int, default: int = 0) -> int:
        """A number of two bytes."""
        return self._scalar("<h", field, default)

    def whole(self, field: int, default: int = 0) -> int:
        """A number of four bytes."""
        return self._scalar("<i", field, default)

    def long(self, field: int, default: int = 0) -> int:
        """A number of eight bytes."""
        return self._scalar("<q", field, default)

    def table(self, field: int) -> Flat | None:
        """A table inside this one, or None."""
        place = self._place(field)
        return None if place is None else Flat(self._buffer, place + self._get("<I", place))

    def text(self, field: int) -> str:
        """A text, empty where it is absent."""
        place = self._place(field)
        if place is None:
            return ""
        start, length = self._vector(place, 1)
        return self._buffer[start : start + length].decode()

    def tables(self, field: int, most: int) -> list[Flat]:
        """The tables of a vector, at most so many."""
        place = self._place(field)
        if place is None:
            return []
        start, length = self._vector(place, 4)
        if length > most:
            raise MalformedError("it has too many columns")
        return [Flat(self._buffer, at + self._get("<I", at)) for at in range(start, start + 4 * length, 4)]

    def pairs(self, field: int) -> list[tuple[int, int]]:
        """The structs of a vector, each of two numbers of eight bytes."""
        place = self._place(field)
        if place is None:
            return []
        start, length = self._vector(place, 16)
        return list(struct.iter_unpack("<qq", self._buffer[start : start + 16 * length]))

    def longs(self, field: int) -> list[int]:
        """The numbers of a vector, of eight bytes each."""
        place = self._place(field)
        if place is None:
            return []
        start, length = self._vector(place, 8)
        return [number for (number,) in struct.iter_unpack("<q", self._buffer[start : start + 8 * length])]

    def _scalar(self, kind: str, field: int, default: int) -> int:
        place = self._place(field)
        return default if place is None else self._get(kind, place)

    def _place(self, field: int) -> int | None:
        """Where a field's value stands, or None."""
        entry = 4 + 2 * field
        if entry + 2 > self._size:
            return None
        offset = self._get("<H", self._fields + entry)
        return self._at + offset if offset else None

    def _vector(self, place: int, width: int) -> tuple[int, int]:
        """Where a vector's elements begin, and how many there are."""
        at = place + self._get("<I", place)
        length = self._get("<I", at)
        if at + 4 + width * length > len(self._buffer):
            raise MalformedError("a message is cut short")
        return at + 4, length

    def _get(self, kind: str, at: int) -> int:
        if at < 0 or at + struct.calcsize(kind) > len(self._buffer):
            raise MalformedError("a message is cut short")
        value: int = struct.unpack_from(kind, self._buffer, at)[0]
        return value
