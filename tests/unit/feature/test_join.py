from __future__ import annotations

from dataclasses import replace

import pytest
from arro3.core import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.errors import FoundWrong
from lichen.feature.featureset import FeatureSet
from lichen.feature import join as join_module
from lichen.feature import spill
from lichen.feature.join import join
from lichen.feature.materialize import materialize
from lichen.feature.request import compile_expression
from lichen.feature.view import WindowAggregate
from lichen.ports import Column, Relation

many = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def joined(world, engine, source=None):
    inputs = {"events": source or world.source}
    table = Table.from_arrow(join(world.features, world.asked, "asked", inputs, engine))
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


# ------------------------------------------------------------------------------- memory, threads, parts


def stirred(seed, rows, entities):
    """Events of many entities in no order, of every kind of column."""
    from duckdb import connect

    con = connect()
    con.execute("SET TimeZone = 'UTC'; SET threads = 1")
    con.execute(f"SELECT setseed({seed})").fetchall()
    return Table.from_arrow(
        con.sql(
            f"""SELECT 'k' || CAST(random() * {entities} AS INTEGER) AS code, CAST(i % 7 AS BIGINT) AS number,
            TIMESTAMPTZ '2013-06-01' + to_seconds((i * 7919) % 40000) AS happened,
            happened + to_seconds(CAST(random() * 900 AS INTEGER)) AS learned,
            CASE WHEN random() < 0.9 THEN (random() - 0.5) * 1e6 END AS amount,
            CASE WHEN random() < 0.8 THEN CAST(random() * 50 AS INTEGER) END AS size,
            'w' || CAST(random() * 9 AS INTEGER) AS word, random() AS odd, CAST(random() * {rows} AS BIGINT) AS event
            FROM range({rows}) r(i)"""
        )
    )


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("entity", [(), (Column("code", "VARCHAR"), Column("number", "BIGINT"))])
def test_answers_are_the_same_to_the_bit_in_memory_on_disk_and_side_by_side(
    engine, tiny, monkeypatch, tmp_path, corrected, entity
):
    events = stirred(0.5, 3_000, 40)
    view = tiny.make_view(
        entity, ("10m", "5h", "all"), 90, tiny.AGGREGATES, latest=tiny.LATEST, grain=("event",), corrected=corrected
    )
    features = FeatureSet(
        (view, replace(view, name="w", windows=view.windows)), (), entity,
        tuple(Column(f"{name}.{c.name}", c.type) for name in "vw" for c in view.features),
    )  # fmt: skip
    rows = [(f"k{n % 43}", n % 8, tiny.minute(n * 3)) for n in range(250)]
    labels = tiny.relation("code VARCHAR, number BIGINT, asked TIMESTAMPTZ", rows)

    def answered(**options):
        found = Table.from_arrow(
            join(features, labels, "asked", {"events": Relation(arrow=events)}, engine, **options)
        )
        return [repr(found.column(name).to_pylist()) for name in found.column_names]

    whole = answered()
    assert any("e" in column or "." in column for column in whole)
    for at_once, rows_of_a_part in ((1, 1), (2, 50), (2, 65_536)):
        monkeypatch.setattr(join_module, "AT_ONCE", at_once)
        monkeypatch.setattr(spill, "_ROWS", rows_of_a_part)
        assert answered() == whole
    assert answered(most=1_000, scratch=tmp_path) == whole
    assert list(tmp_path.iterdir()) == []


def test_what_spilled_is_removed_when_a_join_is_refused(engine, tiny, tmp_path):
    summed = WindowAggregate("s", "sum", "amount", None, "DOUBLE")
    view = tiny.make_view(windows=("all",), aggregates=(summed,), latest=(), features=(Column("s_all", "DOUBLE"),))
    features = FeatureSet((view,), (), view.entity, (Column("v.s_all", "DOUBLE"),))
    events = [("a", 1, tiny.minute(n), tiny.minute(n), float("nan"), 1, "w") for n in range(9)]
    labels = tiny.relation("code VARCHAR, asked TIMESTAMPTZ", [("a", tiny.minute(9))])
    inputs = {"events": tiny.relation(tiny.EVENT, events)}
    with pytest.raises(FoundWrong, match="LCH-2611"):
        join(features, labels, "asked", inputs, engine, most=1, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------- the odd cases and their answers


def one_view(tiny, *functions, windows=("all",), **options):
    options.setdefault("latest", ())
    return tiny.make_view(windows=windows, functions=functions, **options)


def asked(tiny, engine, view, rows, *labels):
    """What a view of these rows answers to (code, instant) pairs."""
    world = tiny.World(view, tuple(rows), tuple({"code": code, "asked": t} for code, t in labels))
    return joined(world, engine)[1]


ROWS = ("rows", "count", "*", None, "")


def row(tiny, n, known=None, **values):
    return {"code": "a", "happened": tiny.minute(n), "learned": tiny.minute(n if known is None else known), **values}


def test_a_window_begins_with_its_edge_and_ends_before_the_instant(engine, tiny):
    view = one_view(tiny, ROWS, windows=("5m",))
    rows = [row(tiny, 0), row(tiny, 5)]
    assert asked(tiny, engine, view, rows, *(("a", tiny.minute(t)) for t in (0, 1, 5, 6, 10, 11))) == [
        [0], [1], [1], [1], [1], [0],
    ]  # fmt: skip


def test_a_row_as_old_as_the_ttl_is_the_latest_still(engine, tiny):
    view = tiny.make_view(functions=(), windows=(), ttl=5, latest=(Column("word", "VARCHAR"),))
    microsecond = (tiny.minute(1) - tiny.minute(0)) / 60_000_000
    edge = tiny.minute(5)
    found = asked(tiny, engine, view, [row(tiny, 0, word="x")], ("a", edge), ("a", edge + microsecond))
    assert found == [["x"], [None]]


def test_of_rows_of_one_instant_the_one_known_last_is_the_latest_then_the_one_that_landed_last(engine, tiny):
    view = tiny.make_view(
        functions=(("f", "first", "word", None, "VARCHAR"), ("l", "last", "word", None, "VARCHAR")),
        windows=("all",), latest=(Column("word", "VARCHAR"),),
    )  # fmt: skip
    rows = [row(tiny, 0, 3, word="late"), row(tiny, 0, 1, word="one"), row(tiny, 0, 1, word="two")]
    assert asked(tiny, engine, view, rows, ("a", tiny.minute(2)), ("a", tiny.minute(4))) == [
        ["one", "two", "two"], ["one", "late", "late"],
    ]  # fmt: skip


def test_a_late_row_counts_from_when_it_is_known_in_the_window_in_which_it_happened(engine, tiny):
    view = one_view(tiny, ROWS, windows=("5m",))
    rows = [row(tiny, 4, 8)]
    assert asked(tiny, engine, view, rows, *(("a", tiny.minute(t)) for t in (5, 8, 9, 10))) == [[0], [0], [1], [0]]


def test_a_corrected_row_counts_until_the_correction_is_known(engine, tiny):
    view = one_view(
        tiny, ROWS, ("total", "sum", "size", None, "INTEGER"), windows=("10m",), grain=("event",), corrected=True
    )  # fmt: skip
    rows = [row(tiny, 1, size=10, event=1), row(tiny, 1, 5, size=30, event=1), row(tiny, None, 8, event=1)]
    rows[2]["happened"] = None
    assert asked(tiny, engine, view, rows, *(("a", tiny.minute(t)) for t in (5, 6, 8, 9))) == [
        [1, 10], [1, 30], [1, 30], [0, None],
    ]  # fmt: skip


def test_a_day_is_24_hours_when_clocks_change(engine, tiny):
    # In New York the night of 10 March 2013 has no hour from 2 to 3; windows are lengths, not days of a calendar.
    from datetime import UTC, datetime, timedelta

    asked_at = datetime(2013, 3, 10, 16, tzinfo=UTC)
    times = [asked_at - timedelta(hours=24), asked_at - timedelta(hours=24, microseconds=1), asked_at - timedelta(1)]
    rows = [{"code": "a", "happened": t, "learned": t} for t in times]
    assert asked(tiny, engine, one_view(tiny, ROWS, windows=("1d",)), rows, ("a", asked_at)) == [[2]]


def test_a_clock_on_the_wall_becomes_an_instant_in_the_view_or_its_table(engine, tiny):
    wall = tiny.relation(
        "code VARCHAR, wall TIMESTAMP",
        [("a", "2013-03-10 01:59:00"), ("a", "2013-03-10 03:00:00"), ("a", "2013-11-03 01:30:00")],
    )
    instant = "timezone('America/New_York', wall)"
    view = one_view(tiny, ROWS, windows=("2m", "all"), time=instant, known=instant)
    features = FeatureSet((view,), (), view.entity, tuple(Column(f"v.{c.name}", c.type) for c in view.features))
    # The two first are a minute apart.
    labels = tiny.relation("code VARCHAR, asked TIMESTAMPTZ", [("a", "2013-03-10 07:00:30+00"), ("a", "2014-01-01")])
    found = Table.from_arrow(join(features, labels, "asked", {"events": wall}, engine))
    assert [found.column(f"v.rows_{w}").to_pylist() for w in ("2m", "all")] == [[2, 0], [2, 3]]


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("function", ["sum", "avg", "min", "max", "std", "var", "quantile", "rate"])
def test_what_is_computed_of_a_value_that_is_not_finite_is_refused(engine, tiny, function, odd):
    view = one_view(tiny, ("s", function, "odd", None, "DOUBLE"))
    with pytest.raises(FoundWrong, match="LCH-2611"):
        asked(tiny, engine, view, [row(tiny, 1, odd=1.0), row(tiny, 2, odd=odd)], ("a", tiny.minute(9)))


def test_nan_and_infinity_are_counted_and_shown(engine, tiny):
    functions = ("count", "first", "last", "mode", "count_distinct", "since")
    view = one_view(
        tiny, *((function, function, "odd", None, "DOUBLE") for function in functions), latest=tiny.LATEST[3:]
    )
    nan, inf = float("nan"), float("inf")
    rows = [row(tiny, n, odd=odd) for n, odd in enumerate([nan, inf, nan, -inf])]
    assert repr(asked(tiny, engine, view, rows, ("a", tiny.minute(4)))) == repr([[4, nan, -inf, nan, 3, 60.0, -inf]])


def test_clip_leaves_a_nan_what_it_is(engine, tiny):
    view = one_view(tiny, ("last", "last", "odd", (0.0, 1.0), "DOUBLE"))
    rows = [row(tiny, 0, odd=float("inf")), row(tiny, 1, odd=float("nan"))]
    assert repr(asked(tiny, engine, view, rows, ("a", tiny.minute(1)), ("a", tiny.minute(2)))) == "[[1.0], [nan]]"


def test_an_instant_that_is_infinite_or_null_asks_nothing(engine, tiny):
    view = one_view(tiny, ROWS, latest=(Column("learned", "TIMESTAMP WITH TIME ZONE"),))
    world = tiny.World(view, (row(tiny, 1),), ())
    labels = tiny.relation(
        "code VARCHAR, asked TIMESTAMPTZ", [("a", t) for t in ("infinity", "-infinity", None, "2014-01-01")]
    )
    found = Table.from_arrow(join(world.features, labels, "asked", {"events": world.source}, engine))
    assert found.column("v.rows_all").to_pylist() == [None, None, None, 1]
    assert found.column("v.learned").to_pylist() == [None, None, None, tiny.minute(1)]


@pytest.mark.parametrize(
    ("happened", "learned"),
    [("infinity", "2013-06-01"), ("-infinity", "2013-06-01"), ("2013-06-01", "infinity"), ("2013-06-01", "-infinity"),
     (None, "2013-06-01"), ("2013-06-01", None)],
)  # fmt: skip
@pytest.mark.parametrize("corrected", [False, True])
def test_a_row_without_a_finite_time_is_never_visible(engine, tiny, happened, learned, corrected):
    view = one_view(tiny, ROWS, latest=(Column("word", "VARCHAR"),), grain=("event",), corrected=corrected)
    world = tiny.World(view, ({"code": "a", "happened": happened, "learned": learned, "event": 1, "word": "x"},), ())
    labels = tiny.relation("code VARCHAR, asked TIMESTAMPTZ", [("a", "2100-01-01")])
    found = Table.from_arrow(join(world.features, labels, "asked", {"events": world.source}, engine))
    assert [found.column(f"v.{name}").to_pylist() for name in ("rows_all", "word")] == [[0], [None]]


def test_a_shown_instant_that_is_infinite_is_none(engine, tiny):
    view = tiny.make_view(
        functions=(), windows=(), time="happened", known="happened", latest=(Column("learned", "TIMESTAMP WITH TIME ZONE"),)
    )
    rows = [{**row(tiny, 1), "learned": "infinity"}]
    assert asked(tiny, engine, view, rows, ("a", tiny.minute(9))) == [[None]]


def test_a_null_key_is_nobody_and_an_unseen_one_counts_nothing(engine, tiny):
    view = one_view(tiny, ROWS, ("total", "sum", "size", None, "INTEGER"), ("different", "count_distinct", "word", None, "VARCHAR"))
    rows = [row(tiny, 0, size=1), {**row(tiny, 0, size=1), "code": None}]
    found = asked(tiny, engine, view, rows, *((code, tiny.minute(9)) for code in ("a", None, "unseen", "")))
    assert found == [[1, 1, 0], [None, None, None], [0, None, 0], [0, None, 0]]


def test_keys_are_told_apart_by_every_character(engine, tiny):
    # One that is composed and one that is combined look alike, and are two.
    codes = ["é", "e\u0301", "E", "e", "e ", "\U0001f41d", "a|", "a"]
    rows = [{**row(tiny, 0), "code": code} for code in codes[:4]]
    found = asked(tiny, engine, one_view(tiny, ROWS), rows, *((code, tiny.minute(9)) for code in codes))
    assert found == [[1]] * 4 + [[0]] * 4


def test_parts_of_a_key_stay_apart(engine, tiny):
    entity = (Column("code", "VARCHAR"), Column("word", "VARCHAR"))
    view = one_view(tiny, ROWS, entity=entity)
    rows = tuple({**row(tiny, 0), "code": a, "word": b} for a, b in (("a|", "b"), ("a", "|b"), ("ab", ""), ("", "ab")))
    features = tiny.World(view, (), ()).features
    asked_of = [("a|", "b"), ("a", "|b"), ("ab", ""), ("", "ab"), ("a", "b"), ("b", "a|")]
    labels = tiny.relation("code VARCHAR, word VARCHAR, asked TIMESTAMPTZ", [(*key, tiny.minute(9)) for key in asked_of])
    found = Table.from_arrow(join(features, labels, "asked", {"events": tiny.table_of(rows)}, engine))
    assert found.column("v.rows_all").to_pylist() == [1, 1, 1, 1, 0, 0]


def test_an_empty_table_answers_as_to_unseen_entities(engine, tiny):
    view = tiny.make_view(functions=tiny.AGGREGATES, latest=tiny.LATEST)
    world = tiny.World(view, (), ({"code": "a", "asked": tiny.minute(1)}, {"code": None, "asked": tiny.minute(1)}))
    assert joined(world, engine)[1] == world.wanted
    assert {type(value) for value in world.wanted[0]} == {int, type(None)}


def test_an_empty_label_table_gets_its_columns(engine, tiny):
    view = tiny.make_view(functions=tiny.AGGREGATES, latest=tiny.LATEST)
    world = tiny.World(view, (row(tiny, 1),), ())
    table, rows = joined(world, engine)
    full, _ = joined(replace(world, labels=({"code": "a", "asked": tiny.minute(2)},)), engine)
    assert rows == []
    assert [str(field.type) for field in table.schema] == [str(field.type) for field in full.schema]
    assert table.column_names == full.column_names


def test_a_lagged_window_ends_before_the_instant_it_reaches_to(engine, tiny):
    view = one_view(tiny, ("then", "count", "*", None, "", 2 * 60_000_000), windows=("3m",))
    rows = [row(tiny, n, 0) for n in range(10)]
    # As of minute 8 it holds the minutes from 3 up to 6, of what is known now.
    assert asked(tiny, engine, view, rows, ("a", tiny.minute(8))) == [[3]]
    assert asked(tiny, engine, view, [row(tiny, 4, 7)], ("a", tiny.minute(8)), ("a", tiny.minute(7))) == [[1], [0]]


# --------------------------------------------------------------------------------------------- sketches


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("known", ["happened", "learned"])
def test_many_distinct_values_are_counted_within_five_standard_errors(engine, store, tiny, seed, known):
    from random import Random

    random = Random(seed)
    rows = 20_000
    values = [random.randrange(10**9) for _ in range(rows)]
    events = [("a", 1, tiny.minute(n), tiny.minute(n + n % 3), 1.0, value, "w") for n, value in enumerate(values)]
    view = one_view(
        tiny, ("different", "count_distinct", "size", None, "INTEGER"), windows=("4000m", "5000m", "all"), known=known
    )
    world = tiny.World(view, (), tuple({"code": "a", "asked": tiny.minute(t)} for t in (3_000, 9_000, 30_000)))
    source = tiny.relation(tiny.EVENT, events)
    found = Table.from_arrow(join(world.features, world.asked, "asked", {"events": source}, engine))
    answers = [found.column(f"v.different_{w}").to_pylist() for w in ("4000m", "5000m", "all")]
    for t, *counted in zip((3_000, 9_000, 30_000), *answers, strict=True):
        for window, count in zip((4_000, 5_000, 10**6), counted, strict=True):
            late = 0 if known == "happened" else 2
            seen = {v for n, v in enumerate(values) if max(0, t - window) <= n < t and (not late or n + n % 3 < t)}
            # Up to 4,096 they are counted; beyond, estimated of as many registers.
            assert abs(count - len(seen)) <= (0 if len(seen) <= 4_096 else 5 * 1.04 / 64 * len(seen))
    assert answers[2][2] != len(set(values))
    materialize(view, source, engine, store, f"many {seed} {known}")
    assert tiny.look_up(world, store, f"many {seed} {known}") == [list(row) for row in zip(*answers, strict=True)]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.99, 1.0])
def test_a_quantile_of_many_values_is_within_one_percent(engine, store, tiny, share):
    from random import Random

    random = Random(7)
    values = [random.choice((-1, 1)) * random.lognormvariate(0, 4) for _ in range(3_000)]
    events = [("a", 1, tiny.minute(n), tiny.minute(n), value, 1, "w") for n, value in enumerate(values)]
    view = one_view(tiny, ("q", "quantile", "amount", None, "DOUBLE", 0, share), windows=("256m", "257m", "all"))
    world = tiny.World(view, (), ({"code": "a", "asked": tiny.minute(3_000)},))
    source = tiny.relation(tiny.EVENT, events)
    few, more, every = joined(world, engine, source)[1][0]
    for found, count, allowed in ((few, 256, 1e-12), (more, 257, 0.01), (every, 3_000, 0.01)):
        ranked = sorted(values[-count:])
        place = share * (count - 1)
        low = ranked[int(place)]
        exact = low + (ranked[min(int(place) + 1, count - 1)] - low) * (place - int(place))
        # Of many it is the value at the rank, of few what lies between two.
        wanted = exact if count <= 256 else low
        assert abs(found - wanted) <= allowed * abs(wanted) + 1e-9
    materialize(view, source, engine, store, f"quantile {share}")
    assert tiny.look_up(world, store, f"quantile {share}") == [[few, more, every]]
