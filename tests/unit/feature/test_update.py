from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lichen.backends.sqlite_online import SQLiteOnlineStore
from lichen.errors import FoundWrong, WrongUsage
from lichen.feature import update as module
from lichen.feature.materialize import materialize
from lichen.feature.update import update
from lichen.ports import Column

many = settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)
numbers = itertools.count()


def settled(view, rows):
    """The table that these rows make, in the order they came."""
    if view.corrected:
        return rows
    last = {}
    for at, row in sorted(enumerate(rows), key=lambda one: (one[1]["learned"], one[0])):
        last[("own", at) if row["event"] is None else row["event"]] = (at, row)
    return tuple(row for _, row in sorted(last.values(), key=lambda one: one[0]))


@st.composite
def deliveries(draw, tiny, *, in_turn=False):
    """A view, and rows of its table in batches: in any order, some of them more than once.

    Where they come `in_turn`, those of one event come as they became known, or there is one.
    """
    view = draw(tiny.views(grains=("one", "corrected")))
    rows = draw(tiny.events_of(most=30, settled=True))
    if view.corrected:
        rows = tuple({**row, "happened": None} if draw(st.integers(0, 8)) == 0 else row for row in rows)
    elif in_turn:
        rows = settled(view, rows)
    # Nothing tells a row that no event names from its copy.
    again = [row for row in rows if row["event"] is not None]
    twice = draw(st.lists(st.sampled_from(again), max_size=8)) if again else []
    rows = draw(st.permutations([*rows, *twice]))
    if in_turn:
        turns = {}
        for row in sorted(rows, key=lambda row: row["learned"]):
            turns.setdefault(row["event"], []).append(row)
        rows = [row if row["event"] is None else turns[row["event"]].pop(0) for row in rows]
    cuts = sorted(draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    return view, [tuple(rows[a:z]) for a, z in itertools.pairwise([0, *cuts, len(rows)])]


@many
@given(data=st.data())
def test_any_interleaving_of_updates_is_the_join(data, engine, tiny, tmp_path_factory):
    view, batches = data.draw(deliveries(tiny))
    labels = tuple(label for label in data.draw(tiny.asked_of()) if label["asked"] is not None)
    folder, came, first = tmp_path_factory.mktemp("updated"), (), data.draw(st.booleans())
    for batch in batches:
        # The store is opened anew for each batch, as after a kill.
        store = SQLiteOnlineStore(folder / "online.db")
        came = (*came, *batch)
        if first:
            materialize(view, tiny.table_of(settled(view, batch)), engine, store, "v")
        else:
            update(view, tiny.table_of(batch), engine, store, "v")
        first = False
        world = tiny.World(view, settled(view, came), labels)
        tiny.close(tiny.look_up(world, store, "v"), world.wanted)
        store.close()


@many
@given(data=st.data())
def test_a_trimmed_state_is_updated_or_refuses(data, engine, store, tiny):
    view, batches = data.draw(deliveries(tiny, in_turn=True))
    sinces = sorted(data.draw(st.lists(st.integers(0, 24), min_size=len(batches), max_size=len(batches))))
    key, came, refused = f"v@{next(numbers)}", (), ""
    for since, batch in zip(sinces, batches, strict=True):
        try:
            update(view, tiny.table_of(batch), engine, store, key, since=tiny.microsecond(tiny.minute(since)))
        except FoundWrong as wrong:
            refused = wrong.code
        if refused:
            break
        came = (*came, *batch)
        asked = [label for label in data.draw(tiny.asked_of()) if label["asked"] is not None]
        asked = tuple(label for label in asked if label["asked"] >= tiny.minute(since))
        world = tiny.World(view, settled(view, came), asked)
        tiny.close(tiny.look_up(world, store, key), world.wanted)
    assert refused in ("", "LCH-2645")
    store.drop(key)


def test_an_event_that_moved_does_not_come_back(engine, store, tiny):
    # Offline the correction is seen; the update of the entity it left follows what the state knows.
    view = tiny.make_view(windows=("all",), grain=("event",), corrected=True)
    event = {"code": "a", "happened": tiny.minute(1), "learned": tiny.minute(1), "event": 1}
    moved = {**event, "code": "b", "learned": tiny.minute(3)}
    other = {**event, "learned": tiny.minute(2), "event": 2}
    labels = ({"code": "a", "asked": tiny.minute(3)}, {"code": "a", "asked": tiny.minute(4)})
    materialize(view, tiny.table_of([event, moved]), engine, store, "moved")
    update(view, tiny.table_of([other]), engine, store, "moved")
    world = tiny.World(view, (event, moved, other), labels)
    assert [row[0] for row in tiny.look_up(world, store, "moved")] == [2, 1] == [row[0] for row in world.wanted]


def test_a_row_that_no_event_names_counts_each_time_it_comes(engine, store, tiny):
    view = tiny.make_view(windows=("all",), grain=("event",))
    row = {"code": "a", "happened": tiny.minute(1), "learned": tiny.minute(1)}
    for _ in range(3):
        update(view, tiny.table_of([row]), engine, store, "unnamed")
    world = tiny.World(view, (row,) * 3, ({"code": "a", "asked": tiny.minute(9)},))
    assert tiny.look_up(world, store, "unnamed")[0][0] == world.wanted[0][0] == 3


def test_the_cursor_never_goes_back(engine, store, tiny):
    view = tiny.make_view(grain=("event",))
    row = {"code": "a", "happened": tiny.minute(1), "learned": tiny.minute(7), "event": 1}
    assert update(view, tiny.table_of([row]), engine, store, "cursor") == 1
    assert update(view, tiny.table_of([{**row, "learned": tiny.minute(2)}]), engine, store, "cursor") == 1
    assert store.generation("cursor")[1] == str(tiny.microsecond(tiny.minute(7)))


def test_entities_beyond_those_read_together_are_updated(engine, store, tiny, monkeypatch):
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    view = tiny.make_view(windows=("all",), grain=("event",))
    rows = [
        {"code": f"{n % 5}", "happened": tiny.minute(n), "learned": tiny.minute(n), "event": n} for n in range(20)
    ]
    assert update(view, tiny.table_of(rows[:10]), engine, store, "several") == 5
    assert update(view, tiny.table_of(rows[10:]), engine, store, "several") == 5
    world = tiny.World(view, tuple(rows), tuple({"code": f"{n}", "asked": tiny.minute(99)} for n in range(6)))
    tiny.close(tiny.look_up(world, store, "several"), world.wanted)


def test_static_rows_are_replaced_and_added(engine, store, tiny):
    latest = (Column("name", "VARCHAR"),)
    view = tiny.make_view(
        windows=(), aggregates=(), latest=latest, features=latest, static=True, time=None, known=None
    )  # fmt: skip
    facts = "code VARCHAR, name VARCHAR"
    update(view, tiny.relation(facts, [("a", "Ann"), ("b", "Bo")]), engine, store, "facts")
    assert update(view, tiny.relation(facts, [("b", "Ben"), ("c", None)]), engine, store, "facts") == 2
    world = tiny.World(view, (), tuple({"code": code, "asked": tiny.minute(0)} for code in "abcd"))
    assert tiny.look_up(world, store, "facts") == [["Ann"], ["Ben"], [None], [None]]


def test_a_view_without_a_grain_is_refused(engine, store, tiny):
    with pytest.raises(WrongUsage) as caught:
        update(tiny.make_view(), tiny.table_of([]), engine, store, "grainless")
    assert str(caught.value) == (
        "LCH-2644: `v` cannot be updated row by row\n"
        "  why: neither the view nor `events` has a grain, so a row that comes twice would count twice\n"
        "  fix: declare the `grain` of the view or of its table"
    )


def test_a_row_that_may_have_been_counted_is_refused(engine, store, tiny):
    view = tiny.make_view(windows=("2m", "all"), latest=(), grain=("event",))
    rows = [{"code": "a", "happened": tiny.minute(n), "learned": tiny.minute(n), "event": n} for n in range(30)]
    since = tiny.microsecond(tiny.minute(20))
    update(view, tiny.table_of(rows), engine, store, "summed", since=since)
    before = store.generation("summed")
    with pytest.raises(FoundWrong) as caught:
        update(view, tiny.table_of([{**rows[17], "learned": tiny.minute(40)}]), engine, store, "summed", since=since)
    assert str(caught.value) == (
        "LCH-2645: a row of 2013-06-01 00:17:00+00:00 came for `v`, whose state sums up what happened before "
        "2013-06-01 00:18:00+00:00\n"
        "  why: whether it was counted already can no longer be told\n"
        "  fix: materialise the view anew from its table: lichen run"
    )
    assert store.generation("summed") == before
    # At the edge each row is there still, and a copy counts once.
    update(view, tiny.table_of([rows[18]]), engine, store, "summed", since=since)
    world = tiny.World(view, tuple(rows), ({"code": "a", "asked": tiny.minute(20)},))
    tiny.close(tiny.look_up(world, store, "summed"), world.wanted)


class Killed(Exception):
    """What ends an update half-way."""


def test_an_update_that_ends_half_way_changes_nothing(engine, store, tiny):
    view = tiny.make_view(windows=("all",), grain=("event",))
    row = {"code": "a", "happened": tiny.minute(1), "learned": tiny.minute(1), "event": 1}
    update(view, tiny.table_of([row]), engine, store, "half")

    class Breaking:
        def query(self, sql, inputs):
            if "ORDER BY" in sql:
                raise Killed
            return engine.query(sql, inputs)

    with pytest.raises(Killed):
        update(view, tiny.table_of([{**row, "event": 2}]), Breaking(), store, "half")
    world = tiny.World(view, (row,), ({"code": "a", "asked": tiny.minute(9)},))
    tiny.close(tiny.look_up(world, store, "half"), world.wanted)
    update(view, tiny.table_of([{**row, "event": 2}]), engine, store, "half")
    assert tiny.look_up(world, store, "half")[0][0] == 2
