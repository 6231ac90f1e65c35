from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from arro3.core import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.backends.sqlite_online import SQLiteOnlineStore
from lichen.errors import FoundWrong, Where
from lichen.feature.featureset import RelationFacts, feature_set
from lichen.feature.join import join
from lichen.feature.lookup import Lookup
from lichen.feature.materialize import materialize
from lichen.ports import Column
from lichen.spec import FeatureView

MOMENT = "TIMESTAMP WITH TIME ZONE"
EVENTS = RelationFacts(
    (
        Column("code", "VARCHAR"), Column("number", "BIGINT"), Column("happened", MOMENT), Column("learned", MOMENT),
        Column("amount", "DOUBLE"), Column("size", "INTEGER"), Column("word", "VARCHAR"),
    ),
    "happened",
    "learned",
)  # fmt: skip


def where(asset: str, *path: str | int, key: bool = False) -> Where:
    return Where(Path(asset), text="/".join(map(str, path)) + (" (key)" if key else ""))


def view(entity, aggregates, windows=("2m", "all"), **more):
    return {"entity": entity, "from": "events", "aggregates": aggregates, "windows": list(windows), **more}


ONE = {"code": "varchar", "number": "bigint"}
VIEWS = {
    "one": view(
        ONE,
        {
            "mean": {"avg": "amount", "prior": {"mean": "code.mean", "weight": 10}},
            "small": {"share": "size < 0", "where": "amount > -2", "prior": {"mean": 0.25, "weight": 2.5}},
            "most": {"max": "size", "prior": {"use": "everybody.most_all", "below": 3}},
            "total": {"sum": "size", "prior": {"use": -1, "below": 2}},
            "rows": {"count": "*", "prior": {"use": "code.rows", "below": 2}},
        },
    ),
    "code": view(
        {"code": "varchar"},
        {"mean": {"avg": "amount", "prior": {"mean": "everybody.mean_all", "weight": 4}}, "rows": "count(*)"},
    ),
    "everybody": view({}, {"mean": "avg(amount)", "most": "max(size)"}),
}


def understand(engine, names=("one",), **views):
    specs = {name: FeatureView.model_validate(one) for name, one in {**VIEWS, **views}.items()}
    return feature_set(names, specs, {"events": EVENTS}, where=where, engine=engine)


def test_a_feature_with_a_prior_is_an_expression_over_parts_that_no_model_reads(engine):
    found = understand(engine)
    assert [one.name for one in found.views] == ["one", "code", "everybody"]
    assert [column.name for column in found.request] == ["code", "number"]
    assert [(column.name, column.type) for column in found.features] == [
        (f"one.{name}_{window}", type_)
        for name, type_ in (
            ("mean", "DOUBLE"), ("small", "DOUBLE"), ("most", "BIGINT"), ("total", "BIGINT"), ("rows", "BIGINT"),
        )
        for window in ("2m", "all")
    ]  # fmt: skip
    assert [column.name for column in found.views[0].features][:4] == [
        "mean_2m#sum", "mean_all#sum", "mean_2m#rows", "mean_all#rows",
    ]  # fmt: skip
    assert [one.function for one in found.views[0].aggregates] == [
        "sum", "count", "sum", "count", "max", "count", "sum", "count", "count", "count",
    ]  # fmt: skip
    order = [one.name for one in found.expressions]
    assert order.index("code.mean_2m") < order.index("one.mean_2m")
    assert "code.mean_all" in order
    reads = {one.name: one.reads for one in found.expressions}
    assert set(reads["one.mean_2m"]) == {"code.mean_2m", "one.mean_2m#sum", "one.mean_2m#rows"}
    assert found.request_features == ()


def test_a_parent_s_key_may_be_a_column_that_the_request_brings(engine):
    trip = {"on": "request", "columns": {"code": "varchar"}, "expressions": {"odd": "one.mean_2m - code.mean_2m"}}
    found = understand(engine, ("trip", "one", "code"), trip=trip)
    assert [column.name for column in found.request] == ["code", "number"]
    assert found.expressions[-1].name == "trip.odd"
    with pytest.raises(FoundWrong) as caught:
        understand(engine, ("trip", "one"), trip={**trip, "columns": {"code": "int"}})
    assert str(caught.value).startswith("LCH-2629: `code` is INTEGER here and VARCHAR in `feature.one`")


def test_only_what_is_needed_of_a_parent_is_computed(engine):
    found = understand(engine, code=view({"code": "varchar"}, {"rows": "count(*)", "mean": "avg(amount)"}))
    assert [one.name for one in found.views] == ["one", "code", "everybody"]
    small = {"total": {"sum": "size", "prior": {"use": "code.rows_all", "below": 2}}}
    assert [one.name for one in understand(engine, one=view(ONE, small)).views] == ["one", "code"]


def test_nobody_else_reads_a_part(engine):
    trip = {"on": "request", "expressions": {"n": 'one."mean_2m#rows"'}}
    with pytest.raises(FoundWrong) as caught:
        understand(engine, ("one", "trip"), trip=trip)
    assert caught.value.code == "LCH-2402"


# ----------------------------------------------------------------------------------------------- what it gives


def drawn(values, prior, weight):
    if prior is None:
        return sum(values) / len(values) if values else None
    return (sum(values) + weight * prior) / (len(values) + weight)


def expected(world, label):
    """The features of one label row; without an instant nothing was seen, and priors that are numbers stand."""
    code, number, at = label["code"], label["number"], label["asked"]
    events = [[row[column.name] for column in EVENTS.columns] for row in world.events]
    whole = [e for e in events if at is not None and None not in e[2:4] and e[3] < at and e[2] < at]
    every = [e[4] for e in whole if e[4] is not None]
    most = max((e[5] for e in whole if e[5] is not None), default=None)
    answers = []
    for span in (timedelta(minutes=2), None):
        recent = [e for e in whole if span is None or e[2] >= at - span]
        wider = [e for e in recent if code is not None and e[0] == code]
        own = [e for e in wider if number is not None and e[1] == number]
        parent = drawn([e[4] for e in wider if e[4] is not None], sum(every) / len(every) if every else None, 4)
        let_in = [float(e[5] < 0) for e in own if e[4] is not None and e[4] > -2 and e[5] is not None]
        sizes = [e[5] for e in own if e[5] is not None]
        rows, wider_rows = len(own) if number is not None else None, len(wider)
        if at is None or code is None:
            rows = wider_rows = None
        answers.append(
            [
                drawn([e[4] for e in own if e[4] is not None], parent, 10),
                drawn(let_in, 0.25, 2.5),
                max(sizes) if len(sizes) >= 3 or (sizes and most is None) else most,
                sum(sizes) if len(sizes) >= 2 else -1,
                rows if (rows or 0) >= 2 else wider_rows,
            ]
        )
    return [answer for pair in zip(*answers, strict=True) for answer in pair]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_prior_is_its_definition_for_many_and_for_one(data, engine, tiny, tmp_path_factory):
    world, features = data.draw(tiny.worlds()), understand(engine)
    table = Table.from_arrow(join(features, world.asked, "asked", {"events": world.source}, engine))
    columns = [table.column(column.name).to_pylist() for column in features.features]
    joined = [list(row) for row in zip(*columns, strict=True)]
    tiny.close(joined, [expected(world, label) for label in world.labels])
    store = SQLiteOnlineStore(tmp_path_factory.mktemp("online") / "online.db")
    for one in features.views:
        materialize(one, world.source, engine, store, one.name)
    lookup = Lookup(features, store, {one.name: one.name for one in features.views})
    asked = [(label, row) for label, row in zip(world.labels, joined, strict=True) if label["asked"] is not None]
    keys = [{name: label[name] for name in ("code", "number")} for label, _ in asked]
    found = [lookup.row(k, tiny.microsecond(label["asked"])) for k, (label, _) in zip(keys, asked, strict=True)]
    tiny.close(found, [row for _, row in asked])
    store.close()


# -------------------------------------------------------------------------------------------------- what is wrong


def prior(feature, form="mean", function="avg", value="amount"):
    more = {"weight": 10} if form == "mean" else {"below": 5}
    return view(ONE, {"x": {function: value, "prior": {form: feature, **more}}})


WRONG = {
    "view": (
        prior("cod.mean"),
        (
            "LCH-2620: there is no feature view `cod`\n  at feature.one\n    aggregates/x/prior/mean\n"
            "  fix: did you mean `code`?"
        ),
    ),
    "feature": (
        prior("code.meen_2m"),
        (
            "LCH-2650: `code` has no feature `meen_2m`\n  at feature.one\n    aggregates/x/prior/mean\n"
            "  fix: did you mean `mean_2m`?"
        ),
    ),
    "window": (
        {**prior("code.mean", "use"), "windows": ["7m"]},
        (
            "LCH-2650: `code` has no feature `mean`\n  at feature.one\n    aggregates/x/prior/use\n"
            "  why: its windows are 2m, all, and `one.x_7m` asks for 7m\n"
            "  fix: name one of its windows: `code.mean_all`"
        ),
    ),
    "own view": (
        prior("one.x_all"),
        (
            "LCH-2651: `one.x_all` cannot stand in for `one.x_2m`\n  at feature.one\n    aggregates/x/prior/mean\n"
            "  why: what stands in for a thin window is of another entity, with more rows\n"
            "  fix: name a feature of another view over a table; to put features together, write an expression "
            "in a view with `on: request`"
        ),
    ),
    "request": (
        prior("trip.distance"),
        (
            "LCH-2651: `trip.distance` cannot stand in for `one.x_2m`\n  at feature.one\n    aggregates/x/prior/mean\n"
            "  why: what a request brings is of no entity that has rows\n"
            "  fix: name a feature of another view over a table; to put features together, write an expression "
            "in a view with `on: request`"
        ),
    ),
    "function": (
        prior("code.mean", function="max"),
        (
            "LCH-2652: `max` cannot be drawn to a mean\n  at feature.one\n    aggregates/x/prior/mean\n"
            "  why: (sum + weight * prior) / (rows + weight) is a mean: `avg` and `share` are\n"
            "  fix: write `prior: {use: ..., below: 5}`: with fewer rows, the other is taken"
        ),
    ),
    "type": (
        prior("code.mean", "use", "mode", "word"),
        (
            "LCH-2653: the prior of `one.x_2m` is of a type that does not fit\n  at feature.one\n"
            "    aggregates/x/prior\n"
            "  why: the window's own is VARCHAR, and `code.mean_2m` is DOUBLE\n"
            "  fix: name a feature of the same type, or cast the values that both are computed of"
        ),
    ),
    "mean of a text": (
        prior("code.top"),
        (
            "LCH-2653: the prior of `one.x_2m` is of a type that does not fit\n  at feature.one\n"
            "    aggregates/x/prior\n"
            "  why: the window's own is DOUBLE, and `code.top_2m` is VARCHAR\n"
            "  fix: name a feature of the same type, or cast the values that both are computed of"
        ),
    ),
    "number": (
        prior(0.5, "use", "mode", "word"),
        (
            "LCH-2653: the prior of `one.x_2m` is of a type that does not fit\n  at feature.one\n"
            "    aggregates/x/prior\n"
            "  why: the window's own is VARCHAR, and 0.5 a number\n"
            "  fix: name a feature of the same type, or cast the values that both are computed of"
        ),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_prior_that_does_not_fit_is_refused(engine, case):
    one, text = WRONG[case]
    trip = {"on": "request", "columns": {"distance": "double"}}
    code = view({"code": "varchar"}, {"mean": "avg(amount)", "top": "mode(word)"})
    with pytest.raises(FoundWrong) as caught:
        understand(engine, one=one, trip=trip, code=code)
    assert str(caught.value) == text


def test_priors_in_a_ring_are_refused_with_the_ring(engine):
    with pytest.raises(FoundWrong) as caught:
        understand(engine, one={**prior("code.x"), "windows": ["2m"]}, code={**prior("one.x"), "windows": ["2m"]})
    assert str(caught.value) in [
        f"LCH-2631: these priors need each other\n  at feature.{first}\n    aggregates/x/prior\n"
        f"  why: {first}.x_2m -> {second}.x_2m -> {first}.x_2m\n  fix: write one of them without the other"
        for first, second in (("one", "code"), ("code", "one"))
    ]
