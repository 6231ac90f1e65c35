"""Text records told apart one by one: the slow and exact way, for files in which DuckDB found a malformed one.

A record ends at a line end outside quotes. Where a quote is not closed as it should be, the record is the
one line, and reading goes on at the next: one stray quote does not swallow the rest of the file. A stray
quote that another one closes cleanly, lines later, cannot be told from a field of several lines.
"""

from __future__ import annotations

import csv
import mmap
import re
from collections.abc import Container, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

LONGEST = 2_000_000
RAW = 2_000
_BOM = b"\xef\xbb\xbf"
_LINE = re.compile(rb"[^\r\n]*+")


@dataclass(frozen=True)
class Layout:
    """How a text file is cut into records and fields; a file of whole lines has no delimiter and no quote."""

    delimiter: str | None
    quote: str | None
    header: bool = False
    skip: int = 0


class Records:
    """The records of one text file, each with its number (from 1, a header and empty lines not counted)."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path, self._layout = path, layout
        delimiter = re.escape((layout.delimiter or "").encode())
        quote = re.escape((layout.quote or "").encode())
        bare = rb"[^" + delimiter + rb"\r\n" + quote + rb"][^" + delimiter + rb"\r\n]*+"
        field = bare + rb"|"
        if quote:
            field = (
                quote + rb"[^" + quote + rb"]*+(?:" + quote * 2 + rb"[^" + quote + rb"]*+)*+" + quote + rb"|" + field
            )
        self._field = re.compile(rb"(?:" + field + rb")")
        whole = rb"(?:" + field + rb")(?:" + delimiter + rb"(?:" + field + rb"))*+(?=[\r\n]|\Z)"
        self._record = re.compile(whole) if delimiter else _LINE

    def names(self) -> list[str]:
        """The fields of the first record, as text."""
        for raw, whole in self._raw():
            if whole:
                return [self._text(field) for field in self._fields(raw)]
            return []
        return []

    def divide(self, width: int, good: Path, bad: Path) -> tuple[int, int]:
        """Write whole records to `good` with their numbers in front, the others to `bad`; returns how many of each.

        `good` is in the file's own layout, without header; `bad` is CSV: `_row`, `column`, `reason`, `raw`.
        """
        counts = [0, 0]
        separator = (self._layout.delimiter or "\x1f").encode()
        with open(good, "wb") as kept, open(bad, "w", encoding="utf-8", newline="") as refused:
            rejects = csv.writer(refused, lineterminator="\n", quoting=csv.QUOTE_ALL)
            for number, (raw, whole) in enumerate(self._numbered(width), start=1):
                if not raw and self._layout.delimiter is None:
                    continue
                reason = self._fault(raw, whole, width)
                counts[reason is not None] += 1
                if reason is None:
                    kept.write(b"%d%b%b\n" % (number, separator, raw))
                else:
                    rejects.writerow([number, "", reason, self._shown(raw)])
        return counts[0], counts[1]

    def texts(self, width: int, wanted: Container[int]) -> Iterator[tuple[int, str]]:
        """The records of these numbers as they stand in the file, the longest cut; each with its number."""
        for number, (raw, _) in enumerate(self._numbered(width), start=1):
            if number in wanted:
                yield number, self._shown(raw)

    @staticmethod
    def _shown(raw: bytes) -> str:
        return raw[: RAW * 4].decode("utf-8", "replace").replace("\x00", "\ufffd")[:RAW]

    def _numbered(self, width: int) -> Iterator[tuple[bytes, bool]]:
        records = self._raw()
        if self._layout.header:
            next(records, None)
        # An empty line is no record, but in a file of one column it is an empty value, and of lines every one counts.
        return records if width == 1 else (record for record in records if record[0])

    def _fault(self, raw: bytes, whole: bool, width: int) -> str | None:
        if not whole:
            return "a quote is not closed, or something follows the closing one"
        if len(raw) > LONGEST:
            return f"the record is longer than {LONGEST:,} bytes"
        try:
            raw.decode()
        except UnicodeDecodeError as fault:
            return f"byte {raw[fault.start]:#04x} is not UTF-8; `encoding` says what the file is written in"
        fields = self._fields(raw)
        found = len(fields)
        if found > width and all(field in (b"", (self._layout.quote or "").encode() * 2) for field in fields[width:]):
            return None  # delimiters at the line's end: DuckDB lets them pass, and nothing is lost
        return None if found == width else f"{found} fields where {width} are expected"

    def _fields(self, raw: bytes) -> list[bytes]:
        delimiter = (self._layout.delimiter or "").encode()
        if not delimiter:
            return [raw]
        quote = (self._layout.quote or "").encode()
        if not quote or quote not in raw:
            return raw.split(delimiter)
        fields: list[bytes] = []
        at = 0
        while True:
            field = self._field.match(raw, at)
            if field is None:
                return fields
            fields.append(field[0])
            at = field.end() + len(delimiter)
            if at > len(raw):
                return fields

    def _text(self, field: bytes) -> str:
        text = field.decode("utf-8", "replace")
        quote = self._layout.quote
        if quote and len(text) > 1 and text.startswith(quote) and text.endswith(quote):
            text = text[1:-1].replace(quote * 2, quote)
        return text.strip()

    def _raw(self) -> Iterator[tuple[bytes, bool]]:
        """Each record's bytes, and whether it is whole; a record that is not whole is one line."""
        if self._path.stat().st_size == 0:
            return
        with open(self._path, "rb") as file, closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as text:
            at = len(_BOM) if text[: len(_BOM)] == _BOM else 0
            for _ in range(self._layout.skip):
                at = _past_line_end(text, _end_of_line(text, at))
            while at < len(text):
                found = self._record.match(text, at)
                end = found.end() if found else _end_of_line(text, at)
                yield text[at:end], found is not None
                at = _past_line_end(text, end)


def _end_of_line(text: mmap.mmap, at: int) -> int:
    line = _LINE.match(text, at)
    return line.end() if line else at


def _past_line_end(text: mmap.mmap, at: int) -> int:
    if text[at : at + 2] == b"\r\n":
        return at + 2
    return min(at + 1, len(text))
