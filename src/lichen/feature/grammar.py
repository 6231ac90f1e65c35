"""What sqlglot calls things, as the functions and operators of expressions; what is not among them is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlglot import exp

from lichen.errors import FoundWrong, nearest
from lichen.feature import functions as f
from lichen.feature.functions import SUPPORTED

_OPERATOR_OF: Mapping[type[exp.Expr], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.IntDiv: "//",
    exp.Mod: "%",
    exp.DPipe: "||",
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "is not distinct from",
    exp.NullSafeNEQ: "is distinct from",
    exp.Like: "like",
    exp.Pow: "power",
}
_NAME_OF: Mapping[type[exp.Expr], str] = {
    exp.TimeToUnix: "epoch",
    exp.StartsWith: "starts_with",
    exp.EndsWith: "ends_with",
    exp.DayOfMonth: "day",
    exp.DayOfYear: "doy",
    exp.DayOfWeek: "dow",
    exp.DayOfWeekIso: "isodow",
    exp.WeekOfYear: "week",
    exp.IsNan: "isnan",
    exp.IsInf: "isinf",
}
_ALIASES = {
    "ceiling": "ceil",
    "datediff": "date_diff",
    "datepart": "date_part",
    "datesub": "date_sub",
    "datetrunc": "date_trunc",
    "dayofmonth": "day",
    "dayofweek": "dow",
    "dayofyear": "doy",
    "prefix": "starts_with",
    "suffix": "ends_with",
    "weekofyear": "week",
}


def call_of(node: exp.Expr, expression: str) -> tuple[str, list[exp.Expr]]:
    """A node as the name of a function or an operator and its arguments in SQL's order; refuses others."""
    if type(node) in _OPERATOR_OF:
        return _OPERATOR_OF[type(node)], [node.this, node.expression]
    if isinstance(node, exp.Extract):
        return "date_part", [node.this, node.expression]
    if isinstance(node, exp.AtTimeZone):
        return "timezone", [node.args["zone"], node.this]
    if isinstance(node, exp.DateDiff):
        return "date_diff", [node.args["unit"], node.expression, node.this]
    if isinstance(node, exp.TimestampTrunc | exp.DateTrunc):
        return "date_trunc", [node.args["unit"], node.this]
    if isinstance(node, exp.Log) and node.expression is not None and node.this.name == "10":
        return "log10", [node.expression]
    if isinstance(node, exp.Log) and node.expression is None:
        return "log10", [node.this]
    name = node.name if isinstance(node, exp.Anonymous) else _NAME_OF.get(type(node), type(node).__name__)
    name = _ALIASES.get(name.lower(), name.lower())
    arguments = list(node.iter_expressions())
    if name in f.FUNCTIONS and isinstance(node, exp.Func) and not node.args.get("position"):
        return name, arguments
    if name in f.FUNCTIONS["date_part"].choices and isinstance(node, exp.Func):
        return "date_part", [exp.Literal.string(name), *arguments]
    raise unsupported(expression, name, node)


def unsupported(expression: str, name: str, node: exp.Expr | None = None) -> FoundWrong:
    """The refusal of what expressions do not have, with what to do instead."""
    why = "an expression sees one row and gives one value"
    name = _as_written(node) or name
    instead = _INSTEAD.get(name)
    near = nearest(name, (known for known in SUPPORTED if len(known) > _SHORT)) if len(name) > _SHORT else []
    if isinstance(node.this if isinstance(node, exp.IgnoreNulls) else node, exp.AggFunc):
        why = "it sums up many rows, and " + why
        fix = "make it an aggregate of a feature view, over windows, and read that here"
    elif name in _CLOCKS or isinstance(node, exp.CurrentTimestamp | exp.CurrentDate):
        why = "a batch of past rows would see another time than they saw"
        fix = "read `prediction_time`, the time the prediction is asked for"
    elif instead:
        fix = f"the nearest is {instead}; or compute it in a table"
    elif near:
        fix = "did you mean " + " or ".join(f"`{hit}`" for hit in near) + "?"
    else:
        fix = "compute it in a table; expressions know " + ", ".join(f.FUNCTIONS)
    return FoundWrong("LCH-2411", f"`{expression}` uses `{name}`, which expressions do not know", why=why, fix=fix)


def _as_written(node: exp.Expr | None) -> str | None:
    """The name of a function as DuckDB's users know it: the parser has names of its own."""
    called = re.match(r"(\w+)\(", node.sql("duckdb")) if isinstance(node, exp.Func) else None
    return called[1].lower() if called else None


_SHORT = 3
"""Words of so few letters are near to anything."""

_INSTEAD: Mapping[str, str] = {
    "add": "`a + b`",
    "age": "`date_diff('day', a, b)`",
    "cbrt": "`power(a, 1.0 / 3)`",
    "concat_ws": "`concat`, with the mark between each two",
    "date_add": "`t + interval 1 day`",
    "dayname": "`date_part('isodow', t)`",
    "degrees": "`a * 180 / pi()`",
    "divide": "`a // b`",
    "e": "`exp(1)`",
    "epoch_ms": "`epoch(t) * 1000`",
    "expm1": "`exp(a) - 1`",
    "fmod": "`mod`",
    "iff": "`if`",
    "ilike": "`lower(a) like 'x%'`",
    "isnull": "`a is null`",
    "last_day": "`date_trunc('month', t) + interval 1 month - interval 1 day`",
    "log": "`ln(a) / ln(2)` for the base 2",
    "log1p": "`ln(1 + a)`",
    "ltrim": "`trim`",
    "monthname": "`date_part('month', t)`",
    "multiply": "`a * b`",
    "notnull": "`a is not null`",
    "radians": "`a * pi() / 180`",
    "regexp_full_match": "`like`, or `starts_with`, `ends_with`, `contains`",
    "regexp_matches": "`like`, or `starts_with`, `ends_with`, `contains`",
    "regexplike": "`like`, or `starts_with`, `ends_with`, `contains`",
    "rtrim": "`trim`",
    "split_part": "`left`, `right` or `substring`",
    "strftime": "`date_part`",
    "strlen": "`length`, which counts characters",
    "strpos": "`contains`",
    "subtract": "`a - b`",
    "tan": "`sin(a) / cos(a)`",
    "time_bucket": "`date_trunc`",
    "trunc": "`floor` or `ceil`",
    "unix_timestamp": "`epoch`",
    "weekday": "`date_part('dow', t)`",
}
"""What says the same, for functions whose names are not near that of one which does."""

_CLOCKS = ("now", "today", "get_current_timestamp", "transaction_timestamp", "currenttimestamp", "currentdate")
