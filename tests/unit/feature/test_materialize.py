from __future__ import annotations

import pytest

from lichen.backends.sqlite_online import SQLiteOnlineStore
from lichen.feature import materialize as module
from lichen.feature.materialize import materialize
from lichen.feature.state import State


@pytest.fixture
def store(tmp_path):
    store = SQLiteOnlineStore(tmp_path / "online.db")
    yield store
    store.close()


def source(tiny, keys, each):
    rows = [(key, 1, tiny.minute(n), tiny.minute(n), 0.5, n, "w") for n in range(each) for key in keys]
    return tiny.relation(tiny.EVENT, [*rows, (None, 1, tiny.minute(1), tiny.minute(1), 0.5, 1, "w")])


@pytest.mark.parametrize("chunk", [1, 7, 10, 25, 1000])
def test_entities_are_whole_however_rows_are_cut(engine, store, tiny, monkeypatch, chunk):
    monkeypatch.setattr(module, "_CHUNK", chunk)
    view = tiny.make_view()
    assert materialize(view, source(tiny, "abcde", 10), engine, store, "v") == 5
    states = [State(view, store.get("v", 1, [b"1:" + key.encode()])[0]) for key in "abcde"]
    assert [state.rows for state in states] == [10] * 5
    assert [list(state.ints[0]) for state in states] == [[sum(range(n)) for n in range(11)]] * 5


def test_the_cursor_is_the_last_known_time(engine, store, tiny):
    view = tiny.make_view()
    materialize(view, source(tiny, "a", 10), engine, store, "v")
    assert store.generation("v") == (1, str(tiny.microsecond(tiny.minute(9))))
    assert materialize(view, tiny.relation(tiny.EVENT, []), engine, store, "v") == 0
    assert store.generation("v") == (2, "")


def test_what_no_instant_needs_is_left_out(engine, store, tiny):
    since = tiny.microsecond(tiny.minute(500))
    rows = source(tiny, "a", 600)

    def kept(**options):
        materialize(tiny.make_view(**options), rows, engine, store, "v", since=since)
        generation = store.generation("v")[0]
        return State(tiny.make_view(**options), store.get("v", generation, [b"1:a"])[0]).rows

    assert kept(windows=("2m",), ttl=1) == 102
    assert kept(windows=("2m", "all"), ttl=1) == 103
    assert kept(windows=("2m",)) == 102
    assert kept(windows=("10m",), ttl=30) == 130


def test_an_entity_that_no_instant_needs_is_not_kept(engine, store, tiny):
    since = tiny.microsecond(tiny.minute(500))
    view = tiny.make_view(windows=("2m",), ttl=1)
    assert materialize(view, source(tiny, "ab", 10), engine, store, "v", since=since) == 0
