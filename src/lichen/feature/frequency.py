"""How often each value stands in a window: distinct values, the most frequent one, quantiles. For compiling.

Values are numbered within their entity, in their order (`codes`), so that a window's values are a row of counts; as the
window moves on with the questions, rows enter and leave the counts one by one.

Distinct values are counted exactly up to `EXACT` and estimated beyond from 4,096 registers, each the longest run of
zero bits among the hashes that it takes (HyperLogLog; the estimator is Ertl's, 2017): the standard error is 1.6 %. A
quantile is exact up to `FEW` values and beyond that the middle of the bucket it lies in: buckets grow by 2 %, so it is
off by at most 1 % (DDSketch; Masson, Rim and Lee, 2019). Both rules depend on the window's rows alone.
"""

from __future__ import annotations

import math
from typing import Any

from lichen.feature.sweep import frame_at, runs_at

DISTINCT, MOST, QUANTILE = range(3)
"""What an operation asks."""

EXACT = 4096
FEW = 256
REGISTERS = 4096

_GROWTH = math.log(1.01 / 0.99)
_SMALLEST = 1e-9
_SHIFT = 2000
_ALPHA = 0.7213475204444817


def bucket(value: float) -> int:
    """The number of the bucket that a value lies in, rising with the value; 0 is of all below 1e-9 in magnitude."""
    size = abs(value)
    if size < _SMALLEST:
        return 0
    place = math.ceil(math.log(size) / _GROWTH) + _SHIFT
    return place if value > 0 else -place


def middle(place: int) -> float:
    """The value that a bucket stands for, within 1 % of each value in it."""
    if place == 0:
        return 0.0
    size = 2.0 * math.exp((abs(place) - _SHIFT) * _GROWTH) / (1.01 / 0.99 + 1.0)
    return size if place > 0 else -size


def codes(
    first: Any, order: Any, values: Any, missing: Any, raw: Any, room: Any, out: Any, unique: Any, counts: Any
) -> int:
    """Number each entity's distinct values in their order; returns the greatest count.

    `values` are of the rows as they came, or none where `raw` has doubles to be put into buckets, by position.
    `out` gets the number at each position, -1 where the value is missing; `unique` the values by number from where the
    entity begins; `counts` how many it has.
    """
    greatest = 0
    for entity in range(len(first) - 1):
        a = first[entity]
        kept = 0
        for at in range(a, first[entity + 1]):
            out[at] = 0
            if len(missing) > 0 and missing[order[at]]:
                out[at] = -1
                continue
            room[kept] = bucket(raw[at]) if len(values) == 0 else values[order[at]]
            unique[a + kept] = room[kept]
            kept += 1
        sort(room, kept)
        different = 0
        for place in range(kept):
            if place == 0 or room[place] != room[different - 1]:
                room[different] = room[place]
                different += 1
        kept = 0
        for at in range(a, first[entity + 1]):
            if out[at] < 0:
                continue
            value = unique[a + kept]
            kept += 1
            low = 0
            high = different
            while low < high:
                halfway = (low + high) // 2
                if room[halfway] < value:
                    low = halfway + 1
                else:
                    high = halfway
            out[at] = low
        for place in range(different):
            unique[a + place] = room[place]
        counts[entity] = different
        greatest = max(greatest, different)
    return greatest


def sort(values: Any, count: int) -> None:
    """Sort the first values in place: a heap, whatever their order was."""
    for start in range(count // 2 - 1, -1, -1):
        sink(values, start, count)
    for end in range(count - 1, 0, -1):
        values[0], values[end] = values[end], values[0]
        sink(values, 0, end)


def sink(values: Any, start: int, end: int) -> None:
    """Move a value down its heap to where it belongs."""
    root = start
    while 2 * root + 1 < end:
        child = 2 * root + 1
        if child + 1 < end and values[child] < values[child + 1]:
            child += 1
        if values[root] >= values[child]:
            return
        values[root], values[child] = values[child], values[root]
        root = child


def slide(numbers: Any, counts: Any, seen: Any, a: int, b: int, by: int) -> tuple[int, int]:
    """Let rows enter the counts (`by` is 1) or leave them; returns by how much distinct values and values changed."""
    different = 0
    total = 0
    for at in range(a, b):
        number = numbers[at]
        if number < 0:
            continue
        total += by
        if by > 0:
            different += counts[number] == 0
            counts[number] += 1
            seen[number] = at
        else:
            counts[number] -= 1
            different -= counts[number] == 0
    return different, total


def moved(numbers: Any, counts: Any, seen: Any, cut: Any, count: int, lag: int, held: Any) -> tuple[int, int]:
    """Make the counts those of the runs; returns how many distinct values and how many values there are.

    Where there is one run at most, as a `lag` that is not negative tells, it is the one before moved on, which `held`
    tells; else the counts are all 0 before.
    """
    if lag < 0:
        different = 0
        total = 0
        for run in range(count):
            new, more = slide(numbers, counts, seen, cut[2 * run], cut[2 * run + 1], 1)
            different += new
            total += more
        return different, total
    stop = held[1]
    begin = cut[0] if count > 0 else stop
    end = cut[1] if count > 0 else stop
    new, more = slide(numbers, counts, seen, max(stop, begin), end, 1)
    gone, less = slide(numbers, counts, seen, held[0], min(stop, begin), -1)
    held[0] = begin
    held[1] = end
    held[2] += new + gone
    held[3] += more + less
    return held[2], held[3]


def estimate(hashes: Any, order: Any, numbers: Any, cut: Any, count: int, registers: Any, tally: Any) -> int:
    """How many distinct values the runs hold, estimated."""
    registers[:] = 0
    for place in range(count):
        for at in range(cut[2 * place], cut[2 * place + 1]):
            if numbers[at] < 0:
                continue
            bits = hashes[order[at]]
            register = (bits >> 52) & (REGISTERS - 1)
            zeros = 1
            while zeros <= 52 and (bits >> (52 - zeros)) & 1 == 0:
                zeros += 1
            registers[register] = max(registers[register], zeros)
    tally[:] = 0
    for register in range(REGISTERS):
        tally[registers[register]] += 1
    part = 1.0 - tally[53] / REGISTERS
    z = 0.0
    if 0.0 < part < 1.0:
        power = 1.0
        z = 1.0 - part
        before = -1.0
        while before != z:
            part = math.sqrt(part)
            before = z
            power *= 0.5
            z -= (1.0 - part) ** 2 * power
        z = REGISTERS * z / 3.0
    for zeros in range(52, 0, -1):
        z = 0.5 * (z + tally[zeros])
    part = tally[0] / REGISTERS
    power = 1.0
    unseen = part
    before = -1.0
    while before != unseen:
        part *= part
        before = unseen
        unseen += part * power
        power += power
    whole: int = round(_ALPHA * REGISTERS * REGISTERS / (z + REGISTERS * unseen))
    return whole


def most(numbers: Any, counts: Any, seen: Any, width: int, cut: Any, count: int, rows: int) -> int:
    """The last position of the most frequent value; of several as frequent, of the one seen last."""
    best = 0
    place = -1
    if rows < width:
        for run in range(count - 1, -1, -1):
            for at in range(cut[2 * run + 1] - 1, cut[2 * run] - 1, -1):
                if numbers[at] >= 0 and counts[numbers[at]] > best:
                    best = counts[numbers[at]]
                    place = int(at)
        return place
    for number in range(width):
        if counts[number] > best or (counts[number] == best and best > 0 and seen[number] > place):
            best = counts[number]
            place = int(seen[number])
    return place


def tallied(
    raw: Any, numbers: Any, counts: Any, unique: Any, begin: int, share: float, total: int, cut: Any, count: int,
    room: Any,
) -> float:  # fmt: skip
    """A quantile of the runs' values: interpolated of few, the middle of a bucket of many."""
    if total <= FEW:
        kept = 0
        for place in range(count):
            for at in range(cut[2 * place], cut[2 * place + 1]):
                if numbers[at] >= 0:
                    room[kept] = raw[at]
                    kept += 1
        sort(room, kept)
        place_ = share * (kept - 1)
        low = int(place_)
        high = min(low + 1, kept - 1)
        return float(room[low] + (room[high] - room[low]) * (place_ - low))
    rank = int(share * (total - 1))
    number = 0
    passed = counts[0]
    while passed <= rank:
        number += 1
        passed += counts[number]
    return middle(unique[begin + number])


def distinct(
    hashes: Any, order: Any, numbers: Any, different: int, cut: Any, count: int, registers: Any, tally: Any
) -> int:
    """How many distinct values the runs hold: `different` where those are few enough."""
    return different if different <= EXACT else estimate(hashes, order, numbers, cut, count, registers, tally)


def frequencies(
    first: Any, rows: Any, times: Any, known: Any, until: Any, ceiling: Any, low: Any, high: Any, lag: int, reach: int,
    frames: Any, numbers: Any, unique: Any, widths: Any, hashes: Any, raw: Any, ops: Any, shares: Any,
    entities: Any, instants: Any, last: Any, runs: Any, cut: Any, at: Any, held: Any, counts: Any, seen: Any,
    room: Any, registers: Any, tally: Any, out: Any, real: Any, some: Any,
) -> None:  # fmt: skip
    """Answer questions as `sweep` does.

    An operation has what it asks, its frame, and where its numbers and its raw values stand. `numbers`, `unique`,
    `widths` are as `codes` gave them, `hashes` of the rows as they came, `raw` by position: a row for each slot.
    `counts` and `seen` are room for the greatest count of values of each operation and `held` for which rows are
    counted now; all three come filled with 0. `last` is the question before, its entity and its instant, the entity
    -1 before the first: a call that goes on from there counts only what came and went since.
    """
    for question in range(len(entities)):
        entity = entities[question]
        t = instants[question]
        a = first[entity]
        z = first[entity + 1]
        if entity != last[0] or t < last[1]:
            at[:] = a
            for op in range(len(ops)):
                slide(numbers[ops[op, 2]], counts[op], seen[op], held[op, 0], held[op, 1], -1)
                held[op, 0] = a
                held[op, 1] = a
                held[op, 2:] = 0
        last[0] = entity
        last[1] = t
        count = runs_at(a, z, times, known, until, ceiling, low, high, lag, reach, t, at, runs)
        for op in range(len(ops)):
            slot = ops[op, 2]
            kept = frame_at(a, z, times, frames, ops[op, 1], t, at, runs, count, cut)
            different, total = moved(numbers[slot], counts[op], seen[op], cut, kept, lag, held[op])
            some[op, question] = total > 0 or ops[op, 0] == DISTINCT
            if ops[op, 0] == DISTINCT:
                out[op, question] = distinct(hashes[slot], rows, numbers[slot], different, cut, kept, registers, tally)
            elif total > 0 and ops[op, 0] == MOST:
                out[op, question] = most(numbers[slot], counts[op], seen[op], widths[slot, entity], cut, kept, total)
            elif total > 0:
                real[op, question] = tallied(
                    raw[ops[op, 3]], numbers[slot], counts[op], unique[slot], a, shares[op], total, cut, kept, room
                )
            if lag < 0:
                for run in range(kept):
                    slide(numbers[slot], counts[op], seen[op], cut[2 * run], cut[2 * run + 1], -1)
