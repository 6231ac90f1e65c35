"""The files of a record: frames of answers, each with its length and checksum, and how they are read back.

A folder holds segments `00000001.log`, `00000002.log`, ...; only the last is ever written. A segment begins
with eight bytes that say its format and a frame that says whose answers follow; then one frame an answer. A
frame is its length and the CRC-32 of length and content (both 4 bytes, little-endian), then its content in MessagePack.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from lichen.deploy.answer import Answer, Deployed
from lichen.errors import SystemFailed, Where
from lichen.ground.files import system_failures
from lichen.ports import Column

MAGIC = b"LICHEN\x00\x01"
_HEAD = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_LONGEST = 1 << 24


class Heading(msgspec.Struct, frozen=True):
    """Whose answers a segment holds, and the columns their values stand in."""

    service: str
    model: str
    model_version: str
    release: int
    request: tuple[Column, ...]
    features: tuple[Column, ...]

    @classmethod
    def of(cls, deployed: Deployed) -> Self:
        """The heading of the answers that a release gives."""
        d = deployed
        return cls(d.service, d.model, d.model_version, d.release, d.request, d.features)


class Position(NamedTuple):
    """A place between two frames: a segment's number and the bytes of it that stand before.

    >>> Position.parse(str(Position(3, 1024)))
    Position(segment=3, offset=1024)
    """

    segment: int
    offset: int

    def __str__(self) -> str:
        return f"{self.segment}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """The position that `str` wrote, as a cursor keeps it."""
        segment, _, offset = text.partition(":")
        return cls(int(segment), int(offset))


@dataclass(frozen=True)
class Recorded:
    """One answer as it was recorded, and whose it is."""

    heading: Heading
    answer: Answer


_encode = msgspec.msgpack.Encoder().encode
_read_answer = msgspec.msgpack.Decoder(Answer).decode
_read_heading = msgspec.msgpack.Decoder(Heading).decode


def frame(content: Heading | Answer) -> bytes:
    """A frame's bytes."""
    body = _encode(content)
    return _HEAD.pack(len(body), zlib.crc32(body, zlib.crc32(_LENGTH.pack(len(body))))) + body


def path_of(folder: Path, number: int) -> Path:
    """Where a segment stands."""
    return folder / f"{number:08d}.log"


def numbers(folder: Path) -> list[int]:
    """The segments of a folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(int(path.stem) for path in folder.glob("*.log") if path.stem.isdigit())


def whole(content: bytes) -> int:
    """How many bytes, from the start of a segment, are whole frames."""
    end = 0
    for end, _ in _bodies(content):  # noqa: B007
        pass
    return end


def _bodies(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Each whole frame's end and content, up to the first that is not whole."""
    if not content.startswith(MAGIC):
        return
    offset, size = len(MAGIC), len(content)
    while offset + _HEAD.size <= size:
        length, crc = _HEAD.unpack_from(content, offset)
        end = offset + _HEAD.size + length
        if not 0 < length <= _LONGEST or end > size:
            return
        body = content[offset + _HEAD.size : end]
        if zlib.crc32(body, zlib.crc32(_LENGTH.pack(length))) != crc:
            return
        yield end, body
        offset = end


def read(folder: Path, after: Position | None = None) -> Iterator[tuple[Position, Recorded]]:
    """The answers recorded after a position, oldest first, each with the position behind it.

    A frame that is not whole ends the reading of the last segment, which may be being written; in an
    older segment it is damage, and raises `SystemFailed`. Reading changes nothing.
    """
    present = numbers(folder)
    if after is not None and (not present or after.segment > present[-1]):
        raise SystemFailed(
            "LCH-1831",
            "the record of answers ends before the position up to which it was read",
            where=Where(folder),
            why=f"segment {after.segment} was read, the last one there is {present[-1] if present else 'none'}",
            fix="put the record's folder back as it was; answers recorded since would not be seen",
        )
    for number in present:
        start = 0 if after is None or number > after.segment else after.offset
        if after is None or number >= after.segment:
            yield from _read_segment(path_of(folder, number), number, start, last=number == present[-1])


def _read_segment(path: Path, number: int, start: int, *, last: bool) -> Iterator[tuple[Position, Recorded]]:
    with system_failures("read the record of answers", path):
        content = path.read_bytes()
    heading: Heading | None = None
    end = 0
    for end, body in _bodies(content):
        if heading is None:
            heading = _read_heading(body)
        elif end > start:
            yield Position(number, end), Recorded(heading, _read_answer(body))
    if end < len(content) and not last:
        raise SystemFailed(
            "LCH-1830",
            f"the record of answers is damaged at byte {end}",
            where=Where(path),
            why="a frame's checksum does not fit its content, and newer segments follow",
            fix="restore the file from a copy; without one, move it away: the answers from that byte on are lost",
        )


def discard(folder: Path, read_up_to: Position) -> int:
    """Delete the segments that end before a position; returns how many. The position's own stays."""
    past = [number for number in numbers(folder) if number < read_up_to.segment]
    with system_failures("delete read segments of the record of answers", folder):
        for number in past:
            path_of(folder, number).unlink()
    return len(past)
