"""Entities as numbers, and rows sorted by them: what a join does before it sweeps. For compiling.

An entity is found by two whole numbers: its key twice, where that is one whole number, else two hashes of it, which
two different keys share with a chance of one in 2**128.
"""

from __future__ import annotations

from typing import Any


def mixed(one: int) -> int:
    """A key's bits, well mixed."""
    folded = (one ^ (one >> 32)) * -7046029254386353131
    return folded ^ (folded >> 29)


def index(
    ones: Any, others: Any, missing: Any, begin: int, count: int, table: Any, keys: Any, keys2: Any, ids: Any
) -> tuple[int, int]:  # fmt: skip
    """Number the distinct keys in order of their first row, from row `begin` on, with `count` of them known before.

    Returns how many rows were gone through and how many keys there are: where `table` has no room for one more, that
    row is the next to begin with. Its size is a power of two, and it has room for half as many keys. It comes with an
    entry for each key, some bits of it and its number, and -1 elsewhere. `keys` and `keys2` get the keys by number,
    `ids` each row's number, -1 where the key is missing.
    """
    mask = len(table) - 1
    for row in range(begin, len(ones)):
        if missing[row]:
            ids[row] = -1
            continue
        bits = mixed(ones[row])
        tag = (bits >> 33) & 0x7FFFFFFF
        place = bits & mask
        found = -1
        while table[place] >= 0:
            number = table[place] & 0xFFFFFFFF
            if table[place] >> 32 == tag and keys[number] == ones[row] and keys2[number] == others[row]:
                found = number
                break
            place = (place + 1) & mask
        if found < 0:
            if 2 * count >= mask:
                return row, count
            found = count
            table[place] = (tag << 32) | count
            keys[count] = ones[row]
            keys2[count] = others[row]
            count += 1
        ids[row] = found
    return len(ones), count


def indexed(keys: Any, table: Any) -> None:
    """Fill a table, which comes filled with -1, with keys that are different, as `index` does."""
    mask = len(table) - 1
    for number in range(len(keys)):
        bits = mixed(keys[number])
        place = bits & mask
        while table[place] >= 0:
            place = (place + 1) & mask
        table[place] = (((bits >> 33) & 0x7FFFFFFF) << 32) | number


def find(
    ones: Any, others: Any, times: Any, known: Any, oldest: int, latest: int, table: Any, keys: Any, keys2: Any,
    out: Any, rows: Any,
) -> int:  # fmt: skip
    """Find the entities of rows among the keys that `index` numbered; returns how many rows have one.

    Those rows' numbers are written to `rows`, their entities to `out`. A row that is older than `oldest`, or
    known at or after `latest`, the last instant asked, is passed over.
    """
    mask = len(table) - 1
    kept = 0
    for row in range(len(ones)):
        if known[row] >= latest or times[row] < oldest:
            continue
        bits = mixed(ones[row])
        tag = (bits >> 33) & 0x7FFFFFFF
        place = bits & mask
        while table[place] >= 0:
            number = table[place] & 0xFFFFFFFF
            if table[place] >> 32 == tag and keys[number] == ones[row] and keys2[number] == others[row]:
                out[kept] = number
                rows[kept] = row
                kept += 1
                break
            place = (place + 1) & mask
    return kept


def find_near(
    ones: Any, times: Any, known: Any, oldest: int, latest: int, least: int, near: Any, out: Any, rows: Any
) -> int:
    """What `find` does, for keys that lie close together: `near` has the entity of each from `least` on, or -1."""
    kept = 0
    for row in range(len(ones)):
        if known[row] >= latest or times[row] < oldest:
            continue
        place = ones[row] - least
        if 0 <= place < len(near) and near[place] >= 0:
            out[kept] = near[place]
            rows[kept] = row
            kept += 1
    return kept


def numbered(wanted: Any, places: Any, numbers: Any) -> int:
    """Number what is wanted in its order: `places` gets where each stands, `numbers` each one's number; says how many.

    There is room in `places` for one more than are wanted.
    """
    count = 0
    for place in range(len(wanted)):
        # Written in any case: a loop without a branch does not guess wrong.
        places[count] = place
        numbers[place] = count
        count += wanted[place]
    return count


def spread(ids: Any, width: int, ends: Any, order: Any) -> None:
    """Put rows part after part, a part being `width` entities, each part's in the order given.

    `ends` gets where each part begins, and the end of the last; `order` the rows' numbers.
    """
    ends[:] = 0
    for row in range(len(ids)):
        ends[ids[row] // width + 1] += 1
    for part in range(len(ends) - 1):
        ends[part + 1] += ends[part]
    for row in range(len(ids)):
        part = ids[row] // width
        order[ends[part]] = row
        ends[part] += 1
    for part in range(len(ends) - 1, 0, -1):
        ends[part] = ends[part - 1]
    ends[0] = 0


def grouped(ids: Any, times: Any, first: Any, order: Any, sorted_times: Any) -> None:
    """Put rows entity after entity, each entity's in the order given; those of a negative entity are left out.

    `first`, of a length one more than there are entities, gets where each begins; `order` the rows' numbers and
    `sorted_times` their times.
    """
    first[:] = 0
    for row in range(len(ids)):
        if ids[row] >= 0:
            first[ids[row] + 1] += 1
    for entity in range(len(first) - 1):
        first[entity + 1] += first[entity]
    for row in range(len(ids)):
        entity = ids[row]
        if entity >= 0:
            place = first[entity]
            order[place] = row
            sorted_times[place] = times[row]
            first[entity] = place + 1
    for entity in range(len(first) - 1, 0, -1):
        first[entity] = first[entity - 1]
    first[0] = 0


def sorted_within(first: Any, times: Any, known: Any, order: Any) -> None:
    """Sort the rows of each entity by (time, known-time, landing), in place, by insertion over ever smaller gaps.

    `times` and `order` are as `grouped` left them; `known`, of the rows as they came, has no length where it follows
    the time.
    """
    for entity in range(len(first) - 1):
        a = first[entity]
        z = first[entity + 1]
        gap = 1
        for at in range(a + 1, z):
            if times[at] < times[at - 1] or (len(known) > 0 and times[at] == times[at - 1]):
                # Out of order, or perhaps so: the known-times decide.
                gap = 0
                break
        if gap == 1:
            continue
        gap = 1
        while gap < (z - a) // 3:
            gap = gap * 9 // 4 + 1
        while gap > 0:
            for at in range(a + gap, z):
                moment = times[at]
                row = order[at]
                place = at
                while place >= a + gap:
                    before = place - gap
                    if times[before] < moment:
                        break
                    if times[before] == moment:
                        behind = order[before]
                        late = known[row] - known[behind] if len(known) > 0 else 0
                        if late > 0 or (late == 0 and behind < row):
                            break
                    times[place] = times[before]
                    order[place] = order[before]
                    place = before
                times[place] = moment
                order[place] = row
            gap = 0 if gap == 1 else max(1, gap * 4 // 9)
