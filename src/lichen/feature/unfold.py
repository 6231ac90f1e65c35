"""Sums up one entity's rows straight from its bytes, in one compiled call: what `history` does for many."""

from __future__ import annotations

from typing import Any

from lichen.feature.compute import NONE
from lichen.feature.sums import keyed, table
from lichen.feature.sums import pairs as pair_sums
from lichen.feature.sums import whole as whole_sums

INT, DOUBLE, FLAG = range(3)
KIND, COUNTS, INTS, PAIRS, SQUARES, LEAST, GREATEST, RAW = range(8)
"""The columns of a plan, which has a row for each array of a state: what it is, and in which slots its sums stand."""


def unfold(
    words: Any, reals: Any, flags: Any, count: int, plan: Any, first: Any, order: Any, room: Any, room_reals: Any,
    whole: Any, pairs: Any, keys: Any, tables: Any, blocks: int, raw: Any,
) -> int:  # fmt: skip
    """Fill the arrays of a history of one entity; for compiling. Returns how many words were read.

    `words`, `reals` and `flags` are the same bytes, from the first array of the plan on; `room` and `room_reals` are
    the same room for `count` numbers.
    """
    at = 0
    missing = flags[:0]
    for column in range(len(plan)):
        values = words[at : at + count]
        doubles = reals[at : at + count]
        if plan[column, KIND] == FLAG:
            missing = flags[8 * at : 8 * at + count]
            at += (count + 7) // 8
            for row in range(count):
                room[row] = missing[row] == 0
            whole_sums(first, order, room, whole[plan[column, COUNTS]])
            continue
        if plan[column, COUNTS] < 0:
            # The flags read last are of another measure.
            missing = flags[:0]
        at += count
        if plan[column, INTS] >= 0:
            whole_sums(first, order, values, whole[plan[column, INTS]])
        if plan[column, LEAST] >= 0 or plan[column, GREATEST] >= 0:
            if plan[column, KIND] == DOUBLE:
                for row in range(count):
                    room_reals[row] = doubles[row] + 0.0
                    if room[row] < 0:
                        room[row] ^= NONE
                values = room
            for side in range(2):
                slot = plan[column, LEAST + side]
                if slot >= 0:
                    keyed(order, values, missing, side == 1, keys[slot])
                    table(keys[slot], blocks, tables[slot])
        if plan[column, KIND] == INT and (plan[column, PAIRS] >= 0 or plan[column, RAW] >= 0):
            for row in range(count):
                room_reals[row] = float(words[at - count + row])
            doubles = room_reals
        slot = plan[column, PAIRS]
        if slot >= 0:
            for squared in range(1 + plan[column, SQUARES]):
                part = slot + 2 * squared
                pair_sums(first, order, doubles, squared == 1, reals[:0], pairs[part], pairs[part + 1])
        if plan[column, RAW] >= 0:
            for row in range(count):
                raw[plan[column, RAW], row] = doubles[row]
        missing = flags[:0]
    return at
