"""Where the columns and the rows of a query come from: SELECT, unions, CTEs, each read once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest

from sqlglot import exp

from lichen.graph.expression import is_aggregate, ordering, origins_of
from lichen.graph.origin import NOTHING, How, Origins, influence, marked, merged
from lichen.graph.relation import Relations, refuse_unknown
from lichen.graph.scope import Cell, Item, Scope, Shape, Unread

_SELECT = {"with_", "expressions", "distinct", "from_", "joins", "laterals", "where", "group", "having", "qualify"} | {
    "windows", "order", "limit", "offset", "sample",
}  # fmt: skip
_UNION = {"with_", "this", "expression", "distinct", "by_name", "order", "limit", "offset"}
_DEEPEST = 50


@dataclass(frozen=True)
class Queries:
    """Reads the queries of one statement."""

    relations: Relations

    def top(self, tree: exp.Expr) -> Shape:
        """The whole statement."""
        try:
            return self.read(tree, Scope(self.read))
        except RecursionError:
            return self.relations.everything(tree, Scope(self.read))

    def read(self, query: exp.Expr, scope: Scope) -> Shape:
        """A query whose names are looked up in `scope`; where it cannot be read, all inputs reach all of it."""
        try:
            scope.ctes = {**scope.ctes, **self._ctes(query, scope)} if query.args.get("with_") else scope.ctes
            if isinstance(query, exp.Select):
                return self._select(query, scope)
            if isinstance(query, exp.SetOperation):
                return self._set_operation(query, scope)
            if isinstance(query, exp.Subquery):
                return self._limited(query, self.read(query.this, scope.inner()), scope)
            if isinstance(query, exp.Values):
                return self._values(query, scope)
        except Unread:
            pass
        return self.relations.everything(query, scope)

    # ------------------------------------------------------------------------------------------------ WITH

    def _ctes(self, query: exp.Expr, scope: Scope) -> dict[str, Shape]:
        with_ = query.args["with_"]
        refuse_unknown(with_, {"expressions", "recursive"})
        found: dict[str, Shape] = {}
        for cte in with_.expressions:
            inner = Scope(self.read, {**scope.ctes, **found}, outer=scope.outer)
            name = cte.alias.lower()
            names = [one.name for one in cte.args["alias"].columns]
            recursive = with_.args.get("recursive") and isinstance(cte.this, exp.SetOperation)
            if recursive and any(table.name.lower() == name for table in cte.this.find_all(exp.Table)):
                shape = self._recursive(cte, names, inner)
            else:
                shape = self.read(cte.this, inner).renamed(names)
            found[name] = shape
        return found

    def _recursive(self, cte: exp.CTE, names: list[str], scope: Scope) -> Shape:
        """A CTE that reads itself: read again with what it was found to be, until nothing is added."""
        name, union = cte.alias.lower(), cte.this
        shape = self.read(union.this, _aside(scope)).renamed(names)
        for _ in range(_DEEPEST):
            inner = _aside(scope)
            inner.ctes = {**scope.ctes, name: shape}
            new = self.read(union, inner).renamed(names)
            if cte.args.get("key_expressions"):
                new = replace(new, rows=merged([new.rows, influence(new.whole(), How.DISTINCT)]))
            if _same(new, shape):
                return new
            shape = new
        raise Unread("a recursion that does not come to rest")

    # ---------------------------------------------------------------------------------------------- SELECT

    def _select(self, select: exp.Select, scope: Scope) -> Shape:
        refuse_unknown(select, _SELECT)
        rows = [self.relations.read(select, scope)]
        scope.windows = {one.name.lower(): one for one in select.args.get("windows") or ()}
        cells: list[Cell] = []
        for expression in select.expressions:
            new = self._projected(expression, scope)
            for cell in new:
                if cell.name is not None and isinstance(expression, exp.Alias):
                    scope.aliases.setdefault(cell.name, cell.origins)
            cells += new
        rows += self._choosing_rows(select, cells, scope)
        # What is unnested makes more rows of one, and what is in them.
        rows += [influence(origins, How.COUNT) for origins in scope.multiplied]
        rows += [influence(origins, How.ORDER) for origins in scope.sorted_by]
        ragged = bool(scope.multiplied) and any(cell.name is None for cell in cells)
        return Shape(tuple(cells), _cut(select, merged(rows)), ragged=ragged)

    def _choosing_rows(self, select: exp.Select, cells: list[Cell], scope: Scope) -> Iterator[Origins]:
        """What decides, after FROM, which rows there are and in which order."""
        for key, how in (("where", How.FILTER), ("having", How.FILTER), ("qualify", How.FILTER)):
            clause = select.args.get(key)
            if clause is not None:
                yield influence(origins_of(clause.this, scope, aliases_too=True), how)
        group = select.args.get("group")
        if group is not None:
            refuse_unknown(group, {"expressions", "all", "grouping_sets", "cube", "rollup"})
            yield influence(merged(self._keys(select, group, cells, scope)), How.GROUP)
        distinct = select.args.get("distinct")
        if distinct is not None:
            on = distinct.args.get("on")
            of = [self._by(one, cells, scope) for one in on.expressions] if on is not None else _all(cells)
            yield influence(merged(of), How.DISTINCT)
        yield from self._ordered_and_limited(select, cells, scope)

    def _keys(self, select: exp.Select, group: exp.Group, cells: list[Cell], scope: Scope) -> Iterator[Origins]:
        if group.args.get("all"):
            for expression in select.expressions:
                if not any(is_aggregate(one) for one in expression.walk()):
                    yield from (cell.origins for cell in self._projected(expression, scope))
        for part in (
            *group.expressions,
            *(one for key in ("grouping_sets", "cube", "rollup") for one in _listed(group, key)),
        ):
            yield self._by(part, cells, scope)

    def _by(self, part: exp.Expr, cells: list[Cell], scope: Scope) -> Origins:
        """A key of GROUP BY, ORDER BY or DISTINCT ON: an expression, or the place of a column."""
        if isinstance(part, exp.Literal) and not part.is_string:
            place = int(part.name) - 1 if part.name.isdigit() else -1
            if not 0 <= place < len(cells):
                raise Unread(f"there is no column {part.name}")
            return cells[place].origins
        return origins_of(part, scope, aliases_too=True)

    def _ordered_and_limited(self, query: exp.Expr, cells: list[Cell], scope: Scope) -> Iterator[Origins]:
        """Rows stay in their order, and the next reader may take the first: ORDER BY counts without LIMIT, too."""
        order = query.args.get("order")
        if order is not None:
            shown = [cell.origins for cell in cells]
            found = ordering(order, lambda by: self._by(by, cells, scope), scope)
            yield influence(merged([found, *shown]) if _orders_by_all(order) else found, How.ORDER)
        for key in ("limit", "offset"):
            clause = query.args.get(key)
            if clause is not None:
                yield influence(origins_of(clause.expression, scope, aliases_too=True), How.LIMIT)

    def _limited(self, query: exp.Expr, shape: Shape, scope: Scope) -> Shape:
        """A union or a query in parentheses with an ORDER BY or LIMIT of its own."""
        if not any(query.args.get(key) for key in ("order", "limit", "offset")):
            return shape
        outside = Scope(self.read, scope.ctes, [Item(None, shape)], outer=scope.outer)
        more = self._ordered_and_limited(query, list(shape.cells or ()), outside)
        return replace(shape, rows=_cut(query, merged([shape.rows, *more])))

    # ---------------------------------------------------------------------------------- the list of SELECT

    def _projected(self, expression: exp.Expr, scope: Scope) -> list[Cell]:
        """The columns that one expression of the list makes."""
        inside = expression.this if isinstance(expression, exp.Alias) else expression
        if isinstance(inside, exp.Star) or (isinstance(inside, exp.Column) and isinstance(inside.this, exp.Star)):
            return self._starred(inside, scope)
        if inside.find(exp.Columns) is not None:
            return self._each_of_columns(expression, scope)
        if any(isinstance(one.this, exp.Star) for one in inside.find_all(exp.Like, exp.ILike, exp.SimilarTo, exp.Glob)):
            raise Unread("`*` by a pattern")
        if isinstance(inside, exp.Aliases):
            raise Unread("several aliases at once")
        shown = _name(expression)
        return [Cell(shown and shown.lower(), origins_of(inside, scope), place_of(expression), shown)]

    def _starred(self, inside: exp.Expr, scope: Scope) -> list[Cell]:
        star = inside.this if isinstance(inside, exp.Column) else inside
        refuse_unknown(star, {"except_", "replace", "rename"})
        relation = inside.table.lower() if isinstance(inside, exp.Column) else None
        left_out = {tuple(part.name.lower() for part in _parts(one)) for one in star.args.get("except_") or ()}
        replaced = {one.alias.lower(): one for one in star.args.get("replace") or ()}
        renamed = {one.this.name.lower(): one.alias for one in star.args.get("rename") or ()}
        cells = []
        for item, cell in scope.shown(relation):
            if cell.name is None and (left_out or replaced or renamed):
                raise Unread("a column without a certain name behind `*`")
            if (cell.name,) in left_out or (item.name, cell.name) in left_out:
                continue
            if cell.name in replaced:
                new = replaced[cell.name]
                cells.append(Cell(cell.name, origins_of(new.this, scope), place_of(new), cell.shown))
            elif cell.name in renamed:
                shown = renamed[cell.name]
                cells.append(Cell(shown.lower(), cell.origins, place_of(star), shown))
            else:
                cells.append(replace(cell, start=place_of(star)))
        return cells

    def _each_of_columns(self, expression: exp.Expr, scope: Scope) -> list[Cell]:
        """`f(COLUMNS(...))` stands for one expression for each of the columns; with `*COLUMNS(...)` for one of all."""
        inside = expression.this if isinstance(expression, exp.Alias) else expression
        every = list(inside.find_all(exp.Columns))
        if len({one.sql() for one in every}) > 1 or any(
            one.find_ancestor(exp.Query) is not expression.parent for one in every
        ):
            raise Unread("several COLUMNS in one expression")
        chosen = self._chosen(every[0], scope)
        beside = merged(origins_of(one, scope) for one in _without_columns(inside))
        if every[0].args.get("unpack"):
            if inside is every[0]:
                return chosen
            whole = merged([*(cell.origins for cell in chosen), beside])
            return [Cell(_name(expression), marked(whole, _aggregated(inside)), place_of(expression))]
        if inside is every[0]:
            return (
                [replace(cell, start=place_of(inside)) for cell in chosen]
                if inside is expression
                else [Cell(None, cell.origins, place_of(inside)) for cell in chosen]
            )
        how = _aggregated(inside)
        return [Cell(None, marked(merged([cell.origins, beside]), how), place_of(inside)) for cell in chosen]

    def _chosen(self, columns: exp.Columns, scope: Scope) -> list[Cell]:
        of = columns.this
        if isinstance(of, exp.Star) or (isinstance(of, exp.Column) and isinstance(of.this, exp.Star)):
            return self._starred(of, scope)
        shown = [cell for _, cell in scope.shown()]
        if any(cell.name is None for cell in shown):
            raise Unread("COLUMNS of a column without a certain name")
        if isinstance(of, exp.Literal) and of.is_string:
            if not re.fullmatch(r"[\w.*+?^$|()\[\]-]*", of.name) or "(?" in of.name:
                raise Unread("a pattern that may mean something else here")
            return [cell for cell in shown if re.search(of.name, cell.shown or cell.name or "")]
        if isinstance(of, exp.Array) and all(isinstance(one, exp.Literal) and one.is_string for one in of.expressions):
            by_name = {cell.name: cell for cell in shown}
            wanted = [one.name.lower() for one in of.expressions]
            if not set(wanted) <= set(by_name):
                raise Unread("COLUMNS of a column that is not there")
            return [by_name[name] for name in wanted]
        raise Unread("COLUMNS by a function")

    # ---------------------------------------------------------------------------------- unions and VALUES

    def _set_operation(self, union: exp.SetOperation, scope: Scope) -> Shape:
        refuse_unknown(union, _UNION)
        sides = [self.read(side, _aside(scope)) for side in _sides(union)]
        shape = sides[0]
        for operation, other in zip(_operations(union), sides[1:], strict=True):
            shape = _united(operation, shape, other)
        return self._limited(union, shape, scope)

    def _values(self, values: exp.Values, scope: Scope) -> Shape:
        refuse_unknown(values, {"expressions", "alias"})
        rows = [row.expressions if isinstance(row, exp.Tuple) else [row] for row in values.expressions]
        columns = zip_longest(*([origins_of(one, scope) for one in row] for row in rows), fillvalue=NOTHING)
        return Shape(tuple(Cell(f"col{place}", merged(column)) for place, column in enumerate(columns)))


def _cut(query: exp.Expr, rows: Origins) -> Origins:
    """Where only some of the rows are taken, their order decides which."""
    distinct = query.args.get("distinct")
    on = isinstance(distinct, exp.Distinct) and distinct.args.get("on")
    if not (on or query.args.get("limit") or query.args.get("offset")):
        return rows
    return {origin: how | How.LIMIT if how & How.ORDER else how for origin, how in rows.items()}


def _aside(scope: Scope) -> Scope:
    """A scope with the same names around it, for a query beside this one."""
    return Scope(scope.query, scope.ctes, outer=scope.outer)


def _sides(union: exp.SetOperation) -> list[exp.Expr]:
    """The queries of a chain of unions from the left to the right: a long chain nests to the left."""
    sides, one = [], union
    while True:
        sides.append(one.expression)
        if not _continues(one.this):
            return [one.this, *reversed(sides)]
        one = one.this


def _operations(union: exp.SetOperation) -> list[exp.SetOperation]:
    found, one = [union], union
    while _continues(one.this):
        one = one.this
        found.append(one)
    return found[::-1]


def _continues(left: exp.Expr) -> bool:
    own = ("with_", "order", "limit", "offset")
    return isinstance(left, exp.SetOperation) and not any(left.args.get(key) for key in own)


def _united(union: exp.SetOperation, left: Shape, right: Shape) -> Shape:
    refuse_unknown(union, _UNION)
    if union.args.get("by_name"):
        cells = _by_name(left, right)
    else:
        if len(left.placed) != len(right.placed):
            raise Unread("the sides of a union have not as many columns")
        only_left = isinstance(union, exp.Except | exp.Intersect)
        cells = tuple(
            one if only_left else replace(one, origins=merged([one.origins, other.origins]))
            for one, other in zip(left.placed, right.placed, strict=True)
        )
    rows = [left.rows, right.rows]
    if union.args.get("distinct") or isinstance(union, exp.Except | exp.Intersect):
        rows += [influence(side.whole(), How.DISTINCT) for side in (left, right)]
    return Shape(cells, merged(rows))


def _by_name(left: Shape, right: Shape) -> tuple[Cell, ...]:
    cells = {cell.name: cell for cell in left.placed}
    if None in cells or any(cell.name is None for cell in right.placed):
        raise Unread("a union by name of a column without a certain name")
    for cell in right.placed:
        before = cells.get(cell.name)
        cells[cell.name] = cell if before is None else replace(before, origins=merged([before.origins, cell.origins]))
    return tuple(cells.values())


def _same(one: Shape, other: Shape) -> bool:
    if one.cells is None or other.cells is None:
        raise Unread("a recursion over columns that are not known")
    return one.rows == other.rows and [c.origins for c in one.cells] == [c.origins for c in other.cells]


def _all(cells: list[Cell]) -> list[Origins]:
    return [cell.origins for cell in cells]


def _listed(group: exp.Group, key: str) -> list[exp.Expr]:
    return list(group.args.get(key) or ())


def _orders_by_all(order: exp.Expr) -> bool:
    return any(isinstance(one.this, exp.Var) and one.this.name.upper() == "ALL" for one in order.expressions)


def _aggregated(node: exp.Expr) -> How:
    found = How.COMPUTED
    if any(is_aggregate(one) for one in node.walk()):
        found |= How.AGGREGATED
    return found | How.WINDOWED if node.find(exp.Window) is not None else found


def _without_columns(node: exp.Expr) -> Iterator[exp.Expr]:
    """The largest parts of an expression that have no COLUMNS in them."""
    for child in node.iter_expressions():
        if isinstance(child, exp.Columns):
            continue
        if child.find(exp.Columns) is None:
            yield child
        else:
            yield from _without_columns(child)


def _parts(node: exp.Expr) -> list[exp.Expr]:
    return list(node.parts) if isinstance(node, exp.Column) else [node]


def _name(expression: exp.Expr) -> str | None:
    """The name of an expression in the list of SELECT, where it is certain."""
    if isinstance(expression, exp.Alias | exp.Column):
        return expression.alias_or_name
    return None


def place_of(node: exp.Expr) -> tuple[int, int] | None:
    """Line and column, from 1, of a node's first word in the text that was parsed."""
    starts = [part.meta for part in node.walk() if "start" in part.meta]
    if not starts:
        return None
    first = min(starts, key=lambda meta: int(meta["start"]))
    return int(first["line"]), int(first["col"]) - (int(first["end"]) - int(first["start"]))
