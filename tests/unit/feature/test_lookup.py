from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from arro3.core import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.errors import SystemFailed, WrongUsage
from lichen.feature.featureset import FeatureSet
from lichen.feature.join import join
from lichen.feature.kernels import kernel
from lichen.feature.lookup import Lookup
from lichen.feature.materialize import materialize
from lichen.feature.request import compile_expression
from lichen.ports import Column

many = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
numbers = itertools.count()


@many
@given(data=st.data())
def test_lookup_is_join(data, engine, store, tiny):
    world = data.draw(tiny.worlds())
    since = data.draw(st.one_of(st.none(), st.integers(0, 24).map(tiny.minute)))
    asked = [
        label for label in world.labels if label["asked"] is not None and (since is None or label["asked"] >= since)
    ]
    world = replace(world, labels=tuple(asked))
    table = Table.from_arrow(join(world.features, world.asked, "asked", {"events": world.source}, engine))
    columns = [table.column(column.name).to_pylist() for column in world.features.features]
    key = f"v@{next(numbers)}"
    materialize(world.view, world.source, engine, store, key, since=None if since is None else tiny.microsecond(since))
    # A cache of one byte forgets each state at once; the answers are the same.
    found = tiny.look_up(world, store, key, memory=data.draw(st.sampled_from([1, 2**20])))
    tiny.close(found, [list(row) for row in zip(*columns, strict=True)])
    tiny.close(found, world.wanted)
    store.drop(key)


def simple(tiny, engine, store, key, rows, **options):
    view = tiny.make_view(windows=("2m", "all"))
    features = tiny.World(view, (), ()).features
    events = [("a", 1, tiny.minute(n), tiny.minute(n), 1.5, 1, "w") for n in rows]
    count = materialize(view, tiny.relation(tiny.EVENT, events), engine, store, key, **options)
    return features, count


def test_an_unseen_entity_counts_nothing_and_a_missing_one_is_null(engine, store, tiny):
    features, count = simple(tiny, engine, store, "seen", [1, 2, 3])
    assert count == 1
    lookup = Lookup(features, store, {"v": "seen"})
    t = tiny.microsecond(tiny.minute(5))
    unseen, missing = lookup.row({"code": "b"}, t), lookup.row({"code": None}, t)
    for feature, one, other in zip(features.features, unseen, missing, strict=True):
        assert one == (0 if "rows" in feature.name or "some" in feature.name or "words" in feature.name else None)
        assert other is None


def test_refresh_sees_the_new_generation(engine, store, tiny):
    features, _ = simple(tiny, engine, store, "twice", [1])
    lookup = Lookup(features, store, {"v": "twice"})
    t = tiny.microsecond(tiny.minute(9))
    place = [column.name for column in features.features].index("v.rows_all")
    simple(tiny, engine, store, "twice", [1, 2])
    assert lookup.row({"code": "a"}, t)[place] == 1
    lookup.refresh()
    assert lookup.row({"code": "a"}, t)[place] == 2


def test_request_columns_and_expressions(engine, store, tiny):
    features, _ = simple(tiny, engine, store, "trip", [1, 2])
    types = {"far": "DOUBLE", "v.rows_all": "BIGINT", "prediction_time": "TIMESTAMP WITH TIME ZONE"}
    total = compile_expression("trip.total", "far + v.rows_all + date_part('minute', prediction_time)", types)
    request = (*features.request, Column("far", "DOUBLE"))
    names = (Column("trip.far", "DOUBLE"), Column("trip.total", total.type))
    lookup = Lookup(FeatureSet(features.views, (total,), request, names), store, {"v": "trip"})
    row = lookup.row({"code": "a", "far": 7}, tiny.microsecond(tiny.minute(9)))
    assert row == [7.0, 18.0]
    assert isinstance(row[0], float)


def test_a_static_view_is_looked_up_by_its_key(engine, store, tiny):
    latest = (Column("name", "VARCHAR"), Column("born", "DATE"), Column("paid", "DECIMAL(9,2)"))
    view = tiny.make_view(
        windows=(), aggregates=(), latest=latest, features=latest, static=True, time=None, known=None,
        entity=(Column("number", "BIGINT"),),
    )  # fmt: skip
    rows = "number INTEGER, name VARCHAR, born DATE, paid DECIMAL(9,2)"
    source = tiny.relation(
        rows, [(1, "Ann", "2001-02-03", "1.50"), (None, "no one", None, None), (2, None, None, None)]
    )
    assert materialize(view, source, engine, store, "static") == 2
    features = FeatureSet((view,), (), view.entity, tuple(Column(f"v.{c.name}", c.type) for c in latest))
    lookup = Lookup(features, store, {"v": "static"})
    labels = tiny.relation("number BIGINT, asked TIMESTAMPTZ", [(n, tiny.minute(1)) for n in (1, 2, 3, None)])
    table = Table.from_arrow(join(features, labels, "asked", {"events": source}, engine))
    columns = [table.column(column.name).to_pylist() for column in features.features]
    assert [lookup.row({"number": n}, 0) for n in (1.0, 2, 3, None)] == [
        list(row) for row in zip(*columns, strict=True)
    ]


def test_a_view_never_materialised_is_refused(store, tiny):
    features = tiny.World(tiny.make_view(), (), ()).features
    with pytest.raises(SystemFailed) as caught:
        Lookup(features, store, {"v": "never"})
    assert str(caught.value) == (
        "LCH-2642: the online store holds nothing for the feature view `v`\n"
        "  why: `never` was never materialised there, or was dropped\n"
        "  fix: materialise it: lichen run"
    )


def test_a_request_without_a_column_is_refused(engine, store, tiny):
    features, _ = simple(tiny, engine, store, "absent", [1])
    with pytest.raises(WrongUsage) as caught:
        Lookup(features, store, {"v": "absent"}).row({}, 0)
    assert str(caught.value) == (
        "LCH-2643: the request has no `code`\n"
        "  why: the model's features are found by it or computed of it\n"
        "  fix: send `code` as VARCHAR, or null where it is not known"
    )


def test_a_generation_that_went_meanwhile_is_answered_by_the_visible_one(engine, store, tiny):
    features, _ = simple(tiny, engine, store, "gone", [1])
    lookup = Lookup(features, store, {"v": "gone"})
    t = tiny.microsecond(tiny.minute(9))
    place = [column.name for column in features.features].index("v.rows_all")
    simple(tiny, engine, store, "gone", [1, 2])
    simple(tiny, engine, store, "gone", [1, 2, 3])
    assert lookup.row({"code": "a"}, t)[place] == 3
    # What was asked before is kept, and what is asked for the first time is of the same generation.
    assert lookup.row({"code": "b"}, t)[place] == 0
    store.drop("gone")
    assert lookup.row({"code": "a"}, t)[place] == 3
    with pytest.raises(SystemFailed, match="LCH-2642: the online store holds nothing for the feature view `v`"):
        lookup.row({"code": "c"}, t)


@pytest.mark.parametrize("later", [0, 1])
@pytest.mark.parametrize("corrected", [False, True])
def test_the_first_question_finds_its_loops_ready(engine, store, tiny, later, corrected):
    grain = {"grain": ("event",), "corrected": True} if corrected else {}
    view = tiny.make_view(functions=tiny.AGGREGATES, latest=tiny.LATEST, windows=("2m", "7m"), **grain)
    key, row = f"warm@{next(numbers)}", {"code": "a", "amount": 1.5, "size": 2, "word": "x"}
    rows = [{**row, "happened": tiny.minute(n), "learned": tiny.minute(n + later), "event": n} for n in range(5)]
    materialize(view, tiny.table_of(rows), engine, store, key)
    lookup = Lookup(tiny.World(view, (), ()).features, store, {view.name: key})
    kernel.cache_clear()
    lookup.warm()
    ready = {name: len(kernel(name).signatures) for name in LOOPS}
    assert lookup.row({"code": "a"}, tiny.microsecond(tiny.minute(6)))[0] is not None
    assert {name: len(kernel(name).signatures) for name in ready} == ready


LOOPS = ("sweep", "frequencies", "unfold", "codes", "grouped", "sorted_within", "ceiling", "extent", "whole", "pairs")
