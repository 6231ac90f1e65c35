from __future__ import annotations

import itertools

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lichen.backends.sqlite_online import SQLiteOnlineStore
from lichen.errors import FoundWrong
from lichen.feature.materialize import materialize
from lichen.feature.update import update

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
    key, came = f"v@{next(numbers)}", ()
    for since, batch in zip(sinces, batches, strict=True):
        try:
            update(view, tiny.table_of(batch), engine, store, key, since=tiny.microsecond(tiny.minute(since)))
        except FoundWrong as wrong:
            assert wrong.code == "LCH-2645"
            return
        came = (*came, *batch)
        asked = [label for label in data.draw(tiny.asked_of()) if label["asked"] is not None]
        asked = tuple(label for label in asked if label["asked"] >= tiny.minute(since))
        world = tiny.World(view, settled(view, came), asked)
        tiny.close(tiny.look_up(world, store, key), world.wanted)
    store.drop(key)
