from __future__ import annotations

import numpy as np
import pytest
from arro3.core import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.errors import FoundWrong
from lichen.feature.compute import NONE
from lichen.feature.events import Questions, Shown, again, events_of, numbers, refuse_twins, rows_at, seen, sort
from lichen.feature.spill import Gathered
from lichen.ground.stream import each_batch
from lichen.ports import Column, Relation

many = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def questions(tiny, engine, entity, labels):
    return Questions(entity, tiny.World(tiny.make_view(entity), (), labels).asked, "asked", engine)


@many
@given(data=st.data())
def test_questions_are_sorted_by_entity_and_instant(data, engine, tiny):
    entity, labels = data.draw(st.sampled_from(tiny.ENTITIES)), data.draw(tiny.asked_of())
    found = questions(tiny, engine, entity, labels)
    keys = [[label[c.name] for c in entity] for label in labels]
    # NaN is NaN, and zeros have one key whatever their sign.
    keys = [[part + 0.0 if isinstance(part, float) else part for part in key] for key in keys]
    asked = [repr(key) if None not in key and label["asked"] else None for key, label in zip(keys, labels, strict=True)]
    numbered = list(dict.fromkeys(key for key in asked if key is not None))
    assert found.count == len(numbered)
    assert found.ids.tolist() == [-1 if key is None else numbered.index(key) for key in asked]
    order = sorted((at for at, key in enumerate(asked) if key), key=lambda at: (found.ids[at], labels[at]["asked"], at))
    assert found.order.tolist() == order
    moments = [tiny.microsecond(labels[at]["asked"]) for at in order]
    assert (found.latest, found.earliest) == (max(moments, default=-NONE), min(moments, default=NONE))
    for entity_number in range(found.count):
        place, ids, instants = found.of(entity_number, entity_number + 1)
        assert set(ids.tolist()) == {0}
        assert instants.tolist() == moments[place : place + len(ids)]


@many
@given(data=st.data())
def test_rows_that_no_question_sees_are_not_gathered(data, engine, tiny):
    view, rows = data.draw(tiny.views()), data.draw(tiny.events_of())
    labels = tuple(label for label in data.draw(tiny.asked_of()) if label["asked"] is not None)
    found = questions(tiny, engine, view.entity, labels)
    with Gathered(found.count) as gathered:
        shown = Shown(2**20)
        for piece in seen(view, tiny.table_of(rows), found, engine, shown, gathered.spread):
            gathered.add(piece)
        kept = sum(len(columns["_e"]) for parts in gathered.parts() for _, _, columns in parts)
    assert shown.landed == len(rows)
    latest = max((label["asked"] for label in labels), default=None)
    may = [row for row in rows if latest and row["learned"] and row["happened"] and row["learned"] < latest]
    assert kept <= len(may)


def test_an_entity_begins_anew_in_each_part(tiny):
    view = tiny.make_view(functions=tiny.AGGREGATES[:3], windows=("2m",), latest=())
    columns = {
        "_e": np.array([1, 0, 1]), "_t": np.array([5, 3, 4]), "_q": np.array([7, 5, 6]), "_n1": np.zeros(3, np.bool_),
        "_v1": np.array([1.0, 2.0, 3.0]),
    }  # fmt: skip
    found = events_of(view, columns, 2)
    assert (found.first.tolist(), found.order.tolist(), found.times.tolist()) == ([0, 1, 3], [1, 2, 0], [3, 4, 5])
    # Each is known two after it happens; none is null.
    assert (found.lag, found.missing) == (2, (None, None))
    late = events_of(view, {**columns, "_q": np.array([7, 5, 9])}, 2)
    assert late.lag is None
    followed = events_of(view, {**columns, "_u": np.array([NONE, 9, NONE])}, 2)
    assert (followed.lag, followed.until.tolist()) == (None, [NONE, 9, NONE])
    assert events_of(view, {**columns, "_u": np.full(3, NONE)}, 2).until is None


def test_rows_of_nobody_are_left_out():
    first, order, times = sort(np.array([0, -1, 0]), np.array([2, 1, 1]), None, 1)
    assert (first.tolist(), order.tolist(), times.tolist()) == ([0, 2], [2, 0], [1, 2])


def test_hashes_keep_their_bits(tiny):
    table = Table.from_arrow(tiny.relation("h UBIGINT", [(2**64 - 1,), (1,)]).arrow)
    assert numbers(table, "h").tolist() == [-1, 1]
    assert numbers(Table.from_arrow(tiny.relation("h UBIGINT", []).arrow), "h").tolist() == []


@pytest.mark.parametrize("wanted", [[], [0], [1, 2], [0, 3, 4]])
@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_rows_are_taken_at_their_places_from_a_stream(tiny, wanted, chunk):
    table = Table.from_arrow(tiny.relation("n BIGINT", [(n,) for n in range(5)]).arrow).rechunk(max_chunksize=chunk)
    found = rows_at(each_batch(table), np.array(wanted, np.int64))
    assert ([] if found is None else found.column("n").to_pylist()) == wanted


def test_a_stream_can_be_read_again(tiny):
    from arro3.core import RecordBatchReader

    table = Table.from_arrow(tiny.relation("n BIGINT", [(1,)]).arrow)
    stream = RecordBatchReader.from_batches(table.schema, table.to_batches())
    held = again({"rows": Relation(arrow=stream), "none": Relation((Column("n", "BIGINT"),))})
    assert [len(Table.from_arrow(held["rows"].arrow)) for _ in range(2)] == [1, 1]
    assert held["none"].arrow is None


def test_a_key_that_a_null_leaves_open_may_come_twice(engine, tiny):
    view = tiny.make_view((Column("code", "VARCHAR"), Column("number", "BIGINT")), static=True)
    rows = [("a", None), ("a", None), (None, 1), (None, 1), ("a", 1)]
    refuse_twins(view, tiny.relation("code VARCHAR, number BIGINT", rows), engine)
    with pytest.raises(FoundWrong) as caught:
        refuse_twins(view, tiny.relation("code VARCHAR, number BIGINT", [*rows, ("a", 1)]), engine)
    assert str(caught.value) == (
        "LCH-2613: feature view `v` is static, and `events` has 2 rows for code = a, number = 1\n"
        "  why: a static view has one row for each entity, for without a time nothing tells which is the latest\n"
        "  fix: keep one row for each key in `events`, or give the view a `time`"
    )
