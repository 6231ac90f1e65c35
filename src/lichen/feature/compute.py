"""The meaning of features, once: what is visible at an instant, and what the visible rows amount to.

Every function here works on rows of one entity sorted by (event time, known-time, landing), from position `first`
up to `last` of the arrays given. A *run* is a range of positions that are all visible; `runs` holds the starts and ends
of several, in order, and `cut` those of a window. The functions are plain Python over arrays; `kernels` compiles them,
for a join that asks millions of questions and for a look-up that asks one.

Sums are differences of prefix sums: position 0 holds 0, position i the sum of the first i values. Prefix sums of
integers are exact; those of doubles are pairs (the sum, and what rounding left out of it: Knuth's TwoSum), so that the
difference of any two is right to the last bit or two, however long the prefix.
"""

from __future__ import annotations

from typing import Any

BLOCK = 32
"""Rows that are skipped or taken together where known-times follow no order."""

NONE = 2**63 - 1
"""The least of no values; the known-time of what no row follows."""


def search(times: Any, t: int, first: int, last: int) -> int:
    """The first position whose time is at or after t, looked for from `first` in steps that double."""
    step = 1
    low = first
    high = first
    while high < last and times[high] < t:
        low = high + 1
        high += step
        step *= 2
    high = min(high, last)
    while low < high:
        middle = (low + high) // 2
        if times[middle] < t:
            low = middle + 1
        else:
            high = middle
    return low


def visible_runs(
    times: Any, known: Any, until: Any, ceiling: Any, low: Any, high: Any, first: int, last: int, floor: int, t: int,
    runs: Any,
) -> int:  # fmt: skip
    """Fill `runs` with what is visible at t from position `floor` on; returns how many runs.

    A row is visible from after `known` up to `until`, when another row of its event becomes known. `ceiling` is the
    running maximum of `known`, and beyond all times from the first row on that another follows: all rows before its
    first value at or after t are visible. From there rows are looked at one by one, or a block at a time by the least
    and greatest known-time of each (`low`, `high`; `high` too is beyond all times in a block with a row that is
    followed).
    """
    end = search(times, t, floor, last)
    at = search(ceiling, t, first, end)
    count = 0
    if at > floor:
        runs[0] = floor
        runs[1] = at
        count = 1
    else:
        at = floor
    while at < end:
        step = 1
        visible = known[at] < t and (len(until) == 0 or t <= until[at])
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


def cut_runs(runs: Any, count: int, start: int, stop: int, cut: Any) -> int:
    """Fill `cut` with what of the runs lies from `start` up to `stop`; returns how many runs that is."""
    kept = 0
    for place in range(count):
        a = max(runs[2 * place], start)
        b = min(runs[2 * place + 1], stop)
        if b > a:
            cut[2 * kept] = a
            cut[2 * kept + 1] = b
            kept += 1
    return kept


def rows_in(cut: Any, count: int) -> int:
    """How many rows the runs hold."""
    total = 0
    for place in range(count):
        total += cut[2 * place + 1] - cut[2 * place]
    return total


def sum_in(prefix: Any, slot: int, shift: int, cut: Any, count: int) -> int:
    """The exact sum over the runs; `shift` is how much further the entity's prefix sums begin than its rows."""
    total = 0
    for place in range(count):
        total += prefix[slot, cut[2 * place + 1] + shift] - prefix[slot, cut[2 * place] + shift]
    return total


def pair_in(pairs: Any, slot: int, shift: int, cut: Any, count: int) -> tuple[float, float]:
    """The sum of doubles over the runs, and what rounding left out; `pairs` has both, one slot after the other."""
    total = 0.0
    error = 0.0
    for place in range(count):
        a = cut[2 * place] + shift
        b = cut[2 * place + 1] + shift
        plus = pairs[slot, b]
        minus = pairs[slot, a]
        part = plus - minus
        back = part - plus
        error += (plus - (part - back)) - (minus + back) + (pairs[slot + 1, b] - pairs[slot + 1, a])
        whole = total + part
        back = whole - total
        error += (total - (whole - back)) + (part - back)
        total = whole
    return total, error


def variance(total: float, error: float, squares: float, rest: float, count: int) -> float:
    """The sample variance from the pairs of a sum and of a sum of squares; NaN of fewer than two values.

    The square of the sum is taken in twice the precision (Dekker's product), for it is nearly as large as what it is
    taken from.
    """
    if count < 2:
        return float("nan")
    whole = total + error
    error = error - (whole - total)
    square = whole * whole
    scaled = 134217729.0 * whole
    high = scaled - (scaled - whole)
    low = whole - high
    left = ((high * high - square) + 2.0 * high * low) + low * low + 2.0 * whole * error
    mean = square / count
    # What the division left out, by the product of the quotient and the count.
    scaled = 134217729.0 * mean
    high = scaled - (scaled - mean)
    low = mean - high
    product = mean * count
    left += (square - product) - ((high * count - product) + low * count)
    return max(0.0, ((squares - mean) + (rest - left / count)) / (count - 1))


def least_in(keys: Any, tables: Any, slot: int, blocks: int, cut: Any, count: int) -> int:
    """The least key in the runs, or `NONE`.

    `tables` holds, at level l and block b (position l * `blocks` + b), the least key of the 2**l blocks from b on.
    """
    least = NONE
    for place in range(count):
        a = cut[2 * place]
        b = cut[2 * place + 1]
        if b - a > 2 * BLOCK:
            left = (a + BLOCK - 1) // BLOCK
            right = b // BLOCK
            level = 0
            while (2 << level) <= right - left:
                level += 1
            low = level * blocks
            least = min(least, tables[slot, low + left], tables[slot, low + right - (1 << level)])
            for at in range(a, left * BLOCK):
                least = min(least, keys[slot, at])
            a = right * BLOCK
        for at in range(a, b):
            least = min(least, keys[slot, at])
    return least


def last_in(whole: Any, holes: int, shift: int, cut: Any, count: int, back: int) -> int:
    """The position of the last row in the runs that has a value, or of the one `back` further back; -1 for none.

    `whole` has the prefix counts of rows with a value at the slot `holes`, which is -1 where all have one.
    """
    for place in range(count - 1, -1, -1):
        a = cut[2 * place]
        at = cut[2 * place + 1] - 1
        if holes < 0:
            if at - back >= a:
                return int(at - back)
            back -= at - a + 1
            continue
        while at >= a:
            if whole[holes, at + shift + 1] > whole[holes, at + shift]:
                if back == 0:
                    return int(at)
                back -= 1
            at -= 1
    return -1


def first_in(whole: Any, holes: int, shift: int, cut: Any, count: int) -> int:
    """The position of the first row in the runs that has a value; -1 for none."""
    for place in range(count):
        if holes < 0:
            return int(cut[2 * place])
        for at in range(cut[2 * place], cut[2 * place + 1]):
            if whole[holes, at + shift + 1] > whole[holes, at + shift]:
                return at
    return -1
