from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lichen.monitor.cohort import Cohorts, instant, shown


def test_cohorts_start_with_the_day_and_the_last_may_be_open():
    first, now = datetime(2026, 1, 5, 13, 7, tzinfo=UTC), datetime(2026, 1, 20, 1, tzinfo=UTC)
    cohorts = Cohorts.between(instant(first), instant(now), timedelta(days=7))
    assert cohorts.count == 3
    assert shown(cohorts.bounds(0)[0]) == "2026-01-05"
    assert cohorts.bounds(2)[0] < instant(now) < cohorts.bounds(2)[1]


def test_a_cohort_that_would_start_now_does_not_exist():
    day = instant(datetime(2026, 1, 5, tzinfo=UTC))
    assert Cohorts.between(day, day, timedelta(days=1)).count == 0
    assert Cohorts.between(day, day + 86_400_000_000, timedelta(days=1)).count == 1
