from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.errors import WrongUsage
from lichen.feature.entity import Asking, picking
from lichen.feature.lookup import Lookup
from lichen.feature.materialize import materialize

many = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def past_of(tiny, engine, store, view, rows, key, since=None):
    materialize(view, tiny.table_of(rows), engine, store, key, since=since)
    answers = Asking(view)
    return answers, answers.past(store.get(key, store.generation(key)[0], [b"1:a"])[0])


@many
@given(asked=st.lists(st.integers(0, 24), min_size=2, max_size=12), data=st.data())
def test_an_answer_does_not_depend_on_what_was_asked_before(engine, store, tiny, asked, data):
    view = tiny.make_view(functions=tiny.AGGREGATES, latest=tiny.LATEST, windows=("2m", "7m"))
    rows = tuple({**row, "code": "a"} for row in data.draw(tiny.events_of(most=20)))
    if not any(None not in (row["happened"], row["learned"]) for row in rows):
        return
    answers, past = past_of(tiny, engine, store, view, rows, "again")
    world = tiny.World(view, rows, tuple({"code": "a", "asked": tiny.minute(t)} for t in asked))
    tiny.close([answers.at(past, tiny.microsecond(tiny.minute(t))) for t in asked], world.wanted)


def test_an_instant_before_the_state_begins_is_refused(engine, store, tiny):
    view = tiny.make_view(windows=("2m",), ttl=1)
    rows = [{"code": "a", "happened": tiny.minute(n), "learned": tiny.minute(n), "event": n} for n in range(30)]
    since = tiny.microsecond(tiny.minute(20))
    past_of(tiny, engine, store, view, rows, "late", since=since)
    lookup = Lookup(tiny.World(view, (), ()).features, store, {"v": "late"})
    with pytest.raises(WrongUsage) as caught:
        lookup.row({"code": "a"}, since - 1)
    assert str(caught.value) == (
        "LCH-2641: the online state of `v` answers from 2013-06-01 00:20:00+00:00 on\n"
        "  why: it was asked as of 2013-06-01 00:19:59.999999+00:00, and what only earlier instants need was left out\n"
        "  fix: materialize it with an earlier `since`"
    )
    assert lookup.row({"code": "a"}, since)[0] == 2


def test_what_nobody_has_seen(tiny):
    functions = (("n", "count", "*", None, ""), ("d", "count_distinct", "word", None, "VARCHAR"), tiny.AGGREGATES[2])
    answers = Asking(tiny.make_view(functions=functions, windows=("2m",)))
    assert answers.unseen == [0, 0, None, None, None, None]
    assert answers.missing == [None] * 6


@pytest.mark.parametrize("places", [[], [2], [2, 0], [1, 1, 1]])
def test_places_are_picked_in_their_order(places):
    assert picking(places)(["a", "b", "c"]) == ["abc"[place] for place in places]
