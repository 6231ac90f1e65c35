"""Which interval of a table a row that it reads is in: told from the table's statement alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from lichen.graph.dialect import DIALECT

Values = tuple[exp.Expr, ...]
"""Expressions over one relation, for the columns that are traced."""

Reach = dict[str, tuple[Values, ...] | None]
"""Each relation that is read: what the traced columns are there, once for each place; None where any row may matter."""

_NOT_OF_A_ROW = (
    *(exp.Query, exp.AggFunc, exp.Window, exp.Unnest, exp.Explode, exp.Posexplode),
    *(exp.Columns, exp.Star, exp.PositionalColumn),
)
"""What a value of one row has none of; places and patterns may stand for any column."""

_EXPLICIT = "explicit"
"""Set on a column whose relation the user wrote."""


class Mixed(Exception):
    """A statement whose rows of one interval may depend on another interval's; `node` is where, if it has a place."""

    def __init__(self, why: str, node: exp.Expr | None = None) -> None:
        super().__init__(why)
        self.why, self.node = why, node


def reach(tree: exp.Query, column: str, columns: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...] | None]:
    """For each relation that a statement reads, SQL over one of its rows for `column` of all rows made of it.

    A row of the relation that comes, goes or changes then changes only rows of the statement whose `column` has one
    of these values. None: it may change any. `columns` gives the columns of each relation. `Mixed` where no relation
    can be told so, or where rows with one value of `column` depend on rows with another.

    >>> import sqlglot
    >>> given = {"f": ["id", "at"], "p": ["id"]}
    >>> reach(sqlglot.parse_one("SELECT f.id, at::DATE AS day FROM f LEFT JOIN p ON p.id = f.id"), "day", given)
    {'f': ('CAST("at" AS DATE)',), 'p': None}
    """
    schema: dict[str, object] = {
        name.lower(): {one.lower(): "VARCHAR" for one in given} for name, given in columns.items()
    }
    written = tree.copy()
    for one in written.find_all(exp.Column):
        one.meta[_EXPLICIT] = bool(one.table)
    try:
        whole = qualify(
            written, dialect=DIALECT, schema=schema, expand_alias_refs=False, validate_qualify_columns=False
        )
    except (SqlglotError, RecursionError) as error:
        raise Mixed("its columns cannot be told from the statement alone") from error
    assert isinstance(whole, exp.Query)
    for cte in whole.find_all(exp.CTE):
        if cte.alias.lower() in schema:
            raise Mixed(f"`{cte.alias}` is a name in WITH and a relation's too", cte)
    given = {name.lower(): frozenset(one.lower() for one in of) for name, of in columns.items()}
    traced = _trace(whole, (column.lower(),), _Around({}, given))
    if all(values is None for values in traced.values()):
        raise Mixed(f"`{column}` comes from a relation that is read more than once")
    return {
        name: None if values is None else tuple(dict.fromkeys(one[0].sql(dialect=DIALECT) for one in values))
        for name, values in sorted(traced.items())
    }


@dataclass(frozen=True)
class _Around:
    """What a name in FROM may be: a query that is named in WITH, or a relation that has these columns."""

    ctes: Mapping[str, exp.Query]
    columns: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class _Item:
    """What stands in FROM or JOIN: its alias, itself, and how it is joined."""

    alias: str
    node: exp.Expr
    side: str = ""
    kind: str = ""
    method: str = ""


def _trace(query: exp.Expr, names: tuple[str, ...], around: _Around) -> Reach:
    """The relations that a query reads, each with what the columns `names` of the query's rows are there."""
    if isinstance(query, exp.Subquery):
        return _trace(query.this, names, _with(query, around))
    inner = _with(query, around)
    _refuse_counted(query)
    if isinstance(query, exp.SetOperation):
        return _trace_both(query, names, inner)
    if not isinstance(query, exp.Select):
        raise Mixed("what it reads is no SELECT", query)
    items = _items(query)
    values = tuple(_value(query, name, {item.alias for item in items}) for name in names)
    _refuse_mixed(query, values, _visible(items, inner))
    driving = _driving(items, values)
    traced = _of_item(driving, values, inner)
    for item in items:
        if item is not driving:
            _unless(traced, _reads(item.node, inner))
    inside = [item.node for item in items]
    for nested in query.find_all(exp.Table):
        if not any(nested is node or node in _ancestors(nested) for node in inside) and not _in_with(nested, query):
            _unless(traced, _reads(nested, inner))
    return traced


def _with(query: exp.Expr, around: _Around) -> _Around:
    """What names in FROM are in this query."""
    known = dict(around.ctes)
    written = query.args.get("with_")
    if written is None:
        return around
    if written.args.get("recursive"):
        raise Mixed("WITH RECURSIVE makes rows of rows, whatever their interval", written)
    for cte in written.expressions:
        known[cte.alias.lower()] = cte.this
    return replace(around, ctes=known)


def _refuse_counted(query: exp.Expr) -> None:
    for part, word in (("limit", "LIMIT"), ("offset", "OFFSET"), ("sample", "SAMPLE"), ("match", "MATCH_RECOGNIZE")):
        if query.args.get(part) is not None:
            raise Mixed(f"{word} chooses rows by what all the others are", query.args[part])


def _trace_both(query: exp.SetOperation, names: tuple[str, ...], around: _Around) -> Reach:
    """Two queries under each other: rows with one value of a column meet only rows with the same."""
    if query.args.get("by_name") or query.args.get("on") is not None:
        sides = [(query.this, names), (query.expression, names)]
    else:
        left, right = ([one.alias_or_name.lower() for one in side.selects] for side in (query.left, query.right))
        if "*" in (*left, *right) or len(left) != len(right) or not set(names) <= set(left):
            raise Mixed("which columns stand under each other is not known", query)
        sides = [(query.this, names), (query.expression, tuple(right[left.index(name)] for name in names))]
    traced: Reach = {}
    for side, its in sides:
        for name, values in _trace(side, its, around).items():
            before = traced.get(name, ())
            traced[name] = None if before is None or values is None else (*before, *values)
    return traced


def _items(query: exp.Select) -> list[_Item]:
    origin = query.args.get("from_")
    if origin is None:
        raise Mixed("it reads no relation", query)
    items = [_Item(origin.this.alias_or_name.lower(), origin.this)]
    for join in query.args.get("joins") or ():
        side, kind = (str(join.args.get(part) or "").upper() for part in ("side", "kind"))
        method = str(join.args.get("method") or "").upper()
        if "POSITIONAL" in (method, kind):
            raise Mixed("a positional join goes by the order of all rows", join)
        items.append(_Item(join.this.alias_or_name.lower(), join.this, side, kind, method))
    items += [_Item(one.alias_or_name.lower(), one) for one in query.args.get("laterals") or ()]
    for item in items:
        if any(item.node.args.get(part) for part in ("joins", "pivots", "sample")):
            raise Mixed("a join in parentheses, a PIVOT or a sample is not followed", item.node)
    return items


def _value(query: exp.Select, name: str, known: set[str], seen: frozenset[str] = frozenset()) -> exp.Expr:
    """The expression that a column of a SELECT is, over what it reads; aliases beside it are put in."""
    written = [one for one in query.selects if one.alias_or_name.lower() == name]
    if len(written) != 1 or isinstance(written[0].unalias(), exp.Star) or name in seen:
        raise Mixed(f"the column `{name}` is not found in the statement's list", query)
    value = written[0].unalias()
    for part in value.find_all(*_NOT_OF_A_ROW):
        raise Mixed(f"`{name}` is not computed of one row", part)
    for one in value.find_all(exp.Column):
        if one.table and one.table.lower() not in known:
            raise Mixed(f"`{name}` is made of `{one.table}`, which a query around this one reads", one)
    aliases = {
        id(one): _value(query, one.name.lower(), known, seen | {name})
        for one in value.find_all(exp.Column)
        if one.table.lower() not in known
    }
    return _replaced(value, lambda column: aliases.get(id(column)))


def _replaced(value: exp.Expr, by: object) -> exp.Expr:
    """A copy of an expression, each of whose columns is what `by` gives for it, if that gives anything."""
    assert callable(by)
    new = {}
    for place, column in enumerate(value.find_all(exp.Column)):
        new[place] = by(column)
    copy = value.copy()
    for place, column in enumerate(list(copy.find_all(exp.Column))):
        put = new[place]
        if put is None:
            continue
        whole = exp.Paren(this=put.copy())
        if column is copy:
            return whole
        column.replace(whole)
    return copy


def _refuse_mixed(query: exp.Select, values: Values, visible: Mapping[str, frozenset[str]] | None) -> None:
    """Refuse what makes a row of rows that may have other values than its own."""
    group = query.args.get("group")
    if group is not None:
        several = group.find(exp.GroupingSets, exp.Rollup, exp.Cube)
        if several is not None and several.find_ancestor(exp.Query) is query:
            raise Mixed("GROUPING SETS, ROLLUP and CUBE make rows of all intervals", several)
    aliases = {one.alias_or_name.lower(): one.unalias() for one in query.selects}
    distinct = query.args.get("distinct")
    if distinct is not None and distinct.args.get("on") is not None:
        on = distinct.args["on"]
        keys = on.expressions if isinstance(on, exp.Tuple) else [on]
        _refuse_unkeyed("DISTINCT ON", [_listed(key, aliases) for key in keys], values, distinct)
    names = {one.name.lower(): one for one in query.args.get("windows") or ()}
    for window in query.find_all(exp.Window):
        if window.find_ancestor(exp.Query) is not query or window.arg_key == "windows":
            continue
        named = names.get(window.alias.lower()) if window.alias else None
        keys = [*(window.args.get("partition_by") or ()), *((named and named.args.get("partition_by")) or ())]
        _refuse_unkeyed("a window", [_owned(key, aliases, visible) for key in keys], values, window)


def _visible(items: Sequence[_Item], around: _Around) -> dict[str, frozenset[str]] | None:
    """The columns of what stands in FROM, by alias; None where those of one of them are not known."""
    visible = {}
    for item in items:
        if item.kind in ("SEMI", "ANTI"):
            continue
        node = item.node
        query = around.ctes.get(node.name.lower()) if isinstance(node, exp.Table) else node
        if isinstance(query, exp.Query):
            names = frozenset(one.alias_or_name.lower() for one in query.selects)
        else:
            names = around.columns.get(node.name.lower(), frozenset()) if isinstance(node, exp.Table) else frozenset()
        if not names or "*" in names:
            return None
        visible[item.alias] = names
    return visible


def _listed(key: exp.Expr, aliases: Mapping[str, exp.Expr]) -> exp.Expr:
    """A key of DISTINCT ON: a bare name is first that of a column of the list."""
    if not isinstance(key, exp.Column) or key.meta.get(_EXPLICIT):
        return key
    return aliases.get(key.name.lower(), key)


def _owned(key: exp.Expr, aliases: Mapping[str, exp.Expr], visible: Mapping[str, frozenset[str]] | None) -> exp.Expr:
    """A key of a window; a bare name, as in QUALIFY, is a column that is read, and else one of the list."""

    def put(column: exp.Column) -> exp.Expr | None:
        if column.table or visible is None:
            return None
        of = [alias for alias, names in visible.items() if column.name.lower() in names]
        if not of:
            return aliases.get(column.name.lower())
        return exp.column(column.this.copy(), table=exp.to_identifier(of[0], quoted=True)) if len(of) == 1 else None

    return _replaced(key, put).unnest()


def _refuse_unkeyed(what: str, keys: Sequence[exp.Expr], values: Values, node: exp.Expr) -> None:
    """Refuse what compares rows, unless the rows it compares have the same values."""
    plain = {key for key in keys if isinstance(key, exp.Column)}
    for value in values:
        if value not in keys and not set(value.find_all(exp.Column)) <= plain:
            shown = value.sql(dialect=DIALECT, identify=False).replace('"', "")
            raise Mixed(f"{what} compares rows of several intervals: it does not go by `{shown}`", node)


def _driving(items: Sequence[_Item], values: Values) -> _Item:
    """The one item that all values come from; each of their rows is a row of it, and not one that is missing."""
    tables = {column.table.lower() for value in values for column in value.find_all(exp.Column)}
    if not tables:
        raise Mixed("it is the same for all rows")
    if len(tables) > 1:
        raise Mixed(
            f"it comes from {' and '.join(f'`{name}`' for name in sorted(tables))}: name one of them", values[0]
        )
    (alias,) = tables
    place = next(at for at, item in enumerate(items) if item.alias == alias)
    own = items[place]
    later = {item.side for item in items[place + 1 :]}
    if own.side in ("LEFT", "FULL") or later & {"RIGHT", "FULL"}:
        raise Mixed(f"an outer join also gives rows for which `{alias}` has none: put `{alias}` first", own.node)
    if own.method == "ASOF":
        raise Mixed(f"an ASOF join chooses among the rows of `{alias}`: put `{alias}` first", own.node)
    return own


def _of_item(item: _Item, values: Values, around: _Around) -> Reach:
    """What values over an item are over the relations that it is made of."""
    node = item.node
    if node.args.get("alias") is not None and node.args["alias"].args.get("columns"):
        raise Mixed("columns that are named in FROM are not followed", node)
    query = around.ctes.get(node.name.lower()) if isinstance(node, exp.Table) and not node.db else node
    if isinstance(node, exp.Table) and query is None:
        if not isinstance(node.this, exp.Identifier):
            raise Mixed("it comes from a table function", node)
        plain = [value.copy() for value in values]
        for value in plain:
            for column in value.find_all(exp.Column):
                column.set("table", None)
        return {node.name.lower(): (tuple(plain),)}
    if not isinstance(query, exp.Query):
        raise Mixed("it comes from a list of values", node)
    names = tuple(dict.fromkeys(one.name.lower() for value in values for one in value.find_all(exp.Column)))
    traced = _trace(query, names, around)
    return {
        name: None if found is None else tuple(_composed(values, dict(zip(names, one, strict=True))) for one in found)
        for name, found in traced.items()
    }


def _composed(values: Values, parts: Mapping[str, exp.Expr]) -> Values:
    return tuple(_replaced(value, lambda column: parts[column.name.lower()]) for value in values)


def _reads(node: exp.Expr, around: _Around, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The relations that are read anywhere below a node."""
    for table in node.find_all(exp.Table):
        name = table.name.lower()
        if name in around.ctes and name not in seen:
            yield from _reads(around.ctes[name], around, seen | {name})
        elif isinstance(table.this, exp.Identifier):
            yield name


def _unless(traced: Reach, names: Iterator[str]) -> None:
    """Any row of these relations may matter, whatever else is known of them."""
    for name in names:
        traced[name] = None


def _ancestors(node: exp.Expr) -> list[exp.Expr]:
    found = []
    while node.parent is not None:
        node = node.parent
        found.append(node)
    return found


def _in_with(node: exp.Expr, query: exp.Expr) -> bool:
    """Whether a node stands in the WITH of a query: it is followed where its name is read."""
    return any(one is query.args.get("with_") for one in _ancestors(node))
