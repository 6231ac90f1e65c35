from __future__ import annotations

from pathlib import Path

import pytest

from lichen.errors import FoundWrong, Where
from lichen.feature.reading import Reading, RelationFacts
from lichen.ports import Column
from lichen.spec import FeatureView

TYPES = {
    **dict.fromkeys(("carrier", "flight_id", "leg"), "VARCHAR"),
    "arrived": "TIMESTAMP WITH TIME ZONE",
    "number": "DOUBLE",
}
COLUMNS = tuple(Column(*one) for one in TYPES.items())
VIEW = {"entity": {"carrier": "varchar"}, "from": "legs", "latest": ["leg"]}


def where(asset: str, *path: str | int, key: bool = False) -> Where:
    return Where(Path(asset), text="/".join(map(str, path)) + (" (key)" if key else ""))


def view(engine, written, key=("flight_id",)):
    facts = RelationFacts(COLUMNS, "arrived", "arrived", key)
    return Reading({"legs": facts}, where, engine).view("carrier", FeatureView.model_validate({**VIEW, **written}))


def test_a_view_has_the_grain_it_declares_or_the_key_of_its_table(engine) -> None:
    made = view(engine, {"grain": ["flight_id", "leg"]})
    assert (made.grain, made.corrected) == (("flight_id", "leg"), True)
    made = view(engine, {})
    assert (made.grain, made.corrected) == (("flight_id",), False)
    made = view(engine, {}, key=())
    assert (made.grain, made.corrected) == ((), False)


def test_a_grain_is_of_columns_that_are_there(engine) -> None:
    with pytest.raises(FoundWrong) as caught:
        view(engine, {"grain": ["leg", "fligth_id"]})
    assert str(caught.value) == (
        "LCH-2622: `legs` has no column `fligth_id`\n  at feature.carrier\n    grain/1 (key)\n"
        "  fix: did you mean `flight_id`?"
    )


MANY = [
    "max(number) over (partition by carrier)", "number - avg(number) over ()", "row_number() over ()",
    "lag(number) over ()", "sum(number)", "count(*)", "approx_quantile(number, 0.5)", "unnest([1, 2])",
    "generate_subscripts([1, 2], 1)", "(select 1)", "number + (from row select max(number))", "(values (1))",
]  # fmt: skip


@pytest.mark.parametrize("value", MANY)
def test_a_value_of_more_than_one_row_is_refused(engine, value) -> None:
    written = {"aggregates": {"n": "count(*)", "x": {"max": value}}, "windows": ["7d"]}
    with pytest.raises(FoundWrong) as caught:
        view(engine, written)
    assert str(caught.value) == (
        f"LCH-2654: `{value}` is not computed of one row\n"
        "  at feature.carrier\n    aggregates/x\n"
        "  why: a sum over rows, a window function, a subquery or an `unnest` sees rows that were not known yet\n"
        "  fix: compute it of the row's own columns, for the windows sum up what is known; or in a table, whose "
        "`known` says when it was"
    )


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ({"aggregates": {"n": {"count": "*", "where": "count(*) > 3"}}, "windows": ["7d"]}, "aggregates/n/where"),
        ({"aggregates": {"n": "share(number > avg(number) over ())"}, "windows": ["7d"]}, "aggregates/n"),
        (
            {"aggregates": {"n": {"sum": "number", "where": "number in (select 1)"}}, "windows": ["7d"]},
            "aggregates/n/where",
        ),
        ({"aggregates": {"n": {"max": "columns('l.*|n.*')"}}, "windows": ["7d"]}, "aggregates/n"),
        ({"time": "max(arrived) over ()"}, "time"),
        ({"known": "min(arrived) over (partition by carrier)"}, "known"),
    ],
)
def test_conditions_and_times_are_of_one_row_too(engine, written, at) -> None:
    with pytest.raises(FoundWrong) as caught:
        view(engine, written)
    assert (caught.value.code, caught.value.where.text) == ("LCH-2654", at)


@pytest.mark.parametrize(
    "value",
    [
        "number",
        "list_sum([number, 1])",
        "list_max(list_transform([number], lambda x: x + 1))",
        "extract(year from arrived)",
    ],
)
def test_what_is_computed_of_one_row_is_taken(engine, value) -> None:
    made = view(engine, {"aggregates": {"x": {"max": value}}, "windows": ["7d"]})
    assert made.aggregates[0].value == value
