from __future__ import annotations

from dataclasses import replace

import pytest
from arro3.core import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.errors import FoundWrong
from lichen.feature.featureset import FeatureSet
from lichen.feature.join import join
from lichen.feature.request import compile_expression
from lichen.feature.view import WindowAggregate
from lichen.ports import Column, Relation

many = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def joined(world, engine):
    table = Table.from_arrow(join(world.features, world.asked, "asked", {"events": world.source}, engine))
    columns = [table.column(column.name).to_pylist() for column in world.features.features]
    return table, [list(row) for row in zip(*columns, strict=True)]


@many
@given(data=st.data())
def test_join_is_the_definition(data, engine, tiny):
    world = data.draw(tiny.worlds())
    table, rows = joined(world, engine)
    assert table.column("note").to_pylist() == [f"note {n}" for n in range(len(world.labels))]
    assert table.column_names[:8] == ["code", "number", "half", "day", "moment", "huge", "asked", "note"]
    tiny.close(rows, world.wanted)


@many
@given(data=st.data())
def test_a_join_never_sees_the_future(data, engine, tiny):
    world = data.draw(tiny.worlds())
    cut = tiny.minute(data.draw(st.integers(0, 22)))
    asked = tuple(label for label in world.labels if label["asked"] is None or label["asked"] <= cut)
    world = replace(world, labels=asked)
    other = []
    for event in world.events:
        if event["learned"] is not None and event["learned"] < cut:
            other.append(event)
        elif data.draw(st.booleans()):
            other.append({**event, "amount": 1e5, "size": 4, "word": "future"})
    for event in data.draw(tiny.events_of(most=5)):
        later = data.draw(st.integers(0, 9))
        other.append({**event, "learned": cut + later * (tiny.minute(1) - tiny.minute(0))})
    assert repr(joined(world, engine)[1]) == repr(joined(replace(world, events=tuple(other)), engine)[1])


@pytest.mark.parametrize("known", ["happened", "happened + INTERVAL 90 SECOND", "learned"])
def test_a_busy_entity_agrees_with_sql(known, engine, tiny):
    # Thousands of rows of one entity, so that blocks are skipped and tables of least values are read.
    from duckdb import connect

    con = connect()
    con.execute(f"SET TimeZone = 'UTC'; SELECT setseed(0.25); CREATE TABLE t ({tiny.EVENT})")
    con.execute(
        "INSERT INTO t SELECT 'a', 1, TIMESTAMPTZ '2013-06-01' + to_seconds((i * 7) % 60000), "
        "TIMESTAMPTZ '2013-06-01' + to_seconds((i * 7) % 60000 + "
        "CASE WHEN i % 97 = 0 THEN 40000 ELSE (i * 31) % 900 END), "
        "(i * 7919) % 1000 - 300.25, (i * 104729) % 500, 'w' || i FROM range(20000) r(i)"
    )
    events = Relation(arrow=Table.from_arrow(con.sql("FROM t")))
    view = tiny.make_view((), ("2m", "1h", "5h", "all"), known=known)
    labels = tiny.relation("asked TIMESTAMPTZ", [(tiny.minute(n * 11),) for n in range(100)])
    features = FeatureSet((view,), (), (), tuple(Column(f"v.{c.name}", c.type) for c in view.features))
    found = Table.from_arrow(join(features, labels, "asked", {"events": events}, engine))
    con.register("l", labels.arrow)
    for window, span in (("2m", "2 MINUTE"), ("1h", "1 HOUR"), ("5h", "5 HOUR"), ("all", "10 YEAR")):
        truth = con.sql(
            f"SELECT asked, count(happened), min(amount), max(size), sum(size), fsum(amount), max(happened) "
            f"FROM l LEFT JOIN t ON {known} < asked AND happened < asked AND happened >= asked - INTERVAL {span} "
            "GROUP BY 1 ORDER BY 1"
        )
        wanted = [list(c.to_pylist()) for c in Table.from_arrow(truth).columns]
        assert found.column(f"v.rows_{window}").to_pylist() == wanted[1]
        assert found.column(f"v.least_{window}").to_pylist() == wanted[2]
        assert found.column(f"v.largest_{window}").to_pylist() == wanted[3]
        assert found.column(f"v.pieces_{window}").to_pylist() == wanted[4]
        assert found.column(f"v.total_{window}").to_pylist() == wanted[5]
        assert found.column(f"v.last_seen_{window}").to_pylist() == wanted[6]


def test_request_columns_and_expressions_come_from_the_label_row(engine, tiny):
    view = tiny.make_view(windows=("all",))
    types = {"distance": "DOUBLE", "v.rows_all": "BIGINT", "prediction_time": "TIMESTAMP WITH TIME ZONE"}
    far = compile_expression("trip.far", "distance * (v.rows_all + 1)", types)
    hour = compile_expression("trip.hour", "date_part('hour', prediction_time)", types)
    request = (Column("code", "VARCHAR"), Column("distance", "DOUBLE"))
    names = [Column("trip.distance", "DOUBLE"), Column("trip.far", far.type), Column("trip.hour", hour.type)]
    features = FeatureSet((view,), (far, hour), request, tuple(names))
    labels = tiny.relation("code VARCHAR, asked TIMESTAMPTZ, distance INTEGER", [("a", tiny.minute(61), 3)])
    events = tiny.relation(tiny.EVENT, [("a", 1, tiny.minute(1), tiny.minute(1), 1.0, 1, "x")])
    found = Table.from_arrow(join(features, labels, "asked", {"events": events}, engine))
    assert [found.column(name).to_pylist() for name in found.column_names[2:]] == [[3], [3.0], [6.0], [1]]


def static(tiny, rows, **other):
    latest = (Column("name", "VARCHAR"),)
    view = tiny.make_view(
        windows=(), aggregates=(), latest=latest, features=latest, static=True, time=None, known=None, **other
    )
    features = FeatureSet((view,), (), view.entity, (Column("v.name", "VARCHAR"),))
    return features, tiny.relation("code VARCHAR, name VARCHAR", rows)


def test_a_static_view_gives_the_row_of_its_key(engine, tiny):
    features, facts = static(tiny, [("a", "Ann"), ("ä", "Änn"), (None, "no one"), (None, "twice")])
    labels = tiny.relation("code VARCHAR, asked TIMESTAMPTZ", [(c, tiny.minute(1)) for c in ("ä", "b", None, "a")])
    found = Table.from_arrow(join(features, labels, "asked", {"events": facts}, engine))
    assert found.column("v.name").to_pylist() == ["Änn", None, None, "Ann"]


@pytest.mark.parametrize(
    ("entity", "words"), [((Column("code", "VARCHAR"),), "2 rows for code = a"), ((), "3 rows for everybody")]
)
def test_a_static_view_refuses_a_key_that_comes_twice(engine, tiny, entity, words):
    features, facts = static(tiny, [("a", "Ann"), ("b", "Bo"), ("a", "Al")], entity=entity)
    labels = tiny.relation("code VARCHAR, asked TIMESTAMPTZ", [("a", tiny.minute(1))])
    with pytest.raises(FoundWrong) as caught:
        join(features, labels, "asked", {"events": facts}, engine)
    assert str(caught.value) == (
        f"LCH-2613: feature view `v` is static, and `events` has {words}\n"
        "  why: a static view has one row for each entity, for without a time nothing tells which is the latest\n"
        "  fix: keep one row for each key in `events`, or give the view a `time`"
    )


@pytest.mark.parametrize(
    ("at", "what", "why"),
    [
        ("askd", "`askd`", "it says when the prediction is asked"),
        ("asked", "`code`", "a request brings it, so a label row must"),
    ],
)
def test_a_label_table_without_a_column_is_refused(engine, tiny, at, what, why):
    view = tiny.make_view()
    features = FeatureSet((view,), (), view.entity, ())
    labels = tiny.relation("cod VARCHAR, asked TIMESTAMPTZ", [])
    with pytest.raises(FoundWrong) as caught:
        join(features, labels, at, {"events": tiny.relation(tiny.EVENT, [])}, engine)
    near = "asked" if at == "askd" else "cod"
    assert str(caught.value) == (
        f"LCH-2614: the label table has no column {what}\n  why: {why}\n  fix: did you mean `{near}`?"
    )


def test_a_label_column_called_like_a_feature_is_refused(engine, tiny):
    view = tiny.make_view(windows=("all",))
    features = FeatureSet((view,), (), view.entity, (Column("v.word", "VARCHAR"),))
    labels = tiny.relation('code VARCHAR, asked TIMESTAMPTZ, "v.word" VARCHAR', [])
    with pytest.raises(FoundWrong) as caught:
        join(features, labels, "asked", {"events": tiny.relation(tiny.EVENT, [])}, engine)
    assert str(caught.value) == (
        "LCH-2615: the label table has a column `v.word`, and so is a feature called\n"
        "  fix: rename the label table's column"
    )


def sums(engine, tiny, rows, aggregate):
    view = tiny.make_view(windows=("all",), aggregates=(aggregate,), latest=(), features=(Column("s_all", "DOUBLE"),))
    features = FeatureSet((view,), (), view.entity, (Column("v.s_all", "DOUBLE"),))
    labels = tiny.relation("code VARCHAR, asked TIMESTAMPTZ", [("a", tiny.minute(9))])
    events = [("a", 1, tiny.minute(n), tiny.minute(n), x, s, "w") for n, (x, s) in enumerate(rows)]
    found = Table.from_arrow(join(features, labels, "asked", {"events": tiny.relation(tiny.EVENT, events)}, engine))
    return found.column("v.s_all").to_pylist()[0]


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_a_value_that_is_no_finite_number_is_refused(engine, tiny, odd):
    with pytest.raises(FoundWrong) as caught:
        sums(engine, tiny, [(1.0, 1), (odd, 1)], WindowAggregate("s", "sum", "amount", None, "DOUBLE"))
    assert str(caught.value) == (
        "LCH-2611: feature view `v`: `s` is computed of values that are not all finite numbers\n"
        "  why: `amount` gives NaN or infinity for some row, and no later window could be told from it\n"
        "  fix: make such values null: CASE WHEN isfinite(amount) THEN amount END"
    )


def test_clip_takes_infinity_in(engine, tiny):
    clipped = WindowAggregate("s", "sum", "amount", (-1.0, 5.0), "DOUBLE")
    assert sums(engine, tiny, [(1.0, 1), (float("inf"), 1), (None, 1)], clipped) == 6.0


@pytest.mark.parametrize(("value", "type_"), [("size::BIGINT << 61", "BIGINT"), ("amount * 1e308", "DOUBLE")])
def test_a_sum_beyond_its_type_is_refused(engine, tiny, value, type_):
    with pytest.raises(FoundWrong) as caught:
        sums(engine, tiny, [(1.0, 1)] * 4, WindowAggregate("s", "sum", value, None, type_))
    assert str(caught.value) == (
        f"LCH-2612: feature view `v`: `s` adds up to more than a {type_} holds\n"
        f"  why: the magnitudes of `{value}` over all rows of one entity add up beyond its range\n"
        "  fix: scale the value down, clip it, or cast it to DOUBLE if it is a whole number"
    )


def test_cancelling_doubles_leave_nothing_behind(engine, tiny):
    total = WindowAggregate("s", "sum", "amount", None, "DOUBLE")
    assert sums(engine, tiny, [(1e16, 1), (1.0, 1), (-1e16, 1)], total) == 1.0
