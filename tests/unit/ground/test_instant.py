from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from lichen.ground.instant import from_us, to_us, told_us


@given(st.datetimes(timezones=st.just(UTC)))
def test_there_and_back(instant: datetime) -> None:
    assert from_us(to_us(instant)) == instant
    assert told_us(instant) == told_us(instant.isoformat()) == told_us(to_us(instant)) == to_us(instant)


def test_an_offset_counts_and_a_time_without_one_is_of_utc() -> None:
    assert to_us(datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == 0
    assert told_us(datetime(1970, 1, 1, 0, 0, 1)) == 1_000_000  # noqa: DTZ001 - what this is about
