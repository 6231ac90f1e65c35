"""What is kept of the values of rows sorted by entity, so that any window is told by its ends. For compiling.

`order` gives the row of each position, as the rows came. A prefix begins as many places further than its entity's rows
as entities stand before it, for it is one longer.
"""

from __future__ import annotations

import math
from typing import Any

from lichen.feature.compute import BLOCK, NONE


def whole(first: Any, order: Any, values: Any, prefix: Any) -> float:
    """Exact prefix sums of whole numbers; returns the greatest sum of magnitudes, infinity for one beyond BIGINT."""
    greatest = 0.0
    for entity in range(len(first) - 1):
        total = 0
        magnitude = 0
        prefix[first[entity] + entity] = 0
        for at in range(first[entity], first[entity + 1]):
            value = int(values[order[at]])
            total += value
            if value < -NONE or magnitude > NONE - abs(value):
                greatest = math.inf
                magnitude = 0
            else:
                magnitude += abs(value)
            prefix[at + entity + 1] = total
        greatest = max(greatest, float(magnitude))
    return greatest


def pairs(first: Any, order: Any, values: Any, squared: bool, seed: Any, prefix: Any, rest: Any) -> float:
    """Prefix sums of doubles, or of their squares, in twice the precision; returns the greatest sum of magnitudes.

    `seed`, a sum and its rest, stands in place of the first value; it has no length where there is none.
    """
    greatest = 0.0
    for entity in range(len(first) - 1):
        total = 0.0
        error = 0.0
        magnitude = 0.0
        prefix[first[entity] + entity] = 0.0
        rest[first[entity] + entity] = 0.0
        for at in range(first[entity], first[entity + 1]):
            value = values[order[at]]
            if len(seed) > 0 and at == 0:
                error += seed[1]
                value = seed[0]
            elif squared:
                square = value * value
                scaled = 134217729.0 * value
                high = scaled - (scaled - value)
                low = value - high
                error += ((high * high - square) + 2.0 * high * low) + low * low
                value = square
            sum_ = total + value
            back = sum_ - total
            error += (total - (sum_ - back)) + (value - back)
            # Renormalised, so that the pair stays the nearest double and what it leaves out.
            total = sum_ + error
            error = error - (total - sum_)
            magnitude += abs(value)
            prefix[at + entity + 1] = total
            rest[at + entity + 1] = error
        greatest = max(greatest, magnitude)
    return greatest


def keyed(order: Any, values: Any, missing: Any, flip: bool, keys: Any) -> None:
    """The values as keys in the order of the rows; the least key is the greatest value where `flip`."""
    for at in range(len(order)):
        row = order[at]
        key = values[row]
        if flip:
            key = ~key
        if len(missing) > 0 and missing[row]:
            key = NONE
        keys[at] = key


def ceiling(first: Any, known: Any, until: Any, running: Any) -> None:
    """The running maximum of known-times within each entity; beyond all from a row on that another follows."""
    for entity in range(len(first) - 1):
        most = -NONE
        for at in range(first[entity], first[entity + 1]):
            most = max(most, known[at])
            if len(until) > 0 and until[at] != NONE:
                most = NONE
            running[at] = most


def extent(known: Any, until: Any, low: Any, high: Any) -> None:
    """The least and the greatest known-time of each block; the greatest is beyond all where another row follows."""
    for block in range(len(low)):
        least = NONE
        most = -NONE
        for at in range(block * BLOCK, min(len(known), (block + 1) * BLOCK)):
            least = min(least, known[at])
            most = max(most, known[at])
            if len(until) > 0 and until[at] != NONE:
                most = NONE
        low[block] = least
        high[block] = most


def table(keys: Any, blocks: int, least: Any) -> None:
    """The least key of each block, then of every 2, 4, 8, ... blocks, a level after the other."""
    for block in range(blocks):
        least[block] = keys[block * BLOCK]
        for at in range(block * BLOCK + 1, min(len(keys), (block + 1) * BLOCK)):
            least[block] = min(least[block], keys[at])
    width = 1
    level = 1
    while level * blocks < len(least):
        for block in range(blocks):
            other = min(block + width, blocks - 1)
            least[level * blocks + block] = min(
                least[(level - 1) * blocks + block], least[(level - 1) * blocks + other]
            )
        width *= 2
        level += 1
