"""One entity's past as bytes, and the answers it gives: what `materialize` writes and `lookup` reads.

The bytes are a header and then plain arrays of eight-byte numbers, in this machine's order, one after the other: they
are read in place. Rows that no instant from `since` on needs are left out; with the window `all` one row at the
beginning of time stands for them.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Literal

from lichen.errors import SystemFailed, WrongUsage
from lichen.feature.compute import (
    BLOCK,
    NONE,
    compensated_sum_in,
    latest_in,
    least_in,
    prompt_run,
    rows_in,
    sum_in,
    visible_runs,
)
from lichen.feature.value import from_wire, instant
from lichen.feature.view import ALL, Slots, View

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lichen.feature.history import History

_MAGIC = b"LF1<" if struct.pack("=H", 1) == b"\1\0" else b"LF1>"
_HEADER = struct.Struct("=4sIqqQ")
_DAWN = -NONE
"""The time of the row that stands for those left out."""

_DOUBLE = struct.Struct("=d")
_WHOLE = struct.Struct("=q")


def pack(view: View, past: History, entity: int, since: int | None, latest: Callable[[int, int], list[bytes]]) -> bytes:
    """One entity's part of a history as bytes, empty where it has no row that matters.

    `latest` gives the rows of the latest columns, from a position up to another, each as bytes.
    """
    import numpy as np

    from lichen.feature.history import extents, least_table

    a, z = (int(at) for at in past.events.first[entity : entity + 2])
    kept = a + _needless(view, past, a, z, since)
    dawn = int(kept > a and ALL in view.spans)
    rows = z - kept + dawn
    if rows == 0:
        return b""

    def led(values: Any, first: Any) -> Any:
        return np.concatenate((np.array([first], values.dtype), values)) if dawn else values

    def prefix(slot: Any) -> Any:
        return led(slot[kept + entity : z + entity + 1], 0)

    times, known = past.events.times[kept:z], past.events.known[kept:z]
    lag = int(known[0] - times[0]) if len(times) and ((known - times) == known[0] - times[0]).all() else -1
    lag = max(lag, 0) if lag != -1 or past.lag >= 0 or not len(times) else -1
    arrays = [led(times, _DAWN)]
    if lag < 0:
        known = led(known, _DAWN)
        arrays += [known, np.maximum.accumulate(known), *extents(known)]
    present = 0
    if dawn:
        present |= 1
        arrays.append(np.concatenate((np.zeros(1, np.int64), np.arange(kept - a, z - a + 1))))
    for measure, slot in enumerate(past.slots.counts):
        if slot > 0:
            counts = past.counts[slot - 1]
            if counts[z + entity] - counts[a + entity] < z - a:
                present |= 2 << measure
                arrays.append(prefix(counts))
    arrays += [prefix(slot) for slot in past.ints]
    for slot, rest in zip(past.doubles, past.rests, strict=True):
        arrays += [prefix(slot), prefix(rest)]
    for slot in past.keys:
        keys = led(slot[kept:z], slot[a:kept].min() if kept > a else NONE)
        arrays += [keys, least_table(keys, rows)]
    parts = [_HEADER.pack(_MAGIC, rows, lag, _DAWN if since is None else since, present)]
    parts += [np.ascontiguousarray(array).tobytes() for array in arrays]
    if view.latest:
        encoded = [b""] * dawn + latest(kept, z)
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        parts += [ends.tobytes(), *encoded]
    return b"".join(parts)


def _needless(view: View, past: History, a: int, z: int, since: int | None) -> int:
    """How many of an entity's first rows no instant from `since` on needs to see one by one."""
    if since is None:
        return 0
    times = past.events.times[a:z]
    longest = max((*view.spans, view.ttl_us or 0, 0))
    old = int(times.searchsorted(since - longest))
    if past.lag >= 0:
        settled = int(times.searchsorted(since - past.lag))
    else:
        settled = min(int(past.ceiling[a:z].searchsorted(since)), int(times.searchsorted(since)))
    if view.latest and view.ttl_us is None:
        # The last settled row may be the latest for ever.
        settled -= 1
    return max(0, min(old, settled))


class State:
    """One entity's past, read in place from its bytes."""

    __slots__ = (
        "blocks", "ceiling", "counts", "doubles", "ends", "high", "ints", "keys", "known", "lag", "low", "rests",
        "rows", "since", "size", "tables", "texts", "times",
    )  # fmt: skip

    def __init__(self, view: View, blob: bytes) -> None:
        magic, rows, lag, since, present = _HEADER.unpack_from(blob) if len(blob) >= _HEADER.size else (b"", 0, 0, 0, 0)
        if magic != _MAGIC:
            raise SystemFailed(
                "LCH-2640",
                f"the online state of `{view.name}` is not in the form this version reads",
                why="another version of Lichen, or a machine of another byte order, wrote it",
                fix="write it anew: lichen run",
            )
        self.size, self.rows, self.lag, self.since = len(blob), rows, lag, since
        rest = memoryview(blob)[_HEADER.size :]
        place = 0

        def take(count: int, form: Literal["q", "d"] = "q") -> Any:
            nonlocal place
            place, start = place + 8 * count, place
            return rest[start:place].cast(form)

        self.blocks = -(-rows // BLOCK)
        self.times = take(rows)
        self.known = self.ceiling = self.low = self.high = self.times
        if lag < 0:
            self.known, self.ceiling = take(rows), take(rows)
            self.low, self.high = take(self.blocks), take(self.blocks)
        every = take(rows + 1) if present & 1 else None
        self.counts = [every]
        measures = view.measures
        for at in range(len(measures)):
            self.counts.append(take(rows + 1) if present & (2 << at) else every)
        summed = [measure.kind for measure in measures if measure.summed]
        self.ints = [take(rows + 1) for kind in summed if kind == "int"]
        pairs = [(take(rows + 1, "d"), take(rows + 1, "d")) for kind in summed if kind == "double"]
        self.doubles, self.rests = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        table = max(1, self.blocks.bit_length()) * self.blocks
        keys = sum(measure.least + measure.greatest for measure in measures)
        sorted_ = [(take(rows), take(table)) for _ in range(keys)]
        self.keys, self.tables = [pair[0] for pair in sorted_], [pair[1] for pair in sorted_]
        self.ends = take(rows + 1) if view.latest else self.times
        self.texts = rest[place:]


def _key_to_double(key: int) -> float:
    value: float = _DOUBLE.unpack(_WHOLE.pack(key if key >= 0 else key ^ NONE))[0]
    return value


class Answers:
    """Answers for one view from an entity's state; it reuses its working space, so one thread uses it at a time."""

    def __init__(self, view: View) -> None:
        import msgspec

        self._view, self._reach = view, view.reach
        self._unpack = msgspec.msgpack.decode
        self._runs: list[int] = [0, 0]
        self._windows = [(span, self._asked(window)) for window, span in enumerate(view.spans)]
        self._ttl = view.ttl_us
        self._latest = [from_wire(column.type) for column in view.latest]
        windowed = [0 if a.function == "count" else None for a in view.aggregates for _ in view.spans]
        self.unseen: list[Any] = [*windowed, *(None for _ in view.latest)]
        self.missing: list[Any] = [None] * len(view.features)

    def _asked(self, window: int) -> list[tuple[int, str, int, int, Callable[[int], Any] | None]]:
        """What a window is asked: the feature's place, the function, the count's place, the slot, the last touch."""
        view = self._view
        slots = Slots.of(view.measures, [False] * len(view.measures))
        asked = []
        for place, aggregate in enumerate(view.aggregates):
            at = view.measure_of(aggregate)
            kind, function = view.measures[at].kind, aggregate.function
            slot, touch = -1, None
            if function in ("min", "max"):
                slot = (slots.least if function == "min" else slots.greatest)[at]
                touch = _key_to_double if kind == "double" else from_wire(aggregate.type)
            elif function in ("sum", "avg"):
                slot = (slots.ints if kind == "int" else slots.doubles)[at]
                function += kind
            asked.append((place * len(view.spans) + window, function, 0 if kind == "rows" else at + 1, slot, touch))
        return asked

    def at(self, state: State, t: int) -> list[Any]:
        """The features at an instant, in the order of the view's."""
        if t < state.since:
            raise WrongUsage(
                "LCH-2641",
                f"the online state of `{self._view.name}` answers from {instant(state.since)} on",
                why=f"it was asked as of {instant(t)}, and what only earlier instants need was left out",
                fix="materialize it with an earlier `since`",
            )
        times, rows, runs = state.times, state.rows, self._runs
        if state.lag >= 0:
            count = prompt_run(times, 0, rows, state.lag, t, runs)
        else:
            if len(runs) < 2 * rows + 2:
                runs.extend([0] * (2 * rows + 2 - len(runs)))
            count = visible_runs(
                times, state.known, state.ceiling, state.low, state.high, 0, rows, self._reach, t, runs
            )
        values = self.unseen.copy()
        if count == 0:
            return values
        for span, asked in self._windows:
            start = 0 if span < 0 else bisect_left(times, t - span, 0, rows)
            self._window(state, count, start, asked, values)
        if self._latest:
            self._newest(state, latest_in(times, runs, count, _DAWN if self._ttl is None else t - self._ttl), values)
        return values

    def _window(self, state: State, count: int, start: int, asked: Sequence[Any], values: list[Any]) -> None:
        runs = self._runs
        every = rows_in(runs, count, start)
        if every == 0:
            return
        for place, function, measure, slot, touch in asked:
            prefix = state.counts[measure]
            some = every if prefix is None else sum_in(prefix, 0, runs, count, start)
            if function == "count":
                values[place] = some
            elif some == 0:
                continue
            elif function == "avgdouble":
                values[place] = compensated_sum_in(state.doubles[slot], state.rests[slot], 0, runs, count, start) / some
            elif function == "avgint":
                values[place] = float(sum_in(state.ints[slot], 0, runs, count, start)) / some
            elif function == "sumint":
                values[place] = sum_in(state.ints[slot], 0, runs, count, start)
            elif function == "sumdouble":
                values[place] = compensated_sum_in(state.doubles[slot], state.rests[slot], 0, runs, count, start)
            else:
                key = least_in(state.keys[slot], state.tables[slot], state.blocks, runs, count, start)
                key = ~key if function == "max" else key
                values[place] = key if touch is None else touch(key)

    def _newest(self, state: State, at: int, values: list[Any]) -> None:
        if at < 0:
            return
        found = self._unpack(state.texts[state.ends[at] : state.ends[at + 1]])
        start = len(values) - len(found)
        for place, (value, touch) in enumerate(zip(found, self._latest, strict=True), start):
            values[place] = value if touch is None or value is None else touch(value)
