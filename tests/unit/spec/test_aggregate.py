from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from lichen.spec import Aggregate, Prior
from lichen.spec.aggregate import FUNCTIONS, MEANINGS

NAMES = ", ".join(FUNCTIONS)


@pytest.mark.parametrize(
    ("written", "function", "value"),
    [
        ("avg(x)", "avg", "x"),
        (" AVG ( x ) ", "avg", "x"),
        ("mean(x)", "avg", "x"),
        ({"mean": "x"}, "avg", "x"),
        ("count(*)", "count", "*"),
        ("since(*)", "since", "*"),
        ("std(x)", "std", "x"),
        ("share(x > 15)", "share", "x > 15"),
        ("avg((a > 15)::int)", "avg", "(a > 15)::int"),
        ("max(coalesce(a, ')'))", "max", "coalesce(a, ')')"),
        ("last([a, b][1])", "last", "[a, b][1]"),
        ("count(distinct tailnum)", "count_distinct", "tailnum"),
        ("COUNT(DISTINCT (a, b))", "count_distinct", "(a, b)"),
        ("count(distinct_tails)", "count", "distinct_tails"),
        ("count_distinct(tailnum)", "count_distinct", "tailnum"),
        ({"count": "distinct tailnum"}, "count_distinct", "tailnum"),
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
    ("written", "value", "at"),
    [
        ("quantile(arr_delay, 0.9)", "arr_delay", 0.9),
        ("quantile(coalesce(a, b), .5)", "coalesce(a, b)", 0.5),
        ("quantile(greatest(a, 0.9))", "greatest(a, 0.9)", None),
        ("quantile(a, b)", "a, b", None),
        ({"quantile": "arr_delay", "at": 0.9}, "arr_delay", 0.9),
    ],
)
def test_a_quantile_says_which(written: object, value: str, at: float | None) -> None:
    aggregate = Aggregate.model_validate(written)
    assert (aggregate.function, aggregate.value, aggregate.at) == ("quantile", value, at)
    assert Aggregate.model_validate(aggregate.meaning()) == aggregate


def test_the_long_form_has_all_settings() -> None:
    written = {
        "last": "delay", "clip": [-40, 180], "where": "diverted IS NULL", "lag": "7d", "back": 1,
        "prior": {"use": "airspace.delay", "below": 5},
    }  # fmt: skip
    aggregate = Aggregate.model_validate(written)
    assert aggregate.meaning() == {
        "function": "last", "value": "delay", "clip": [-40.0, 180.0], "where": "diverted IS NULL", "lag": "604800s",
        "back": 1, "prior": {"use": "airspace.delay", "below": 5},
    }  # fmt: skip
    assert Aggregate.model_validate(aggregate.meaning()) == aggregate
    assert aggregate.prior is not None
    assert aggregate.prior.parent == ("airspace", "delay")


@pytest.mark.parametrize(
    ("written", "sql"),
    [
        ("avg(x)", "x"),
        ("count(*)", "*"),
        ("share(x > 15)", "CAST((x > 15) AS INTEGER)"),
        ({"sum": "x", "where": "y > 0"}, "CASE WHEN (y > 0) THEN (x) END"),
        ({"count": "*", "where": "y > 0"}, "CASE WHEN (y > 0) THEN 1 END"),
        ({"since": "*", "where": "y > 0"}, "CASE WHEN (y > 0) THEN 1 END"),
        ({"share": "x > 15", "where": "y > 0"}, "CASE WHEN (y > 0) THEN (CAST((x > 15) AS INTEGER)) END"),
    ],
)
def test_what_a_row_gives(written: object, sql: str) -> None:
    assert Aggregate.model_validate(written).row_value == sql


@pytest.mark.parametrize(
    "text", ["x", "avg x", "avg(x", "sum(a) + sum(b)", "avg(x) FILTER (y)", "avg(x))", "avg(x]", "zzz(x)", ""]
)
def test_what_is_no_aggregate(text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Aggregate.model_validate(text)
    (problem,) = caught.value.errors()
    assert problem["msg"] == (
        f"Value error, `{text}` is not an aggregate: write one of {NAMES}, as in `avg(arr_delay)`"
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("stddev(x)", "std"), ("variance(x)", "var"), ("median(x)", "quantile"), ("nunique(x)", "count_distinct"),
        ("quantil(x, 0.5)", "quantile"), ("AVERAGE(x)", "avg"),
    ],
)  # fmt: skip
def test_what_others_call_a_function_is_told(text: str, meant: str) -> None:
    name, _, value = text.lower().removesuffix(")").partition("(")
    for written in (text, {name: value}):
        with pytest.raises(ValidationError, match=re.escape(f"; did you mean `{meant}`?")):
            Aggregate.model_validate(written)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ({"avg": "x", "sum": "x"}, f"an aggregate names one of {NAMES}, as in `avg: arr_delay`"),
        ({"clip": [0, 1]}, f"an aggregate names one of {NAMES}, as in `avg: arr_delay`"),
        ({"avg": None}, "Input should be a valid string"),
        ({"avg": True}, "Input should be a valid string"),
        ({"avg": ["x"]}, "Input should be a valid string"),
        ("avg()", "`avg` needs the column or expression it is computed of"),
        ({"avg": "x", "clip": [2, 1]}, "`clip` starts at 2, which is not below its end 1"),
        ({"avg": "x", "clip": [0, float("nan")]}, "`clip` starts at 0, which is not below its end nan"),
        ({"avg": "x", "where": " "}, "`where` needs a condition, as in `where: cancelled IS NULL`"),
        ({"avg": "x", "lag": "-7d"}, "`-7d` is not a duration; write a whole number and a unit"),
        ({"avg": "x", "lag": "0d"}, "`0d` is no time at all; a duration is longer than 0s"),
        ({"avg": "x", "lag": 7}, "a duration has a unit: 90s, 5m, 3h, 28d, 2w"),
    ],
)
def test_aggregates_that_make_no_sense(written: object, text: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(text)):
        Aggregate.model_validate(written)


FORMS = "`{mean: view.feature, weight: 10}` or `{use: view.feature, below: 5}`"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ({}, f"a prior is written in one of two ways: {FORMS}"),
        ({"mean": 1, "weight": 1, "use": 1, "below": 1}, f"a prior is written in one of two ways: {FORMS}"),
        ({"mean": 1}, f"`mean` and `weight` go together, as in {FORMS}"),
        ({"use": 1}, f"`use` and `below` go together, as in {FORMS}"),
        ({"mean": 1, "weight": 1, "below": 5}, f"`use` and `below` go together, as in {FORMS}"),
        ({"mean": 1, "weight": 0}, "Input should be greater than 0"),
        ({"use": 1, "below": 0}, "Input should be greater than or equal to 1"),
        ({"use": True, "below": 1}, "a prior is a number, or a feature as `view.feature`"),
        ({"use": float("nan"), "below": 1}, "a prior is a number, or a feature as `view.feature`"),
        ({"use": "airspace", "below": 1}, "`airspace` is not a feature: write it as `view.feature`"),
        ({"use": "a.b + 1", "below": 1}, "`a.b + 1` is not a feature: write it as `view.feature`"),
    ],
)
def test_priors_that_make_no_sense(written: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(text)):
        Prior.model_validate(written)


def test_a_prior_is_a_number_or_a_feature() -> None:
    number = Prior.model_validate({"mean": 3, "weight": 10})
    assert (number.other, number.parent) == (3.0, None)
    feature = Prior.model_validate({"use": "airspace.delay_28d", "below": 5})
    assert (feature.other, feature.parent) == ("airspace.delay_28d", ("airspace", "delay_28d"))


def test_the_schema_of_an_aggregate_is_the_form_it_is_written_in() -> None:
    schema = Aggregate.model_json_schema()
    short, long = schema["anyOf"]
    assert re.search(short["pattern"], "avg((a > 15)::int)")
    assert re.search(short["pattern"], "count(distinct a)")
    assert not re.search(short["pattern"], "median(a)")
    settings = {"at", "clip", "where", "lag", "back", "prior"}
    assert set(long["properties"]) == {*FUNCTIONS, "mean", *settings}
    assert {"required": ["avg"]} in long["oneOf"]
    assert long["additionalProperties"] is False
    assert set(MEANINGS) == set(FUNCTIONS)


@pytest.mark.parametrize(
    "written",
    [
        "avg(a)",
        "mean(a)",
        "quantile(a, 0.9)",
        {"quantile": "a", "at": 0.9},
        {"last": "a", "back": 1, "lag": "7d", "where": "b > 0", "clip": [0, 1]},
        {"avg": "a", "prior": {"mean": "b.c_28d", "weight": 10}},
        {"max": "a", "prior": {"use": 0, "below": 5}},
    ],
)
def test_what_is_right_is_right_by_the_schema(written: object) -> None:
    jsonschema.validate(written, Aggregate.model_json_schema())
    Aggregate.model_validate(written)


@pytest.mark.parametrize(
    "written",
    [
        "median(a)",
        {"quantile": "a", "at": 1},
        {"last": "a", "back": -1},
        {"avg": "a", "sum": "a"},
        {"avg": "a", "prior": {"mean": "b", "weight": 10}},
        {"avg": "a", "prior": {"mean": 1, "weight": 0}},
        {"avg": "a", "prior": {"middle": 1}},
        {"avg": "a", "whre": "b"},
    ],
)
def test_what_is_wrong_is_wrong_by_the_schema(written: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(written, Aggregate.model_json_schema())
