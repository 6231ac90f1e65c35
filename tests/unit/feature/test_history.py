from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.errors import FoundWrong
from lichen.feature.compute import NONE
from lichen.feature.history import Dawn, Events, answer, constant_lag, history, to_keys

many = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
EVERY = ("sum", "avg", "min", "max", "std", "var", "count")


@given(values=st.lists(st.floats(allow_nan=False), min_size=1))
def test_keys_are_in_the_values_order(values):
    doubles = np.array(values)
    keys = to_keys(doubles)
    assert doubles[keys.argmin()] == min(values)
    assert doubles[keys.argmax()] == max(values)
    bits = np.where(keys < 0, keys ^ np.int64(NONE), keys)
    assert (bits.view(np.float64) == doubles).all()


def test_zeros_have_one_key_whatever_their_sign():
    assert len(set(to_keys(np.array([0.0, -0.0])).tolist())) == 1


@pytest.mark.parametrize(
    ("times", "known", "lag"),
    [([], [], 0), ([1, 5], [4, 8], 3), ([1, 5], [1, 5], 0), ([1, 5], [4, 9], None), ([5, 9], [2, 6], 0)],
)
def test_a_lag_is_what_all_rows_share(times, known, lag):
    assert constant_lag(np.array(times, np.int64), np.array(known, np.int64)) == lag


def events(times, values, *, missing=None, dawn=None, of=1):
    rows = len(times)
    return Events(
        np.array([0, rows], np.int64), np.arange(rows), np.array(times, np.int64), None, None, 0,
        (values,) * of, (missing,) * of, (None,) * of, dawn,
    )  # fmt: skip


@many
@given(
    whole=st.booleans(), values=st.lists(st.integers(-1000, 1000), min_size=1, max_size=30), cut=st.integers(1, 30),
    holes=st.lists(st.booleans(), min_size=30, max_size=30),
)  # fmt: skip
def test_a_dawn_stands_for_the_rows_before_it(tiny, whole, values, cut, holes):
    type_, cut = "INTEGER" if whole else "DOUBLE", min(cut, len(values))
    view = tiny.make_view(windows=("all",), functions=tuple((f, f, "x", None, type_) for f in EVERY), latest=())
    numbers = np.array(values, np.int64 if whole else np.float64) * (1 if whole else 0.1)
    missing = np.array(holes[: len(values)])
    numbers[missing] = 0
    past = history(view, events(range(len(values)), numbers.copy(), missing=missing))
    dawn = Dawn.of(past, cut)
    assert Dawn.size(1) == len(dawn.as_array())
    dawn = Dawn.from_array(dawn.as_array())
    rest = np.concatenate((numbers[:1], numbers[cut:])), np.concatenate(([False], missing[cut:]))
    times = [-NONE, *range(cut, len(values))]
    later = history(view, events(times, rest[0], missing=rest[1], dawn=dawn))
    asked = (np.zeros(3, np.int64), np.array([cut, len(values) - 1, 99], np.int64))
    asked = (asked[0], np.sort(np.maximum(asked[1], cut)))
    one, other = answer(view, past, *asked), answer(view, later, *asked)
    assert (one.some == other.some).all()
    doubles = [at for at, name in enumerate(EVERY) if not (whole and name in ("sum", "min", "max"))]
    for at, name in enumerate(EVERY):
        place = past.asked.places[at][1]
        had = one.some[place]
        if at in doubles and name != "count":
            pair = (found.out[place].view(np.float64)[had] for found in (one, other))
            np.testing.assert_allclose(*pair, rtol=1e-13, atol=1e-13)
        else:
            assert one.out[place][had].tolist() == other.out[place][had].tolist()


def test_refusals_name_the_first_feature_of_the_value(tiny):
    view = tiny.make_view(windows=("all",), functions=(("f", "sum", "x", None, "DOUBLE"),), latest=())
    with pytest.raises(FoundWrong, match="LCH-2611: feature view `v`: `f` is computed of values"):
        history(view, events([0], np.array([float("inf")])))
    with pytest.raises(FoundWrong, match="LCH-2612: feature view `v`: `f` adds up to more than a DOUBLE holds"):
        history(view, events([0, 1], np.array([1.7e308, 1.7e308])))
    # The squares go beyond it sooner.
    spread = tiny.make_view(windows=("all",), functions=(("f", "std", "x", None, "DOUBLE"),), latest=())
    with pytest.raises(FoundWrong, match="LCH-2612"):
        history(spread, events([0, 1], np.array([1e160, 1e160])))
    whole = tiny.make_view(windows=("all",), functions=(("f", "sum", "x", None, "BIGINT"),), latest=())
    with pytest.raises(FoundWrong, match="LCH-2612: feature view `v`: `f` adds up to more than a BIGINT holds"):
        history(whole, events([0, 1], np.array([2**62, -(2**62)])))


def test_no_rows_answer_nothing(tiny):
    view = tiny.make_view(windows=("all",), functions=tuple((f, f, "x", None, "DOUBLE") for f in EVERY))
    past = history(view, events([], np.empty(0)))
    found = answer(view, past, np.zeros(1, np.int64), np.array([5]))
    assert found.latest.tolist() == [-1]
    assert found.some[:, 0].tolist() == [name == "count" for name in EVERY]
    assert past.blocks == 0
