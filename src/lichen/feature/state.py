"""One entity's past as bytes: what `materialize` and `update` write and `lookup` reads.

The bytes are a header and then the entity's rows as plain arrays, in this machine's order, one after the other, each
from a multiple of eight bytes on; the columns whose values are shown as they stand in a row are packed row by row at
the end. Rows that no instant from `since` on needs are left out; with the window `all` one row at the beginning of
time, the *dawn*, stands for them, and the last array tells what they add up to.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lichen.errors import SystemFailed
from lichen.feature.compute import NONE
from lichen.feature.history import Dawn, Events, constant_lag, history
from lichen.feature.statement import placed
from lichen.feature.view import ALL, CODED, PLACED, RAW, SPREAD, View

FORM = "LF2<" if struct.pack("=H", 1) == b"\1\0" else "LF2>"
"""The form of a state, and the byte order of its numbers: a store keeps each form under names of its own."""

_MAGIC = FORM.encode()
_HEADER = struct.Struct("=4sIqQ")
FIRST = -NONE
"""The time of the dawn, and the `since` of a state that leaves nothing out."""

_KNOWN, _UNTIL, _DAWN = 1, 2, 4


@dataclass
class Rows:
    """An entity's rows as they are kept, sorted by (time, known-time, landing).

    `columns` are named as the statements name them (`_t`, `_q`, `_u`, `_x`, `_v0`, `_n0`, `_d0`); `texts` are the
    packed values shown as they stand, a piece for each row. `since` is the earliest instant they answer.
    """

    columns: dict[str, Any]
    texts: list[bytes]
    since: int = FIRST
    dawn: Dawn | None = None


_TYPES = {"int": np.int64, "double": np.float64, "flag": np.bool_}


def one_row(view: View, lag: int, *, empty: bool) -> bytes:
    """A state of one row, known `lag` microseconds after its time, whose values are all 0 or, where `empty`, null."""
    times = np.zeros(1, np.int64)
    kept: dict[str, Any] = {name: np.full(1, empty and kind == "flag", _TYPES[kind]) for name, kind in view.kept}
    texts = texts_of([[None]] * len(placed(view))) if view.is_shown else []
    return pack(view, Rows({"_t": times, "_q": times + lag, **kept}, texts))


def keeps_all(view: View) -> bool:
    """Whether some feature needs each row one by one, however old, or a correction of one may change it."""
    if view.corrected and view.reach == ALL:
        return True
    return ALL in view.spans and any(a.function in PLACED | CODED | RAW | {"since"} for a in view.aggregates)


def pack(view: View, rows: Rows) -> bytes:
    """An entity's rows as bytes; empty where there are none."""
    times, known, until = rows.columns["_t"], rows.columns["_q"], rows.columns.get("_u")
    if len(times) == 0 and rows.dawn is None:
        return b""
    flags, arrays = 0, [times]
    if not (known == times).all():
        flags |= _KNOWN
        arrays.append(known)
    if until is not None and not (until == NONE).all():
        flags |= _UNTIL
        arrays.append(until)
    holes = 0
    for name, type_ in view.kept:
        values = rows.columns[name]
        if name[1] == "n":
            if not values.any():
                continue
            holes |= 1 << int(name[2:])
        arrays.append(np.ascontiguousarray(values, _TYPES[type_]))
    if rows.dawn is not None:
        flags |= _DAWN
        arrays.append(rows.dawn.as_array())
    parts = [_HEADER.pack(_MAGIC, len(times), rows.since, flags), holes.to_bytes(_holes_size(view), "little")]
    for array in arrays:
        parts += [array.tobytes(), b"\0" * (-array.nbytes % 8)]
    if rows.texts:
        ends = np.cumsum([0, *map(len, rows.texts)], dtype=np.int64)
        parts += [ends.tobytes(), *rows.texts]
    return b"".join(parts)


def _holes_size(view: View) -> int:
    """The bytes that tell which measures have nulls: a bit each, in whole words."""
    return -(-(len(view.measures) + 1) // 64) * 8


@dataclass(frozen=True)
class Head:
    """What the first bytes of a state tell: rows, the earliest instant, what is there, and where the arrays begin."""

    count: int
    since: int
    flags: int
    holes: int
    place: int

    @classmethod
    def of(cls, view: View, blob: bytes) -> Head:
        """The head of a state; bytes of another form are refused."""
        magic, count, since, flags = _HEADER.unpack_from(blob) if len(blob) >= _HEADER.size else (b"", 0, 0, 0)
        if magic != _MAGIC:
            raise SystemFailed(
                "LCH-2640",
                f"the online state of `{view.name}` is not in the form this version reads",
                why="it is damaged, or something else than Lichen wrote it",
                fix="remove the online store, for it is made anew of the tables: lichen run",
            )
        place = _HEADER.size + _holes_size(view)
        return cls(count, since, flags, int.from_bytes(blob[_HEADER.size : place], "little"), place)

    @property
    def is_plain(self) -> bool:
        """Whether it holds rows that are known when they happen, and nothing else."""
        return not self.flags


def texts_in(blob: bytes, place: int, count: int) -> list[bytes]:
    """The packed rows that stand at the end of a state, from `place` on."""
    if place >= len(blob):
        return []
    ends = np.frombuffer(blob, np.int64, count + 1, place).tolist()
    start = place + 8 * (count + 1)
    return [blob[start + a : start + b] for a, b in pairwise(ends)]


def unpack(view: View, blob: bytes) -> Rows:
    """The rows that `pack` wrote; the arrays are copies, for those that may not be written compile every loop anew."""
    head = Head.of(view, blob)
    place, count, flags, holes = head.place, head.count, head.flags, head.holes

    def take(type_: Any, many: int = count) -> Any:
        nonlocal place
        array = np.frombuffer(blob, type_, many, place).copy()
        place += -(-array.nbytes // 8) * 8
        return array

    columns = {"_t": take(np.int64)}
    columns["_q"] = take(np.int64) if flags & _KNOWN else columns["_t"]
    if flags & _UNTIL:
        columns["_u"] = take(np.int64)
    for name, type_ in view.kept:
        if name[1] == "n" and not holes >> int(name[2:]) & 1:
            continue
        columns[name] = take(_TYPES[type_])
    dawn = Dawn.from_array(take(np.int64, Dawn.size(len(view.measures)))) if flags & _DAWN else None
    return Rows(columns, texts_in(blob, place, count), head.since, dawn)


def events_in(view: View, rows: Rows) -> Events:
    """An entity's rows as events, the dawn first where there is one."""
    columns, dawn = rows.columns, rows.dawn
    times, known, until = columns["_t"], columns["_q"], columns.get("_u")
    lag = None if until is not None else constant_lag(times, known)
    lead = int(dawn is not None)

    def led(values: Any, first: Any) -> Any:
        return np.concatenate((np.array([first], values.dtype), values)) if lead else values

    measures = range(len(view.measures))
    return Events(
        first=np.array([0, len(times) + lead], np.int64), order=np.arange(len(times) + lead),
        times=led(times, FIRST), known=None if lag is not None else led(known, FIRST),
        until=None if until is None else led(until, NONE), lag=lag,
        values=tuple(led(columns[f"_v{p}"], 0) if f"_v{p}" in columns else None for p in measures),
        missing=tuple(led(columns[f"_n{p}"], False) if f"_n{p}" in columns else None for p in measures),
        hashes=tuple(led(columns[f"_d{p}"], 0) if f"_d{p}" in columns else None for p in measures),
        dawn=dawn,
    )  # fmt: skip


class Sums:
    """Watches rows as they come in any pieces: `doubtful` once values of some entity might not add up."""

    def __init__(self, view: View) -> None:
        self._asked = [
            (f"_v{place}", m.kind == "int", bool(m.functions & SPREAD))
            for place, m in enumerate(view.measures)
            if m.needs_values
        ]
        self._magnitudes = {name: 0.0 for name, *_ in self._asked}
        self.doubtful = False

    def see(self, columns: Mapping[str, Any]) -> None:
        """See rows; what all rows add up to is no less than what one entity's do."""
        with np.errstate(over="ignore", invalid="ignore"):
            for name, whole, squared in self._asked:
                values = np.abs(columns[name].astype(np.float64))
                self._magnitudes[name] += float(values.sum())
                most = self._magnitudes[name]
                self.doubtful |= not (most < _SURE if whole else bool(np.isfinite(most)))
                # A sum of squares is no greater than the square of the sum.
                self.doubtful |= squared and not bool(np.isfinite(most * most))


_SURE = 2.0**62


def refuse_unsummable(view: View, rows: Rows) -> None:
    """Refuse (`FoundWrong`) an entity's values that do not add up, as `history` does."""
    sums = Sums(view)
    sums.see(rows.columns)
    if sums.doubtful or rows.dawn is not None:
        history(view, events_in(view, rows))


def trim(view: View, rows: Rows, since: int | None) -> Rows:
    """The rows without those that no instant from `since` on needs to see one by one."""
    if since is None or since <= rows.since or keeps_all(view):
        return rows
    if "_u" in rows.columns:
        rows = _without(rows, rows.columns["_u"] >= since)
    times, known, until = rows.columns["_t"], rows.columns["_q"], rows.columns.get("_u")
    followed = known if until is None else np.where(until == NONE, known, NONE)
    settled = min(int(times.searchsorted(since)), int(np.maximum.accumulate(followed).searchsorted(since)))
    if view.latest and view.ttl_us is None:
        # The last settled row may be the latest for ever.
        settled -= 1
    kept = max(0, min(int(times.searchsorted(horizon(view, since))), settled))
    dawn = rows.dawn
    if kept and ALL in view.spans:
        dawn = Dawn.of(history(view, events_in(view, rows)), kept + (dawn is not None))
    columns = {name: values[kept:] for name, values in rows.columns.items()}
    return Rows(columns, rows.texts[kept:], since, dawn)


def horizon(view: View, since: int) -> int:
    """The event time before which no instant from `since` on needs to see rows one by one."""
    return since - max((*(max(span, 0) + lag for span, lag in view.frames), view.ttl_us or 0, 0))


def _without(rows: Rows, kept: Any) -> Rows:
    """The rows that are kept, of flags."""
    texts = [text for text, keep in zip(rows.texts, kept.tolist(), strict=True) if keep] if rows.texts else []
    return Rows({name: values[kept] for name, values in rows.columns.items()}, texts, rows.since, rows.dawn)


def texts_of(columns: Sequence[Sequence[Any]]) -> list[bytes]:
    """Values shown as they stand, column by column, as packed bytes row by row."""
    import msgspec

    return [msgspec.msgpack.encode(row) for row in zip(*columns, strict=True)]


def columns_of(view: View, rows: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that are kept of an entity's rows, of those that a statement gave."""
    names = ["_t", "_q", *(["_u"] if view.corrected else []), *(name for name, _ in view.kept)]
    return {name: rows[name] for name in names}
