"""The files of a record: frames of answers, each with its length and checksum, and how they are read back.

A folder holds segments `00000001.log`, `00000002.log`, ...; only the last is ever written. A segment begins
with eight bytes that say its format and a frame that says whose answers follow and which record they are part of;
then one frame an answer. Where the service took up another release, such a heading stands between two answers, too: it
is a map, an answer is an array. A frame is its length and the CRC-32 of length and content (both 4 bytes,
little-endian), then its content in MessagePack.
"""

from __future__ import annotations

import re
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

MAGIC = b"LICHEN\x00\x02"
_HEAD = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_LONGEST = 1 << 24
_BLOCK = 512
_ZEROS = bytes(_BLOCK)


class Heading(msgspec.Struct, frozen=True):
    """Whose answers follow, the columns their values stand in, and the random id of the folder's record."""

    service: str
    model: str
    model_version: str
    release: int
    request: tuple[Column, ...]
    features: tuple[Column, ...]
    record: str = ""

    @classmethod
    def of(cls, deployed: Deployed) -> Self:
        """The heading of the answers that a release gives."""
        d = deployed
        kept = d.personal or d
        return cls(d.service, d.model, d.model_version, d.release, kept.request, kept.features)


class Position(NamedTuple):
    """A place between two frames: a segment's number, the bytes of it that stand before, and the record's id.

    >>> Position.parse(str(Position(3, 1024, "5f0c")))
    Position(segment=3, offset=1024, record='5f0c')
    """

    segment: int
    offset: int
    record: str

    def __str__(self) -> str:
        return f"{self.segment}:{self.offset}:{self.record}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """The position that `str` wrote, as a cursor keeps it."""
        segment, offset, record = (*text.split(":"), "")[:3]
        return cls(int(segment), int(offset), record)


@dataclass(frozen=True)
class Recorded:
    """One answer as it was recorded, and whose it is."""

    heading: Heading
    answer: Answer


_encode = msgspec.msgpack.Encoder().encode
_read_answer = msgspec.msgpack.Decoder(Answer).decode
_read_heading = msgspec.msgpack.Decoder(Heading).decode
_ANSWER_BEGINS = _encode(Answer("", 0, 0, 0, None, 0.0, (), ()))[:1]
_ARRAY_BEGINS = re.compile(rb"[\x90-\x9f\xdc\xdd]")
"""The first byte of an answer by any version: later ones have more fields."""


def frame(content: Heading | Answer) -> bytes:
    """A frame's bytes."""
    body = _encode(content)
    return _HEAD.pack(len(body), zlib.crc32(body, zlib.crc32(_LENGTH.pack(len(body))))) + body


def answers_in(frames: bytes) -> int:
    """How many answers these whole frames hold, headings not counted.

    >>> answers_in(b"")
    0
    """
    count = at = 0
    while at < len(frames):
        body = at + _HEAD.size
        count += frames[body : body + 1] == _ANSWER_BEGINS
        at = body + _HEAD.unpack_from(frames, at)[0]
    return count


def path_of(folder: Path, number: int) -> Path:
    """Where a segment stands."""
    return folder / f"{number:08d}.log"


def numbers(folder: Path) -> list[int]:
    """The segments of a folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(int(path.stem) for path in folder.glob("*.log") if path.stem.isdigit())


def record_of(folder: Path) -> str | None:
    """The id of the record that a folder's segments are part of; None where none has a heading yet.

    Raises `SystemFailed` where a segment is in another version's format, or of another record than the rest.
    """
    record = None
    for number in numbers(folder):
        path = path_of(folder, number)
        with system_failures("read the record of answers", path):
            heading = _heading_of(path)
        if heading is None or heading.record == record:
            continue
        if record is not None:
            raise _another_record(
                folder, f"segment {number} is of record `{heading.record}`, those before of `{record}`"
            )
        record = heading.record
    return record


def whole(path: Path, content: bytes) -> int:
    """How many bytes, from the start of the last segment, are whole frames; the rest is what a crash tore.

    A power cut tears holes: of what was not synced yet some blocks reach the disk and others read as zeros, so whole
    answers may stand behind a hole. Raises `SystemFailed` where one stands behind any other damage.
    """
    end = max((end for end, _ in _bodies(path, content)), default=0)
    following = _answer_behind(content, end)
    if following is not None and not _has_hole(content[end:following], end):
        raise _damaged(path, end, f"a whole answer follows at byte {following}")
    return end


def _has_hole(content: bytes, offset: int) -> bool:
    """Whether a whole block of the disk is zeros in what stands at this offset of a file."""
    first = -offset % _BLOCK
    return any(content[at : at + _BLOCK] == _ZEROS for at in range(first, len(content) - _BLOCK + 1, _BLOCK))


def _heading_of(path: Path) -> Heading | None:
    """A segment's heading, without reading the answers behind it."""
    with open(path, "rb") as segment:
        content = segment.read(len(MAGIC) + _HEAD.size)
        if len(content) == len(MAGIC) + _HEAD.size:
            content += segment.read(min(_HEAD.unpack_from(content, len(MAGIC))[0], _LONGEST))
    for _, body in _bodies(path, content):
        return _read_heading(body)
    return None


def _bodies(path: Path, content: bytes) -> Iterator[tuple[int, memoryview]]:
    """Each whole frame's end and content, up to the first that is not whole."""
    if not content.startswith(MAGIC):
        # One that reads as zeros was torn while it was begun: its first bytes are synced before any answer is written.
        if not MAGIC.startswith(content) and any(content[: len(MAGIC)]):
            raise _another_version(path, content)
        return
    offset = len(MAGIC)
    view = memoryview(content)
    while (body := _body_at(view, offset)) is not None and _fits(view, offset, body):
        offset += _HEAD.size + len(body)
        yield offset, body


def _body_at(view: memoryview, offset: int) -> memoryview | None:
    """The content of the frame whose head stands there, by its length alone; None where there is no room for it."""
    begin = offset + _HEAD.size
    if begin > len(view):
        return None
    (length,) = _LENGTH.unpack_from(view, offset)
    return view[begin : begin + length] if 0 < length <= min(_LONGEST, len(view) - begin) else None


def _fits(view: memoryview, offset: int, body: memoryview) -> bool:
    crc = zlib.crc32(body, zlib.crc32(view[offset : offset + _LENGTH.size]))
    return bool(crc == _HEAD.unpack_from(view, offset)[1])


def _answer_behind(content: bytes, end: int) -> int | None:
    """Where the first whole answer behind a damaged place stands; None where there is none.

    A whole answer has room, decodes to its last byte and fits its checksum. The checksum comes last: what is no
    answer fails to decode within a few bytes, and the scan stays linear however long the garbage is.
    """
    view = memoryview(content)
    first = max(end, len(MAGIC)) + 1 + _HEAD.size
    for found in _ARRAY_BEGINS.finditer(content, first):
        offset = found.start() - _HEAD.size
        body = _body_at(view, offset)
        if body is not None and _is_answer(body) and _fits(view, offset, body):
            return offset
    return None


def _is_array(first: int) -> bool:
    """Whether a frame's first byte begins an array, an answer's: of at most 15 elements, or of more."""
    return first >> 4 == 0x9 or first in (0xDC, 0xDD)


def _is_answer(body: memoryview) -> bool:
    try:
        _read_answer(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def read(folder: Path, after: Position | None = None) -> Iterator[tuple[Position, Recorded]]:
    """The answers recorded after a position, oldest first, each with the position behind it.

    A torn end of the last segment, which may be being written, ends the reading; any other frame that is not
    whole is damage, and raises `SystemFailed`, as a position in another record does. Reading changes nothing.
    """
    present = numbers(folder)
    _check_record(folder, after)
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
    for end, body in _bodies(path, content):
        if heading is None or not _is_array(body[0]):
            heading = _read_heading(body)
        elif end > start:
            yield Position(number, end, heading.record), Recorded(heading, _read_answer(body))
    if last:
        whole(path, content)
    elif end < len(content):
        raise _damaged(path, end, "newer segments follow")


def discard(folder: Path, read_up_to: Position) -> int:
    """Delete the segments that end before a position; returns how many. The position's own stays."""
    _check_record(folder, read_up_to)
    past = [number for number in numbers(folder) if number < read_up_to.segment]
    with system_failures("delete read segments of the record of answers", folder):
        for number in past:
            path_of(folder, number).unlink()
    return len(past)


def _check_record(folder: Path, position: Position | None) -> None:
    record = record_of(folder)
    if position is not None and record not in (None, position.record):
        raise _another_record(folder, f"it holds record `{record}`, the position is one of record `{position.record}`")


def _damaged(path: Path, end: int, behind: str) -> SystemFailed:
    return SystemFailed(
        "LCH-1830",
        f"the record of answers is damaged at byte {end}",
        where=Where(path),
        why=f"a frame's checksum does not fit its content, and {behind}",
        fix="restore the file from a copy; without one, keep it aside and cut it at that byte: "
        "the answers before stay, those behind are lost",
    )


def _another_record(folder: Path, why: str) -> SystemFailed:
    return SystemFailed(
        "LCH-1831",
        "the folder was begun anew: it is not the record that was read",
        where=Where(folder),
        why=why,
        fix="put the record's folder back as it was, and what is in this one beside it under another name: "
        "both are read then",
    )


def _another_version(path: Path, content: bytes) -> SystemFailed:
    return SystemFailed(
        "LCH-1833",
        "the record of answers was written by another version of Lichen",
        where=Where(path),
        why=f"it begins with {content[: len(MAGIC)]!r}, this version writes {MAGIC!r}",
        fix="go on with the version that wrote it; where none did, the file is damaged: restore it from a copy",
    )
