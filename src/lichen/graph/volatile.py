"""What SQL gives another answer to each time it is asked: the clock, chance, counters, who asks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import sqlglot
from sqlglot import exp

from lichen.errors import FoundWrong, Where
from lichen.graph.dialect import DIALECT

CLOCK = frozenset(
    {
        *("ago", "current_date", "current_localtime", "current_localtimestamp", "current_time", "current_timestamp"),
        *("get_current_time", "get_current_timestamp", "localtime", "localtimestamp", "now", "pg_conf_load_time"),
        *("pg_postmaster_start_time", "today", "transaction_timestamp"),
    }
)
"""The functions that tell the time."""

CHANCE = frozenset({"gen_random_uuid", "random", "setseed", "uuid", "uuidv4", "uuidv7"})
"""The functions that draw."""

SESSION = frozenset(
    {
        *("current_catalog", "current_connection_id", "current_database", "current_query", "current_query_id"),
        *("current_role", "current_schema", "current_schemas", "current_setting", "current_transaction_id"),
        *("current_user", "currval", "getvariable", "in_search_path", "nextval", "pg_sleep", "session_user", "setval"),
        *("sleep_ms", "stats", "txid_current", "user", "vector_type", "version", "write_log"),
    }
)
"""The functions that tell of the session, its counters and its engine, or do something to them."""

VOLATILE = CLOCK | CHANCE | SESSION
"""The functions whose answer does not follow from their arguments alone; held against DuckDB's own list by a test.

`age` with one argument is another: it measures to today. `error` is none, for it gives no answer; nor are the bare
words `user`, `current_role` and `current_schema`: they may be columns, and are fixed texts where they are not.
"""

_WHY = "a version is named by what it is made of, and this would give other rows of the same inputs"
_SAMPLE = "USING SAMPLE"


def refuse_volatile(
    asked: Iterable[tuple[str, int]], text: str, where_line: Callable[[int, int], Where]
) -> Iterator[FoundWrong]:
    """What a table's statement may not ask, each once, where it first stands in its text (`volatile` gives these)."""
    seen = set()
    for name, start in asked:
        if name not in seen:
            seen.add(name)
            line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
            yield _refused(name, where_line(line, column), of_a_table(name))


def refuse_volatile_value(text: str, where: Where, *, of_a_feature: bool = False) -> None:
    """Refuse an SQL expression over a row that asks for what does not follow from the row.

    `where` is the place of the expression in the user's file. What cannot be parsed is left for the engine to refuse.
    """
    opening = "SELECT ("
    whole = f"{opening}{text}\n)"
    try:
        tree = sqlglot.parse_one(whole, dialect=DIALECT)
    except (sqlglot.errors.SqlglotError, RecursionError):
        return
    for name, start in volatile(tree, whole):
        fix = of_an_expression(name) if of_a_feature else of_a_table(name)
        raise _refused(name, where.at(re.split(r"\W", whole[start:], maxsplit=1)[0]), fix)


def of_an_expression(name: str) -> str:
    """What to write instead in a feature."""
    if name in CLOCK or name == "age":
        return "read `prediction_time`, when the prediction is asked for, in an expression of a view with `on: request`"
    return of_a_table(name)


def of_a_table(name: str) -> str:
    """What to write instead in a table."""
    if name == "age":
        return "give it both instants: age(later, earlier), with columns of the rows"
    if name == _SAMPLE:
        return "choose rows by what they hold: WHERE hash(id) % 10 = 0"
    if name in CLOCK:
        return "use an instant that the rows hold, such as when they arrived: a column of the source"
    if name in CHANCE:
        return "make it of the row itself, as in hash(id) or md5(id), or bring it in as a column of the source"
    return "bring it in as a column of the source"


def _refused(name: str, where: Where, fix: str) -> FoundWrong:
    shown = f"`{name}`" + (" of one instant" if name == "age" else "")
    return FoundWrong("LCH-2007", f"{shown} gives another answer each time it is asked", where=where, why=_WHY, fix=fix)


def volatile(tree: exp.Expr, text: str) -> list[tuple[str, int]]:
    """Each volatile function of a tree with its place in the text, in the order of the text."""
    return sorted(_asked(tree, text), key=lambda asked: asked[1])


def _asked(tree: exp.Expr, text: str) -> Iterator[tuple[str, int]]:
    """Each volatile function of a tree, as it is written, with its place in the text."""
    if tree.find(exp.TableSample) is not None:
        found = re.search(r"(?i)\b(USING\s+SAMPLE|TABLESAMPLE)\b", text)
        yield _SAMPLE, found.start() if found else 0
    for node in tree.find_all(exp.Func):
        assert isinstance(node, exp.Func)
        start = node.meta.get("start")
        name = node.sql_name().lower() if start is None else text[start : node.meta["end"] + 1].strip('"').lower()
        if name in VOLATILE or (name == "age" and _arguments(node) < 2):
            yield name, _bare(name, text) if start is None else start


def _arguments(function: exp.Func) -> int:
    """How many arguments a function has; in `a.f(b)` the value before the dot is one."""
    dotted = isinstance(function.parent, exp.Dot) and function.arg_key == "expression"
    return len(list(function.iter_expressions())) + dotted


def _bare(name: str, text: str) -> int:
    """Where a word stands that is a function without parentheses, such as `current_date`."""
    found = re.search(rf"(?i)\b{name}\b", text)
    return found.start() if found else 0
