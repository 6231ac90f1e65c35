"""Spans of time as people write them: `1h`, `28d`, `90s`."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PATTERN = re.compile(r"([0-9]{1,12})\s*([smhdw])")
_LONGEST = 1000 * 366 * 86400


def parse_duration(text: str) -> timedelta:
    """A span written as whole numbers with units s, m, h, d or w.

    >>> parse_duration("1d12h")
    datetime.timedelta(days=1, seconds=43200)
    """
    compact = text.strip()
    if not re.fullmatch(rf"(?:{_PATTERN.pattern}\s*)+", compact):
        raise ValueError(f"`{text}` is not a duration; write a whole number and a unit: 90s, 5m, 3h, 28d, 2w")
    seconds = sum(int(number) * _UNITS[unit] for number, unit in _PATTERN.findall(compact))
    if seconds == 0:
        raise ValueError(f"`{text}` is no time at all; a duration is longer than 0s")
    if seconds > _LONGEST:
        raise ValueError(f"`{text}` is longer than 1000 years")
    return timedelta(seconds=seconds)


def microseconds(span: timedelta) -> int:
    """A span in whole microseconds, the unit of every timestamp in the lake."""
    return span // timedelta(microseconds=1)
