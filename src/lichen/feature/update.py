"""Applies rows to a view's state as they come: late, out of order, corrected or twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from lichen.errors import FoundWrong, WrongUsage
from lichen.feature.compute import NONE
from lichen.feature.events import again
from lichen.feature.materialize import entity_rows, newest_known, static_rows
from lichen.feature.state import FIRST, Rows, horizon, pack, refuse_unsummable, trim, unpack
from lichen.feature.value import instant
from lichen.ports import Engine, OnlineStore, Relation

if TYPE_CHECKING:
    from lichen.feature.view import View

_AT_ONCE = 512
"""Entities whose states are read together."""


def update(
    view: View, rows: Relation, engine: Engine, store: OnlineStore, key: str, *, since: int | None = None
) -> int:
    """Apply rows of a view's table to what the store holds under `key`, as one new generation.

    Returns how many entities they touched.

    Afterwards each entity answers as if all its rows had been materialised at once, whatever the order they came in: a
    row is told from others by the view's grain, a row that comes twice counts once, and of rows of one event the last
    known counts (`corrected`) or stays (otherwise). A correction is followed within its entity. `since` is the earliest
    instant that look-ups will ask for. Refuses a view without a grain (`WrongUsage`), and (`FoundWrong`) a row so old
    that the state no longer tells whether it was counted.
    """
    if not view.grain and not view.static:
        raise WrongUsage(
            "LCH-2644",
            f"`{view.name}` cannot be updated row by row",
            why=f"neither the view nor `{view.table}` has a grain, so a row that comes twice would count twice",
            fix="declare the `grain` of the view or of its table",
        )
    inputs = again({"rows": rows})
    found = store.generation(key) or (store.replace(key, (), ""), "")
    cursor = max(found[1], newest_known(view, inputs["rows"], engine), key=lambda text: int(text or FIRST))
    items: Iterable[tuple[bytes, bytes]]
    if view.static:
        items = dict(static_rows(view, inputs["rows"], engine)).items()
    else:
        items = _merged(view, entity_rows(view, inputs, engine, found[0]), store, key, found[0], since)
    written = 0

    def counted() -> Iterator[tuple[bytes, bytes | None]]:
        nonlocal written
        for at, state in items:
            written += 1
            yield at, state or None

    store.change(key, found[0], counted(), cursor)
    return written


def _merged(
    view: View, came: Iterator[tuple[bytes, Rows]], store: OnlineStore, key: str, generation: int, since: int | None
) -> Iterator[tuple[bytes, bytes]]:
    while some := list(islice(came, _AT_ONCE)):
        states = store.get(key, generation, [at for at, _ in some])
        for (at, new), blob in zip(some, states, strict=True):
            old = unpack(view, blob) if blob else None
            rows = merge(view, old, new)
            refuse_unsummable(view, rows)
            yield at, pack(view, trim(view, rows, since))


def merge(view: View, old: Rows | None, new: Rows) -> Rows:
    """An entity's rows with rows that came after them, sorted, each event as often as it counts."""
    if old is not None and old.dawn is not None:
        _refuse_older(view, old, new)
    parts = [part for part in (old, new) if part is not None]
    columns = {name: np.concatenate([_column(part, name) for part in parts]) for name in new.columns}
    texts = [text for part in parts for text in part.texts]
    kept = _counting(view, columns)
    # `lexsort` keeps the order of what is equal: that of landing.
    order = kept[np.lexsort((columns["_q"][kept], columns["_t"][kept]))]
    columns = {name: values[order] for name, values in columns.items()}
    since, dawn = (FIRST, None) if old is None else (old.since, old.dawn)
    return Rows(columns, [texts[at] for at in order.tolist()] if texts else [], since, dawn)


def _column(part: Rows, name: str) -> Any:
    """A column of an entity's rows; one that is not kept has no nulls, or no row that another follows."""
    found = part.columns.get(name)
    if found is not None:
        return found
    return np.zeros(len(part.columns["_t"]), np.bool_) if name[1] == "n" else np.full(len(part.columns["_t"]), NONE)


def _counting(view: View, columns: dict[str, Any]) -> Any:
    """The rows that count at some instant, by place; tells in `_u` until when, where an event may have several."""
    known, event, rows = columns["_q"], columns["_x"], len(columns["_q"])
    if not view.corrected:
        order = np.lexsort((known, event))
        sorted_events, last = event[order], np.ones(rows, np.bool_)
        np.not_equal(sorted_events[1:], sorted_events[:-1], out=last[:-1])
        return np.sort(order[last])
    # What a row was followed by may stand in another entity: each known-time at which an event changed is a moment.
    changed = np.flatnonzero(columns["_u"] != NONE)
    moments, events = np.concatenate((columns["_u"][changed], known)), np.concatenate((event[changed], event))
    order = np.lexsort((moments, events))
    until = np.full(len(order), NONE)
    followed = np.flatnonzero(events[order[1:]] == events[order[:-1]])
    until[order[followed]] = moments[order[followed + 1]]
    columns["_u"] = until[len(changed) :]
    return np.flatnonzero(columns["_u"] > known)


def _refuse_older(view: View, old: Rows, new: Rows) -> None:
    oldest = int(new.columns["_t"].min(initial=NONE))
    if oldest < horizon(view, old.since):
        raise FoundWrong(
            "LCH-2645",
            f"a row of {instant(oldest)} came for `{view.name}`, whose state sums up what happened before "
            f"{instant(horizon(view, old.since))}",
            why="whether it was counted already can no longer be told",
            fix="materialise the view anew from its table: lichen run",
        )
