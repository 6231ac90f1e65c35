"""The functions and operators of request expressions: one table with help, types, Python and SQL for each.

An expression knows seven types. Integers of every width are BIGINT and decimals and floats are DOUBLE, in the Python
code and in the SQL alike, so that both overflow and round at the same places.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from lichen.ground.quoting import literal

BOOLEAN, BIGINT, DOUBLE, VARCHAR = "BOOLEAN", "BIGINT", "DOUBLE", "VARCHAR"
DATE, TIMESTAMP, INSTANT, INTERVAL = "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "INTERVAL"
MONTHS = "INTERVAL OF MONTHS"
"""A literal interval of months or years: it has no fixed length, so it can be added to a time and nothing else."""

NULL = "NULL"
TIMES = (DATE, TIMESTAMP, INSTANT)
RESULTS = (BOOLEAN, BIGINT, DOUBLE, VARCHAR, *TIMES)
"""The types an expression may give, narrower before wider."""

SMALLEST, GREATEST = -(2**63), 2**63 - 1

WIDENS: Mapping[str, tuple[str, ...]] = {
    BIGINT: (DOUBLE,),
    DATE: (TIMESTAMP, INSTANT),
    TIMESTAMP: (INSTANT,),
}
"""What a value becomes by itself where an operator needs it; text becomes a time only as a literal."""

RANGES = {
    "TINYINT": (-(2**7), 2**7 - 1),
    "SMALLINT": (-(2**15), 2**15 - 1),
    "INTEGER": (-(2**31), 2**31 - 1),
    "BIGINT": (SMALLEST, GREATEST),
}


@dataclass(frozen=True)
class Signature:
    """One way to call a function: what it takes and gives, and its Python and SQL with `{0}`, `{1}` for operands.

    A parameter is a type, or a kind of literal (`LITERALS`). With `strict`, any null operand makes the result null and
    the Python code never sees one. `bounds` is the range and the name of the type that the result must fit. With
    `makes_null`, the result may be null though no operand is.
    """

    takes: tuple[str, ...]
    gives: str
    python: str
    sql: str
    strict: bool = True
    bounds: tuple[int, int, str] | None = None
    makes_null: bool = False


@dataclass(frozen=True)
class Function:
    """A function or an operator: its help line and its signatures, narrowest types first.

    With `choices`, a first argument that is a literal text picks the signatures: `date_part('hour', ...)`.
    """

    help: str
    signatures: tuple[Signature, ...] = ()
    choices: Mapping[str, tuple[Signature, ...]] = field(default_factory=dict)


# ------------------------------------------------------------------------------------------------ literals


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= 1_000_000:
        raise ValueError("a whole number from 0 to 1000000")
    return value


def _start(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= 1_000_000:
        raise ValueError("a whole number from 1 to 1000000")
    return value


def _digits(value: Any) -> int:
    if type(value) is not int or not -15 <= value <= 15:
        raise ValueError("a whole number from -15 to 15")
    return value


def _zone(value: Any) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, TypeError, OSError):
        raise ValueError("the name of a time zone, as 'America/New_York'") from None


def _pattern(value: Any) -> Callable[[str], object]:
    if not isinstance(value, str) or "\\" in value:
        raise ValueError("a text without backslashes")
    pieces = {"%": ".*", "_": "."}
    return re.compile("".join(pieces.get(c) or re.escape(c) for c in value), re.DOTALL).fullmatch


LITERALS: Mapping[str, Callable[[Any], Any]] = {
    "count": _count,
    "start": _start,
    "digits": _digits,
    "zone": _zone,
    "pattern": _pattern,
}
"""Parameters that must be written as literals: how each is read; the ValueError says what it should be."""


# ------------------------------------------------------------------------------------------ makers of rows


def _infix(operator: str, name: str) -> tuple[Signature, ...]:
    """`+`, `-` and `*` of numbers."""
    python = "{0} " + operator + " {1}"
    # By its name, for DuckDB moves the constants of the operator about, and what overflowed no longer does.
    whole = Signature((BIGINT, BIGINT), BIGINT, python, name + "({0}, {1})", bounds=(SMALLEST, GREATEST, "BIGINT"))
    return whole, Signature((DOUBLE, DOUBLE), DOUBLE, python, "({0} " + operator + " {1})")


_TOTAL_ORDER = {
    "=": "({0} == {1} or ({0} != {0} and {1} != {1}))",
    "<>": "({0} != {1} and ({0} == {0} or {1} == {1}))",
    "<": "({0} < {1} or ({1} != {1} and {0} == {0}))",
    "<=": "({0} <= {1} or {1} != {1})",
    ">": "({0} > {1} or ({0} != {0} and {1} == {1}))",
    ">=": "({0} >= {1} or {0} != {0})",
}
"""Doubles as DuckDB compares them: NaN equals itself and is above everything, infinity too."""

_ORDERED = (BIGINT, DOUBLE, VARCHAR, BOOLEAN, DATE, TIMESTAMP, INSTANT)
_PYTHON_COMPARISON = {"=": "==", "<>": "!="}


def _comparison(operator: str) -> tuple[Signature, ...]:
    plain = "{0} " + _PYTHON_COMPARISON.get(operator, operator) + " {1}"
    sql = "({0} " + operator + " {1})"
    return tuple(
        Signature((type_, type_), BOOLEAN, _TOTAL_ORDER[operator] if type_ == DOUBLE else plain, sql)
        for type_ in (*_ORDERED, INTERVAL)
    )


def _distinct(same: bool) -> tuple[Signature, ...]:
    nulls = "{0} is {1}" if same else "{0} is not {1}"
    operator, sql = ("=", "IS NOT DISTINCT FROM") if same else ("<>", "IS DISTINCT FROM")
    return tuple(
        Signature(
            compared.takes,
            BOOLEAN,
            "(" + nulls + " if {0} is None or {1} is None else " + compared.python + ")",
            "({0} " + sql + " {1})",
            strict=False,
        )
        for compared in _comparison(operator)
    )


def _nullif() -> tuple[Signature, ...]:
    return tuple(
        Signature(
            compared.takes,
            compared.takes[0],
            "None if {0} is None or ({1} is not None and " + compared.python + ") else {0}",
            "nullif({0}, {1})",
            strict=False,
            makes_null=True,
        )
        for compared in _comparison("=")
        if compared.takes[0] in _ORDERED
    )


def _extreme(name: str, operator: str) -> tuple[Signature, ...]:
    """`greatest` and `least` of two: nulls are passed over."""
    signatures = []
    for type_ in _ORDERED:
        better = (_TOTAL_ORDER[operator] if type_ == DOUBLE else "{0} " + operator + " {1}").replace("{0}", "{new}")
        better = better.replace("{1}", "{0}").replace("{new}", "{1}")
        python = "{1} if {0} is None else {0} if {1} is None or not (" + better + ") else {1}"
        signatures.append(Signature((type_, type_), type_, python, name + "({0}, {1})", strict=False))
    return tuple(signatures)


def _of_double(name: str, python: str | None = None, gives: str = DOUBLE) -> tuple[Signature, ...]:
    sql = f"{name}({{0}})" if gives == DOUBLE else f"CAST({name}({{0}}) AS {gives})"
    return (Signature((DOUBLE,), gives, python or f"{name}({{0}})", sql),)


def _of_text(sql: str, python: str, *more: str, gives: str = VARCHAR) -> tuple[Signature, ...]:
    return (Signature((VARCHAR, *more), gives, python, sql),)


_FIELDS = {
    "year": "{0}.year",
    "quarter": "({0}.month + 2) // 3",
    "month": "{0}.month",
    "week": "{0}.isocalendar()[1]",
    "isoyear": "{0}.isocalendar()[0]",
    "day": "{0}.day",
    "doy": "day_of_year({0})",
    "dow": "{0}.isoweekday() % 7",
    "isodow": "{0}.isoweekday()",
    "hour": "{0}.hour",
    "minute": "{0}.minute",
    "second": "{0}.second",
}
_CLOCK = ("hour", "minute", "second")


def _fields() -> dict[str, tuple[Signature, ...]]:
    fields = {
        name: tuple(
            Signature((type_,), BIGINT, python, "date_part(" + literal(name) + ", {0})")
            for type_ in ((TIMESTAMP, INSTANT) if name in _CLOCK else (DATE, TIMESTAMP, INSTANT))
        )
        for name, python in _FIELDS.items()
    }
    return {**fields, "epoch": EPOCH}


EPOCH = (
    Signature((TIMESTAMP,), DOUBLE, "epoch_local({0})", "epoch({0})"),
    # DuckDB's own epoch() of an instant adds milliseconds and microseconds as doubles, and is off by an ulp.
    Signature((INSTANT,), DOUBLE, "epoch({0})", "(epoch_us({0}) / CAST('1000000.0' AS DOUBLE))"),
    Signature((INTERVAL,), DOUBLE, "seconds({0})", "epoch({0})"),
)

_STARTS = {
    "minute": "{0}.replace(second=0, microsecond=0)",
    "hour": "{0}.replace(minute=0, second=0, microsecond=0)",
    "day": "start_of_day({0})",
    "week": "start_of_week({0})",
    "month": "start_of_day({0}).replace(day=1)",
    "quarter": "start_of_day({0}).replace(month=({0}.month - 1) // 3 * 3 + 1, day=1)",
    "year": "start_of_day({0}).replace(month=1, day=1)",
}
UNITS = {
    "microsecond": timedelta(microseconds=1),
    "millisecond": timedelta(milliseconds=1),
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_CALENDAR = {
    "month": "({1}.year - {0}.year) * 12 + {1}.month - {0}.month",
    "quarter": "({1}.year - {0}.year) * 4 + ({1}.month + 2) // 3 - ({0}.month + 2) // 3",
    "year": "{1}.year - {0}.year",
}


def _starts() -> dict[str, tuple[Signature, ...]]:
    return {
        unit: tuple(
            Signature((type_,), type_, python, "date_trunc(" + literal(unit) + ", {0})")
            for type_ in (TIMESTAMP, INSTANT)
        )
        for unit, python in _STARTS.items()
    }


def _between(function: str, helper: str, calendar: Mapping[str, str]) -> dict[str, tuple[Signature, ...]]:
    fixed = {unit: f"{helper}({unit}, {{0}}, {{1}})" for unit in ("second", "minute", "hour", "day")}
    # Instants as timestamps in UTC: of instants themselves DuckDB's ICU counts one unit too few before 1970.
    operands = {TIMESTAMP: "{0}, {1}", INSTANT: "timezone('UTC', {0}), timezone('UTC', {1})"}
    return {
        unit: tuple(
            Signature((type_, type_), BIGINT, python, function + "(" + literal(unit) + ", " + sql + ")")
            for type_, sql in operands.items()
        )
        for unit, python in {**fixed, **calendar}.items()
    }


def _shifts(operator: str) -> tuple[Signature, ...]:
    sql, python = "({0} " + operator + " {1})", "{0} " + operator + " {1}"
    months = "add_months({0}, " + ("" if operator == "+" else "-") + "{1})"
    return tuple(
        signature
        for type_ in (TIMESTAMP, INSTANT)
        for signature in (
            Signature((type_, INTERVAL), type_, python, sql),
            Signature((type_, MONTHS), type_, months, sql),
        )
    )


def _differences() -> tuple[Signature, ...]:
    days = Signature((DATE, DATE), BIGINT, "({0} - {1}).days", "date_diff('day', {1}, {0})")
    return (days, *(Signature((t, t), INTERVAL, "{0} - {1}", "({0} - {1})") for t in (TIMESTAMP, INSTANT)))


_ZONES = (
    Signature(("zone", TIMESTAMP), INSTANT, "instant_at({0}, {1})", "timezone({0}, {1})"),
    Signature(("zone", INSTANT), TIMESTAMP, "wall_clock({0}, {1})", "timezone({0}, {1})"),
)
_MODULO = (
    Signature((BIGINT, BIGINT), BIGINT, "remainder({0}, {1})", "({0} % {1})"),
    Signature((DOUBLE, DOUBLE), DOUBLE, "float_remainder({0}, {1})", "({0} % {1})"),
)
_LIKE = Signature((VARCHAR, "pattern"), BOOLEAN, "{1}({0}) is not None", "({0} LIKE {1})")

# ---------------------------------------------------------------------------------------------- the table

OPERATORS: Mapping[str, Function] = {
    "+": Function("the sum of two numbers, or a time and an interval", (*_infix("+", "add"), *_shifts("+"))),
    "-": Function(
        "the difference of two numbers or times, or a time less an interval",
        (*_infix("-", "subtract"), *_differences(), *_shifts("-")),
    ),
    "*": Function("the product", _infix("*", "multiply")),
    "/": Function(
        "the quotient, always a DOUBLE; by zero it is infinite, or NaN for 0 / 0",
        (Signature((DOUBLE, DOUBLE), DOUBLE, "{0} / {1} if {1} else divide({0}, {1})", "({0} / {1})"),),
    ),
    "//": Function(
        "the quotient of two integers, rounded toward zero",
        (
            Signature(
                (BIGINT, BIGINT),
                BIGINT,
                "quotient({0}, {1})",
                "({0} // {1})",
                bounds=(SMALLEST, GREATEST, "BIGINT"),
            ),
        ),
    ),
    "%": Function("the remainder, with the sign of the dividend; also `mod(a, b)`", _MODULO),
    "negative": Function(
        "`-a`: a number with its sign turned",
        (
            Signature((BIGINT,), BIGINT, "-{0}", "subtract(0, {0})", bounds=(SMALLEST, GREATEST, "BIGINT")),
            Signature((DOUBLE,), DOUBLE, "-{0}", "(-{0})"),
        ),
    ),
    "||": Function("two texts after one another; null if either is", _of_text("({0} || {1})", "{0} + {1}", VARCHAR)),
    **{
        operator: Function(help_, _comparison(operator))
        for operator, help_ in (
            ("=", "equal; NaN equals NaN"),
            ("<>", "not equal; also `!=`"),
            ("<", "less; NaN is above every number"),
            ("<=", "less or equal"),
            (">", "greater"),
            (">=", "greater or equal"),
        )
    },
    "is distinct from": Function("not equal, where null is a value like others; never null", _distinct(False)),
    "is not distinct from": Function("equal, where null is a value like others; never null", _distinct(True)),
    "not": Function("true for false, false for true", (Signature((BOOLEAN,), BOOLEAN, "not {0}", "(NOT {0})"),)),
    "like": Function("whether a text has the form of a literal pattern of `%` and `_`", (_LIKE,)),
}

FUNCTIONS: Mapping[str, Function] = {
    "abs": Function(
        "the absolute value",
        (
            Signature((BIGINT,), BIGINT, "abs({0})", "abs({0})", bounds=(SMALLEST, GREATEST, "BIGINT")),
            Signature((DOUBLE,), DOUBLE, "abs({0})", "abs({0})"),
        ),
    ),
    "ceil": Function("the smallest whole number not below, as DOUBLE; also `ceiling`", _of_double("ceil")),
    "concat": Function("texts after one another, nulls passed over"),
    "contains": Function(
        "whether a text holds another", _of_text("contains({0}, {1})", "{1} in {0}", VARCHAR, gives=BOOLEAN)
    ),
    "cos": Function("the cosine of an angle in radians", _of_double("cos")),
    "date_diff": Function(
        "how many starts of a unit lie between two times: date_diff('hour', a, b)",
        choices=_between("date_diff", "boundaries", _CALENDAR),
    ),
    "date_part": Function(
        "a part of a time in UTC as a number: date_part('hour', t); also `extract(hour from t)` and `hour(t)`",
        choices=_fields(),
    ),
    "date_sub": Function(
        "how many whole units lie between two times: date_sub('hour', a, b)",
        choices=_between("date_sub", "whole_units", {}),
    ),
    "date_trunc": Function("a time cut down to the start of a unit: date_trunc('day', t)", choices=_starts()),
    "ends_with": Function(
        "whether a text ends with another; also `suffix`",
        _of_text("suffix({0}, {1})", "{0}.endswith({1})", VARCHAR, gives=BOOLEAN),
    ),
    "epoch": Function("the seconds since 1970 of a time, or the length of an interval in seconds", EPOCH),
    "exp": Function("e to the power of a number", _of_double("exp")),
    "floor": Function("the greatest whole number not above, as DOUBLE", _of_double("floor")),
    "greatest": Function("the greatest of the values that are not null", _extreme("greatest", ">")),
    "isfinite": Function(
        "whether a number is neither infinite nor NaN", _of_double("isfinite", "isfinite({0})", BOOLEAN)
    ),
    "isinf": Function("whether a number is infinite", _of_double("isinf", "isinf({0})", BOOLEAN)),
    "isnan": Function("whether a number is NaN", _of_double("isnan", "{0} != {0}", BOOLEAN)),
    "least": Function("the least of the values that are not null", _extreme("least", "<")),
    "left": Function("the first n characters", _of_text("left({0}, {1})", "{0}[:{1}]", "count")),
    "length": Function("the number of characters", _of_text("length({0})", "len({0})", gives=BIGINT)),
    "ln": Function("the natural logarithm", _of_double("ln")),
    "log10": Function("the logarithm to base 10; also `log`", _of_double("log10")),
    "lower": Function("the text in lower case", _of_text("lower({0})", "lower({0})")),
    "mod": Function("the remainder, with the sign of the dividend; also `a % b`", _MODULO),
    "nullif": Function("the first value, or null where it equals the second", _nullif()),
    "pi": Function("the number 3.14159", (Signature((), DOUBLE, "PI", "pi()"),)),
    "power": Function(
        "a number to the power of another; also `pow`, `a ^ b`, `a ** b`",
        (Signature((DOUBLE, DOUBLE), DOUBLE, "power({0}, {1})", "power({0}, {1})"),),
    ),
    "replace": Function(
        "the text with every occurrence of one text replaced by another",
        _of_text("replace({0}, {1}, {2})", "({0}.replace({1}, {2}) if {1} else {0})", VARCHAR, VARCHAR),
    ),
    "right": Function("the last n characters", _of_text("right({0}, {1})", "{0}[max(len({0}) - {1}, 0):]", "count")),
    "round": Function(
        "the number rounded, halves away from zero, to a literal number of digits if given",
        (
            Signature((BIGINT,), BIGINT, "{0}", "{0}"),
            Signature((DOUBLE,), DOUBLE, "half_away({0})", "round({0})"),
            Signature((DOUBLE, "digits"), DOUBLE, "round_to({0}, {1})", "round({0}, CAST({1} AS INTEGER))"),
        ),
    ),
    "sign": Function("-1, 0 or 1", _of_double("sign", gives=BIGINT)),
    "sin": Function("the sine of an angle in radians", _of_double("sin")),
    "sqrt": Function("the square root; NaN below zero", _of_double("sqrt")),
    "starts_with": Function(
        "whether a text starts with another; also `prefix`",
        _of_text("starts_with({0}, {1})", "{0}.startswith({1})", VARCHAR, gives=BOOLEAN),
    ),
    "substring": Function(
        "a piece of a text, from a literal start (1 is the first) and of a literal length; also `substr`",
        (
            *_of_text("substring({0}, {1})", "{0}[{1} - 1:]", "start"),
            *_of_text("substring({0}, {1}, {2})", "{0}[{1} - 1:{1} - 1 + {2}]", "start", "count"),
        ),
    ),
    "timezone": Function(
        "what clocks show in a zone: timezone('America/New_York', t), t AT TIME ZONE 'America/New_York'; "
        "of a timestamp without zone, the instant at which they show it",
        _ZONES,
    ),
    "trim": Function("the text without spaces at its ends", _of_text("trim({0})", "{0}.strip(' ')")),
    "upper": Function("the text in upper case", _of_text("upper({0})", "upper({0})")),
}

CONSTRUCTS: Mapping[str, str] = {
    "and": "true if both are, false if one is false, else null; both sides are computed",
    "between": "`a between low and high`: both ends belong",
    "case": "`case when c then a ... else b end`, `case x when 1 then a ... end`: only the branch taken is computed",
    "cast": "`a::double`, `cast(a as varchar)`: "
    + ", ".join([BOOLEAN, *RANGES, DOUBLE, VARCHAR, DATE, TIMESTAMP])
    + ", TIMESTAMPTZ; a double becomes an integer by rounding halves to even",
    "coalesce": "the first value that is not null; the rest is not computed",
    "if": "`if(c, a, b)`: a where c is true, else b",
    "ifnull": "`ifnull(a, b)`: a, or b where a is null",
    "in": "`a in (1, 2)`: whether a is one of the literals",
    "interval": "`interval 90 minute`, to add to a time or to compare a difference with",
    "is": "`a is null`, `a is not null`, `a is true`, `a is false`: never null",
    "or": "true if one is, false if both are false, else null; both sides are computed",
    "try_cast": "`try_cast(a as bigint)`: null where the cast fails",
}

SUPPORTED: Mapping[str, str] = dict(
    sorted(
        {
            **{name: function.help for name, function in {**OPERATORS, **FUNCTIONS}.items()},
            **CONSTRUCTS,
        }.items()
    )
)
"""Everything an expression may use, each with one line of help."""
