from __future__ import annotations

import pytest

from lichen.feature.view import ALL


def test_aggregates_of_one_value_share_a_measure(tiny):
    view = tiny.make_view()
    assert [(m.value, m.clip, m.kind) for m in view.measures] == [
        ("*", None, "rows"), ("amount", None, "double"), ("amount", (-3.0, 4.5), "double"), ("size", None, "int"),
        ("size", (-2.0, 2.0), "int"), ("happened", None, "instant"), ("word", None, "other"),
    ]  # fmt: skip
    amount = view.measures[1]
    assert amount.functions == {"count", "sum", "min"}
    assert (amount.ordered, amount.needs_values, amount.is_coded, amount.is_placed) == (True, True, False, False)
    assert (view.measures[2].ordered, view.measures[2].needs_values) == (False, True)
    assert not view.measures[6].needs_values
    assert [view.measure_of(aggregate) for aggregate in view.aggregates] == [0, 1, 1, 2, 1, 3, 4, 3, 5, 6]


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        ("count", (False, False, False, False)), ("since", (False, False, False, False)),
        ("sum", (False, True, False, False)), ("avg", (False, True, False, False)),
        ("std", (False, True, False, False)), ("var", (False, True, False, False)),
        ("min", (True, True, False, False)), ("max", (True, True, False, False)),
        ("quantile", (False, True, False, False)), ("rate", (False, True, False, False)),
        ("first", (False, False, False, True)), ("last", (False, False, False, True)),
        ("count_distinct", (False, False, True, False)), ("mode", (False, False, True, True)),
    ],
)  # fmt: skip
def test_a_function_tells_what_is_read_of_its_values(tiny, function, wanted):
    (m,) = tiny.make_view(functions=(("f", function, "amount", None, "DOUBLE"),)).measures
    assert (m.ordered, m.needs_values, m.is_coded, m.is_placed) == wanted


def test_reach_is_how_far_back_a_row_may_matter(tiny):
    minute = 60_000_000
    assert tiny.make_view(windows=("2m", "all")).reach == ALL
    assert tiny.make_view(windows=("2m", "5m")).reach == ALL  # the latest row may be of any age
    assert tiny.make_view(windows=("2m", "5m"), ttl=9).reach == 9 * minute
    assert tiny.make_view(windows=("2m", "5m"), latest=()).reach == 5 * minute
    assert tiny.make_view(windows=("2m", "5m")).spans == (2 * minute, 5 * minute)
    lagged = (("then", "count", "*", None, "", 3 * minute),)
    assert tiny.make_view(windows=("2m", "5m"), latest=(), functions=lagged).reach == 8 * minute


def test_frames_are_the_windows_that_differ(tiny):
    minute = 60_000_000
    functions = (("now", "count", "*", None, ""), ("then", "count", "*", None, "", minute), tiny.AGGREGATES[2])
    view = tiny.make_view(windows=("2m", "all"), functions=functions)
    assert view.frames == ((2 * minute, 0), (ALL, 0), (2 * minute, minute), (ALL, minute))
