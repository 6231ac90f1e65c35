"""Arrow streams from strangers: read without a line of native code, so that no byte of one can end the process.

The stream format of Arrow's columnar specification (1.0 and later): messages of a flatbuffer and a body. Each
offset and length is looked at before anything is read by it. Read are flat columns of texts, numbers, booleans, dates,
instants and decimals, and lists of a fixed size; dictionaries, compressed bodies and nested columns are refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lichen.deploy.body import wrong_count
from lichen.deploy.flat import Flat, MalformedError
from lichen.deploy.refused import Refused

KIND = "application/vnd.apache.arrow.stream"

_CONTINUES = b"\xff\xff\xff\xff"
_SCHEMA, _BATCH = 1, 3
_MOST_COLUMNS = 10_000
_INT, _FLOAT, _UTF8, _BOOL, _DECIMAL, _DATE, _TIMESTAMP, _FIXED, _LARGE_UTF8, _VIEW = 2, 3, 5, 6, 7, 8, 10, 16, 20, 24
_REFUSED = {
    1: "null", 4: "binary", 9: "time", 11: "interval", 12: "list", 13: "struct", 14: "union", 15: "fixed-size binary",
    17: "map", 18: "duration", 19: "large binary", 21: "large list", 22: "run-end encoded", 23: "binary view",
    25: "list view", 26: "large list view",
}  # fmt: skip
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - both kinds of instants count from it
_DAYS = date(1970, 1, 1).toordinal()
_EXACT = Context(prec=80)
_PER_SECOND = (1, 1_000, 1_000_000, 1_000_000_000)


class Unfit:
    """A value that a stream can hold and a request cannot: no column admits it."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __repr__(self) -> str:
        return self._what


BEYOND = Unfit("an instant beyond the years 1 to 9999, or finer than a microsecond")


@dataclass(frozen=True)
class _Column:
    """A column's name, and how its values are taken from a batch's body."""

    name: str
    read: Callable[[_Body, int], list[Any]]


def columns_of(body: bytes, most_rows: int) -> tuple[dict[str, list[Any]], int]:
    """The columns of a stream as Python values, null where a value is missing, and the number of rows.

    Raises `Refused` where the stream is malformed, holds what is not read here, or more than `most_rows` rows.
    """
    try:
        return _read(body, most_rows)
    except (MalformedError, struct.error, ValueError, OverflowError, UnicodeDecodeError) as wrong:
        raise Refused(
            400,
            "LCH-1871",
            f"the body is no Arrow stream: {wrong if isinstance(wrong, MalformedError) else 'it is damaged'}",
            fix=f"send what an Arrow library writes as a stream ({KIND}), uncompressed",
        ) from None


def _read(body: bytes, most_rows: int) -> tuple[dict[str, list[Any]], int]:
    messages = _messages(body)
    kind, header, _ = next(messages, (0, None, b""))
    if kind != _SCHEMA or header is None:
        raise MalformedError("it does not begin with a schema")
    columns = _columns(header)
    values: dict[str, list[Any]] = {column.name: [] for column in columns}
    rows = 0
    for kind, header, content in messages:
        if kind != _BATCH or header is None:
            raise _unread("a dictionary" if kind == 2 else "a message of another kind")
        if header.table(3) is not None:
            raise _unread("a compressed body")
        length = header.long(0)
        if not 0 <= length <= most_rows - rows:
            raise wrong_count(most_rows, more=True)
        rows += length
        taken = _Body(header, content)
        for column in columns:
            values[column.name] += column.read(taken, length)
    return values, rows


def _messages(body: bytes) -> Iterator[tuple[int, Flat | None, bytes]]:
    """Each message's kind, header and body, up to the end of the stream."""
    at = 0
    while at < len(body):
        if body[at : at + 4] != _CONTINUES:
            raise MalformedError("a message does not begin as one")
        (size,) = struct.unpack_from("<i", body, at + 4)
        if size == 0:
            return
        start = at + 8
        if size < 0 or start + size > len(body):
            raise MalformedError("it is cut short")
        message = Flat.root(body[start : start + size])
        length = message.long(3)
        end = start + size + length
        if length < 0 or end > len(body):
            raise MalformedError("it is cut short")
        yield message.byte(1), message.table(2), body[start + size : end]
        at = end


def _columns(schema: Flat) -> list[_Column]:
    if schema.short(0) != 0:
        raise _unread("numbers in the order of bytes of another machine")
    fields = schema.tables(1, _MOST_COLUMNS)
    columns = [_column(field) for field in fields]
    seen: set[str] = set()
    for column in columns:
        if column.name in seen:
            raise MalformedError(f"the column {column.name[:60]!r} is there twice")
        seen.add(column.name)
    return columns


def _column(field: Flat) -> _Column:
    name = field.text(0)
    if field.table(4) is not None:
        raise _unread(f"the dictionary of the column {name[:60]!r}: cast it to plain values", name)
    kind = field.byte(2)
    if kind == _FIXED:
        return _Column(name, _fixed_list(field, name))
    return _Column(name, _values(kind, field.table(3), name))


def _values(kind: int, about: Flat | None, name: str) -> Callable[[_Body, int], list[Any]]:
    if kind in _REFUSED or about is None:
        raise _unread(f"the column {name[:60]!r} of the type {_REFUSED.get(kind, 'that has no number')}", name)
    if kind in (_UTF8, _LARGE_UTF8):
        offset: Any = np.int32 if kind == _UTF8 else np.int64
        return lambda body, length: body.texts(length, offset)
    if kind == _VIEW:
        return lambda body, length: body.views(length)
    if kind == _BOOL:
        return lambda body, length: body.booleans(length)
    if kind == _INT:
        return _numbers(f"<{'i' if about.byte(1) else 'u'}{_one_of(about.whole(0), (8, 16, 32, 64)) // 8}")
    if kind == _FLOAT:
        return _numbers(f"<f{(2, 4, 8)[_one_of(about.short(0), (0, 1, 2))]}")
    if kind == _DATE:
        return _converted("<i4", _day) if about.short(0, 1) == 0 else _converted("<i8", _day_of_ms)
    if kind == _TIMESTAMP:
        per_second = _PER_SECOND[_one_of(about.short(0), (0, 1, 2, 3))]
        return _converted("<i8", _instant(per_second, zoned=about.has(1)))
    if kind == _DECIMAL and about.whole(2, 128) == 128:
        scale = about.whole(1)
        if abs(scale) <= 38:
            return lambda body, length: body.decimals(length, scale)
    raise _unread(f"the column {name[:60]!r} of a type without a name here", name)


def _fixed_list(field: Flat, name: str) -> Callable[[_Body, int], list[Any]]:
    about, children = field.table(3), field.tables(5, 1)
    size = about.whole(0) if about is not None else -1
    if len(children) != 1 or not 0 < size <= 65_536 or children[0].table(4) is not None:
        raise MalformedError("a list of a fixed size has no element")
    inner = _values(children[0].byte(2), children[0].table(3), name)

    def read(body: _Body, length: int) -> list[Any]:
        missing = body.missing(length)
        if length * size > body.most_values:
            raise MalformedError("a list is longer than its body")
        flat = inner(body, length * size)
        made: list[Any] = [flat[at * size : (at + 1) * size] for at in range(length)]
        return _without(made, missing)

    return read


def _numbers(kind: str) -> Callable[[_Body, int], list[Any]]:
    return lambda body, length: body.numbers(length, kind)


def _converted(kind: str, convert: Callable[[int], Any]) -> Callable[[_Body, int], list[Any]]:
    def read(body: _Body, length: int) -> list[Any]:
        return [None if value is None else convert(value) for value in body.numbers(length, kind)]

    return read


def _instant(per_second: int, *, zoned: bool) -> Callable[[int], Any]:
    epoch = _EPOCH.replace(tzinfo=UTC) if zoned else _EPOCH

    def instant(value: int) -> Any:
        microseconds, finer = divmod(value * 1_000_000, per_second)
        try:
            return BEYOND if finer else epoch + timedelta(microseconds=microseconds)
        except OverflowError:
            return BEYOND

    return instant


def _day(value: int) -> Any:
    try:
        return date.fromordinal(value + _DAYS)
    except (ValueError, OverflowError):
        return BEYOND


def _day_of_ms(value: int) -> Any:
    day, rest = divmod(value, 86_400_000)
    return BEYOND if rest else _day(day)


def _without(values: list[Any], missing: NDArray[np.bool_] | None) -> list[Any]:
    if missing is not None:
        for place in np.flatnonzero(missing):
            values[place] = None
    return values


class _Body:
    """A batch's body, whose columns are taken one after the other: each takes its node and its buffers."""

    def __init__(self, header: Flat, content: bytes) -> None:
        self._content = content
        self._nodes = iter(header.pairs(1))
        self._buffers = iter(header.pairs(2))
        self._variadic = iter(header.longs(4))
        self.most_values = 8 * len(content)
        """No column can hold more values than its body has bits."""

    def missing(self, length: int) -> NDArray[np.bool_] | None:
        """Which of a column's values are null; begins a column, of so many values."""
        there, nulls = next(self._nodes, (-1, 0))
        if there != length:
            raise MalformedError("a column has not the rows of its batch")
        bitmap = self._buffer()
        if nulls == 0:
            return None
        if len(bitmap) * 8 < length:
            raise MalformedError("a column's nulls are cut short")
        found: NDArray[np.bool_] = np.unpackbits(np.frombuffer(bitmap, np.uint8), count=length, bitorder="little") == 0
        return found

    def numbers(self, length: int, kind: str) -> list[Any]:
        """A column of numbers of a fixed size."""
        missing = self.missing(length)
        return _without(self._array(length, kind).tolist(), missing)

    def booleans(self, length: int) -> list[Any]:
        """A column of bits."""
        missing = self.missing(length)
        bits = self._buffer()
        if len(bits) * 8 < length:
            raise MalformedError("a column is cut short")
        found = np.unpackbits(np.frombuffer(bits, np.uint8), count=length, bitorder="little")
        return _without(found.astype(np.bool_).tolist(), missing)

    def decimals(self, length: int, scale: int) -> list[Any]:
        """A column of 128-bit decimals."""
        missing = self.missing(length)
        raw = self._buffer()
        if len(raw) < 16 * length:
            raise MalformedError("a column is cut short")
        found: list[Any] = [
            Decimal(int.from_bytes(raw[at : at + 16], "little", signed=True)).scaleb(-scale, _EXACT)
            for at in range(0, 16 * length, 16)
        ]
        return _without(found, missing)

    def texts(self, length: int, offset: Any) -> list[Any]:
        """A column of texts behind offsets."""
        missing = self.missing(length)
        ends = self._array(length + 1 if length else 0, np.dtype(offset).newbyteorder("<").str).tolist()
        raw = self._buffer()
        if ends and (ends[0] < 0 or ends[-1] > len(raw) or any(a > b for a, b in pairwise(ends))):
            raise MalformedError("a text lies outside its column")
        return _texts((raw[a:b] for a, b in pairwise(ends)), missing)

    def views(self, length: int) -> list[Any]:
        """A column of text views: short texts in place, long ones in buffers of their own."""
        missing = self.missing(length)
        views = self._buffer()
        if len(views) < 16 * length:
            raise MalformedError("a column is cut short")
        count = next(self._variadic, -1)
        if not 0 <= count <= len(self._content):
            raise MalformedError("a column of views has no count of its buffers")
        buffers = [self._buffer() for _ in range(count)]
        gone = np.zeros(length, np.bool_) if missing is None else missing
        found = [b"" if gone[at] else _viewed(views[16 * at : 16 * at + 16], buffers) for at in range(length)]
        return _texts(found, missing)

    def _array(self, count: int, kind: str) -> NDArray[Any]:
        raw = self._buffer()
        if len(raw) < count * np.dtype(kind).itemsize:
            raise MalformedError("a column is cut short")
        return np.frombuffer(raw, kind, count)

    def _buffer(self) -> bytes:
        offset, length = next(self._buffers, (-1, 0))
        if offset < 0 or length < 0 or offset + length > len(self._content):
            raise MalformedError("a column lies outside the body")
        return self._content[offset : offset + length]


def _viewed(view: bytes, buffers: Sequence[bytes]) -> bytes:
    size, which, start = struct.unpack("<i4xii", view)
    if 0 <= size <= 12:
        return view[4 : 4 + size]
    if size < 0 or not 0 <= which < len(buffers) or start < 0 or start + size > len(buffers[which]):
        raise MalformedError("a text lies outside its column")
    text: bytes = buffers[which][start : start + size]
    return text


def _texts(raw: Iterator[bytes] | Sequence[bytes], missing: NDArray[np.bool_] | None) -> list[Any]:
    if missing is None:
        return [text.decode() for text in raw]
    return [None if gone else text.decode() for text, gone in zip(raw, missing, strict=True)]


def _one_of(value: int, allowed: tuple[int, ...]) -> int:
    if value not in allowed:
        raise MalformedError("a column's type is unknown")
    return value


def _unread(what: str, field: str | None = None) -> Refused:
    return Refused(
        415,
        "LCH-1872",
        f"the Arrow stream holds {what}, which is not read here",
        fix="send plain, uncompressed columns of texts, numbers, booleans, dates, instants or lists of a fixed size",
        field=None if field is None else field[:200],
    )
