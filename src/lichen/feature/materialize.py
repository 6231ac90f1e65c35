"""Writes a view's state for look-up by key: every entity's past, one generation at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from arro3.core import Array

from lichen.feature.events import again, load, numbers, refuse_twins, values_of
from lichen.feature.state import Rows, Sums, columns_of, pack, refuse_unsummable, texts_of, trim
from lichen.feature.statement import (
    events_sql,
    finite,
    key_columns,
    key_names,
    placed,
    select,
    touched_sql,
)
from lichen.feature.value import key_encoder, wire_sql
from lichen.ground.stream import each_batch
from lichen.ports import Engine, OnlineStore, Relation

if TYPE_CHECKING:
    import arro3.core as arro3

    from lichen.feature.view import View


def materialize(
    view: View, source: Relation, engine: Engine, store: OnlineStore, key: str, *, since: int | None = None
) -> int:
    """Make the store hold every entity of a view under the name `key`; returns how many there are.

    `since` is the earliest instant, in microseconds since 1970, that look-ups will ask for: what only earlier ones
    need is left out. Entities are written as they are read, sorted, from the engine: memory holds the largest of
    them, or a batch of rows. The store's cursor is the last known-time in the source, in microseconds.
    """
    rows = again({"rows": source})["rows"]
    items = _static_items(view, rows, engine) if view.static else _items(view, {"rows": rows}, engine, since)
    counted = _Counted(items)
    store.replace(key, counted, newest_known(view, rows, engine))
    return counted.count


@dataclass(frozen=True)
class Cut:
    """What is asked of a state: instants from `since` on, in microseconds since 1970, and entities, by their keys."""

    since: int
    among: set[bytes]


def materialize_cuts(view: View, source: Relation, engine: Engine, store: OnlineStore, cuts: Mapping[str, Cut]) -> None:
    """Make the store hold a view under several names, each as `materialize` would for what is asked of it.

    The source is read once, and its rows are held in memory.
    """
    rows = again({"rows": source})["rows"]
    cursor = newest_known(view, rows, engine)
    if view.static:
        states = list(_static_items(view, rows, engine))
        for name, cut in cuts.items():
            store.replace(name, ((key, state) for key, state in states if key in cut.among), cursor)
        return
    entities = list(_summable(view, {"rows": rows}, engine))
    for name, cut in cuts.items():
        asked = ((key, found) for key, found in entities if key in cut.among)
        store.replace(name, _packed(view, asked, cut.since), cursor)


def rematerialize(
    view: View,
    source: Relation,
    changed: Relation,
    engine: Engine,
    store: OnlineStore,
    key: str,
    base: tuple[str, int],
    *,
    since: int | None = None,
) -> int:
    """Make the store hold under `key` what `materialize` would, where `base` holds it for a table of other rows.

    `changed` holds the rows that came and those that went, with the columns of the entity and, where the table is
    corrected, of the grain. Only the entities that they touch are read and written; the states of the others are the
    base's, a name and a generation of the store, which may answer from earlier than `since`. Returns how many are
    touched. Memory holds their keys, beside what `materialize` holds.
    """
    if not view.entity:
        return materialize(view, source, engine, store, key, since=since)
    inputs = again({"rows": source, "changed": changed})
    touched = load(engine.query(touched_sql(view, "changed", "rows"), inputs))
    among = Relation(arrow=touched)
    if view.static:
        items = _static_items(view, inputs["rows"], engine, among)
    else:
        items = _items(view, {"rows": inputs["rows"], "among": among}, engine, since)
    written = _or_gone(_keys(view, touched, engine), items)
    store.replace(key, written, newest_known(view, inputs["rows"], engine), base)
    return len(touched)


def _or_gone(keys: Iterator[bytes], items: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes | None]]:
    """The items, and a key without a state for each that no item has; both come in the order of keys."""
    item = next(items, None)
    for key in keys:
        if item is None or item[0] != key:
            yield key, None
            continue
        yield item
        item = next(items, None)
    assert item is None, "what is touched is all that was read"


class _Counted:
    """Passes items on and counts them."""

    def __init__(self, items: Iterator[tuple[bytes, bytes]]) -> None:
        self._items, self.count = items, 0

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        for item in self._items:
            self.count += 1
            yield item


def newest_known(view: View, source: Relation, engine: Engine) -> str:
    """The last known-time in a view's table, in microseconds; nothing where there is none."""
    if view.known is None:
        return ""
    last = select([(f"max(epoch_us({view.known}))", "last")], "rows")
    found = load(engine.query(last, {"rows": source})).column("last").to_pylist()[0]
    return "" if found is None else str(found)


def _wired_keys(view: View) -> list[tuple[str, str]]:
    return [(wire_sql(name, c.type), name) for name, c in zip(key_names(view), view.entity, strict=True)]


def _keys(view: View, rows: arro3.Table, engine: Engine) -> Iterator[bytes]:
    """The keys in rows as bytes, in their order in SQL."""
    names = key_names(view)
    encode = key_encoder(view.entity, wired=True)
    ordered = select(_wired_keys(view), "k", "ORDER BY", ", ".join(f"k.{name}" for name in names))
    for batch in each_batch(engine.query(ordered, {"k": Relation(arrow=rows)})):
        parts = [batch.column(name).to_pylist() for name in names]
        for at in range(batch.num_rows):
            key = encode([part[at] for part in parts])
            assert key is not None, "the statement leaves out keys with a null"
            yield key


def _static_items(
    view: View, source: Relation, engine: Engine, among: Relation | None = None
) -> Iterator[tuple[bytes, bytes]]:
    refuse_twins(view, source, engine)
    yield from static_rows(view, source, engine, among)


def static_rows(
    view: View, source: Relation, engine: Engine, among: Relation | None = None
) -> Iterator[tuple[bytes, bytes]]:
    """The rows of a static view's table, in its order: key and state; those of `among`, in its order, where given."""
    latest = [(finite(column), f"_c{place}") for place, column in enumerate(view.latest)]
    inner = select([*key_columns(view.entity), *latest], "rows")
    wired = [(wire_sql(f"_c{place}", column.type), f"_c{place}") for place, column in enumerate(view.latest)]
    names, inputs, kept = key_names(view), {"rows": source}, ""
    if among is not None and names:
        inputs["among"] = among
        kept = f"AS s WHERE ({', '.join(names)}) IN ({select([(name, name) for name in names], 'among')})"
        kept += f" ORDER BY {', '.join(f's.{name}' for name in names)}"
    encode = key_encoder(view.entity, wired=True)
    for batch in each_batch(engine.query(select([*_wired_keys(view), *wired], f"({inner})", kept), inputs)):
        parts = [batch.column(name).to_pylist() for name in names]
        columns = [batch.column(f"_c{place}").to_pylist() for place in range(len(view.latest))]
        for at, row in enumerate(texts_of(columns)):
            key = encode([part[at] for part in parts])
            if key is not None:
                yield key, row


def _items(view: View, inputs: dict[str, Relation], engine: Engine, since: int | None) -> Iterator[tuple[bytes, bytes]]:
    return _packed(view, _summable(view, inputs, engine), since)


def _summable(view: View, inputs: dict[str, Relation], engine: Engine) -> Iterator[tuple[bytes, Rows]]:
    """Each entity's rows; values that do not add up are refused."""
    sums = Sums(view)
    for key, rows in entity_rows(view, inputs, engine, sums=sums):
        if sums.doubtful:
            refuse_unsummable(view, rows)
        yield key, rows


def _packed(view: View, entities: Iterable[tuple[bytes, Rows]], since: int | None) -> Iterator[tuple[bytes, bytes]]:
    for key, rows in entities:
        state = pack(view, trim(view, rows, since))
        if state:
            yield key, state


def entity_rows(
    view: View,
    inputs: dict[str, Relation],
    engine: Engine,
    delivery: int | None = None,
    sums: Sums | None = None,
) -> Iterator[tuple[bytes, Rows]]:
    """Each entity's rows in the relation `rows`, sorted; of the entities in `among` alone where it is given.

    `delivery` numbers rows that are not the whole table; `sums` sees all rows before their entities are given.
    """
    shown = events_sql(view, "rows", "among" if "among" in inputs else None, delivery)
    wired = [(wire_sql(f"_c{n}", type_), f"_c{n}") for n, (_, type_) in enumerate(placed(view))]
    keys, replaced = _wired_keys(view), ", ".join(f"{sql} AS {name}" for sql, name in [*_wired_keys(view), *wired])
    statement = f"SELECT * REPLACE ({replaced}) FROM ({shown})" if replaced else shown  # noqa: S608 quoted in `statement`
    waiting: list[tuple[bytes, Rows]] = []
    for batch in each_batch(engine.query(statement, inputs)):
        for key, rows in _split(view, batch, [name for _, name in keys], sums):
            if waiting and waiting[0][0] != key:
                yield _joined(waiting)
            waiting.append((key, rows))
    if waiting:
        yield _joined(waiting)


def _joined(waiting: list[tuple[bytes, Rows]]) -> tuple[bytes, Rows]:
    """An entity's rows from its parts, which are let go."""
    key, first = waiting[0]
    parts = [rows for _, rows in waiting]
    waiting.clear()
    if len(parts) == 1:
        return key, first
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in first.columns}
    return key, Rows(columns, [text for part in parts for text in part.texts])


def _split(view: View, batch: Any, names: Sequence[str], sums: Sums | None) -> Iterator[tuple[bytes, Rows]]:
    """A batch of sorted rows, entity by entity."""
    count = batch.num_rows
    if count == 0:
        return
    changes = np.zeros(count, np.bool_)
    for name in ("_h", "_g"):
        if name in batch.schema.names:
            hashes = numbers(batch, name)
            changes[1:] |= hashes[1:] != hashes[:-1]
    starts = [0, *np.flatnonzero(changes).tolist()]
    places = Array.from_numpy(np.array(starts, np.int64))
    parts = [batch.column(name).take(places).to_pylist() for name in names]
    whole = columns_of(view, {name: values_of(view, batch, name) for name in batch.schema.names if name[1] in _KEPT})
    if sums is not None:
        sums.see(whole)
    texts = texts_of([batch.column(f"_c{place}").to_pylist() for place in range(len(placed(view)))])
    encode = key_encoder(view.entity, wired=True)
    for place, (a, z) in enumerate(pairwise([*starts, count])):
        key = encode([part[place] for part in parts])
        assert key is not None, "the statement leaves out keys with a null"
        yield key, Rows({name: values[a:z] for name, values in whole.items()}, texts[a:z])


_KEPT = "tqunvdx"
"""The second letters of the columns that a state keeps as arrays."""
