"""By how much an expression moves an instant: `known_at + INTERVAL 1 HOUR`, `date_trunc('day', known_at)`."""

from __future__ import annotations

import re
from typing import NamedTuple

from sqlglot import exp

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR

_UNITS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1_000,
    "SECOND": SECOND,
    "MINUTE": 60 * SECOND,
    "HOUR": HOUR,
    "DAY": DAY,
    "WEEK": 7 * DAY,
    "MONTH": 28 * DAY,
    "QUARTER": 90 * DAY,
    "YEAR": 365 * DAY,
    "DECADE": 3652 * DAY,
    "CENTURY": 36524 * DAY,
}
"""Each unit by the least that it is long."""

_LONGEST = {
    **_UNITS,
    "MONTH": 31 * DAY,
    "QUARTER": 92 * DAY,
    "YEAR": 366 * DAY,
    "DECADE": 3653 * DAY,
    "CENTURY": 36525 * DAY,
}

_SHORT = {"D": "DAY", "H": "HOUR", "M": "MINUTE", "MIN": "MINUTE", "S": "SECOND", "SEC": "SECOND", "W": "WEEK"} | {
    "HR": "HOUR", "MON": "MONTH", "Y": "YEAR", "YR": "YEAR", "MS": "MILLISECOND", "US": "MICROSECOND",
}  # fmt: skip

_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12, "DECADE": 120, "CENTURY": 1200}


class Span(NamedTuple):
    """The least and the most, in microseconds, by which an instant is later than another; None where one is not known.

    `months` are those of the calendar by which it is later, `bucket` those of which it is the first instant.
    """

    least: int | None
    most: int | None
    months: int = 0
    bucket: int = 0


Length = tuple[int, int]
"""The least and the greatest length of a written span, in microseconds."""

Moved = list[tuple[exp.Expr, Span | None]]

STAYS = Span(0, 0)
NO_EARLIER = Span(0, None)

_FAR = 14 * HOUR
"""No clock is further from UTC."""

_PART = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")
_CLOCK = re.compile(r"\s*([+-]?)(\d+):(\d+)(?::(\d+(?:\.\d+)?))?\s*")
_WRITTEN = re.compile(r"\binterval\s*'([^']*)'", re.IGNORECASE)


def shift(node: exp.Expr) -> Moved | None:
    """The instants that an expression moves, each by how many microseconds at least and at most.

    None where it does another thing.

    >>> import sqlglot
    >>> [(str(of), by) for of, by in shift(sqlglot.parse_one("at + INTERVAL 1 HOUR", dialect="duckdb"))]
    [('at', Span(least=3600000000, most=3600000000, months=0, bucket=0))]
    """
    if isinstance(node, exp.Paren | exp.Alias):
        return [(node.this, STAYS)]
    if isinstance(node, exp.Add | exp.Sub | exp.DateAdd | exp.DateSub):
        return _added(node)
    if isinstance(node, exp.TimestampTrunc | exp.DateTrunc):
        unit = _unit(str(node.args["unit"].name))
        return [(node.this, Span(-_LONGEST[unit], 0, bucket=_MONTHS.get(unit, 0)))] if unit in _LONGEST else None
    if isinstance(node, exp.DateBin):
        width = span(node.this)
        whole = Span(-width[1], 0, bucket=_months(node.this)) if width is not None and width[0] > 0 else None
        return None if whole is None else [(node.expression, whole)]
    if type(node) is exp.Cast:
        return _cast(node)
    if isinstance(node, exp.AtTimeZone):
        return [(node.this, _zoned(node.args["zone"]))]
    if isinstance(node, exp.Anonymous) and node.name.lower() == "timezone" and len(node.expressions) == 2:
        return [(node.expressions[1], _zoned(node.expressions[0]))]
    if isinstance(node, exp.Greatest):
        return [(one, NO_EARLIER) for one in (node.this, *node.expressions)]
    return None


def branches(node: exp.Expr) -> list[exp.Expr] | None:
    """The expressions of which a value is one, as CASE and `least` choose it; None where it chooses none.

    Where a CASE has no ELSE, the null is one of them.
    """
    if isinstance(node, exp.Least | exp.Coalesce):
        return [node.this, *node.expressions]
    if isinstance(node, exp.Case):
        return [*(one.args["true"] for one in node.args["ifs"]), node.args.get("default") or exp.null()]
    if isinstance(node, exp.If):
        return [node.args["true"], node.args.get("false") or exp.null()]
    return None


def misread_interval(text: str) -> str | None:
    """The first INTERVAL of a text of which the parser keeps only a part: `'1 day 02:00:00'`, `'3 days ago'`."""
    for written in _WRITTEN.findall(text):
        parts = _PART.findall(written)
        if len(parts) == 1 and not _PART.fullmatch(written):
            return str(written)
    return None


def span(node: exp.Expr) -> Length | None:
    """The least and the greatest length of a written span; None where it is none, or depends on the row."""
    if isinstance(node, exp.Paren):
        return span(node.this)
    if isinstance(node, exp.Neg):
        return _times(span(node.this), -1)
    if isinstance(node, exp.Add | exp.Sub):
        left, right = span(node.this), _times(span(node.expression), -1 if isinstance(node, exp.Sub) else 1)
        return None if left is None or right is None else (left[0] + right[0], left[1] + right[1])
    if isinstance(node, exp.Mul):
        amount, of = _number(node.this), node.expression
        if amount is None:
            amount, of = _number(node.expression), node.this
        return None if amount is None else _times(span(of), amount)
    if isinstance(node, exp.ToDays):
        return _long(_number(node.this), "DAY")
    if isinstance(node, exp.Anonymous) and node.name.lower().startswith("to_") and len(node.expressions) == 1:
        return _long(_number(node.expressions[0]), node.name[3:])
    if isinstance(node, exp.Interval):
        return _interval(node)
    return None


def _added(node: exp.Add | exp.Sub | exp.DateAdd | exp.DateSub) -> Moved | None:
    if node.args.get("unit") is not None:
        return None
    left, right = node.this, node.expression
    by = _days_or_span(right)
    if by is None and isinstance(node, exp.Add):
        left, right, by = right, left, _days_or_span(left)
    if by is None:
        return None
    if isinstance(node, exp.Sub | exp.DateSub):
        return [(left, Span(-by[1], -by[0]))]
    return [(left, Span(*by, months=_months(node.expression if left is node.this else node.this)))]


def _months(node: exp.Expr) -> int:
    """The months of the calendar that a written span is long; 0 where it is one of other units, too."""
    node = node.unnest()
    if isinstance(node, exp.Mul):
        amount = _number(node.this)
        return int(_months(node.expression) * amount) if amount is not None and amount == int(amount) else 0
    amount, unit = None, ""
    if isinstance(node, exp.Interval) and node.args.get("unit") is not None:
        amount, unit = _number(node.this), _unit(str(node.args["unit"].name))
    elif isinstance(node, exp.Interval) and isinstance(node.this, exp.Literal):
        parts = _PART.findall(node.this.name)
        amount, unit = (float(parts[0][0]), _unit(parts[0][1])) if len(parts) == 1 else (None, "")
    elif isinstance(node, exp.Anonymous) and node.name.lower().startswith("to_") and len(node.expressions) == 1:
        amount, unit = _number(node.expressions[0]), _unit(node.name[3:])
    return int(amount) * _MONTHS.get(unit, 0) if amount is not None and amount == int(amount) else 0


def _days_or_span(node: exp.Expr) -> Length | None:
    """A span that is added to an instant; a number is one of days."""
    number = None if node.is_string else _number(node)
    return span(node) if number is None else _long(number, "DAY")


def _cast(node: exp.Cast) -> Moved | None:
    kind = node.to.this
    if kind == exp.DataType.Type.DATE:
        return [(node.this, Span(-DAY, 0))]
    instants = (exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPNTZ, exp.DataType.Type.TIMESTAMPTZ)
    return [(node.this, STAYS)] if kind in instants else None


def _zoned(zone: exp.Expr) -> Span:
    utc = isinstance(zone, exp.Literal) and zone.name.upper() in ("UTC", "ETC/UTC", "GMT")
    return STAYS if utc else Span(-_FAR, _FAR)


def _interval(node: exp.Interval) -> Length | None:
    unit, amount = node.args.get("unit"), node.this
    if unit is not None:
        return _long(_number(amount), str(unit.name))
    if not isinstance(amount, exp.Literal):
        return None
    clock = _CLOCK.fullmatch(amount.name)
    if clock is not None:
        sign, hours, minutes, seconds = clock.groups()
        whole = int(((int(hours) * 60 + int(minutes)) * 60 + float(seconds or 0)) * SECOND)
        return (-whole, -whole) if sign == "-" else (whole, whole)
    if not re.fullmatch(f"(?:{_PART.pattern})+", amount.name):
        return None
    parts = [_long(float(number), word) for number, word in _PART.findall(amount.name)]
    found = [part for part in parts if part is not None]
    return (sum(one[0] for one in found), sum(one[1] for one in found)) if len(found) == len(parts) else None


def _number(node: exp.Expr | None) -> float | None:
    """A number that is written out; in quotes too, as an INTERVAL has it."""
    if isinstance(node, exp.Paren):
        return _number(node.this)
    if isinstance(node, exp.Neg):
        number = _number(node.this)
        return None if number is None else -number
    if not isinstance(node, exp.Literal):
        return None
    try:
        return float(node.name)
    except ValueError:
        return None


def _long(amount: float | None, word: str) -> Length | None:
    unit = _unit(word)
    return None if unit not in _UNITS else _times((_UNITS[unit], _LONGEST[unit]), amount)


def _unit(word: str) -> str:
    upper = word.upper()
    if upper in _SHORT:
        return _SHORT[upper]
    return "CENTURY" if upper == "CENTURIES" else upper.removesuffix("S")


def _times(length: Length | None, amount: float | None) -> Length | None:
    if length is None or amount is None:
        return None
    low, high = sorted((int(length[0] * amount), int(length[1] * amount)))
    return low, high
