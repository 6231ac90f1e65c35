from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.feature.materialize import Cut as Asked
from lichen.feature.materialize import materialize, materialize_cuts, rematerialize
from lichen.feature.state import unpack
from lichen.feature.value import key_encoder

many = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
numbers = itertools.count()


def source(tiny, keys, each):
    rows = [(key, 1, tiny.minute(n), tiny.minute(n), 0.5, n, "w") for n in range(each) for key in keys]
    return tiny.relation(tiny.EVENT, [*rows, (None, 1, tiny.minute(1), tiny.minute(1), 0.5, 1, "w")])


class Cut:
    """An engine whose answers come a few rows at a time."""

    def __init__(self, engine, rows):
        self._engine, self._rows = engine, rows

    def query(self, sql, inputs):
        from arro3.core import RecordBatchReader, Table

        table = Table.from_arrow(self._engine.query(sql, inputs))
        return RecordBatchReader.from_batches(table.schema, table.rechunk(max_chunksize=self._rows).to_batches())


def held(view, store, key, entities):
    generation = store.generation(key)[0]
    return [unpack(view, blob) for blob in store.get(key, generation, [b"1:" + name.encode() for name in entities])]


@pytest.mark.parametrize("chunk", [1, 7, 10, 25, 1000])
def test_entities_are_whole_however_rows_are_cut(engine, store, tiny, chunk):
    view, key = tiny.make_view(), f"cut {chunk}"
    assert materialize(view, source(tiny, "abcde", 10), Cut(engine, chunk), store, key) == 5
    states = held(view, store, key, "abcde")
    minutes = [tiny.microsecond(tiny.minute(n)) for n in range(10)]
    assert [state.columns["_t"].tolist() for state in states] == [minutes] * 5
    place = next(at for at, measure in enumerate(view.measures) if measure.value == "size" and measure.clip is None)
    assert [state.columns[f"_v{place}"].tolist() for state in states] == [list(range(10))] * 5
    assert [len(state.texts) for state in states] == [10] * 5


def test_the_cursor_is_the_last_known_time(engine, store, tiny):
    view = tiny.make_view()
    materialize(view, source(tiny, "a", 10), engine, store, "cursor")
    assert store.generation("cursor") == (1, str(tiny.microsecond(tiny.minute(9))))
    assert materialize(view, tiny.relation(tiny.EVENT, []), engine, store, "cursor") == 0
    assert store.generation("cursor") == (2, "")


def test_what_no_instant_needs_is_left_out(engine, store, tiny):
    since = tiny.microsecond(tiny.minute(500))
    rows = source(tiny, "a", 600)

    def kept(**options):
        view = tiny.make_view(**options)
        materialize(view, rows, engine, store, "left", since=since)
        (state,) = held(view, store, "left", "a")
        return len(state.columns["_t"]), state.dawn is not None

    assert kept(windows=("2m",), ttl=1) == (102, False)
    # What came before, the dawn, is told by its sums.
    assert kept(windows=("2m", "all"), ttl=1) == (102, True)
    assert kept(windows=("2m",)) == (102, False)
    assert kept(windows=("10m",), ttl=30) == (130, False)


def test_an_entity_that_no_instant_needs_is_not_kept(engine, store, tiny):
    since = tiny.microsecond(tiny.minute(500))
    view = tiny.make_view(windows=("2m",), ttl=1)
    assert materialize(view, source(tiny, "ab", 10), engine, store, "gone", since=since) == 0


def test_rows_that_a_correction_needs_are_kept(engine, store, tiny):
    since = tiny.microsecond(tiny.minute(500))
    rows = tiny.table_of(
        {"code": "a", "happened": tiny.minute(n), "learned": tiny.minute(n), "event": n} for n in range(600)
    )
    for options, kept in (({"windows": ("2m", "all")}, 600), ({"windows": ("2m",)}, 600)):
        view = tiny.make_view(**options, grain=("event",), corrected=True)
        materialize(view, rows, engine, store, "corrected", since=since)
        assert len(held(view, store, "corrected", "a")[0].columns["_t"]) == kept
    view = tiny.make_view(windows=("2m",), ttl=1, grain=("event",), corrected=True)
    materialize(view, rows, engine, store, "corrected", since=since)
    assert len(held(view, store, "corrected", "a")[0].columns["_t"]) == 102


def origin_of(store, key):
    return key, store.generation(key)[0]


@many
@given(data=st.data())
def test_changed_rows_alone_give_what_all_rows_give(data, engine, store, tiny):
    # Rows come, go and move to other entities; so do the events of corrected rows.
    view, before = data.draw(tiny.views()), data.draw(tiny.events_of(most=25))
    gone = data.draw(st.sets(st.sampled_from(range(len(before))))) if before else set()
    came = data.draw(tiny.events_of(most=10))
    after = (*(row for at, row in enumerate(before) if at not in gone), *came)
    labels = tuple(label for label in data.draw(tiny.asked_of()) if label["asked"] is not None)
    key = f"v@{next(numbers)}"
    materialize(view, tiny.table_of(before), engine, store, key)
    changed = tiny.table_of((*(before[at] for at in sorted(gone)), *came))
    rematerialize(view, tiny.table_of(after), changed, engine, store, key, origin_of(store, key))
    whole = f"{key} anew"
    count = materialize(view, tiny.table_of(after), engine, store, whole)
    assert store.generation(key)[1] == store.generation(whole)[1]
    world = tiny.World(view, after, labels)
    found = tiny.look_up(world, store, key)
    assert repr(found) == repr(tiny.look_up(world, store, whole))
    tiny.close(found, world.wanted)
    assert count == len({repr(at) for at in _entities(view, after)})
    store.drop(key)
    store.drop(whole)


@many
@given(data=st.data())
def test_a_cut_holds_what_is_asked_of_it_as_if_it_were_materialised_alone(data, engine, store, tiny):
    view, rows = data.draw(tiny.views()), data.draw(tiny.events_of())
    since = [tiny.microsecond(tiny.minute(data.draw(st.integers(0, 20)))) for _ in range(2)]
    key = f"v@{next(numbers)}"
    labels = [label for label in data.draw(tiny.asked_of()) if label["asked"] is not None]
    encode = key_encoder(view.entity)
    asked = [encode([label[column.name] for column in view.entity]) for label in labels]
    wanted, rest = set(asked[::2]) - {None}, set(asked[1::2]) - {None}
    cuts = {
        f"{key} {place}": Asked(at, among) for place, (at, among) in enumerate(zip(since, (wanted, rest), strict=True))
    }
    materialize_cuts(view, tiny.table_of(rows), engine, store, cuts)
    for name, cut in cuts.items():
        materialize(view, tiny.table_of(rows), engine, store, key, since=cut.since)
        number, cursor = store.generation(key)
        assert store.generation(name) == (1, cursor)
        keys = sorted(cut.among)
        assert store.get(name, 1, keys) == store.get(key, number, keys)
        others = sorted((wanted | rest) - cut.among)
        assert store.get(name, 1, others) == [None] * len(others)
        store.drop(name)
    store.drop(key)


def test_a_cut_of_a_static_view_holds_the_entities_that_are_asked(engine, store, tiny):
    rows = tiny.relation(FACTS, [(1, "one", None), (2, "two", None)])
    materialize_cuts(static(tiny), rows, engine, store, {"facts@1": Asked(0, {b"1:1"}), "facts@2": Asked(5, set())})
    one, none = store.get("facts@1", 1, [b"1:1", b"1:2"])
    assert (one is not None, none) == (True, None)
    assert store.get("facts@2", 1, [b"1:1"]) == [None]


def _entities(view, rows):
    """The keys that have a row which may be seen some day."""
    for row in rows:
        key = [row[column.name] for column in view.entity]
        time = row["happened"] is not None or view.corrected
        if None not in key and time and row["learned"] is not None:
            yield [part + 0.0 if isinstance(part, float) else part for part in key]


FACTS = "number BIGINT, name VARCHAR, born DATE"


def static(tiny, entity=True):
    from lichen.ports import Column

    latest = (Column("name", "VARCHAR"), Column("born", "DATE"))
    return tiny.make_view(
        windows=(), aggregates=(), latest=latest, features=latest, static=True, time=None, known=None,
        entity=(Column("number", "BIGINT"),) if entity else (),
    )  # fmt: skip


@many
@given(data=st.data())
def test_static_rows_that_changed_are_written_alone(data, engine, store, tiny):
    def table(rows):
        return tiny.relation(FACTS, [(number, name, None) for number, name in sorted(rows.items())])

    rows = st.dictionaries(st.integers(0, 5), st.sampled_from(["x", "ä", None]))
    before, after = data.draw(rows), data.draw(rows)
    view, key = static(tiny), f"s@{next(numbers)}"
    assert materialize(view, table(before), engine, store, key) == len(before)
    changed = [n for n in range(6) if before.get(n, 0) != after.get(n, 0)]
    moved = [(n, side[n], None) for side in (before, after) for n in changed if n in side]
    own = origin_of(store, key)
    assert rematerialize(view, table(after), tiny.relation(FACTS, moved), engine, store, key, own) == len(changed)
    labels = tuple({"number": n, "asked": tiny.minute(0)} for n in range(6))
    found = tiny.look_up(tiny.World(view, (), labels), store, key)
    assert found == [[after.get(n), None] for n in range(6)]
    store.drop(key)


def test_a_static_row_of_everybody_is_written_and_goes(engine, store, tiny):
    view, world = static(tiny, entity=False), None
    one, none = tiny.relation(FACTS, [(1, "Ann", None)]), tiny.relation(FACTS, [])
    world = tiny.World(view, (), ({"asked": tiny.minute(0)},))
    materialize(view, none, engine, store, "everybody")
    assert tiny.look_up(world, store, "everybody") == [[None, None]]
    rematerialize(view, one, one, engine, store, "everybody", origin_of(store, "everybody"))
    assert tiny.look_up(world, store, "everybody") == [["Ann", None]]
    rematerialize(view, none, one, engine, store, "everybody", origin_of(store, "everybody"))
    assert tiny.look_up(world, store, "everybody") == [[None, None]]


def test_rematerialising_writes_the_entities_that_changed_and_no_other(engine, store, tiny):
    view = replace(tiny.make_view(), grain=("event",), corrected=True)
    rows = [
        {"code": code, "happened": tiny.minute(n), "learned": tiny.minute(n), "event": n}
        for n, code in enumerate("abc")
    ]
    materialize(view, tiny.table_of(rows), engine, store, "few")
    # The event of `a` turns out to be of `b`: both change.
    moved = {"code": "b", "happened": tiny.minute(0), "learned": tiny.minute(9), "event": 0}
    own = origin_of(store, "few")
    written = rematerialize(view, tiny.table_of([*rows, moved]), tiny.table_of([moved]), engine, store, "few", own)
    assert written == 2
