"""By how much an expression moves an instant: `known_at + INTERVAL 1 HOUR`, `date_trunc('day', known_at)`."""

from __future__ import annotations

from sqlglot import exp

SECOND = 1_000_000
DAY = 86_400 * SECOND

_UNITS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1_000,
    "SECOND": SECOND,
    "MINUTE": 60 * SECOND,
    "HOUR": 3_600 * SECOND,
    "DAY": DAY,
    "WEEK": 7 * DAY,
    "MONTH": 28 * DAY,
    "QUARTER": 90 * DAY,
    "YEAR": 365 * DAY,
}
"""Each unit by the least that it is long."""

_LONGEST = {**_UNITS, "MONTH": 31 * DAY, "QUARTER": 92 * DAY, "YEAR": 366 * DAY}

Span = tuple[int, int]
"""The least and the most, in microseconds, by which an instant is later than another."""

Moved = list[tuple[exp.Expr, Span | None]]


STAYS: Span = (0, 0)


def shift(node: exp.Expr) -> Moved | None:
    """The instants that an expression moves, each by how many microseconds at least and at most.

    None where it does another thing.

    >>> import sqlglot
    >>> [(str(of), by) for of, by in shift(sqlglot.parse_one("at + INTERVAL 1 HOUR", dialect="duckdb"))]
    [('at', (3600000000, 3600000000))]
    """
    if isinstance(node, exp.Paren | exp.Alias):
        return [(node.this, STAYS)]
    if isinstance(node, exp.Add | exp.Sub):
        return _added(node)
    if isinstance(node, exp.TimestampTrunc | exp.DateTrunc):
        unit = str(node.args["unit"].name).upper()
        return [(node.this, (-_LONGEST[unit], 0) if unit in _LONGEST else None)]
    if isinstance(node, exp.Cast):
        return _cast(node)
    if isinstance(node, exp.AtTimeZone):
        return [(node.this, STAYS)]
    if isinstance(node, exp.Anonymous) and node.name.lower() == "timezone" and len(node.expressions) == 2:
        return [(node.expressions[1], STAYS)]
    if isinstance(node, exp.Greatest):
        return [(one, STAYS) for one in (node.this, *node.expressions)]
    if isinstance(node, exp.Coalesce):
        # Where the first is null, it says nothing of when anything became known.
        return [(node.this, STAYS), *((one, None) for one in node.expressions)]
    return None


def _added(node: exp.Add | exp.Sub) -> Moved | None:
    left, right = node.this, node.expression
    span = _span(right)
    if span is None and isinstance(node, exp.Add):
        left, right, span = right, left, _span(left)
    if span is None:
        return None
    return [(left, span if isinstance(node, exp.Add) else (-span[1], -span[0]))]


def _cast(node: exp.Cast) -> Moved | None:
    kind = node.to.this
    if kind == exp.DataType.Type.DATE:
        return [(node.this, (-DAY, 0))]
    instants = (exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPTZ)
    return [(node.this, STAYS)] if kind in instants else None


def _span(node: exp.Expr) -> Span | None:
    """The least and the greatest length of a written span; None where it is none, or depends on the row."""
    if isinstance(node, exp.Paren):
        return _span(node.this)
    if isinstance(node, exp.Anonymous) and node.name.lower().startswith("to_") and len(node.expressions) == 1:
        unit, amount = node.name[3:].upper().removesuffix("S"), node.expressions[0]
    elif isinstance(node, exp.Interval) and node.this is not None and node.args.get("unit") is not None:
        unit, amount = str(node.args["unit"].name).upper().removesuffix("S"), node.this
    elif isinstance(node, exp.Literal) and not node.is_string:
        unit, amount = "DAY", node
    else:
        return None
    while isinstance(amount, exp.Paren):
        amount = amount.this
    sign = -1 if isinstance(amount, exp.Neg) else 1
    amount = amount.this if isinstance(amount, exp.Neg) else amount
    if unit not in _UNITS or not isinstance(amount, exp.Literal):
        return None
    try:
        number = sign * float(amount.name)
    except ValueError:
        return None
    ends = sorted((int(number * _UNITS[unit]), int(number * _LONGEST[unit])))
    return ends[0], ends[1]
