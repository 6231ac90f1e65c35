"""Spans of time as people write them: `1h`, `28d`, `90s`."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PATTERN = re.compile(r"([0-9]{1,12})\s*(ms|[smhdw])")
_CALENDAR = re.compile(r"[0-9]+\s*(M|(?i:mo|mon|months?|y|yr|years?))")
_LONGEST = 1000 * 366 * 86_400_000


def parse_duration(text: str) -> timedelta:
    """A span written as whole numbers with units ms, s, m, h, d or w.

    >>> parse_duration("1d12h")
    datetime.timedelta(days=1, seconds=43200)
    """
    compact = text.strip()
    if not re.fullmatch(rf"(?:{_PATTERN.pattern}\s*)+", compact):
        wrong = f"`{text}` is not a duration"
        if _CALENDAR.fullmatch(compact):
            raise ValueError(f"{wrong}: months and years differ in length; write days or weeks: 30d, 365d, 4w")
        if compact.isascii() and compact.isdigit():
            raise ValueError(f"{wrong}: it has no unit; write {compact}d for days, or s, m, h, w")
        if re.fullmatch(rf"(?:{_PATTERN.pattern}\s*)+", compact.lower()):
            raise ValueError(f"{wrong}: units are in lower case: {compact.lower()}")
        raise ValueError(f"{wrong}; write a whole number and a unit: 90s, 5m, 3h, 28d, 2w")
    milliseconds = sum(int(number) * _UNITS[unit] for number, unit in _PATTERN.findall(compact))
    if milliseconds == 0:
        raise ValueError(f"`{text}` is no time at all; a duration is longer than 0s")
    if milliseconds > _LONGEST:
        raise ValueError(f"`{text}` is longer than 1000 years")
    return timedelta(milliseconds=milliseconds)


def microseconds(span: timedelta) -> int:
    """A span in whole microseconds, the unit of every timestamp in the lake."""
    return span // timedelta(microseconds=1)
