from __future__ import annotations

from lichen.feature.view import ALL


def test_aggregates_of_one_value_share_a_measure(tiny):
    view = tiny.make_view()
    assert [(m.value, m.clip, m.kind) for m in view.measures] == [
        ("*", None, "rows"), ("amount", None, "double"), ("amount", (-3.0, 4.5), "double"), ("size", None, "int"),
        ("size", (-2.0, 2.0), "int"), ("happened", None, "instant"), ("word", None, "other"),
    ]  # fmt: skip
    amount = view.measures[1]
    assert (amount.summed, amount.least, amount.greatest, amount.needs_values) == (True, True, False, True)
    assert not view.measures[6].needs_values
    assert [view.measure_of(aggregate) for aggregate in view.aggregates] == [0, 1, 1, 2, 1, 3, 4, 3, 5, 6]


def test_reach_is_how_far_back_a_row_may_matter(tiny):
    minute = 60_000_000
    assert tiny.make_view(windows=("2m", "all")).reach == ALL
    assert tiny.make_view(windows=("2m", "5m")).reach == ALL  # the latest row may be of any age
    assert tiny.make_view(windows=("2m", "5m"), ttl=9).reach == 9 * minute
    assert tiny.make_view(windows=("2m", "5m"), latest=()).reach == 5 * minute
    assert tiny.make_view(windows=("2m", "5m")).spans == (2 * minute, 5 * minute)
