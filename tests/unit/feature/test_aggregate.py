from __future__ import annotations

from pathlib import Path

import pytest

from lichen.errors import FoundWrong, Where
from lichen.feature.featureset import RelationFacts, feature_set
from lichen.feature.view import WindowAggregate
from lichen.ports import Column
from lichen.spec import FeatureView

MOMENT = "TIMESTAMP WITH TIME ZONE"
COLUMNS = {
    "carrier": "VARCHAR", "delay": "INTEGER", "distance": "DOUBLE", "cost": "DECIMAL(9,2)", "seats": "DECIMAL(9,0)",
    "late": "BOOLEAN", "day": "DATE", "arrived": MOMENT, "tags": "VARCHAR[]", "raw": "BLOB",
}  # fmt: skip
LEGS = RelationFacts(tuple(Column(*one) for one in COLUMNS.items()), "arrived", "arrived")
DAY = 24 * 3600 * 10**6


def where(asset: str, *path: str | int, key: bool = False) -> Where:
    return Where(Path(asset), text="/".join(map(str, path)) + (" (key)" if key else ""))


def understand(engine, written):
    view = {"entity": {"carrier": "varchar"}, "from": "legs", "aggregates": {"x": written}, "windows": ["1h", "all"]}
    specs = {"carrier": FeatureView.model_validate(view)}
    return feature_set(["carrier"], specs, {"legs": LEGS}, where=where, engine=engine).views[0]


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("count(*)", ("count", "*", None, "")),
        ("since(*)", ("since", "*", None, "")),
        ({"count": "*", "where": "delay > 3"}, ("count", "CASE WHEN (delay > 3) THEN 1 END", None, "INTEGER")),
        ({"since": "*", "where": "delay > 3"}, ("since", "CASE WHEN (delay > 3) THEN 1 END", None, "INTEGER")),
        (
            {"sum": "distance", "where": "late", "clip": [0, 9]},
            ("sum", "CASE WHEN (late) THEN (distance) END", (0.0, 9.0), "DOUBLE"),
        ),
        ("share(delay > 15)", ("avg", "CAST((delay > 15) AS INTEGER)", None, "INTEGER")),
        (
            {"share": "late", "where": "delay > 3"},
            ("avg", "CASE WHEN (delay > 3) THEN (CAST((late) AS INTEGER)) END", None, "INTEGER"),
        ),
        ("quantile(distance, 0.9)", ("quantile", "distance", None, "DOUBLE", 0, 0.9)),
        ({"last": "carrier", "back": 2}, ("last", "carrier", None, "VARCHAR", 0, 0.5, 2)),
        ({"std": "delay", "lag": "7d"}, ("std", "delay", None, "INTEGER", 7 * DAY)),
        ({"mode": "delay", "clip": [0, 0.5]}, ("mode", "delay", (0.0, 0.5), "DOUBLE")),
        ({"first": "cost", "clip": [0, 5]}, ("first", "cost", (0.0, 5.0), "DOUBLE")),
        ({"first": "seats", "clip": [0, 5]}, ("first", "seats", (0.0, 5.0), "BIGINT")),
    ],
)
def test_what_an_aggregate_becomes(engine, written, made) -> None:
    assert understand(engine, written).aggregates == (WindowAggregate("x", *made),)


TYPES = {
    "count": dict.fromkeys(COLUMNS, "BIGINT"),
    "count_distinct": dict.fromkeys(COLUMNS, "BIGINT"),
    "since": dict.fromkeys(COLUMNS, "DOUBLE"),
    **{
        function: dict.fromkeys(("delay", "distance", "cost", "seats", "late"), "DOUBLE")
        for function in ("avg", "std", "var", "rate", "quantile")
    },
    "sum": {"delay": "BIGINT", "distance": "DOUBLE", "cost": "DOUBLE", "seats": "BIGINT", "late": "BIGINT"},
    **{
        function: {
            "delay": "INTEGER", "distance": "DOUBLE", "cost": "DOUBLE", "seats": "BIGINT", "late": "BOOLEAN",
            "day": "DATE", "arrived": MOMENT,
        }
        for function in ("min", "max")
    },
    **{
        function: {name: type_ for name, type_ in COLUMNS.items() if name != "tags"}
        for function in ("first", "last", "mode")
    },
    "share": {"late": "DOUBLE"},
}  # fmt: skip


@pytest.mark.parametrize("function", TYPES)
@pytest.mark.parametrize("column", COLUMNS)
def test_which_types_each_function_takes_and_gives(engine, function, column) -> None:
    written = {function: column, **({"at": 0.5} if function == "quantile" else {})}
    gives = TYPES[function].get(column)
    if gives is not None:
        assert [feature.type for feature in understand(engine, written).features] == [gives, gives]
        return
    with pytest.raises(FoundWrong) as caught:
        understand(engine, written)
    assert caught.value.code == ("LCH-2637" if function == "share" else "LCH-2627")
    assert caught.value.where == where("feature.carrier", "aggregates", "x")


WRONG = {
    "text added up": (
        "sum(carrier)",
        (
            "LCH-2627: `sum` of a VARCHAR is not a feature\n  at feature.carrier\n    aggregates/x\n"
            "  why: `sum` takes numbers\n"
            "  fix: cast the value, or take `count`, `count_distinct` or `since` of it: they take any type"
        ),
    ),
    "text that has an order": (
        "max(carrier)",
        (
            "LCH-2627: `max` of a VARCHAR is not a feature\n  at feature.carrier\n    aggregates/x\n"
            "  why: `max` takes numbers and instants\n"
            "  fix: cast the value, or take `count`, `count_distinct` or `since` of it: they take any type"
        ),
    ),
    "a list": (
        "mode(tags)",
        (
            "LCH-2627: `mode` of a VARCHAR[] is not a feature\n  at feature.carrier\n    aggregates/x\n"
            "  why: `mode` takes what a `latest` column may be: numbers, instants, texts\n"
            "  fix: cast the value, or take `count`, `count_distinct` or `since` of it: they take any type"
        ),
    ),
    "star": (
        "last(*)",
        (
            "LCH-2626: `last` of `*` has no meaning\n  at feature.carrier\n    aggregates/x\n"
            "  why: `*` is the row itself: it is there, and has no value\n"
            "  fix: name a column or an expression; `*` is for `count` and `since` alone, without `clip`"
        ),
    ),
    "star of a share": (
        "share(*)",
        (
            "LCH-2626: `share` of `*` has no meaning\n  at feature.carrier\n    aggregates/x\n"
            "  why: `*` is the row itself: it is there, and has no value\n"
            "  fix: name a column or an expression; `*` is for `count` and `since` alone, without `clip`"
        ),
    ),
    "no at": (
        "quantile(delay)",
        (
            "LCH-2635: `x` does not say which quantile it is\n  at feature.carrier\n    aggregates/x\n"
            "  why: a quantile is the value below which a share of the values lies\n"
            "  fix: name the share: `quantile(delay, 0.9)`, or `at: 0.9`; 0.5 is the median"
        ),
    ),
    "a share that is no number": (
        "quantile(delay, half)",
        (
            "LCH-2635: `x` does not say which quantile it is\n  at feature.carrier\n    aggregates/x\n"
            "  why: a quantile is the value below which a share of the values lies\n"
            "  fix: write the value, then the share as a number, as in `quantile(arr_delay, 0.9)`; 0.5 is the median"
        ),
    ),
    "at beyond": (
        {"quantile": "delay", "at": 90},
        (
            "LCH-2635: there is no quantile at 90\n  at feature.carrier\n    aggregates/x/at\n"
            "  why: `at` is the share of the values that lie below, between 0 and 1\n"
            "  fix: write 0.9 for the 90th percentile; the ends are `min` and `max`"
        ),
    ),
    "at an end": (
        "quantile(delay, 0)",
        (
            "LCH-2635: there is no quantile at 0\n  at feature.carrier\n    aggregates/x/at\n"
            "  why: `at` is the share of the values that lie below, between 0 and 1\n"
            "  fix: write 0.9 for the 90th percentile; the ends are `min` and `max`"
        ),
    ),
    "at of another": (
        {"avg": "delay", "at": 0.9},
        (
            "LCH-2635: `avg` takes no `at`\n  at feature.carrier\n    aggregates/x/at (key)\n"
            "  why: `at` says which quantile is asked for\n  fix: remove `at`, or write `quantile`"
        ),
    ),
    "back of another": (
        {"first": "delay", "back": 1},
        (
            "LCH-2636: `first` takes no `back`\n  at feature.carrier\n    aggregates/x/back (key)\n"
            "  why: `back` counts rows before the last one\n"
            "  fix: remove `back`, or write `last`; for a span of time: `lag`"
        ),
    ),
    "back to the future": (
        {"last": "delay", "back": -1},
        (
            "LCH-2636: `back: -1` looks at rows after the last one\n  at feature.carrier\n    aggregates/x/back\n"
            "  why: after the last row there is none that is known\n"
            "  fix: write `back: 1` for the row so many before it"
        ),
    ),
    "share of a number": (
        "share(delay)",
        (
            "LCH-2637: `share` of `x` is of type INTEGER, not a condition\n  at feature.carrier\n    aggregates/x\n"
            "  why: a condition is true, false or null for each row\n"
            "  fix: compare it, as in `delay > 0` or `delay IS NOT NULL`"
        ),
    ),
    "where of a number": (
        {"avg": "delay", "where": "distance"},
        (
            "LCH-2637: `where` of `x` is of type DOUBLE, not a condition\n  at feature.carrier\n"
            "    aggregates/x/where\n"
            "  why: a condition is true, false or null for each row\n"
            "  fix: compare it, as in `distance > 0` or `distance IS NOT NULL`"
        ),
    ),
    "clip of a text": (
        {"mode": "carrier", "clip": [0, 1]},
        (
            "LCH-2639: `clip` has no meaning for `mode` of VARCHAR\n  at feature.carrier\n    aggregates/x/clip\n"
            "  why: numbers are moved to a bound, and nothing else is\n"
            "  fix: remove `clip`, or cast the value to a number"
        ),
    ),
    "clip of what is counted": (
        {"count": "delay", "clip": [0, 1]},
        (
            "LCH-2639: `clip` has no meaning for `count` of INTEGER\n  at feature.carrier\n    aggregates/x/clip\n"
            "  why: it goes by which values there are\n  fix: remove `clip`"
        ),
    ),
    "clip of a condition": (
        {"share": "late", "clip": [0, 1]},
        (
            "LCH-2639: `clip` has no meaning for `share`\n  at feature.carrier\n    aggregates/x/clip\n"
            "  why: a condition has no value to move\n  fix: remove `clip`"
        ),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_has_no_meaning_is_refused(engine, case) -> None:
    written, text = WRONG[case]
    with pytest.raises(FoundWrong) as caught:
        understand(engine, written)
    assert str(caught.value) == text


def test_a_condition_that_draws_or_names_what_is_not_there_is_told_with_its_place(engine) -> None:
    for condition, code in (("random() > 0.5", "LCH-2007"), ("delai > 3", None)):
        with pytest.raises(FoundWrong) as caught:
            understand(engine, {"avg": "delay", "where": condition})
        assert caught.value.where == where("feature.carrier", "aggregates", "x", "where")
        assert code in (None, caught.value.code)
