"""Instants as whole microseconds since 1970 UTC, the unit of every timestamp in the lake, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(instant: datetime) -> int:
    """An instant in microseconds since 1970 UTC.

    >>> to_us(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (instant - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """The instant so many microseconds after 1970 UTC.

    >>> from_us(1_000_000).isoformat()
    '1970-01-01T00:00:01+00:00'
    """
    return _EPOCH + timedelta(microseconds=microseconds)


def told_us(value: int | str | datetime) -> int:
    """An instant in microseconds since 1970 UTC, however it is told; a time without an offset is read as UTC.

    >>> told_us(5), told_us("1970-01-01T00:00:01"), told_us("1970-01-01T02:00:00+02:00")
    (5, 1000000, 0)
    """
    if isinstance(value, int):
        return value
    instant = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return to_us(instant if instant.tzinfo else instant.replace(tzinfo=UTC))
