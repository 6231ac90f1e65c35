from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from lichen.spec import Aggregate, FeatureView


@pytest.mark.parametrize(
    ("written", "function", "value"),
    [
        ("avg(x)", "avg", "x"),
        (" AVG ( x ) ", "avg", "x"),
        ("count(*)", "count", "*"),
        ("avg((a > 15)::int)", "avg", "(a > 15)::int"),
        ("max(coalesce(a, ')'))", "max", "coalesce(a, ')')"),
        ({"sum": "a"}, "sum", "a"),
        ({"sum": 1}, "sum", "1"),
        ({"function": "min", "value": "a"}, "min", "a"),
    ],
)
def test_the_forms_of_an_aggregate(written: object, function: str, value: str) -> None:
    aggregate = Aggregate.model_validate(written)
    assert (aggregate.function, aggregate.value) == (function, value)
    assert Aggregate.model_validate(aggregate.meaning()) == aggregate


@pytest.mark.parametrize(
    "text", ["x", "median(x)", "avg x", "avg(x", "sum(a) + sum(b)", "avg(x) FILTER (y)", "avg(x))", ""]
)
def test_what_is_no_aggregate(text: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(f"`{text}` is not an aggregate: write one of count, sum, avg")):
        Aggregate.model_validate(text)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ({"avg": "x", "sum": "x"}, "an aggregate names one of count, sum, avg, min, max, as in `avg: arr_delay`"),
        ({"clip": [0, 1]}, "an aggregate names one of count, sum, avg, min, max, as in `avg: arr_delay`"),
        ({"avg": None}, "Input should be a valid string"),
        ({"avg": True}, "Input should be a valid string"),
        ({"avg": ["x"]}, "Input should be a valid string"),
        ("avg()", "`avg` needs the column or expression it is computed of"),
        ({"avg": "x", "clip": [2, 1]}, "`clip` starts at 2, which is not below its end 1"),
        ({"avg": "x", "clip": [0, float("nan")]}, "`clip` starts at 0, which is not below its end nan"),
    ],
)
def test_aggregates_that_make_no_sense(written: object, text: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(text)):
        Aggregate.model_validate(written)


def test_the_schema_of_an_aggregate_is_the_form_it_is_written_in() -> None:
    short, long = Aggregate.model_json_schema()["anyOf"]
    assert re.search(short["pattern"], "avg((a > 15)::int)")
    assert not re.search(short["pattern"], "median(a)")
    assert set(long["properties"]) == {"count", "sum", "avg", "min", "max", "clip"}
    assert {"required": ["avg"]} in long["oneOf"]
    assert long["additionalProperties"] is False


TABLE: dict[str, Any] = {"entity": {"carrier": "varchar"}, "from": "legs"}
WINDOWED = {**TABLE, "aggregates": {"delay": "avg(x)"}, "windows": ["1h", "all"]}


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ({}, "a feature view has either `from: <table>` or `on: request`"),
        ({"from": "a", "on": "request"}, "a feature view has either `from: <table>` or `on: request`"),
        ({"on": "request"}, "`on: request` needs `columns`, `expressions` or both"),
        (
            {"on": "request", "columns": {"a": "int"}, "entity": {}},
            "`on: request` has columns and expressions, not `entity`",
        ),
        (
            {"on": "request", "columns": {"a": "int"}, "ttl": "1h"},
            "`on: request` has columns and expressions, not `ttl`",
        ),
        (
            {"from": "a", "latest": ["b"]},
            "a feature view needs `entity: {column: type}`, or `entity: {}` for everybody",
        ),
        (TABLE, "a feature view needs `aggregates`, `latest` or both"),
        (
            {**TABLE, "latest": ["a"], "columns": {"a": "int"}},
            "`columns` and `expressions` belong to a view with `on: request`",
        ),
        ({**TABLE, "aggregates": {"a": "avg(x)"}}, "`aggregates` and `windows` go together"),
        ({**TABLE, "latest": ["a"], "windows": ["1h"]}, "`aggregates` and `windows` go together"),
        ({**WINDOWED, "windows": ["1x"]}, "`1x` is not a duration"),
        ({**WINDOWED, "windows": ["1d 2h"]}, "the window `1d 2h` becomes part of a name: write it without spaces"),
        ({**WINDOWED, "windows": ["1h", "1h"]}, "`windows` has `1h` twice"),
        ({**WINDOWED, "latest": ["delay_1h"]}, "two features would be called `delay_1h`: rename one of them"),
        ({**WINDOWED, "static": True}, "a static view has `latest` only: without a time there is no window and no age"),
        ({**WINDOWED, "ttl": "1h"}, "`ttl` is the greatest age of the `latest` row: name its columns"),
        (
            {"on": "request", "columns": {"a": "int"}, "expressions": {"a": "b"}},
            "two features would be called `a`: rename one of them",
        ),
    ],
)
def test_views_that_make_no_sense(written: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(text)):
        FeatureView.model_validate(written)


def test_the_names_of_a_views_features_are_in_the_order_they_are_written_in() -> None:
    view = FeatureView.model_validate({**WINDOWED, "aggregates": {"z": "avg(x)", "a": "count(*)"}, "latest": ["seats"]})
    assert view.feature_names() == ("z_1h", "z_all", "a_1h", "a_all", "seats")
    request = FeatureView.model_validate({"on": "request", "columns": {"z": "int"}, "expressions": {"a": "z"}})
    assert request.feature_names() == ("z", "a")


def test_a_view_of_everybody_keeps_its_empty_entity() -> None:
    view = FeatureView.model_validate({**WINDOWED, "entity": {}})
    assert view.meaning()["entity"] == {}
    assert FeatureView.model_validate(view.meaning()) == view
