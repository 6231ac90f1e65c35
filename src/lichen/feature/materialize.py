"""Writes a view's state for look-up by key: every entity's past, one generation at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lichen.feature.events import again, events_of, load, numbers, refuse_twins
from lichen.feature.history import history
from lichen.feature.state import pack
from lichen.feature.statement import entities_sql, events_sql, finite, key_columns, key_names, select
from lichen.feature.value import key_encoder, wire_sql
from lichen.ground.stream import each_batch
from lichen.ports import Engine, OnlineStore, Relation

if TYPE_CHECKING:
    from collections.abc import Iterator

    import arro3.core as arro3

    from lichen.feature.view import View

_CHUNK = 262_144
"""Rows that are summed up together, at least, where there are so many."""


def materialize(
    view: View, source: Relation, engine: Engine, store: OnlineStore, key: str, *, since: int | None = None
) -> int:
    """Make the store hold every entity of a view under the name `key`; returns how many there are.

    `since` is the earliest instant, in microseconds since 1970, that look-ups will ask for: what only earlier ones
    need is left out. Entities are written as they are read, sorted, from the engine: memory holds the largest of
    them, or some 260,000 rows. The store's cursor is the last known-time in the source, in microseconds.
    """
    rows = again({"rows": source})["rows"]
    items = _static_items(view, rows, engine) if view.static else _items(view, rows, engine, since)
    counted = _Counted(items)
    store.replace(key, counted, _cursor(view, rows, engine))
    return counted.count


class _Counted:
    """Passes items on and counts them."""

    def __init__(self, items: Iterator[tuple[bytes, bytes]]) -> None:
        self._items, self.count = items, 0

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        for item in self._items:
            self.count += 1
            yield item


def _cursor(view: View, source: Relation, engine: Engine) -> str:
    if view.known is None:
        return ""
    last = select([(f"max(epoch_us({view.known}))", "last")], "rows")
    found = load(engine.query(last, {"rows": source})).column("last").to_pylist()[0]
    return "" if found is None else str(found)


def _wired_rows(view: View, table: arro3.Table) -> list[bytes]:
    """The latest columns of rows, each row as bytes."""
    import msgspec

    columns = [table.column(f"_c{place}").to_pylist() for place in range(len(view.latest))]
    return [msgspec.msgpack.encode(row) for row in zip(*columns, strict=True)]


def _wired(view: View) -> list[tuple[str, str]]:
    return [(wire_sql(f"_c{place}", column.type), f"_c{place}") for place, column in enumerate(view.latest)]


def _static_items(view: View, source: Relation, engine: Engine) -> Iterator[tuple[bytes, bytes]]:
    refuse_twins(view, source, engine)
    latest = [(finite(column), f"_c{place}") for place, column in enumerate(view.latest)]
    inner = select([*key_columns(view.entity), *latest], "rows")
    keys = [(wire_sql(name, c.type), name) for name, c in zip(key_names(view), view.entity, strict=True)]
    encode = key_encoder(view.entity, wired=True)
    for batch in _batches(select([*keys, *_wired(view)], f"({inner})"), {"rows": source}, engine):
        parts = [batch.column(name).to_pylist() for name in key_names(view)]
        for at, row in enumerate(_wired_rows(view, batch)):
            key = encode([part[at] for part in parts])
            if key is not None:
                yield key, row


def _batches(statement: str, inputs: dict[str, Relation], engine: Engine) -> Iterator[arro3.Table]:
    from arro3.core import Table

    for batch in each_batch(engine.query(statement, inputs)):
        yield Table.from_batches([batch])


def _items(view: View, source: Relation, engine: Engine, since: int | None) -> Iterator[tuple[bytes, bytes]]:
    entities = load(engine.query(entities_sql(view.entity, "rows"), {"rows": source}))
    keys = _keys(view, entities, engine)
    plain = [("_e", "_e"), ("_t", "_t"), ("_q", "_q")]
    for place, measure in enumerate(view.measures):
        plain += [(f"_n{place}", f"_n{place}")] if measure.kind != "rows" else []
        plain += [(f"_v{place}", f"_v{place}")] if measure.needs_values else []
    rows = events_sql(view, "rows", "entities")
    statement = select([*plain, *_wired(view)], f"({rows})", "ORDER BY _e, _t, _q, _r")
    inputs = {"rows": source, "entities": Relation(arrow=entities)}
    for chunk in _whole_entities(_batches(statement, inputs, engine)):
        yield from _pack(view, chunk, keys, since)


def _keys(view: View, entities: arro3.Table, engine: Engine) -> list[bytes]:
    """The entities' keys as bytes, by number."""
    wired = [(wire_sql(name, c.type), name) for name, c in zip(key_names(view), view.entity, strict=True)]
    table = load(engine.query(select([("_e", "_e"), *wired], "e", "ORDER BY _e"), {"e": Relation(arrow=entities)}))
    encode = key_encoder(view.entity, wired=True)
    parts = [table.column(name).to_pylist() for name in key_names(view)]
    keys = [encode([part[at] for part in parts]) for at in range(len(table))]
    return [key for key in keys if key is not None]


def _whole_entities(batches: Iterator[arro3.Table]) -> Iterator[arro3.Table]:
    """Sorted rows in chunks that never cut an entity in two."""
    from arro3.core import Table

    waiting: list[Any] = []
    for table in batches:
        for start in range(0, len(table), _CHUNK):
            piece = table.slice(start, min(_CHUNK, len(table) - start))
            ids = numbers(piece, "_e")
            if not waiting and len(ids) == 0:
                continue
            # Rows before `cut` end entities that are whole; the last entity may go on in the next piece.
            cut = int(ids.searchsorted(ids[-1])) if len(ids) else 0
            if cut > 0 or (waiting and ids[0] != waiting[-1][0]):
                before = [batch for _, batch in waiting] + piece.slice(0, cut).to_batches()
                yield Table.from_batches(before).combine_chunks()
                waiting = []
            waiting += [(int(ids[-1]), batch) for batch in piece.slice(cut, len(piece) - cut).to_batches()]
    if waiting:
        yield Table.from_batches([batch for _, batch in waiting]).combine_chunks()


def _pack(view: View, chunk: arro3.Table, keys: list[bytes], since: int | None) -> Iterator[tuple[bytes, bytes]]:
    ids = numbers(chunk, "_e")
    start, end = int(ids[0]), int(ids[-1]) + 1
    past = history(view, events_of(view, chunk, end - start, start))
    latest = [f"_c{place}" for place in range(len(view.latest))]
    shown = chunk.select(latest) if latest else chunk

    def encoded(first: int, last: int) -> list[bytes]:
        return _wired_rows(view, shown.slice(first, last - first))

    for entity in range(end - start):
        state = pack(view, past, entity, since, encoded)
        if state:
            yield keys[start + entity], state
