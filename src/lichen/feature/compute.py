"""The meaning of features, once: what is visible at an instant, and what the visible rows amount to.

Every function here works on rows of one entity sorted by (event time, known-time, landing), from position `first`
up to `last` of the arrays given. A *run* is a range of positions that are all visible; `runs` holds the starts and ends
of several, in order. The functions are plain Python over anything that has positions: `state` calls them as they are to
answer one row, and `history` compiles the same text with numba for `sweep` to answer millions.

Sums are differences of prefix sums: position 0 holds 0, position i the sum of the first i values. Prefix sums of
integers are exact; those of doubles are pairs (the sum, and what rounding left out of it: Knuth's TwoSum), so that the
difference of any two is right to the last bit or two, however long the prefix.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

BLOCK = 32
"""Rows that are skipped or taken together where known-times follow no order."""

NONE = 2**63 - 1
"""The least of no values."""


def visible_runs(
    times: Any, known: Any, ceiling: Any, low: Any, high: Any, first: int, last: int, reach: int, t: int, runs: Any
) -> int:
    """Fill `runs` with what is visible at t and no older than t - `reach` (-1: however old); returns how many runs.

    `ceiling` is the running maximum of `known`; all rows before its first value at or after t are visible. From
    there rows are looked at one by one, or a block at a time by the least and greatest known-time of each
    (`low`, `high`).
    """
    end = bisect_left(times, t, first, last)
    at = bisect_left(ceiling, t, first, end)
    floor = first if reach < 0 else bisect_left(times, t - reach, first, end)
    count = 0
    if at > floor:
        runs[0] = floor
        runs[1] = at
        count = 1
    else:
        at = floor
    while at < end:
        step = 1
        visible = known[at] < t
        if at % BLOCK == 0 and at + BLOCK <= end:
            block = at // BLOCK
            if high[block] < t or low[block] >= t:
                step = BLOCK
        if visible:
            if count > 0 and runs[2 * count - 1] == at:
                runs[2 * count - 1] = at + step
            else:
                runs[2 * count] = at
                runs[2 * count + 1] = at + step
                count += 1
        at += step
    return count


def prompt_run(times: Any, first: int, last: int, lag: int, t: int, runs: Any) -> int:
    """What `visible_runs` gives where each row is known `lag` after its time: one run, or none."""
    end = bisect_left(times, t - lag, first, last)
    runs[0] = first
    runs[1] = end
    return 1 if end > first else 0


def rows_in(runs: Any, count: int, start: int) -> int:
    """How many visible rows stand at or after position `start`."""
    total = 0
    while count > 0 and runs[2 * count - 1] > start:
        count -= 1
        total += runs[2 * count + 1] - max(runs[2 * count], start)
    return total


def sum_in(prefix: Any, shift: int, runs: Any, count: int, start: int) -> int:
    """The exact sum over the visible rows at or after `start`.

    `shift` is how much further the entity's prefix sums begin than its rows.
    """
    total = 0
    while count > 0 and runs[2 * count - 1] > start:
        count -= 1
        total += prefix[runs[2 * count + 1] + shift] - prefix[max(runs[2 * count], start) + shift]
    return total


def compensated_sum_in(prefix: Any, rest: Any, shift: int, runs: Any, count: int, start: int) -> float:
    """The sum of doubles over the visible rows at or after `start`."""
    total = 0.0
    error = 0.0
    while count > 0 and runs[2 * count - 1] > start:
        count -= 1
        a = max(runs[2 * count], start) + shift
        b = runs[2 * count + 1] + shift
        plus = prefix[b]
        minus = prefix[a]
        part = plus - minus
        back = part - plus
        error += (plus - (part - back)) - (minus + back) + (rest[b] - rest[a])
        whole = total + part
        back = whole - total
        error += (total - (whole - back)) + (part - back)
        total = whole
    return total + error


def least_in(keys: Any, table: Any, blocks: int, runs: Any, count: int, start: int) -> int:
    """The least key of the visible rows at or after `start`, or `NONE`.

    `table` holds, at level l and block b (position l * `blocks` + b), the least key of the 2**l blocks from b on.
    """
    least = NONE
    while count > 0 and runs[2 * count - 1] > start:
        count -= 1
        a = max(runs[2 * count], start)
        b = runs[2 * count + 1]
        if b - a > 2 * BLOCK:
            left = (a + BLOCK - 1) // BLOCK
            right = b // BLOCK
            level = 0
            while (2 << level) <= right - left:
                level += 1
            least = min(least, table[level * blocks + left], table[level * blocks + right - (1 << level)])
            for at in range(a, left * BLOCK):
                least = min(least, keys[at])
            a = right * BLOCK
        for at in range(a, b):
            least = min(least, keys[at])
    return least


def latest_in(times: Any, runs: Any, count: int, oldest: int) -> int:
    """The position of the last visible row, or -1 where it is older than the instant `oldest`."""
    if count == 0:
        return -1
    at = runs[2 * count - 1] - 1
    return at if times[at] >= oldest else -1


def sweep(
    first: Any, times: Any, known: Any, ceiling: Any, low: Any, high: Any, lag: int, reach: int, spans: Any, ttl: int,
    counts: Any, ints: Any, doubles: Any, rests: Any, keys: Any, tables: Any, blocks: int,
    entities: Any, instants: Any, order: Any, runs: Any,
    counted: Any, summed: Any, added: Any, least: Any, latest: Any,
) -> None:  # fmt: skip
    """Answer many questions (entity, instant) of many entities: it fills the last five arrays; for compiling.

    `lag` is -1 where known-times are looked at row by row; a negative span reaches back to the first row, a negative
    ttl forgets nothing. `runs` is room for twice an entity's rows, and two. Questions are taken in `order`; those of a
    negative entity are left as they are. `counts`, `ints`, `doubles`, `rests`, `keys` and `tables` hold one row of
    prefix sums or keys for each slot, entity after entity; the answers are indexed [window, slot, question], `counted`
    with all rows in slot 0.
    """
    for question in order:
        entity = entities[question]
        if entity < 0:
            continue
        t = instants[question]
        a = first[entity]
        z = first[entity + 1]
        if lag >= 0:
            count = prompt_run(times, a, z, lag, t, runs)
        else:
            count = visible_runs(times, known, ceiling, low, high, a, z, reach, t, runs)
        latest[question] = latest_in(times, runs, count, t - ttl if ttl >= 0 else -NONE)
        for window in range(len(spans)):
            start = a if spans[window] < 0 else bisect_left(times, t - spans[window], a, z)
            counted[window, 0, question] = rows_in(runs, count, start)
            for slot in range(len(counts)):
                counted[window, slot + 1, question] = sum_in(counts[slot], entity, runs, count, start)
            for slot in range(len(ints)):
                summed[window, slot, question] = sum_in(ints[slot], entity, runs, count, start)
            for slot in range(len(doubles)):
                added[window, slot, question] = compensated_sum_in(
                    doubles[slot], rests[slot], entity, runs, count, start
                )
            for slot in range(len(keys)):
                least[window, slot, question] = least_in(keys[slot], tables[slot], blocks, runs, count, start)
