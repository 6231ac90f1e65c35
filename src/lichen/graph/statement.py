"""A SELECT statement as a tree: what it reads, and its text with layout and comments taken away."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.scope import traverse_scope

from lichen.errors import FoundWrong, Where
from lichen.graph.dialect import DIALECT
from lichen.graph.volatile import volatile

_TABLE_FUNCTIONS = frozenset(["generate_series", "generate_subscripts", "json_each", "json_tree", "range", "repeat"])
"""The functions that may stand in FROM: what they give depends on their arguments alone."""

_FILE_FUNCTIONS = re.compile(r"(read_\w+|\w+_scan|sniff_csv|glob|query|query_table|getenv)", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """One SELECT statement in DuckDB's dialect.

    `canonical` is the statement without comments and layout: equal for equal meaning-as-written.
    """

    text: str
    canonical: str = field(compare=False, repr=False)
    reads: tuple[str, ...] = ()
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)
    """Where each relation is first read: line and column of the text, from 1."""

    written: str = field(default="", compare=False, repr=False)
    """The text as it was given: places count from its start."""

    volatile: tuple[tuple[str, int], ...] = field(default=(), compare=False, repr=False)
    """What it asks that has another answer each time, each with its place in `written`, from 0."""

    @cached_property
    def tree(self) -> exp.Query:
        """The syntax tree; parsed when it is first asked for, where the statement was remembered."""
        (tree,) = _trees(self.written)
        assert isinstance(tree, exp.Query)
        return tree

    def position(self, node: exp.Expr) -> tuple[int, int]:
        """Where a part of the tree, or of a copy of it, stands in the text as it was given: line and column, from 1."""
        return _position(self.written, node)

    def as_dict(self) -> dict[str, Any]:
        """All but the tree, as JSON."""
        return {"canonical": self.canonical, "places": dict(self.places), "volatile": self.volatile}

    @classmethod
    def from_dict(cls, written: str, value: Mapping[str, Any]) -> Self:
        """The statement of a text of which `as_dict` was remembered."""
        places = {name: (line, column) for name, (line, column) in value["places"].items()}
        asked = tuple((name, start) for name, start in value["volatile"])
        return cls(_bare(written), value["canonical"], tuple(places), places, written, asked)


def parse_statement(text: str, where_line: Callable[[int, int], Where]) -> Statement:
    """Parse one SELECT; `where_line(line, column)` places a position of the text in the user's file."""
    try:
        trees = _trees(text)
    except TokenError as error:
        raise _unclosed(text, where_line) from error
    except ParseError as error:
        raise _not_sql(error, where_line) from error
    except RecursionError as error:
        raise FoundWrong(
            "LCH-2005", "the statement is nested too deeply", where=where_line(1, 1), fix="split it into several tables"
        ) from error
    for tree in trees:
        _refuse_pivot_statements(tree, text, where_line)
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise FoundWrong(
            "LCH-2002",
            "a table is one SELECT statement, and this is not",
            where=where_line(1, 1),
            why=_what_instead(trees),
            fix="write one SELECT (or WITH ... SELECT); Lichen creates the table itself",
        )
    tree = trees[0]
    _refuse_files(tree, text, where_line)
    places = {name: _position(text, table) for name, table in sorted(_tables(tree).items())}
    canonical = tree.sql(dialect=DIALECT, comments=False)
    statement = Statement(_bare(text), canonical, tuple(places), places, text, tuple(volatile(tree, text)))
    statement.__dict__["tree"] = tree
    return statement


def _trees(text: str) -> list[exp.Expr]:
    return [tree for tree in sqlglot.parse(text, dialect=DIALECT) if tree is not None]


def _bare(text: str) -> str:
    return text.strip().rstrip(";")


def _what_instead(trees: Sequence[exp.Expr]) -> str:
    if not trees:
        return "there is no statement"
    if len(trees) > 1:
        return f"there are {len(trees)} statements"
    return f"it is {(trees[0].name if isinstance(trees[0], exp.Command) else trees[0].key).upper()}"


def _position(text: str, node: exp.Expr) -> tuple[int, int]:
    """Where a node's first word stands in the text: line and column, from 1."""
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    start = min(starts, default=0)
    return text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)


_TOKEN = re.compile(r"<Token token_type: TokenType\.(\w+), text: (.*?), line: .*?>", re.DOTALL)
_PIECE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$\$.*?\$\$|--[^\n]*|/\*.*?\*/|[^'\"/$-]+|.", re.DOTALL)
_OPENERS = {"'": "a text in quotes", '"': "a name in quotes", "/": "a comment", "$": "a text in $$"}


def _readable(token: re.Match[str]) -> str:
    return "the end" if token[1] == "SENTINEL" else f"`{token[2]}`"


def _unclosed(text: str, where_line: Callable[[int, int], Where]) -> FoundWrong:
    """The error for a text that ends inside quotes or a comment: it is opened at the first piece that is no whole."""
    for piece in _PIECE.finditer(text):
        opened = piece[0] in ("'", '"') or text.startswith(("/*", "$$"), piece.start())
        if opened and len(piece[0]) == 1:
            line = text.count("\n", 0, piece.start()) + 1
            return FoundWrong(
                "LCH-2006",
                f"{_OPENERS[piece[0]]} is opened here and never closed",
                where=where_line(line, piece.start() - text.rfind("\n", 0, piece.start())),
                fix="close it",
            )
    return FoundWrong(
        "LCH-2001",
        "this is not SQL that DuckDB's dialect knows",
        where=where_line(1, 1),
        fix="check quotes and comments",
    )


def _not_sql(error: ParseError, where_line: Callable[[int, int], Where]) -> FoundWrong:
    first = (error.errors or [{}])[0]
    line, column = first.get("line") or 1, first.get("col") or 1
    highlight = first.get("highlight") or ""
    width = len(highlight) if "\n" not in highlight else 0
    return FoundWrong(
        "LCH-2001",
        "this is not SQL that DuckDB's dialect knows",
        where=where_line(line, max(1, column - max(width - 1, 0))),
        why=_TOKEN.sub(_readable, first.get("description") or str(error).split("\n")[0]).rstrip("."),
        fix="check the word at this place and the commas and parentheses before it",
    )


def _tables(tree: exp.Query) -> dict[str, exp.Table]:
    """Relations from outside the statement, which no CTE in their scope defines, each where it is first read."""
    found: dict[str, exp.Table] = {}
    if tree.find(exp.With) is None:
        # Without a CTE a name means the same everywhere.
        for table in tree.find_all(exp.Table):
            name = table.name.lower()
            if isinstance(table.this, exp.Identifier) and (name not in found or _start(table) < _start(found[name])):
                found[name] = table
        return found
    # DuckDB's names are the same in small and capital letters, quoted or not.
    for scope in traverse_scope(normalize_identifiers(tree.copy(), dialect=DIALECT)):
        for source in scope.sources.values():
            if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
                name = source.name.lower()
                if name not in found or _start(source) < _start(found[name]):
                    found[name] = source
    return found


def _start(table: exp.Table) -> int:
    start: int = table.this.meta.get("start", 0)
    return start


def _refuse_pivot_statements(tree: exp.Expr, text: str, where_line: Callable[[int, int], Where]) -> None:
    """Refuse `PIVOT x ON y`: its columns depend on the rows, so nothing about it is known before a run."""
    for pivot in tree.find_all(exp.Pivot):
        if pivot.arg_key != "pivots":
            raise FoundWrong(
                "LCH-2004",
                "PIVOT and UNPIVOT stand behind a table in FROM, not as statements of their own",
                where=where_line(*_position(text, pivot)),
                why="as a statement, its columns depend on the rows",
                fix="write SELECT * FROM x PIVOT (sum(value) FOR name IN ('a', 'b'))",
            )


def _refuse_files(tree: exp.Query, text: str, where_line: Callable[[int, int], Where]) -> None:
    for node in tree.find_all(exp.Table, exp.Lateral, exp.Func):
        name = _reaches_out(node)
        if name is not None:
            raise FoundWrong(
                "LCH-2003",
                f"a table reads sources and tables by name, not files or functions that open them: `{name}`",
                where=where_line(*_position(text, node)),
                why="what is read past the graph has no lineage, no version and no contract",
                fix="declare it in sources/ and read it by its name",
            )


def _reaches_out(node: exp.Expr) -> str | None:
    """The name under which a node reads past the graph, or None."""
    if isinstance(node, exp.Func):
        name = _function_name(node)
        return name if _FILE_FUNCTIONS.fullmatch(name) else None
    if isinstance(node.this, exp.Func):
        name = _function_name(node.this)
        return None if name in _TABLE_FUNCTIONS or isinstance(node.this, exp.Unnest) else name
    if not isinstance(node, exp.Table) or not (node.args.get("db") or not re.fullmatch(r"\w+", node.name)):
        return None
    return ".".join(part.name for part in node.parts)


def _function_name(function: exp.Func) -> str:
    return function.name.lower() if isinstance(function, exp.Anonymous) else function.sql_name().lower()
