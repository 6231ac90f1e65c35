"""What DuckDB's scalar functions do, for one value in Python: called by the code that `request` generates.

Arguments are never None: the generated code decides nulls. A value that DuckDB refuses raises `Failure` (or
Python's own ArithmeticError or ValueError, as an instant beyond the year 9999 does).
"""

from __future__ import annotations

import math
import struct
from datetime import UTC, date, datetime, timedelta
from typing import NoReturn
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
_EXACT_SECONDS = 9_000_000_000.0
_WHOLE = 2.0**52
_FLOAT = struct.Struct("<f")


class Failure(ValueError):
    """A row for which an expression has no value: an overflow, a division by zero, an impossible cast."""


def beyond(value: object, type_: str) -> NoReturn:
    """Refuse a value that its type cannot hold."""
    raise Failure(f"{value} is beyond {type_}")


# ------------------------------------------------------------------------------------------------- numbers


def over_zero(left: float) -> float:
    """`left / 0` for doubles: infinity, or NaN for 0 and NaN."""
    return math.nan if left == 0 or left != left else math.copysign(math.inf, left)


def divide(left: float, right: float) -> float:
    """`left / right` for doubles, where the divisor may be zero of either sign."""
    if right:
        return left / right
    return over_zero(left) * math.copysign(1.0, right)


def quotient(left: int, right: int) -> int:
    """`left // right`: rounded toward zero."""
    if right == 0:
        raise Failure(f"division by zero: {left} // 0")
    whole = abs(left) // abs(right)
    return whole if (left < 0) == (right < 0) else -whole


def remainder(left: int, right: int) -> int:
    """`left % right`: with the sign of `left`."""
    if right == 0:
        raise Failure(f"division by zero: {left} % 0")
    if right == -1 and left == -(2**63):
        beyond(2**63, "BIGINT")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def float_remainder(left: float, right: float) -> float:
    """`left % right` for doubles: with the sign of `left`, NaN where `right` is zero."""
    return math.nan if right == 0 or math.isinf(left) else math.fmod(left, right)


def whole(value: float, low: int, high: int, type_: str) -> int:
    """A double as an integer, rounded to the nearest, halves to the even one."""
    if not math.isfinite(value):
        beyond(value, type_)
    rounded = round(value)
    if not low <= rounded <= high:
        beyond(value, type_)
    return rounded


def single(value: float) -> float:
    """The double nearest to what a FLOAT column can hold of a value."""
    nearest: float = _FLOAT.unpack(_FLOAT.pack(value))[0]
    return nearest


def half_away(value: float) -> float:
    """A double rounded to a whole one, halves away from zero."""
    if not abs(value) < _WHOLE:
        return value
    cut = float(math.trunc(value))
    if abs(value - cut) >= 0.5:
        cut += math.copysign(1.0, value)
    return math.copysign(cut, value)


def round_to(value: float, digits: int) -> float:
    """A double rounded to decimal digits the way DuckDB does: scaled, rounded half away, scaled back."""
    scale = 10.0 ** abs(digits)
    rounded = half_away(value / scale) * scale if digits < 0 else half_away(value * scale) / scale
    return rounded if math.isfinite(rounded) else value


def floor(value: float) -> float:
    """The greatest whole double not above a value; zero keeps its sign."""
    return math.copysign(float(math.floor(value)), value) if abs(value) < _WHOLE else value


def ceil(value: float) -> float:
    """The smallest whole double not below a value; zero keeps its sign."""
    return math.copysign(float(math.ceil(value)), value) if abs(value) < _WHOLE else value


def sign(value: float) -> int:
    """-1, 0 or 1; 0 for NaN."""
    return (value > 0) - (value < 0)


def sqrt(value: float) -> float:
    """The square root; NaN below zero."""
    return math.nan if value < 0 else math.sqrt(value)


def ln(value: float) -> float:
    """The natural logarithm; -infinity at zero, NaN below."""
    if value > 0:
        return math.log(value)
    return -math.inf if value == 0 else math.nan


def log10(value: float) -> float:
    """The decimal logarithm; -infinity at zero, NaN below."""
    if value > 0:
        return math.log10(value)
    return -math.inf if value == 0 else math.nan


def exp(value: float) -> float:
    """The number e to the power of a value; infinity where that is too great."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def power(value: float, exponent: float) -> float:
    """C's `pow`: infinity on overflow and for zero to a negative power, NaN for roots of negatives."""
    try:
        return math.pow(value, exponent)
    except OverflowError:
        odd = value < 0 and exponent % 2 == 1
        return -math.inf if odd else math.inf
    except ValueError:
        if value == 0:
            return math.copysign(math.inf, value) if exponent % 2 == 1 else math.inf
        return math.nan


def sin(value: float) -> float:
    """The sine; NaN for infinities."""
    return math.nan if math.isinf(value) else math.sin(value)


def cos(value: float) -> float:
    """The cosine; NaN for infinities."""
    return math.nan if math.isinf(value) else math.cos(value)


# ---------------------------------------------------------------------------------------------------- text


def concat(*values: str | None) -> str:
    """The texts after one another; nulls are skipped."""
    return "".join([value for value in values if value is not None])


def upper(value: str) -> str:
    """The text in upper case, character by character: none becomes two."""
    if value.isascii():
        return value.upper()
    return "".join([_upper_character(character) for character in value])


def _upper_character(character: str) -> str:
    if character == "ß":
        return "ẞ"
    for changed in (character.upper(), character.title()):
        if len(changed) == 1:
            return changed
    return character


def lower(value: str) -> str:
    """The text in lower case, character by character: none becomes two."""
    if value.isascii():
        return value.lower()
    return "".join([character.lower()[0] for character in value])


def instant_text(value: datetime) -> str:
    """An instant as DuckDB writes it: no trailing zeros in the fraction, `+00` for UTC."""
    text = value.replace(tzinfo=None).isoformat(" ")
    if value.microsecond:
        text = text.rstrip("0")
    return text if value.tzinfo is None else text + "+00"


# ---------------------------------------------------------------------------------------------------- time


def utc(value: datetime) -> datetime:
    """The same instant with UTC as its time zone."""
    return value if value.tzinfo is UTC else value.astimezone(UTC)


def seconds(span: timedelta) -> float:
    """A span in seconds: whole microseconds as a double, divided by a million."""
    total = span.total_seconds()
    return total if -_EXACT_SECONDS < total < _EXACT_SECONDS else float(span // MICROSECOND) / 1e6


def epoch(value: datetime) -> float:
    """Seconds since 1970 of an instant."""
    return seconds(value - EPOCH)


def epoch_local(value: datetime) -> float:
    """Seconds since 1970 of a timestamp without a time zone, read as UTC."""
    return seconds(value.replace(tzinfo=UTC) - EPOCH)


def day_of_year(value: date) -> int:
    """The day's number in its year, from 1."""
    return value.toordinal() - date(value.year, 1, 1).toordinal() + 1


def midnight(value: date) -> datetime:
    """The timestamp at which a day starts."""
    return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a TIMESTAMP has no zone


def start_of_day(value: datetime) -> datetime:
    """The instant truncated to its day."""
    return value.replace(hour=0, minute=0, second=0, microsecond=0)


def start_of_week(value: datetime) -> datetime:
    """The instant truncated to its Monday."""
    return start_of_day(value) - timedelta(days=value.weekday())


def add_months(value: datetime, months: int) -> datetime:
    """The same day `months` later, or that month's last day where it is shorter."""
    year, month = divmod(value.year * 12 + value.month - 1 + months, 12)
    following = date(year + month // 11, (month + 1) % 12 + 1, 1)
    return value.replace(year=year, month=month + 1, day=min(value.day, (following - timedelta(days=1)).day))


def boundaries(unit: timedelta, start: datetime, end: datetime) -> int:
    """How many starts of a unit (a day or less) lie between two instants."""
    origin = EPOCH.replace(tzinfo=start.tzinfo)
    return (end - origin) // unit - (start - origin) // unit


def whole_units(unit: timedelta, start: datetime, end: datetime) -> int:
    """How many whole units lie between two instants."""
    return (end - start) // unit if end >= start else -((start - end) // unit)


def wall_clock(zone: ZoneInfo, value: datetime) -> datetime:
    """What clocks in a zone show at an instant."""
    return value.astimezone(zone).replace(tzinfo=None)


def instant_at(zone: ZoneInfo, value: datetime) -> datetime:
    """The instant at which clocks in a zone show `value`.

    A time shown twice is the later one; a time skipped is read with the offset before the change. (ICU's choice,
    which DuckDB follows.)
    """
    early, late = value.replace(tzinfo=zone, fold=0), value.replace(tzinfo=zone, fold=1)
    chosen = late if late.utcoffset() < early.utcoffset() else early  # type: ignore[operator]
    return chosen.astimezone(UTC)


def unreadable(text: str, type_: str) -> NoReturn:
    """Refuse a text that is not written as its type is."""
    raise Failure(f"'{text[:40]}' cannot be read as {type_}")
