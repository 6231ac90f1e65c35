"""Where the value of an SQL expression comes from.

All that stands in an expression makes its value: the conditions of a CASE, too, and what a subquery gives. Only an
aggregate's FILTER and ORDER BY and a window's PARTITION, ORDER and frame choose rows: they are influences.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import sqlglot
from sqlglot import exp

from lichen.graph.dialect import DIALECT
from lichen.graph.origin import NOTHING, How, Origins, influence, marked, merged
from lichen.graph.scope import Scope, Unread

_NAMES = """
any_value approx_top_k arbitrary arg_max_null arg_max_nulls_last arg_min_null arg_min_nulls_last argmax argmin
avg bit_and bit_or bit_xor bitstring_agg bool_and bool_or combine_aggr count_if count_star countif
decimal_average entropy favg fsum geomean geometric_mean group_concat histogram histogram_exact kahan_sum
kurtosis kurtosis_pop list listagg lttb mad max_by mean min_by product quantile regr_avgx regr_avgy regr_count
regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy reservoir_quantile sem skewness string_agg
sum_no_overflow sumkahan var_pop var_samp variant_group_object wavg weighted_avg
"""

AGGREGATES = frozenset(_NAMES.split())
"""DuckDB's aggregates that sqlglot takes for plain functions (and some that it knows)."""

_BEGINS_QUERY = re.compile(r"\b(select|from|values|pivot|unpivot|table|with)\b", re.IGNORECASE)
_MULTIPLIERS = frozenset(["unnest", "generate_subscripts"])
_LEAVES = (exp.Literal, exp.Boolean, exp.Null, exp.DataType, exp.JSONPath, exp.Parameter, exp.Placeholder)


def origins_of(expression: exp.Expr, scope: Scope, *, aliases_too: bool = False) -> Origins:
    """Where an expression's value comes from; `Unread` where that cannot be told."""
    bare = expression.unnest() if isinstance(expression, exp.Paren) else expression
    found = _Expression(scope, aliases_too).of(bare)
    return found if isinstance(bare, exp.Column | exp.Query) else marked(found, How.COMPUTED)


def is_aggregate(node: exp.Expr, *, over_group: bool = False) -> bool:
    """Whether a node sums up rows; with `over_group` those of a group, and not of a window."""
    named = isinstance(node, exp.Anonymous) and str(node.this).lower() in AGGREGATES
    if not named and not isinstance(node, exp.AggFunc):
        return False
    above = node.parent
    while isinstance(above, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
        above = above.parent
    return not (over_group and isinstance(above, exp.Window))


def holds_query(text: str) -> bool:
    """Whether a query stands in the text of an expression; of what cannot be parsed a word that begins one tells it.

    >>> holds_query("amount > (SELECT avg(amount) FROM sales)"), holds_query("amount > 3")
    (True, False)
    """
    try:
        return sqlglot.parse_one(text, dialect=DIALECT).find(exp.Query, exp.Table, exp.Pivot) is not None
    except (sqlglot.errors.SqlglotError, RecursionError):
        return _BEGINS_QUERY.search(text) is not None


def parts_of(column: exp.Column) -> tuple[str, ...]:
    """The words of a column's name, in small letters."""
    return tuple(part.name.lower() for part in column.parts)


class _Expression:
    """One walk over an expression."""

    def __init__(self, scope: Scope, aliases_too: bool) -> None:
        self.scope, self.aliases_too = scope, aliases_too
        self.bound: set[str] = set()

    def of(self, node: exp.Expr) -> Origins:
        """Where a node comes from. Long chains of operators are walked without recursion."""
        found: list[Origins] = []
        waiting = [node]
        while waiting:
            one = waiting.pop()
            own = _OWN.get(type(one))
            if own is not None:
                found.append(own(self, one))
            elif isinstance(one, exp.Query | exp.Values):
                found.append(self.subquery(one))
            elif is_aggregate(one):
                found.append(marked(self.children(one), How.COMPUTED | How.AGGREGATED))
            elif isinstance(one, exp.Anonymous) and str(one.this).lower() in _MULTIPLIERS:
                found.append(self.multiplier(one))
            elif isinstance(one, exp.Table | exp.DML | exp.DDL | exp.Command):
                raise Unread(f"{one.key.upper()} inside an expression")
            elif not isinstance(one, _LEAVES):
                waiting += one.iter_expressions()
        return found[0] if len(found) == 1 else merged(found)

    def children(self, node: exp.Expr) -> Origins:
        return merged(self.of(child) for child in node.iter_expressions())

    def column(self, node: exp.Expr) -> Origins:
        assert isinstance(node, exp.Column)
        if isinstance(node.this, exp.Star):
            return merged(cell.origins for _, cell in self.scope.shown(node.table.lower()))
        parts = parts_of(node)
        found = self.scope.named(parts, aliases_too=self.aliases_too)
        if found is None and parts[0] in self.bound:
            return NOTHING
        if found is None:
            raise Unread(f"`{'.'.join(parts)}` names nothing that is read here")
        return found if len(parts) == 1 or self.is_of_relation(parts) else marked(found, How.COMPUTED)

    def is_of_relation(self, parts: tuple[str, ...]) -> bool:
        return len(parts) == 2 and any(item.name == parts[0] for s in self.scope.around() for item in s.items)

    def word(self, node: exp.Expr) -> Origins:
        """A word that sqlglot takes for no column: a unit, a lambda's parameter, or a column after all."""
        return self.scope.named((node.name.lower(),), aliases_too=self.aliases_too) or NOTHING

    def star(self, node: exp.Expr) -> Origins:
        """`*` or COLUMNS inside an expression: any column may be meant."""
        assert isinstance(node, exp.Star | exp.Columns)
        inside = [self.of(child) for child in node.iter_expressions() if not isinstance(child, exp.Star)]
        return merged([*(cell.origins for _, cell in self.scope.shown()), *inside])

    def counted(self, node: exp.Expr) -> Origins:
        if _counts_rows(node):
            return NOTHING  # whatever the rows hold
        return marked(self.children(node), How.COMPUTED | How.AGGREGATED)

    def filtered(self, node: exp.Expr) -> Origins:
        return merged([self.of(node.this), influence(self.of(node.expression), How.FILTER)])

    def within_group(self, node: exp.Expr) -> Origins:
        """`quantile_cont(0.5) WITHIN GROUP (ORDER BY x)`: the order names what is summed up."""
        ordered = merged(self.of(one.this) for one in node.expression.expressions)
        return marked(merged([self.of(node.this), ordered]), How.COMPUTED | How.AGGREGATED)

    def ordered(self, node: exp.Expr) -> Origins:
        """An ORDER BY among an aggregate's arguments."""
        value = self.of(node.this) if node.this is not None else NOTHING
        return merged([value, influence(ordering(node, self.of, self.scope), How.ORDER)])

    def windowed(self, node: exp.Expr) -> Origins:
        assert isinstance(node, exp.Window)
        value = marked(self._called_over(node.this), How.COMPUTED | How.WINDOWED)
        chosen = merged(self.choosing(node))
        self.scope.sorted_by.append(chosen)
        return merged([value, influence(chosen, How.WINDOW)])

    def _called_over(self, call: exp.Expr) -> Origins:
        """The arguments of a window's function: they are summed up over its window, not over a group."""
        if isinstance(call, exp.IgnoreNulls | exp.RespectNulls):
            return self._called_over(call.this)
        if isinstance(call, exp.Filter):
            return merged([self._called_over(call.this), influence(self.of(call.expression), How.FILTER)])
        return self.children(call) if is_aggregate(call) and not _counts_rows(call) else self.of(call)

    def choosing(self, node: exp.Window) -> Iterator[Origins]:
        """What a window is partitioned and ordered by, in its own words and in those of a named one."""
        for part in node.args.get("partition_by") or ():
            yield self.of(part)
        for key in ("order", "spec"):
            part = node.args.get(key)
            if isinstance(part, exp.Order):
                yield ordering(part, self.of, self.scope)
            elif part is not None:
                yield self.of(part)
        if node.args.get("alias") is not None:
            named = self.scope.windows.get(node.alias.lower())
            yield from self.named_window(named, set()) if named is not None else self.every_window()

    def named_window(self, named: exp.Window, seen: set[str]) -> Iterator[Origins]:
        before = named.args.get("alias")
        own = named.copy()
        own.set("alias", None)
        yield from self.choosing(own)
        if before is not None and before.name.lower() not in seen:
            further = self.scope.windows.get(before.name.lower())
            if further is None:
                raise Unread(f"there is no window `{before.name}`")
            yield from self.named_window(further, {*seen, before.name.lower()})

    def every_window(self) -> Iterator[Origins]:
        raise Unread("a window's name is not known")

    def function(self, node: exp.Expr) -> Origins:
        """A lambda; `j -> 'a'` among arguments looks like one and reads the column `j`."""
        before = set(self.bound)
        self.bound |= {one.name.lower() for one in node.expressions}
        found = self.children(node)
        self.bound = before
        return found

    def comprehension(self, node: exp.Expr) -> Origins:
        before = set(self.bound)
        self.bound |= {node.expression.name.lower()}
        position = node.args.get("position")
        if position is not None:
            self.bound.add(position.name.lower())
        found = self.children(node)
        self.bound = before
        return found

    def pair(self, node: exp.Expr) -> Origins:
        """`{'key': value}`, `name := value`: the key is a name; `MAP {a: b}` has keys that are values."""
        struct = node.parent
        keyed = isinstance(struct, exp.Struct) and isinstance(struct.parent, exp.ToMap | exp.Map)
        return merged([self.of(node.expression), self.of(node.this) if keyed else NOTHING])

    def multiplier(self, node: exp.Expr) -> Origins:
        found = marked(self.children(node), How.COMPUTED)
        self.scope.multiplied.append(found)
        return found

    def by_place(self, node: exp.Expr) -> Origins:
        shown = self.scope.shown()
        place = int(node.this.name) - 1
        if not 0 <= place < len(shown):
            raise Unread(f"there is no column #{place + 1}")
        return shown[place][1].origins

    def existing(self, node: exp.Expr) -> Origins:
        """Whether there are rows: what they hold does not count."""
        if not isinstance(node.this, exp.Query):
            return self.children(node)  # DuckDB has a function of lists by that name, too
        return influence(self.scope.query(node.this, self.scope.inner()).rows, How.FILTER)

    def subquery(self, node: exp.Expr) -> Origins:
        """A subquery in an expression: its values, and what decides on its rows."""
        shape = self.scope.query(node, self.scope.inner())
        return merged([shape.whole(), shape.rows])


_OWN: Mapping[type[exp.Expr], Callable[[_Expression, exp.Expr], Origins]] = {
    exp.Column: _Expression.column,
    exp.Identifier: _Expression.word,
    exp.Var: _Expression.word,
    exp.Star: _Expression.star,
    exp.Columns: _Expression.star,
    exp.Count: _Expression.counted,
    exp.Filter: _Expression.filtered,
    exp.WithinGroup: _Expression.within_group,
    exp.Order: _Expression.ordered,
    exp.Window: _Expression.windowed,
    exp.Lambda: _Expression.function,
    exp.Comprehension: _Expression.comprehension,
    exp.PropertyEQ: _Expression.pair,
    exp.Explode: _Expression.multiplier,
    exp.Unnest: _Expression.multiplier,
    exp.PositionalColumn: _Expression.by_place,
    exp.Exists: _Expression.existing,
}
"""The nodes whose parts do not all reach the value alike."""


def _counts_rows(node: exp.Expr) -> bool:
    """Whether it is `count(*)`."""
    return isinstance(node, exp.Count) and isinstance(node.this, exp.Star) and not any(node.this.args.values())


def ordering(order: exp.Expr, of: Callable[[exp.Expr], Origins], scope: Scope) -> Origins:
    """What an ORDER BY goes by; ALL is everything that is shown."""
    found = []
    for ordered in order.expressions:
        by = ordered.this if isinstance(ordered, exp.Ordered) else ordered
        if isinstance(by, exp.Var) and by.name.upper() == "ALL":
            found.append(scope.visible())
        else:
            found.append(of(by))
    return merged(found)
