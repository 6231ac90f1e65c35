"""What makes each column of a statement, and its rows, as hashes: two statements are compared by them.

A column's hash is of all that makes it inside the statement, through every CTE and subquery; the rows' hash is of all
that decides which rows there are and in which order. What cannot be told apart is hashed as a whole: a hash may differ
where nothing changed, and is never the same where something did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lichen.graph.dialect import DIALECT
from lichen.graph.expression import is_aggregate, parts_of
from lichen.graph.named import Names, Shape
from lichen.graph.query import place_of
from lichen.ground.digest import digest

Place = tuple[int, int]
"""Line and column, from 1."""


class Part(NamedTuple):
    """An expression or a clause as it is written: its text without layout, and where it stands.

    `scope` is the CTE or subquery that it stands in; empty for the statement's own. `clause` says that it decides on
    rows: `WHERE`, `JOIN d`.
    """

    scope: str
    name: str
    text: str
    place: Place | None
    clause: bool

    def __str__(self) -> str:
        if self.clause:
            return f"{self.name} of `{self.scope}`" if self.scope else self.name
        return f"{self.scope}.{self.name}" if self.scope else self.name


@dataclass(frozen=True)
class Imprint:
    """The hashes of a statement's columns by place, with their names where they are certain; None where unknown."""

    columns: tuple[tuple[str | None, str], ...] | None
    rows: str
    parts: tuple[Part, ...] = ()

    def named(self, names: Sequence[str]) -> Mapping[str, str] | None:
        """The hashes by the names that the engine tells; None where these are other columns."""
        if self.columns is None or len(names) != len(self.columns):
            return None
        if any(own not in (None, name.lower()) for (own, _), name in zip(self.columns, names, strict=True)):
            return None
        return {name: made for name, (_, made) in zip(names, self.columns, strict=True)}


def imprint(statement: exp.Expr | str, inputs: Mapping[str, Sequence[str] | None]) -> Imprint:
    """The imprint of a statement over inputs with these columns (None or absent where they are not known).

    >>> old, new = (imprint(f"WITH c AS (SELECT {e} AS d, b FROM t) SELECT d, b FROM c", {}) for e in ("a", "a + 1"))
    >>> [name for (name, one), (_, other) in zip(old.columns, new.columns) if one != other], old.rows == new.rows
    (['d'], True)
    """
    try:
        tree = sqlglot.parse_one(statement, dialect=DIALECT) if isinstance(statement, str) else statement
        reading = _Reading({name.lower(): columns for name, columns in inputs.items()})
        shape = reading.query(tree, Names(""))
    except (SqlglotError, RecursionError):
        return Imprint(None, digest(str(statement)))
    return Imprint(shape.columns, shape.rows, tuple(reading.parts))


class _Reading:
    """One reading of a statement; it gathers the parts on the way."""

    def __init__(self, inputs: Mapping[str, Sequence[str] | None]) -> None:
        self.inputs = inputs
        self.parts: list[Part] = []
        self.silent = 0

    # -------------------------------------------------------------------------------------------- queries

    def query(self, query: exp.Expr, scope: Names) -> Shape:
        with_ = query.args.get("with_")
        if with_ is not None:
            for cte in with_.expressions:
                scope.ctes[cte.alias.lower()] = self._cte(cte, scope, recursive=bool(with_.args.get("recursive")))
        if isinstance(query, exp.Select):
            return self._select(query, scope)
        if isinstance(query, exp.SetOperation):
            return self._united(query, scope)
        if isinstance(query, exp.Subquery):
            return self._ordered(query, self.query(query.this, scope), scope)
        return self._opaque(query, scope)

    def _cte(self, cte: exp.CTE, scope: Names, *, recursive: bool) -> Shape:
        name = cte.alias.lower()
        inner = Names(_within(scope.label, name), dict(scope.ctes), outer=scope.outer)
        if recursive and any(table.name.lower() == name for table in cte.this.find_all(exp.Table)):
            self._note(inner, "WITH RECURSIVE", cte.this, clause=True)
            return self._opaque(cte.this, inner)
        return self.query(cte.this, inner).renamed(_names(cte))

    def _united(self, union: exp.SetOperation, scope: Names) -> Shape:
        kind = [union.key, bool(union.args.get("distinct")), bool(union.args.get("by_name"))]
        left = self.query(union.this, scope.inner(scope.label))
        label = _within(scope.label, f"{union.key} {_depth(union)}")
        right = self.query(union.expression, scope.inner(label))
        self._note_text(scope, union.key.upper(), str(kind), None)
        exact = not union.args.get("by_name") and union.args.get("distinct") is False and isinstance(union, exp.Union)
        rows = [kind, left.rows, right.rows]
        columns = None
        if exact and None not in (left.columns, right.columns) and len(left.columns or ()) == len(right.columns or ()):
            pairs = zip(left.columns or (), right.columns or (), strict=True)
            columns = tuple((name, digest([one, other])) for (name, one), (_, other) in pairs)
        elif left.columns is not None and not union.args.get("by_name"):
            rows += [left.whole(), right.whole()]
            columns = tuple((name, digest([made, right.whole()])) for name, made in left.columns)
        else:
            rows += [left.whole(), right.whole()]
        level = max(left.level, right.level)
        return self._ordered(union, Shape(columns, digest(rows), level=level), scope)

    def _ordered(self, query: exp.Expr, shape: Shape, scope: Names) -> Shape:
        """A union or a query in parentheses with an ORDER BY or LIMIT of its own."""
        outer = Names(scope.label, scope.ctes, [shape], outer=scope.outer)
        added = [self._clause(query, key, outer) for key in ("order", "limit", "offset") if query.args.get(key)]
        if any(_by_place(query.args.get("order"))):
            added.append(shape.whole())
        return replace(shape, rows=digest([shape.rows, added])) if added else shape

    def _select(self, select: exp.Select, scope: Names) -> Shape:
        rows = list(self._from(select, scope))
        scope.windows = digest([self.deep(one, scope) for one in select.args.get("windows") or ()])
        rows += [self._clause(select, "where", scope)] if select.args.get("where") else []
        cells = self._cells(select, scope)
        for key in ("group", "having", "qualify", "order", "limit", "offset", "sample"):
            if select.args.get(key) is not None:
                rows.append(self._clause(select, key, scope))
        rows += self._keys(select, cells)
        if select.args.get("distinct") is not None:
            on = select.args["distinct"].args.get("on")
            self._note(scope, "DISTINCT", select.args["distinct"], clause=True)
            rows += [digest(["distinct", [cell.made for cell in cells] if cells is not None else select.sql(DIALECT)])]
            rows += [self.deep(on, scope)] if on is not None else []
        rows += [cell.made for cell in cells or () if _multiplies(cell.node)]
        rows += ["one row"] if scope.sums and select.args.get("group") is None else []
        known = set(select.args) - {"with_", "expressions", "distinct", "from_", "joins", "laterals", "where", "group"}
        odd = known - {"having", "qualify", "windows", "order", "limit", "offset", "sample"}
        rows += [str(select.args[key]) for key in sorted(odd) if select.args[key]]
        columns = None if cells is None else tuple((cell.name, cell.made) for cell in cells)
        if columns is None:
            rows.append(digest([select.sql(DIALECT, comments=False), [item.whole() for item in scope.items]]))
        return Shape(columns, digest(rows), level=scope.level)

    def _keys(self, select: exp.Select, cells: list[_Cell] | None) -> Iterator[str]:
        """The columns that GROUP BY ALL, ORDER BY ALL, and places in either, go by."""
        for key in ("group", "order"):
            clause = select.args.get(key)
            if clause is None:
                continue
            places = list(_by_place(clause))
            if places and cells is None:
                yield select.sql(DIALECT, comments=False)
            for place in places:
                for number, cell in enumerate(cells or ()):
                    if place == number or (place is None and (key == "order" or not cell.sums)):
                        yield cell.made

    def _clause(self, query: exp.Expr, key: str, scope: Names) -> str:
        clause = query.args[key]
        aliases_too = key != "where"
        self._note(scope, key.upper() + (" BY" if key in ("group", "order") else ""), clause, clause=True)
        return digest([key, self.deep(clause, scope, aliases_too=aliases_too)])

    # --------------------------------------------------------------------------------------------- SELECT

    def _cells(self, select: exp.Select, scope: Names) -> list[_Cell] | None:
        cells: list[_Cell] = []
        for expression in select.expressions:
            star = expression.this if isinstance(expression, exp.Column) else expression
            if isinstance(star, exp.Star):
                starred = self._starred(expression, star, scope)
                self._note(scope, expression.sql(DIALECT, comments=False), expression, clause=False)
                if starred is None:
                    return None
                cells += starred
                continue
            if expression.find(exp.Columns) is not None:
                self._note(scope, expression.sql(DIALECT, comments=False), expression, clause=False)
                return None
            inner = expression.this if isinstance(expression, exp.Alias) else expression
            name = expression.alias_or_name.lower() if isinstance(expression, exp.Alias | exp.Column) else None
            made = self.deep(inner, scope)
            shown = expression.alias_or_name if name else inner.sql(DIALECT, comments=False)
            self._note(scope, shown, expression, clause=False)
            cells.append(_Cell(name, made, inner, any(_sums(inner))))
            if isinstance(expression, exp.Alias) and name is not None:
                scope.aliases.setdefault(name, made)
        return cells

    def _starred(self, whole: exp.Expr, star: exp.Star, scope: Names) -> list[_Cell] | None:
        relation = whole.table.lower() if isinstance(whole, exp.Column) else None
        items = [item for item in scope.items if relation in (None, item.name)]
        if (
            not items
            or any(item.columns is None for item in items)
            or len(star.args.get("except_") or ())
            != len([one for one in star.args.get("except_") or () if isinstance(one, exp.Identifier | exp.Column)])
        ):
            return None
        left_out = {one.name.lower() for one in star.args.get("except_") or ()}
        replaced = {one.alias.lower(): one.this for one in star.args.get("replace") or ()}
        renamed = {one.this.name.lower(): one.alias.lower() for one in star.args.get("rename") or ()}
        cells = []
        for item in items:
            for name, made in item.columns or ():
                if name in left_out or (relation is None and name in item.hidden):
                    continue
                if name in replaced:
                    cells.append(_Cell(name, self.deep(replaced[name], scope), replaced[name], sums=False))
                else:
                    shared = relation is None and name is not None and any(name in one.hidden for one in scope.items)
                    of = digest(scope.meaning((name,), aliases_too=False)) if shared and name is not None else made
                    cells.append(_Cell(renamed.get(name or "", name), of, star, sums=False))
        return cells

    # ----------------------------------------------------------------------------------------------- FROM

    def _from(self, select: exp.Select, scope: Names) -> Iterator[str]:
        first = select.args.get("from_")
        if first is None:
            return
        yield self._item(first.this, scope, "FROM")
        for join in select.args.get("joins") or ():
            yield self._join(join, scope, 0)
        for lateral in select.args.get("laterals") or ():
            before = len(scope.items)
            yield self._item(lateral, scope, "LATERAL")
            scope.join(before, 0)

    def _join(self, join: exp.Join, scope: Names, first: int) -> str:
        """Put what is joined to the items from the place `first` on into the scope."""
        before = len(scope.items)
        new = self._item(join.this, scope, None)
        scope.join(before, first)
        name = join.this.alias_or_name
        using = [one.name.lower() for one in join.args.get("using") or ()]
        if join.method == "NATURAL":
            there = {column for item in scope.items[:before] for column, _ in item.columns or ()}
            using = [
                str(column) for item in scope.items[before:] for column, _ in item.columns or () if column in there
            ]
        on = join.args.get("on")
        kind = [join.side, join.kind, join.method, using]
        meaning = [kind, new, self.deep(on, scope) if on is not None else ""]
        meaning += [scope.meaning((one,), aliases_too=False) for one in using]
        relation = join.this.name if isinstance(join.this, exp.Table) else ""
        written = f"{kind} {relation} {on.sql(DIALECT, comments=False) if on is not None else ''}"
        self._note_text(scope, f"JOIN {name}", written, place_of(join.this) or place_of(join))
        scope.items[before:] = [replace(item, hidden=frozenset(using)) for item in scope.items[before:]]
        if join.kind in ("SEMI", "ANTI"):
            del scope.items[before:]
        return digest(meaning)

    def _item(self, node: exp.Expr, scope: Names, clause: str | None) -> str:
        """Put what stands in FROM into the scope; gives what decides on its rows."""
        name = node.alias_or_name.lower() or None
        shape = self._relation(node, scope).renamed(_names(node))
        if clause is not None:
            written = node.name if isinstance(node, exp.Table) else type(node).__name__
            self._note_text(scope, clause, written, place_of(node))
        first = len(scope.items)
        scope.items.append(replace(shape, name=name, hidden=frozenset()))
        joined = [self._join(join, scope, first) for join in node.args.get("joins") or ()]
        return digest([shape.rows, joined]) if joined else shape.rows

    def _relation(self, node: exp.Expr, scope: Names) -> Shape:
        odd = any(node.args.get(key) for key in ("pivots", "sample", "ordinality", "version", "when"))
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier) and not odd:
            return self._named_relation(node.name.lower(), scope)
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query) and not odd:
            return self.query(node, scope.inner(_within(scope.label, node.alias or "subquery")))
        if isinstance(node, exp.Values) and not odd:
            rows = [row.expressions if isinstance(row, exp.Tuple) else [row] for row in node.expressions]
            deep = [[self.deep(one, scope) for one in row] for row in rows]
            self._note(scope, "VALUES", node, clause=True)
            columns = tuple((f"col{at}", digest(made)) for at, made in enumerate(zip(*deep, strict=True)))
            return Shape(columns, digest(["values", len(rows)]))
        self._note(scope, node.alias_or_name or node.key.upper(), node, clause=True)
        return self._opaque(node, scope)

    def _named_relation(self, name: str, scope: Names) -> Shape:
        if name in scope.ctes:
            return scope.ctes[name]
        columns = self.inputs.get(name)
        rows = digest(["rows", name])
        if columns is None:
            return Shape(None, rows, relation=name)
        made = tuple((one.lower(), digest([name, one.lower()])) for one in columns)
        return Shape(made, rows, relation=name)

    def _opaque(self, node: exp.Expr, scope: Names) -> Shape:
        """What is hashed as a whole: its text and all that it could read."""
        read = {table.name.lower() for table in node.find_all(exp.Table)}
        shapes = [self._named_relation(name, scope).whole() for name in sorted(read)]
        around = [[(item.name, item.whole()) for item in one.items] for one in scope.chain()]
        return Shape(None, digest([node.sql(DIALECT, comments=False), shapes, around]))

    # ---------------------------------------------------------------------------------------- expressions

    def deep(self, expression: exp.Expr, scope: Names, *, aliases_too: bool = False) -> str:
        """The hash of an expression: its text with what each name in it means in the name's place."""
        for one in _sums(expression):
            scope.sum_up([parts_of(column) for column in one.find_all(exp.Column)])
        windowed = expression.find(exp.Window) is not None
        mixed = [scope.windows] if windowed else []

        def put(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Query | exp.Subquery):
                self.silent += 1
                shape = self.query(node, scope.inner("subquery"))
                self.silent -= 1
                return exp.Var(this=shape.whole())
            if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star):
                parts = parts_of(node)
                meaning = scope.meaning(parts, aliases_too)
                certain = meaning and len(parts) <= 2
                return exp.Var(this=digest(["column", meaning, () if certain else parts]))
            if isinstance(node, exp.Star | exp.Columns | exp.PositionalColumn) and not _counts(node):
                mixed.extend(digest([item.name, item.whole()]) for item in scope.items)
            if isinstance(node, exp.Identifier | exp.Var) and node.parent is not None:
                meaning = scope.meaning((node.name.lower(),), aliases_too)
                mixed.extend(meaning)
            return node

        changed = expression.transform(put)
        return digest([changed.sql(DIALECT, comments=False), mixed])

    def _note(self, scope: Names, name: str, node: exp.Expr, *, clause: bool) -> None:
        if not self.silent:
            text = node.sql(DIALECT, comments=False)
            self.parts.append(Part(scope.label, name, text, place_of(node), clause))

    def _note_text(self, scope: Names, name: str, text: str, place: Place | None) -> None:
        if not self.silent:
            self.parts.append(Part(scope.label, name, text, place, clause=True))


class _Cell(NamedTuple):
    """A column of a SELECT: its name where it is certain, its hash, and its expression."""

    name: str | None
    made: str
    node: exp.Expr
    sums: bool


def _within(label: str, name: str) -> str:
    return f"{label}.{name}" if label else name


def _depth(union: exp.SetOperation) -> int:
    """Which of a chain of unions it is, from the left."""
    depth, one = 2, union.this
    while isinstance(one, exp.SetOperation):
        depth, one = depth + 1, one.this
    return depth


def _by_place(clause: exp.Expr | None) -> Iterable[int | None]:
    """The places, from 0, by which a GROUP BY or an ORDER BY names columns; None for ALL."""
    if clause is None:
        return
    if clause.args.get("all"):
        yield None
    for one in clause.expressions:
        by = one.this if isinstance(one, exp.Ordered) else one
        if isinstance(by, exp.Var | exp.Column) and by.name.upper() == "ALL":
            yield None
        elif isinstance(by, exp.Literal) and by.name.isdigit():
            yield int(by.name) - 1


def _sums(expression: exp.Expr) -> Iterator[exp.Expr]:
    """What makes one row of many in an expression: not a window, nor what stands in a query inside."""
    for node in expression.walk(prune=lambda one: isinstance(one, exp.Query)):
        if is_aggregate(node) and not isinstance(node.parent, exp.Window):
            yield node


def _counts(node: exp.Expr) -> bool:
    return isinstance(node, exp.Star) and isinstance(node.parent, exp.Count)


def _multiplies(node: exp.Expr) -> bool:
    if node.find(exp.Explode, exp.Unnest) is not None:
        return True
    return any(one.name.lower() == "generate_subscripts" for one in node.find_all(exp.Anonymous))


def _names(node: exp.Expr) -> list[str]:
    alias = node.args.get("alias")
    return [one.name for one in alias.columns] if isinstance(alias, exp.TableAlias) else []
