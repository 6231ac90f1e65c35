from __future__ import annotations

import contextlib
import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lichen.ground.duration import microseconds, parse_duration


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("3h", timedelta(hours=3)),
        ("28d", timedelta(days=28)),
        ("2w", timedelta(weeks=2)),
        (" 1 d 12 h ", timedelta(hours=36)),
        ("1h1h", timedelta(hours=2)),
    ],
)
def test_spans(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", ["", " ", "h", "1.5h", "-1h", "1h,", "٣h", "٣", "1" * 5000 + "s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write a whole number and a unit: 90s, 5m, 3h, 28d, 2w"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("14", "`14` is not a duration: it has no unit; write 14d for days, or s, m, h, w"),
        ("1mo", "`1mo` is not a duration: months and years differ in length; write days or weeks: 30d, 365d, 4w"),
        ("1M", "`1M` is not a duration: months and years differ in length; write days or weeks: 30d, 365d, 4w"),
        ("2 Years", "`2 Years` is not a duration: months and years differ in length; write days or weeks: "),
        ("14D", "`14D` is not a duration: units are in lower case: 14d"),
    ],
)
def test_what_is_nearly_a_duration(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        parse_duration(text)


def test_no_time_at_all() -> None:
    with pytest.raises(ValueError, match="`0s` is no time at all; a duration is longer than 0s"):
        parse_duration("0s")


def test_more_than_a_timedelta_can_hold() -> None:
    with pytest.raises(ValueError, match="`99999999999w` is longer than 1000 years"):
        parse_duration("99999999999w")


@given(st.integers(1, 10**9))
def test_seconds_come_back(seconds: int) -> None:
    assert microseconds(parse_duration(f"{seconds}s")) == seconds * 1_000_000


@given(st.text(alphabet="0123456789 smhdwx.-", max_size=30))
def test_any_text_gives_a_positive_span_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_duration(text) > timedelta(0)
