from __future__ import annotations

import pytest

from lichen.feature import sweep as s
from lichen.feature.asked import FREQUENCIES, Asked, Slots, is_real, layout


def test_slots_stand_one_after_the_other(tiny):
    view = tiny.make_view(functions=tiny.AGGREGATES)
    slots = Slots(view.measures, (True,) * len(view.measures))
    for places, size in zip(
        ((*slots.counts, *slots.ints), slots.pairs, slots.keys, slots.raw, slots.numbers), slots.sizes, strict=True
    ):
        taken = sorted(place for place in places if place >= 0)
        assert len(set(taken)) == len(taken)
        assert taken[:1] in ([], [0])
        assert all(place < size for place in taken)
    assert slots.sizes[0] == len([place for place in (*slots.counts, *slots.ints) if place >= 0])


def test_a_measure_without_nulls_has_no_counts(tiny):
    view = tiny.make_view()
    assert set(Slots(view.measures, (False,) * len(view.measures)).counts) == {-1}


def test_a_measure_whose_spread_is_asked_has_its_squares_too(tiny):
    spread = Slots(tiny.make_view(functions=(("s", "std", "amount", None, "DOUBLE"),)).measures, (False,))
    plain = Slots(tiny.make_view(functions=(("s", "sum", "amount", None, "DOUBLE"),)).measures, (False,))
    assert (spread.sizes[1], plain.sizes[1]) == (4, 2)


def test_each_windowed_feature_has_an_operation_of_its_own(tiny):
    view = tiny.make_view(functions=tiny.AGGREGATES)
    asked = Asked.of(view, Slots(view.measures, (True,) * len(view.measures)))
    assert len(asked.places) == len(view.features) - len(view.latest) == len(set(asked.places))
    assert len(asked.ops) + len(asked.counts) == len(asked.places)
    for place, aggregate in zip(asked.places, [a for a in view.aggregates for _ in view.spans], strict=True):
        assert place[0] == (aggregate.function in FREQUENCIES)
    # Frame after frame, so that each window is looked for once.
    frames = asked.ops[:, s.FRAME].tolist()
    assert frames == sorted(frames)
    assert asked.frames.tolist() == [list(frame) for frame in view.frames]


def test_a_layout_is_made_once_for_a_view(tiny):
    view = tiny.make_view()
    holed = (False,) * len(view.measures)
    assert layout(view, holed) is layout(view, holed)
    assert layout(view, (True, *holed[1:])) is not layout(view, holed)


@pytest.mark.parametrize(
    ("function", "type_", "real"),
    [
        ("count", "DOUBLE", False), ("count_distinct", "DOUBLE", False), ("sum", "INTEGER", False),
        ("sum", "DOUBLE", True), ("min", "DOUBLE", True), ("max", "DATE", False), ("avg", "INTEGER", True),
        ("std", "INTEGER", True), ("var", "DOUBLE", True), ("first", "DOUBLE", False), ("last", "DOUBLE", False),
        ("mode", "DOUBLE", False), ("quantile", "INTEGER", True), ("rate", "INTEGER", True),
        ("since", "VARCHAR", True),
    ],
)  # fmt: skip
def test_whether_an_answer_is_a_double(tiny, function, type_, real):
    view = tiny.make_view(functions=(("f", function, "x", None, type_),))
    assert is_real(view.aggregates[0], view.measures[0]) is real
