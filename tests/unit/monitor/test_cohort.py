from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lichen.errors import FoundWrong
from lichen.monitor.cohort import Cohorts, instant, shown
from lichen.monitor.sample import DAY


def test_cohorts_start_with_the_day_and_the_last_may_be_open():
    first, now = datetime(2026, 1, 5, 13, 7, tzinfo=UTC), datetime(2026, 1, 20, 1, tzinfo=UTC)
    cohorts = Cohorts.between(instant(first), instant(now), timedelta(days=7))
    assert cohorts.count == 3
    assert shown(cohorts.bounds(0)[0]) == "2026-01-05"
    assert cohorts.bounds(2)[0] < instant(now) < cohorts.bounds(2)[1]


def test_more_cohorts_than_anybody_could_look_at_are_refused():
    start = instant(datetime(2026, 1, 5, tzinfo=UTC))
    with pytest.raises(FoundWrong) as refused:
        Cohorts.between(start, start + 90 * DAY, timedelta(seconds=1))
    assert str(refused.value) == (
        "LCH-2805: the monitor would judge 7,776,000 cohorts, and 10,000 are the most\n"
        "  why: it cuts 2026-01-05 to 2026-04-05 into cohorts as long as `every`\n"
        "  fix: let `every` be longer: `every: 1d`, say"
    )
    assert Cohorts.between(start, start + 416 * DAY, timedelta(hours=1)).count == 9984


def test_a_cohort_that_would_start_now_does_not_exist():
    day = instant(datetime(2026, 1, 5, tzinfo=UTC))
    assert Cohorts.between(day, day, timedelta(days=1)).count == 0
    assert Cohorts.between(day, day + 86_400_000_000, timedelta(days=1)).count == 1
