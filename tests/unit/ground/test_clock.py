from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from lichen.ground.clock import FixedClock, SystemClock


def test_the_system_clock_is_in_utc_and_its_counter_grows() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.seconds() <= clock.seconds()


def test_a_fixed_clock_stands_still_until_it_is_told_to_move() -> None:
    clock = FixedClock(datetime(2013, 12, 1, tzinfo=UTC))
    assert clock.now() == clock.now()
    before = clock.seconds()
    clock.instant += timedelta(hours=1)
    assert clock.now() == datetime(2013, 12, 1, 1, tzinfo=UTC)
    assert clock.seconds() - before == 3600


def test_a_fixed_clock_tells_utc_whatever_zone_it_was_told() -> None:
    told = FixedClock(datetime(2013, 12, 1, 5, tzinfo=timezone(timedelta(hours=5)))).now()
    assert (told.tzinfo, told.hour) == (UTC, 0)


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone, so it is no instant"):
        FixedClock(datetime(2013, 12, 1)).now()  # noqa: DTZ001
