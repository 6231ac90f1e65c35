"""What sqlglot calls things, as the functions and operators of expressions; what is not among them is refused."""

from __future__ import annotations

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
    near = nearest(name, SUPPORTED)
    if isinstance(node, exp.AggFunc):
        why = "it sums up many rows, and " + why
        fix = "make it an aggregate of a feature view, over windows, and read that here"
    elif name in _CLOCKS or isinstance(node, exp.CurrentTimestamp | exp.CurrentDate):
        why = "a batch of past rows would see another time than they saw"
        fix = "read `prediction_time`, the time the prediction is asked for"
    elif near:
        fix = "did you mean " + " or ".join(f"`{hit}`" for hit in near) + "?"
    else:
        fix = "compute it in a table; expressions know " + ", ".join(f.FUNCTIONS)
    return FoundWrong("LCH-2411", f"`{expression}` uses `{name}`, which expressions do not know", why=why, fix=fix)


_CLOCKS = ("now", "today", "get_current_timestamp", "transaction_timestamp", "currenttimestamp", "currentdate")
