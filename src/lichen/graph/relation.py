"""The relations in a FROM: tables, subqueries, functions, joins, PIVOT and UNPIVOT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from lichen.graph.expression import origins_of, parts_of
from lichen.graph.origin import NOTHING, ROWS, UNREAD, How, Origin, Origins, influence, marked, merged
from lichen.graph.scope import Cell, Item, Scope, Shape, Unread

_JSON_COLUMNS = ("key", "value", "type", "atom", "id", "parent", "fullkey", "path")
_FUNCTION_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "range": ("range",),
    "generate_series": ("generate_series",),
    "generate_subscripts": ("generate_subscripts",),
    "json_each": _JSON_COLUMNS,
    "json_tree": _JSON_COLUMNS,
}
_READ = {
    exp.Table: {"this", "alias", "joins", "pivots", "sample", "ordinality"},
    exp.Subquery: {"this", "alias", "joins", "pivots", "sample", "with_", "order", "limit", "offset"},
    exp.Join: {"this", "on", "using", "side", "kind", "method"},
    exp.Values: {"expressions", "alias"},
    exp.Unnest: {"expressions", "alias", "offset"},
    exp.Lateral: {"this", "alias", "view", "outer", "ordinality"},
    exp.Pivot: {"alias", "expressions", "fields", "unpivot", "group", "columns", "include_nulls"}
    | {"identify_pivot_strings", "prefixed_pivot_columns", "pivot_column_naming", "value_columns_first"},
}
"""The parts of each kind of node that are understood; anything else that is said makes it unread."""


def refuse_unknown(node: exp.Expr, read: set[str]) -> None:
    """Raise `Unread` where a node says something that is not understood."""
    for key, value in node.args.items():
        if value and key not in read:
            raise Unread(f"`{key.strip('_')}` of {node.key.upper()}")


@dataclass(frozen=True)
class Relations:
    """The relations that a statement reads from outside, and how a FROM is made of them."""

    columns: Mapping[str, Sequence[str] | None]
    """The columns of each; None where they are not known."""

    def outside(self, name: str) -> Shape:
        """A relation from outside."""
        rows = {Origin(name, ROWS): How.COUNT}
        columns = self.columns.get(name)
        if columns is None:
            return Shape(None, rows, lambda column: {Origin(name, column): How.VALUE})
        cells = (Cell(one.lower(), {Origin(name, one.lower()): How.VALUE}, shown=one) for one in columns)
        return Shape(tuple(cells), rows)

    def read(self, select: exp.Expr, scope: Scope) -> Origins:
        """Put all that FROM names into the scope; gives where the rows that come out of it come from."""
        first = select.args.get("from_")
        if first is None:
            return NOTHING
        rows = [self._add(first.this, scope)]
        rows += [self._join(join, scope) for join in select.args.get("joins") or ()]
        for lateral in select.args.get("laterals") or ():
            rows.append(self._add(lateral, scope))
        return merged(rows)

    def _join(self, join: exp.Join, scope: Scope) -> Origins:
        refuse_unknown(join, _READ[exp.Join])
        before = len(scope.items)
        rows = [self._add(join.this, scope)]
        new = scope.items[before:]
        if join.args.get("on") is not None:
            rows.append(influence(origins_of(join.args["on"], scope), How.JOIN))
        shared = [one.name.lower() for one in join.args.get("using") or ()]
        if join.method == "NATURAL":
            there = {cell.name for item in scope.items[:before] for cell in item.shape.placed}
            shared = [str(cell.name) for item in new for cell in item.shape.placed if cell.name in there]
        elif join.method not in ("", "ASOF", "POSITIONAL"):
            raise Unread(f"{join.method} JOIN")
        for name in shared:
            found = scope.named((name,))
            if found is None:
                raise Unread(f"USING ({name}) names nothing")
            rows.append(influence(found, How.JOIN))
        for item in new:
            item.hidden |= frozenset(shared)
        if join.kind in ("SEMI", "ANTI"):
            del scope.items[before:]
        self._mark_missing(join, scope.items[:before], scope.items[before:], merged(rows))
        return merged(rows)

    @staticmethod
    def _mark_missing(join: exp.Join, before: Sequence[Item], new: Sequence[Item], rows: Origins) -> None:
        """What meets in an outer join, and which rows there are to meet, decides where a column is null."""
        outer = {"LEFT": new, "RIGHT": before, "FULL": [*before, *new]}.get(str(join.side).upper(), ())
        for item in outer:
            met = influence(merged([rows, item.shape.rows]), How.JOIN)
            item.shape = item.shape.reached_by({origin: how & ~How.COUNT for origin, how in met.items()})

    def _add(self, node: exp.Expr, scope: Scope) -> Origins:
        """Put one relation, with those joined to it, into the scope."""
        refuse_unknown(node, next((read for kind, read in _READ.items() if type(node) is kind), set()))
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table | exp.Subquery) and not node.alias:
            rows = merged([self._add(node.this, scope), *self._joined_to(node, scope)])
            if node.args.get("pivots"):
                raise Unread("PIVOT of a join")
            return rows
        shape = self._shape(node, scope)
        name = node.alias_or_name.lower() or None
        for pivot in node.args.get("pivots") or ():
            shape = self._pivoted(pivot, shape.renamed(_column_names(node)), scope)
            name = pivot.alias.lower() or name
        if not node.args.get("pivots"):
            shape = shape.renamed(_column_names(node))
        scope.items.append(Item(name, shape))
        return merged([shape.rows, *self._joined_to(node, scope)])

    def _joined_to(self, node: exp.Expr, scope: Scope) -> list[Origins]:
        return [self._join(join, scope) for join in node.args.get("joins") or ()]

    def _shape(self, node: exp.Expr, scope: Scope) -> Shape:
        if isinstance(node, exp.Table):
            if isinstance(node.this, exp.Func):
                return self._function(node.this, scope, ordinality=bool(node.args.get("ordinality")))
            name = node.name.lower()
            return scope.ctes.get(name) or self.outside(name)
        if isinstance(node, exp.Lateral):
            if isinstance(node.this, exp.Subquery):
                return scope.query(node.this, scope.inner())
            return self._function(node.this, scope, ordinality=bool(node.args.get("ordinality")))
        if isinstance(node, exp.Unnest):
            return self._function(node, scope, ordinality=bool(node.args.get("offset")))
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
            return self._parenthesised(node.this, scope)
        if isinstance(node, exp.Subquery | exp.Values):
            return scope.query(node, scope.inner())
        raise Unread(f"{node.key.upper()} in FROM")

    def _parenthesised(self, table: exp.Table, scope: Scope) -> Shape:
        """`(a JOIN b USING (k)) AS j`: one relation of all that the join shows."""
        inner = scope.inner()
        rows = self._add(table, inner)
        return Shape(tuple(cell for _, cell in inner.shown()), rows)

    def _function(self, function: exp.Expr, scope: Scope, *, ordinality: bool) -> Shape:
        """A function in FROM: how many rows it gives and what is in them depends on its arguments."""
        arguments = [one for one in function.iter_expressions() if not isinstance(one, exp.TableAlias)]
        found = marked(merged(origins_of(one, scope) for one in arguments), How.COMPUTED)
        name = _function_name(function)
        options = any(isinstance(one, exp.PropertyEQ) for one in arguments)
        columns = _FUNCTION_COLUMNS.get(name)
        single = isinstance(function, exp.Unnest | exp.Explode) and not options and len(arguments) == 1
        cells = [Cell(column, found, shown=column) for column in columns or ()] or [Cell(None, found)]
        if ordinality:
            cells.append(Cell("ordinality", influence(found, How.COUNT), shown="ordinality"))
        return Shape(tuple(cells), influence(found, How.COUNT), ragged=columns is None and not single)

    def _pivoted(self, pivot: exp.Pivot, shape: Shape, scope: Scope) -> Shape:
        refuse_unknown(pivot, _READ[exp.Pivot])
        made = self._unpivot(pivot, shape) if pivot.args.get("unpivot") else self._pivot(pivot, shape, scope)
        alias = pivot.args.get("alias")
        return made.renamed([one.name for one in alias.columns] if alias is not None else [])

    def _pivot(self, pivot: exp.Pivot, shape: Shape, scope: Scope) -> Shape:
        """`PIVOT (sum(v) FOR name IN ('a', 'b') GROUP BY g)`: groups by g, or by all columns that it does not name."""
        inner = Scope(scope.query, scope.ctes, [Item(None, shape)], outer=scope)
        fields = pivot.args.get("fields") or []
        places = 1
        for one in fields:
            if not isinstance(one, exp.In) or not one.expressions or one.args.get("query"):
                raise Unread("a PIVOT whose values are not written out")
            if not all(isinstance(_unaliased(value), exp.Literal) for value in one.expressions):
                raise Unread("a PIVOT whose values are no literals")
            places *= len(one.expressions)
        chosen = merged(influence(origins_of(one.this, inner), How.FILTER) for one in fields)
        sums = [merged([origins_of(_unaliased(one), inner), chosen]) for one in pivot.expressions]
        named = {parts_of(one)[-1] for part in (*pivot.expressions, *fields) for one in part.find_all(exp.Column)}
        group = pivot.args.get("group")
        if group is not None:
            listed = {one.name.lower() for one in group.expressions}
            named = {str(cell.name) for cell in shape.placed if cell.name not in listed}
        groups = [cell for cell in shape.placed if cell.name not in named]
        names = [one.name for one in pivot.args.get("columns") or ()]
        certain = len(pivot.expressions) == 1 and len(names) == places
        cells = [Cell(names[at].lower() if certain else None, sums[at % len(sums)]) for at in range(places * len(sums))]
        rows = merged([shape.rows, *(influence(cell.origins, How.GROUP) for cell in groups)])
        return Shape((*groups, *cells), rows)

    def _unpivot(self, pivot: exp.Pivot, shape: Shape) -> Shape:
        """`UNPIVOT (v FOR name IN (a, b))`: a row for each column, its name beside its value."""
        fields = pivot.args.get("fields") or []
        if len(fields) != 1 or len(pivot.expressions) != 1 or not isinstance(fields[0], exp.In):
            raise Unread("an UNPIVOT of several columns at once")
        listed = [_unaliased(one) for one in fields[0].expressions]
        if not all(isinstance(one, exp.Column) and not isinstance(one.this, exp.Star) for one in listed):
            raise Unread("an UNPIVOT of columns that are not named one by one")
        names = [parts_of(one)[-1] for one in listed if isinstance(one, exp.Column)]
        taken = merged(cell.origins for cell in shape.placed if cell.name in names)
        if not set(names) <= {cell.name for cell in shape.placed}:
            raise Unread("an UNPIVOT of a column that is not there")
        kept = [cell for cell in shape.placed if cell.name not in names]
        label, value = fields[0].this.name, pivot.expressions[0].name
        cells = (Cell(label.lower(), NOTHING, shown=label), Cell(value.lower(), taken, shown=value))
        # A row whose value is null is left out.
        dropped = NOTHING if pivot.args.get("include_nulls") else influence(taken, How.FILTER)
        return Shape((*kept, *cells), merged([shape.rows, dropped]))

    def everything(self, node: exp.Expr, scope: Scope) -> Shape:
        """What is known of a query that cannot be read: all it could reach, in columns that are not known."""
        reached = [scope.visible()]
        for table in node.find_all(exp.Table):
            name = table.name.lower()
            for shape in filter(None, (scope.ctes.get(name), self.outside(name) if name in self.columns else None)):
                reached += [shape.whole(), shape.rows]
        whole = dict.fromkeys(merged(reached), UNREAD)
        return Shape(None, whole, lambda _: whole)


def _function_name(function: exp.Expr) -> str:
    if isinstance(function, exp.GenerateSeries) and function.args.get("is_end_exclusive"):
        return "range"
    if isinstance(function, exp.Func) and not isinstance(function, exp.Anonymous):
        return str(function.sql_name()).lower()
    return function.name.lower()


def _unaliased(node: exp.Expr) -> exp.Expr:
    return node.this if isinstance(node, exp.Alias | exp.PivotAlias) else node


def _column_names(node: exp.Expr) -> list[str]:
    alias = node.args.get("alias")
    return [one.name for one in alias.columns] if isinstance(alias, exp.TableAlias) else []
