"""The rows of many entities as arrays, and the sums and keys that are kept of them."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cache, cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lichen.errors import FoundWrong
from lichen.feature import compute
from lichen.feature.compute import BLOCK, NONE
from lichen.feature.view import Slots

if TYPE_CHECKING:
    from lichen.feature.view import Measure, View

Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]

_SIGN = np.int64(NONE)


@dataclass(frozen=True)
class Events:
    """A view's visible-some-day rows, sorted by (entity, event time, known-time, landing).

    Entity e has the rows `first[e]` up to `first[e + 1]`. For each measure `values` holds what is summed or ordered
    (int64, or float64 for doubles; None where rows are only counted) and `missing` tells the nulls (None where there
    are none).
    """

    first: Ints
    times: Ints
    known: Ints
    values: tuple[NDArray[Any] | None, ...]
    missing: tuple[NDArray[np.bool_] | None, ...]


def to_keys(values: NDArray[Any], *, greatest: bool) -> Ints:
    """Values as whole numbers of the same order, so that one search for the least serves all types and both ends."""
    if values.dtype == np.float64:
        bits = (values + 0.0).view(np.int64)
        values = np.where(bits < 0, bits ^ _SIGN, bits)
    return ~values if greatest else values


def from_keys(keys: Ints, *, double: bool, greatest: bool) -> NDArray[Any]:
    """The values that `to_keys` was given."""
    values = ~keys if greatest else keys
    if not double:
        return values
    return np.where(values < 0, values ^ _SIGN, values).view(np.float64)


@dataclass(frozen=True)
class History:
    """Events with all that answers are made of; `lag` is -1 where known-times must be looked at row by row."""

    events: Events
    slots: Slots
    lag: int
    counts: Ints
    ints: Ints
    doubles: Doubles
    rests: Doubles
    keys: Ints

    @cached_property
    def ceiling(self) -> Ints:
        """The running maximum of known-times within each entity."""
        return kernels().ceiling(self.events.first, self.events.known)  # type: ignore[no-any-return]


def history(view: View, events: Events) -> History:
    """Sum up a view's events.

    Refuses (`FoundWrong`) integers of one entity whose magnitudes add up to 2**63 or more, since their sum might not
    fit, and doubles that are not finite or whose sum is not: one of them would make every later window meaningless.
    """
    slots = Slots.of(view.measures, [missing is not None for missing in events.missing])
    rows, entities = len(events.times), len(events.first) - 1
    counts = np.zeros((sum(place > 0 for place in slots.counts), rows + entities), np.int64)
    ints = np.zeros((sum(place >= 0 for place in slots.ints), rows + entities), np.int64)
    doubles = np.zeros((sum(place >= 0 for place in slots.doubles), rows + entities), np.float64)
    rests = np.zeros_like(doubles)
    keys = np.zeros((sum(place >= 0 for place in (*slots.least, *slots.greatest)), rows), np.int64)
    for at, measure in enumerate(view.measures):
        values, missing = events.values[at], events.missing[at]
        if missing is not None:
            kernels().sums(events.first, (~missing).astype(np.int64), counts[slots.counts[at] - 1])
        if values is None:
            continue
        if measure.kind == "double" and not np.isfinite(values).all():
            raise _not_finite(view, measure)
        if slots.ints[at] >= 0 and not kernels().sums(events.first, values, ints[slots.ints[at]]) < 2.0**63:
            raise _too_large(view, measure, "BIGINT")
        if slots.doubles[at] >= 0:
            place = slots.doubles[at]
            if not np.isfinite(kernels().compensated_sums(events.first, values, doubles[place], rests[place])):
                raise _too_large(view, measure, "DOUBLE")
        for place, greatest in ((slots.least[at], False), (slots.greatest[at], True)):
            if place >= 0:
                keys[place] = to_keys(values, greatest=greatest)
                if missing is not None:
                    keys[place][missing] = NONE
    return History(events, slots, _lag(events), counts, ints, doubles, rests, keys)


def _lag(events: Events) -> int:
    """How long after its time each row is known, where that is the same for all; -1 where it is not."""
    if len(events.times) == 0:
        return 0
    lag = int(events.known[0] - events.times[0])
    if not ((events.known - events.times) == lag).all():
        return -1
    # A row known before its time still has to happen to be counted.
    return max(lag, 0)


def _named(view: View, measure: Measure) -> str:
    names = [a.name for a in view.aggregates if (a.value, a.clip) == (measure.value, measure.clip)]
    return f"feature view `{view.name}`: `{names[0]}`"


def _not_finite(view: View, measure: Measure) -> FoundWrong:
    return FoundWrong(
        "LCH-2611",
        f"{_named(view, measure)} is computed of values that are not all finite numbers",
        why=f"`{measure.value}` gives NaN or infinity for some row, and no later window could be told from it",
        fix=f"make such values null: CASE WHEN isfinite({measure.value}) THEN {measure.value} END",
    )


def _too_large(view: View, measure: Measure, type_: str) -> FoundWrong:
    return FoundWrong(
        "LCH-2612",
        f"{_named(view, measure)} adds up to more than a {type_} holds",
        why=f"the magnitudes of `{measure.value}` over all rows of one entity add up beyond its range",
        fix="scale the value down, clip it, or cast it to DOUBLE if it is a whole number",
    )


# ---------------------------------------------------------------------------------------------- compiled


@cache
def kernels() -> Any:
    """The compiled loops; compiled once a machine, then read from numba's cache (`NUMBA_CACHE_DIR`)."""
    import numba
    from numba.extending import overload, register_jitable

    overload(bisect_left)(_searching)
    for function in (
        compute.visible_runs, compute.prompt_run, compute.rows_in, compute.sum_in,
        compute.compensated_sum_in, compute.least_in, compute.latest_in,
    ):  # fmt: skip
        register_jitable(function)
    compiled = numba.njit(cache=True, nogil=True)
    return SimpleNamespace(
        sweep=compiled(compute.sweep),
        sums=compiled(_sums),
        compensated_sums=compiled(_compensated_sums),
        ceiling=compiled(_ceiling),
        extent=compiled(_extent),
        table=compiled(_table),
    )


def _searching(a: Any, x: Any, lo: Any, hi: Any) -> Any:
    # numba asks for the function to compile, with the types of what it will be given.
    del a, x, lo, hi
    return _search


def _search(a: Any, x: Any, lo: Any, hi: Any) -> Any:
    while lo < hi:
        middle = (lo + hi) // 2
        if a[middle] < x:
            lo = middle + 1
        else:
            hi = middle
    return lo


def _sums(first: Any, values: Any, prefix: Any) -> Any:
    """Exact prefix sums, an entity's row of them one longer than its values; returns the greatest sum of magnitudes."""
    greatest = 0.0
    for entity in range(len(first) - 1):
        total = 0
        magnitude = 0.0
        prefix[first[entity] + entity] = 0
        for at in range(first[entity], first[entity + 1]):
            total += values[at]
            magnitude += abs(float(values[at]))
            prefix[at + entity + 1] = total
        greatest = max(greatest, magnitude)
    return greatest


def _compensated_sums(first: Any, values: Any, prefix: Any, rest: Any) -> Any:
    """Prefix sums of doubles in twice the precision; returns the greatest sum of magnitudes."""
    greatest = 0.0
    for entity in range(len(first) - 1):
        total = 0.0
        error = 0.0
        magnitude = 0.0
        prefix[first[entity] + entity] = 0.0
        rest[first[entity] + entity] = 0.0
        for at in range(first[entity], first[entity + 1]):
            value = values[at]
            whole = total + value
            back = whole - total
            error += (total - (whole - back)) + (value - back)
            # Renormalised, so that the pair stays the nearest double and what it leaves out.
            total = whole + error
            error = error - (total - whole)
            magnitude += abs(value)
            prefix[at + entity + 1] = total
            rest[at + entity + 1] = error
        greatest = max(greatest, magnitude)
    return greatest


def _ceiling(first: Any, known: Any) -> Any:
    ceiling = known.copy()
    for entity in range(len(first) - 1):
        for at in range(first[entity] + 1, first[entity + 1]):
            ceiling[at] = max(ceiling[at], ceiling[at - 1])
    return ceiling


def _extent(known: Any, low: Any, high: Any) -> None:
    """The least and the greatest known-time of each block of rows."""
    for block in range(len(low)):
        low[block] = known[block * BLOCK]
        high[block] = known[block * BLOCK]
        for at in range(block * BLOCK + 1, min(len(known), (block + 1) * BLOCK)):
            low[block] = min(low[block], known[at])
            high[block] = max(high[block], known[at])


def _table(keys: Any, blocks: int, table: Any) -> None:
    """The least key of each block, then of every 2, 4, 8, ... blocks, a level after the other."""
    for block in range(blocks):
        table[block] = keys[block * BLOCK]
        for at in range(block * BLOCK + 1, min(len(keys), (block + 1) * BLOCK)):
            table[block] = min(table[block], keys[at])
    width = 1
    level = 1
    while level * blocks < len(table):
        for block in range(blocks):
            other = min(block + width, blocks - 1)
            table[level * blocks + block] = min(
                table[(level - 1) * blocks + block], table[(level - 1) * blocks + other]
            )
        width *= 2
        level += 1


def blocks_of(rows: int) -> int:
    """How many blocks these many rows fill."""
    return -(-rows // BLOCK)


def extents(known: Ints) -> tuple[Ints, Ints]:
    """The least and the greatest known-time of each block."""
    low = np.empty(blocks_of(len(known)), np.int64)
    high = np.empty_like(low)
    kernels().extent(known, low, high)
    return low, high


def least_table(keys: Ints, longest: int) -> Ints:
    """The table that `least_in` reads, with levels enough for entities of up to `longest` rows."""
    blocks = blocks_of(len(keys))
    table = np.empty(max(1, blocks_of(longest).bit_length()) * blocks, np.int64)
    kernels().table(keys, blocks, table)
    return table
