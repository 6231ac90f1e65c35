"""Answers questions (entity, instant), many or one, in one pass over rows and questions sorted by entity and time."""

from __future__ import annotations

from typing import Any

from lichen.feature.compute import (
    NONE,
    cut_runs,
    first_in,
    last_in,
    least_in,
    pair_in,
    rows_in,
    search,
    sum_in,
    variance,
    visible_runs,
)

COUNT, SUM, ADD, MEAN, MEAN_ADD, LEAST, VAR, STD, FIRST, LAST, RATE, SINCE = range(12)
"""What an operation asks. `SUM` and `MEAN` are of whole numbers, `ADD` and `MEAN_ADD` of doubles."""

CODE, FRAME, HOLES, SLOT, BACK = range(5)
"""The columns of an operation: what it asks, of which frame, where its measure's counts stand (-1: every row has a
value), where its sums, keys or values stand, and how many rows further back than the last it looks; for `LEAST` the sum
of 1 where the greatest is asked, whose keys are flipped, and 2 where keys are of doubles."""


def runs_at(
    first: int, last: int, times: Any, known: Any, until: Any, ceiling: Any, low: Any, high: Any,
    lag: int, reach: int, t: int, at: Any, runs: Any,
) -> int:  # fmt: skip
    """The visible runs at t of an entity with the rows from `first` up to `last`; `at[0]` is where the last one ended.

    Where each row is known `lag` after its time there is one run, or none; `lag` is -1 where known-times must be
    looked at, back to `reach` before t (-1: to the first row).
    """
    if lag >= 0:
        at[0] = search(times, t - lag, at[0], last)
        runs[0] = first
        runs[1] = at[0]
        return 1 if at[0] > first else 0
    floor = first
    if reach >= 0:
        at[0] = search(times, t - reach, at[0], last)
        floor = at[0]
    return visible_runs(times, known, until, ceiling, low, high, first, last, floor, t, runs)


def frame_at(
    first: int, last: int, times: Any, frames: Any, frame: int, t: int, at: Any, runs: Any, count: int, cut: Any
) -> int:
    """The runs of a frame's window at t; `at` holds where the frame began and ended at an earlier t of the entity."""
    span = frames[frame, 0]
    lag = frames[frame, 1]
    start = first
    stop = last
    if span >= 0:
        at[2 * frame + 1] = search(times, t - lag - span, at[2 * frame + 1], last)
        start = at[2 * frame + 1]
    if lag > 0:
        at[2 * frame + 2] = search(times, t - lag, at[2 * frame + 2], last)
        stop = at[2 * frame + 2]
    return cut_runs(runs, count, start, stop, cut)


def extreme(keys: Any, tables: Any, slot: int, blocks: int, cut: Any, count: int, form: int) -> int:
    """The least or the greatest value of the runs, or its bits; `form` is as `BACK` says."""
    key = least_in(keys, tables, slot, blocks, cut, count)
    if form & 1:
        key = ~key
    if form & 2 and key < 0:
        key ^= NONE
    return key


def added(code: int, pairs: Any, slot: int, shift: int, cut: Any, count: int, rows: int) -> float:
    """What doubles add up to: their sum, their mean, or their spread."""
    total, error = pair_in(pairs, slot, shift, cut, count)
    if code == ADD:
        return total + error
    if code == MEAN_ADD:
        return (total + error) / rows
    squares, rest = pair_in(pairs, slot + 2, shift, cut, count)
    spread = variance(total, error, squares, rest, rows)
    return float(spread**0.5) if code == STD else spread


def by_row(
    code: int,
    back: int,
    whole: Any,
    holes: int,
    shift: int,
    times: Any,
    raw: Any,
    slot: int,
    cut: Any,
    count: int,
    t: int,
) -> tuple[int, float, bool]:
    """What the first or the last row with a value tells: its position, a double made of it, whether there is one."""
    place = last_in(whole, holes, shift, cut, count, back)
    start = first_in(whole, holes, shift, cut, count) if code in (FIRST, RATE) else -1
    if code == SINCE:
        return place, (t - times[place]) / 1e6, True
    if code == RATE:
        passed = times[place] - times[start]
        if passed <= 0:
            return place, 0.0, False
        return place, (raw[slot, place] - raw[slot, start]) / (passed / 1e6), True
    if code == FIRST:
        place = start
    return place, 0.0, place >= 0


def sweep(
    first: Any, times: Any, known: Any, until: Any, ceiling: Any, low: Any, high: Any, lag: int, reach: int,
    frames: Any, ttl: int, whole: Any, pairs: Any, keys: Any, tables: Any, blocks: int, raw: Any, ops: Any,
    entities: Any, instants: Any, runs: Any, cut: Any, at: Any, out: Any, real: Any, some: Any, latest: Any,
) -> None:  # fmt: skip
    """Answer questions of many entities: it fills the last four arrays; for compiling.

    Entity e has the rows `first[e]` up to `first[e + 1]`. Questions are sorted by entity and instant. `whole` and
    `pairs` hold prefix sums, a row of them for each slot (two for a pair), an entity's starting as many places further
    than its rows as entities stand before it; `keys` with `tables` and `raw` hold a row of values for each slot.
    An answer is in `out`, or in `real` (the same
    memory) where it is a double, indexed [operation, question]; `some` tells where there is one. `runs` and `cut` are
    room for twice an entity's rows, and two, `at` for twice the frames, and one. A negative ttl forgets nothing.
    """
    before = -1
    for question in range(len(entities)):
        entity = entities[question]
        t = instants[question]
        a = first[entity]
        z = first[entity + 1]
        if entity != before:
            at[:] = a
            before = entity
        count = runs_at(a, z, times, known, until, ceiling, low, high, lag, reach, t, at, runs)
        newest = runs[2 * count - 1] - 1 if count > 0 else -1
        latest[question] = newest if newest >= 0 and (ttl < 0 or times[newest] >= t - ttl) else -1
        frame = -1
        kept = 0
        for op in range(len(ops)):
            if ops[op, FRAME] != frame:
                frame = ops[op, FRAME]
                kept = frame_at(a, z, times, frames, frame, t, at, runs, count, cut)
            code = ops[op, CODE]
            slot = ops[op, SLOT]
            holes = ops[op, HOLES]
            rows = sum_in(whole, holes, entity, cut, kept) if holes >= 0 else rows_in(cut, kept)
            some[op, question] = code == COUNT or rows > 0
            if code == COUNT:
                out[op, question] = rows
            elif rows == 0:
                continue
            elif code == SUM:
                out[op, question] = sum_in(whole, slot, entity, cut, kept)
            elif code == MEAN:
                real[op, question] = float(sum_in(whole, slot, entity, cut, kept)) / rows
            elif code == LEAST:
                out[op, question] = extreme(keys, tables, slot, blocks, cut, kept, ops[op, BACK])
            elif code <= STD:
                real[op, question] = added(code, pairs, slot, entity, cut, kept, rows)
                some[op, question] = code < VAR or rows > 1
            else:
                place, value, there = by_row(code, ops[op, BACK], whole, holes, entity, times, raw, slot, cut, kept, t)
                some[op, question] = there
                if code >= RATE:
                    real[op, question] = value
                else:
                    out[op, question] = place


def follow(
    entities: Any, times: Any, numbers: Any, asked_entities: Any, instants: Any, asked: Any, ttl: int,
    rows: Any, moments: Any, place: Any, latest: Any,
) -> bool:  # fmt: skip
    """Answer the questions that come before each row, then let it be its entity's last; for compiling.

    `place` holds the next question and the time of the last row. A row of entity -1 is of none.
    """
    question = place[0]
    before = place[1]
    for row in range(len(entities)):
        t = times[row]
        if t < before:
            return False
        before = t
        while question < len(instants) and instants[question] <= t:
            entity = asked_entities[question]
            if ttl < 0 or moments[entity] >= instants[question] - ttl:
                latest[asked[question]] = rows[entity]
            question += 1
        if entities[row] >= 0:
            rows[entities[row]] = numbers[row]
            moments[entities[row]] = t
    place[0] = question
    place[1] = before
    return True
