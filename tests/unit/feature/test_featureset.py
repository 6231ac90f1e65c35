from __future__ import annotations

from pathlib import Path

import pytest

from lichen.errors import FoundWrong, Where
from lichen.feature.featureset import RelationFacts, feature_set
from lichen.ports import Column
from lichen.spec import FeatureView

LEGS = RelationFacts(
    (
        Column("carrier", "VARCHAR"), Column("delay", "INTEGER"), Column("cost", "DECIMAL(9,2)"),
        Column("tags", "VARCHAR[]"),
        Column("arrived", "TIMESTAMP WITH TIME ZONE"), Column("left_at", "TIMESTAMP WITH TIME ZONE"),
    ),
    time="arrived",
    known="arrived + INTERVAL 5 MINUTE",
)  # fmt: skip
PLANES = RelationFacts((Column("tail", "VARCHAR"), Column("year", "INTEGER"), Column("tags", "VARCHAR[]")))
RELATIONS = {"legs": LEGS, "planes": PLANES}
CARRIER = {"entity": {"carrier": "text"}, "from": "legs", "aggregates": {"n": "count(*)"}, "windows": ["1h"]}


def where(asset: str, *path: str | int, key: bool = False) -> Where:
    return Where(Path(asset), text="/".join(map(str, path)) + (" (key)" if key else ""))


def understand(engine, **views):
    specs = {name: FeatureView.model_validate(view) for name, view in views.items()}
    return feature_set([*views], specs, RELATIONS, where=where, engine=engine)


def test_a_feature_set_is_understood(engine):
    found = understand(
        engine,
        trip={
            "on": "request",
            "columns": {"distance": "double", "carrier": "varchar"},
            "expressions": {"late": "trip.pace > 2", "pace": "coalesce(carrier.delay_mean_1h, 0) / distance"},
        },
        carrier={
            **CARRIER,
            "aggregates": {
                "delay_mean": {"avg": "delay", "clip": [-40, 180]}, "half": {"sum": "delay", "clip": [0, 0.5]},
                "n": "count(*)",
                "sum": "sum(delay)", "dear": "max(cost)", "last": "max(left_at)",
                "late_share": "avg((delay > 15)::int)",
            },
            "windows": ["1h", "all"],
            "latest": ["delay"],
            "ttl": "3h",
        },
        plane={"entity": {"tail": "varchar"}, "from": "planes", "static": True, "latest": ["year"]},
    )  # fmt: skip
    assert [(c.name, c.type) for c in found.request] == [
        ("carrier", "VARCHAR"),
        ("tail", "VARCHAR"),
        ("distance", "DOUBLE"),
    ]
    assert [expression.name for expression in found.expressions] == ["trip.pace", "trip.late"]
    assert found.request_features == (("trip.distance", "distance"), ("trip.carrier", "carrier"))
    types = {column.name: column.type for column in found.features}
    assert [*types][:4] == ["trip.distance", "trip.carrier", "trip.late", "trip.pace"]
    assert [*types][4:6] == ["carrier.delay_mean_1h", "carrier.delay_mean_all"]
    assert [*types][-2:] == ["carrier.delay", "plane.year"]
    moment = "TIMESTAMP WITH TIME ZONE"
    assert [types[f"carrier.{n}_1h"] for n in ("delay_mean", "half", "n", "sum", "dear", "last", "late_share")] == [
        "DOUBLE", "DOUBLE", "BIGINT", "BIGINT", "DOUBLE", moment, "DOUBLE"
    ]  # fmt: skip
    view = found.views[0]
    assert (view.time, view.known, view.ttl_us) == ("arrived", "arrived + INTERVAL 5 MINUTE", 3 * 3600 * 10**6)
    assert found.views[1].time is None


def test_expressions_stand_in_as_few_steps_as_there_are(engine):
    texts = {
        "late": "trip.pace > 2",
        "pace": "carrier.n_1h / distance",
        "far": "distance > 9",
        "both": "trip.late and trip.far",
    }
    trip = {"on": "request", "columns": {"distance": "double"}, "expressions": texts}
    found = understand(engine, trip=trip, carrier=CARRIER)
    assert [sorted(one.name for one in step) for step in found.levels] == [
        ["trip.far", "trip.pace"],
        ["trip.late"],
        ["trip.both"],
    ]
    assert understand(engine, carrier=CARRIER).levels == ()


def test_a_view_that_names_time_alone_inherits_known(engine):
    view = understand(engine, carrier={**CARRIER, "time": "left_at"}).views[0]
    assert (view.time, view.known) == ("left_at", "arrived + INTERVAL 5 MINUTE")


WRONG = {
    "table": (
        {"carrier": {**CARRIER, "from": "leg"}},
        "LCH-2621: there is no table or source `leg`\n  at feature.carrier\n    from\n  fix: did you mean `legs`?",
    ),
    "key column": (
        {"carrier": {**CARRIER, "entity": {"carier": "varchar"}}},
        (
            "LCH-2622: `legs` has no column `carier`\n  at feature.carrier\n    entity/carier (key)\n"
            "  fix: did you mean `carrier`?"
        ),
    ),
    "latest column": (
        {"carrier": {**CARRIER, "latest": ["delay", "delai"]}},
        (
            "LCH-2622: `legs` has no column `delai`\n  at feature.carrier\n    latest/1 (key)\n"
            "  fix: did you mean `delay`?"
        ),
    ),
    "key type": (
        {"carrier": {**CARRIER, "entity": {"carrier": "decimal(3,1)"}}},
        (
            "LCH-2623: a key cannot be of type DECIMAL(3,1)\n  at feature.carrier\n    entity/carrier\n"
            "  why: an entity is found by its key's exact value\n  fix: cast the column in its table, to VARCHAR say"
        ),
    ),
    "no time": (
        {"plane": {"entity": {"tail": "varchar"}, "from": "planes", "latest": ["year"]}},
        (
            "LCH-2624: `planes` has no event time\n  at feature.plane\n    from\n"
            "  why: without it nothing tells which rows an instant may see\n"
            "  fix: give the view or the table a `time`, or say `static: true` if the rows never change"
        ),
    ),
    "time without known": (
        {
            "plane": {
                "entity": {"tail": "varchar"},
                "from": "planes",
                "time": "make_timestamp(year, 1, 1, 0, 0, 0)",
                "latest": ["year"],
            }
        },
        (
            "LCH-2633: `plane` has a `time` and nothing says when its rows became known\n"
            "  at feature.plane\n    time (key)\n"
            "  why: a row that is taken as known when it happened may tell the future\n"
            "  fix: add `known:`; it is `known: make_timestamp(year, 1, 1, 0, 0, 0)` "
            "if a row is known the moment it happens"
        ),
    ),
    "static with a time": (
        {"carrier": {"entity": {"carrier": "varchar"}, "from": "legs", "static": True, "latest": ["delay"]}},
        (
            "LCH-2632: `legs` has a time, so a view of it cannot be static\n  at feature.carrier\n    static\n"
            "  why: its rows become known one after another; taken as known always, they tell the future\n"
            "  fix: take `static: true` away: the view then sees what was known"
        ),
    ),
    "time type": (
        {"carrier": {**CARRIER, "known": "delay"}},
        (
            "LCH-2625: `known` is of type INTEGER, not an instant\n  at feature.carrier\n    known\n"
            "  fix: name a TIMESTAMP WITH TIME ZONE column, or cast to one"
        ),
    ),
    "sum of star": (
        {"carrier": {**CARRIER, "aggregates": {"n": "sum(*)"}}},
        (
            "LCH-2626: `sum` of `*` has no meaning\n  at feature.carrier\n    aggregates/n\n"
            "  why: `*` is the row itself: it is there, and has no value\n"
            "  fix: name a column or an expression; `*` is for `count` and `since` alone, without `clip`"
        ),
    ),
    "sum of text": (
        {"carrier": {**CARRIER, "aggregates": {"n": "avg(carrier)"}}},
        (
            "LCH-2627: `avg` of a VARCHAR is not a feature\n  at feature.carrier\n    aggregates/n\n"
            "  why: `avg` takes numbers\n"
            "  fix: cast the value, or take `count`, `count_distinct` or `since` of it: they take any type"
        ),
    ),
    "latest type": (
        {"plane": {"entity": {"tail": "varchar"}, "from": "planes", "latest": ["tags"], "static": True}},
        (
            "LCH-2628: `tags` is of type VARCHAR[], which no feature can be\n  at feature.plane\n    latest/0\n"
            "  fix: cast it in its table, to VARCHAR say"
        ),
    ),
    "request types": (
        {"carrier": CARRIER, "trip": {"on": "request", "columns": {"carrier": "bigint"}}},
        (
            "LCH-2629: `carrier` is BIGINT here and VARCHAR in `feature.carrier`\n  at feature.trip\n"
            "    columns/carrier\n"
            "  why: a request brings it once, for both\n  fix: give it the same type in both"
        ),
    ),
    "prediction time": (
        {"trip": {"on": "request", "columns": {"prediction_time": "timestamptz"}}},
        (
            "LCH-2630: `prediction_time` cannot be a request's column\n  at feature.trip\n"
            "    columns/prediction_time (key)\n"
            "  why: it is what expressions call the instant at which the prediction is asked for\n"
            "  fix: rename the column, or read `prediction_time` without declaring it"
        ),
    ),
    "ring": (
        {"trip": {"on": "request", "expressions": {"a": "trip.b + 1", "b": "trip.a + 1"}}},
        (
            "LCH-2631: these expressions need each other\n  at feature.trip\n    expressions/a\n"
            "  why: trip.a -> trip.b -> trip.a\n  fix: write one of them without the other"
        ),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused(engine, case):
    views, text = WRONG[case]
    with pytest.raises(FoundWrong) as caught:
        understand(engine, **views)
    assert str(caught.value) == text


def test_an_unknown_view_is_refused(engine):
    with pytest.raises(FoundWrong) as caught:
        feature_set(["carier"], {"carrier": FeatureView.model_validate(CARRIER)}, RELATIONS, where=where, engine=engine)
    assert str(caught.value) == "LCH-2620: there is no feature view `carier`\n  fix: did you mean `carrier`?"


@pytest.mark.parametrize(
    ("views", "place"),
    [
        ({"carrier": {**CARRIER, "aggregates": {"n": "avg(delai)"}}}, "aggregates/n"),
        ({"carrier": {**CARRIER, "entity": {"carrier": "varchr"}}}, "entity/carrier"),
        ({"trip": {"on": "request", "expressions": {"a": "lenght(x)"}}}, "expressions/a"),
    ],
)
def test_wrong_sql_is_told_with_its_place_in_the_project(engine, views, place):
    with pytest.raises(FoundWrong) as caught:
        understand(engine, **views)
    assert caught.value.where is not None
    assert caught.value.where.text == place


@pytest.mark.parametrize(
    ("view", "place"),
    [
        ({**CARRIER, "aggregates": {"n": "avg(delay * random())"}}, "aggregates/n"),
        ({**CARRIER, "known": "arrived + random() * INTERVAL 1 HOUR"}, "known"),
        ({"on": "request", "columns": {"a": "double"}, "expressions": {"b": "a * random()"}}, "expressions/b"),
    ],
)
def test_a_feature_that_draws_is_refused(engine, view, place):
    with pytest.raises(FoundWrong) as caught:
        understand(engine, view=view)
    assert str(caught.value).startswith(
        f"LCH-2007: `random` gives another answer each time it is asked\n  at feature.view\n    {place}\n"
    )


def test_an_expression_that_asks_the_clock_is_told_of_the_prediction_time(engine):
    with pytest.raises(FoundWrong) as caught:
        understand(engine, view={"on": "request", "expressions": {"b": "date_part('hour', now())"}})
    assert caught.value.fix == (
        "read `prediction_time`, when the prediction is asked for, in an expression of a view with `on: request`"
    )


def test_an_expression_is_not_called_as_the_prediction_time(engine):
    with pytest.raises(FoundWrong) as caught:
        understand(engine, trip={"on": "request", "columns": {"a": "double"}, "expressions": {"prediction_time": "a"}})
    assert str(caught.value) == (
        "LCH-2634: an expression cannot be called `prediction_time`\n"
        "  at feature.trip\n    expressions/prediction_time (key)\n"
        "  why: it is what expressions call the instant at which the prediction is asked for\n"
        "  fix: give it another name; expressions read `prediction_time` without declaring it"
    )


@pytest.mark.parametrize("name", ["at", "order"])
def test_a_column_that_is_a_word_of_sql_is_to_be_written_as_a_name(engine, name):
    facts = RelationFacts((*LEGS.columns, Column(name, "INTEGER")), time="arrived", known="arrived")

    def view(value):
        spec = {**CARRIER, "aggregates": {"n": {"sum": value}}, "latest": [name]}
        specs = {"carrier": FeatureView.model_validate(spec)}
        return feature_set(["carrier"], specs, {"legs": facts}, where=where, engine=engine)

    with pytest.raises(FoundWrong) as caught:
        view(name)
    assert str(caught.value).endswith(f'\n  fix: `{name}` is a word of SQL too: write it as a name, "{name}"')
    assert [feature.type for feature in view(f'"{name}"').features] == ["BIGINT", "INTEGER"]
