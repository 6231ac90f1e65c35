"""The SELECT statements that read the rows of a view's table: evaluated, keyed, sorted.

A key's parts travel as `_k0`, `_k1`, ...; `_h` and `_g` are the key as two whole numbers and `_fit` tells whether it is
whole; `_e` is an entity's number, `_t` and `_q` are a row's event time and known-time in microseconds, `_u` until when
no other row of its event is known, `_r` is its place in the table, `_v0`, ... are its measures, `_n0`, ... tell which
of them are null, `_d0`, ... are hashes of them, and `_c0`, ... are the columns whose values are shown as they stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lichen.feature.value import value_kind, wire_sql
from lichen.ground.quoting import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lichen.feature.view import Measure, View
    from lichen.ports import Column


def select(columns: Iterable[tuple[str, str]], source: str, *rest: str, every: bool = False) -> str:
    """A SELECT of (expression, name) pairs, after all columns where `every`; the names are quoted here."""
    shown = [*(["*"] if every else []), *(f"{sql} AS {identifier(name)}" for sql, name in columns)]
    return " ".join(["SELECT", ", ".join(shown), "FROM", source, *rest])


def typed(column: Column, sql: str | None = None) -> str:
    """A column, or the expression given for it, cast to the column's type."""
    return f"CAST({sql or identifier(column.name)} AS {column.type})"


def finite(column: Column) -> str:
    """A column as a feature shows it: an instant that is infinite is none."""
    name = identifier(column.name)
    if value_kind(column.type) == "instant":
        return typed(column, f"CASE WHEN isfinite({name}) THEN {name} END")
    return typed(column)


def key_names(view: View) -> list[str]:
    """The names under which the parts of an entity's key travel."""
    return [f"_k{place}" for place in range(len(view.entity))]


def key_columns(entity: Sequence[Column]) -> list[tuple[str, str]]:
    """An entity's key columns, cast, under their travelling names; an infinite instant names no entity."""
    return [(finite(column), f"_k{place}") for place, column in enumerate(entity)]


def hashed_key(entity: Sequence[Column], names: Sequence[str]) -> list[tuple[str, str]]:
    """A key as whole numbers: itself as `_h`, where it is one, else two hashes of its parts, `_h` and `_g`.

    `names` are the SQL of the parts, of the entity's types.
    """
    if not entity:
        return [("0::BIGINT", "_h")]
    if len(entity) == 1 and entity[0].type not in ("VARCHAR", "DOUBLE"):
        whole = wire_sql(names[0], entity[0].type)
        if entity[0].type == "UBIGINT":
            whole = f"CAST({names[0]} AS HUGEINT) - 9223372036854775808"
        return [(f"coalesce(CAST({whole} AS BIGINT), 0)", "_h")]
    # Hashes of one text that are equal are equal with whatever is hashed beside it: the second is of another text.
    other = [f"{n} || '|'" if c.type == "VARCHAR" else n for c, n in zip(entity, names, strict=True)]
    return [(f"hash({', '.join(names)})", "_h"), (f"hash('|', {', '.join(reversed(other))})", "_g")]


def whole_key(names: Sequence[str]) -> str:
    """SQL that tells whether no part of a key is null."""
    return " AND ".join(f"{name} IS NOT NULL" for name in names) or "true"


def questions_sql(entity: Sequence[Column], source: str, at: str) -> str:
    """What is asked of an entity's views: the key as numbers, whether it and the instant are there, the instant."""
    names = [f"_k{place}" for place in range(len(entity))]
    keys = f"({select([*key_columns(entity), (f'epoch_us({at})', '_t')], source)})"
    fit = f"{whole_key(names)} AND _t IS NOT NULL"
    return select([*hashed_key(entity, names), (fit, "_fit"), ("coalesce(_t, 0)", "_t")], keys)


def same_known(view: View) -> bool:
    """Whether each row is known when it happens, by the words of the view alone."""
    return view.known == view.time and not view.corrected


def landed_sql(view: View, relation: str) -> str:
    """All rows of a view's table as numbers, with what is shown as it stands, in the table's order."""
    prompt = same_known(view)
    inner = [*key_columns(view.entity), *_times(view)[: 1 if prompt else 2], *_values(view), *_shown(view)]
    source = f"({select(inner, identifier(relation))})"
    ending = ""
    if view.corrected:
        source = _followed(view, relation, inner)
        ending = "ORDER BY _r"
    names = key_names(view)
    fit = f"{whole_key(names)} AND _t IS NOT NULL" + ("" if prompt else " AND _q IS NOT NULL")
    times = [("coalesce(_t, 0)", "_t"), *([] if prompt else [("coalesce(_q, 0)", "_q")])]
    until = [("_u", "_u")] if view.corrected else []
    shown = [*hashed_key(view.entity, names), (fit, "_fit"), *times, *until, *_measured(view)]
    shown += [(f"_c{place}", f"_c{place}") for place in range(len(placed(view)))]
    return select(shown, source, ending)


def events_sql(view: View, relation: str, among: str | None = None, delivery: int | None = None) -> str:
    """The rows of a view's table that have a whole key and both times, sorted by (key, `_t`, `_q`, `_r`).

    `among` is a relation of keys (`_k0`, ...) that are wanted; without it all are. Where the view has a grain `_x` is a
    hash of the event. A row without a time, which takes its event away where the table is corrected, has the last of
    all times; one that is followed the moment it is known is left out. Rows that are a `delivery` of some of the
    table's, by its number, have each event once where the table is not corrected: the last row.
    """
    whole = [*key_columns(view.entity), *_times(view), *_values(view), *_shown(view)]
    if view.grain:
        grain = [identifier(name) for name in view.grain]
        # A row whose event is not named whole is an event of its own.
        own = f"hash({delivery or 0}, _r, {', '.join(grain)})"
        whole.append((f"CASE WHEN {whole_key(grain)} THEN hash({', '.join(grain)}) ELSE {own} END", "_x"))
    if view.corrected or delivery is not None:
        source = _followed(view, relation, whole)
    else:
        numbered = f"({select([('row_number() OVER ()', '_r')], identifier(relation), every=True)})"
        source = f"({select([*whole, ('_r', '_r')], numbered)})"
    names = key_names(view)
    shown = [(name, name) for name in names] + hashed_key(view.entity, names)
    shown += [("coalesce(_t, " + NEVER + ")", "_t"), ("_q", "_q"), *_measured(view)]
    shown += [("_u", "_u")] if view.corrected else []
    shown += [("_x", "_x")] if view.grain else []
    shown += [(f"_c{place}", f"_c{place}") for place in range(len(placed(view)))]
    fit = [*(f"{name} IS NOT NULL" for name in names), "_q IS NOT NULL"]
    fit += ["_q < _u"] if view.corrected else ["_t IS NOT NULL", *([f"_u = {NEVER}"] if delivery is not None else [])]
    if among is not None and names:
        fit.append(f"({', '.join(names)}) IN ({select([(name, name) for name in names], identifier(among))})")
    return select(shown, source, "WHERE", " AND ".join(fit), "ORDER BY", ", ".join([*names, "_t", "_q", "_r"]))


def touched_sql(view: View, changed: str, relation: str) -> str:
    """The keys of the entities that changed rows touch: their own, and those of other rows of the same events."""
    # A view of everybody has one entity, which any row touches.
    keys = key_columns(view.entity) or [("1", "_one")]
    own = select(keys, identifier(changed))
    if view.corrected:
        grain = ", ".join(identifier(name) for name in view.grain)
        events = select([(identifier(name), name) for name in view.grain], identifier(changed))
        same = select(keys, identifier(relation), f"WHERE ({grain}) IN ({events})")
        own += f" UNION ALL {same}"
    whole = whole_key(key_names(view))
    return select([(name, name) for _, name in keys], f"({own})", "WHERE", whole, "GROUP BY ALL")


def _followed(view: View, relation: str, inner: Sequence[tuple[str, str]]) -> str:
    """The rows with `_r` and `_u`: when the next row of the same event becomes known, if one does."""
    grain = [(identifier(name), f"_x{place}") for place, name in enumerate(view.grain)]
    numbered = f"({select([('row_number() OVER ()', '_r')], identifier(relation), every=True)})"
    evaluated = f"({select([*inner, *grain, ('_r', '_r')], numbered)})"
    names = [name for _, name in grain]
    # A row whose event is not named whole is an event of its own; one that is never known follows none.
    odd = "_q IS NULL" if view.corrected else f"NOT ({whole_key([*key_names(view), '_t', '_q'])})"
    event = ", ".join([*names, f"CASE WHEN NOT ({whole_key(names)}) THEN _r END", odd])
    following = f"coalesce(lead(_q) OVER (PARTITION BY {event} ORDER BY _q, _r), {NEVER})"
    return f"({select([(following, '_u')], evaluated, every=True)})"


NEVER = literal(2**63 - 1)


def _times(view: View) -> list[tuple[str, str]]:
    return [(f"epoch_us({view.time})", "_t"), (f"epoch_us({view.known})", "_q")]


def _values(view: View) -> list[tuple[str, str]]:
    return [(_value(m), f"_v{place}") for place, m in enumerate(view.measures) if m.kind != "rows"]


def _measured(view: View) -> list[tuple[str, str]]:
    """The measures as compiled loops read them: which are null, numbers, hashes."""
    shown = []
    for place, measure in enumerate(view.measures):
        value = f"_v{place}"
        if measure.kind != "rows":
            shown.append((f"{value} IS NULL", f"_n{place}"))
        if measure.needs_values:
            shown.append((f"coalesce({_clipped(measure, value)}, 0)", value))
        if measure.is_coded:
            shown.append((f"hash({_clipped(measure, value)})", f"_d{place}"))
    return shown


def placed(view: View) -> list[tuple[str, str]]:
    """What is shown as it stands in a row, as SQL with its type: the latest columns, then measures of `PLACED`."""
    shown = [(finite(column), column.type) for column in view.latest]
    shown += [(_shown_value(m), m.type) for m in view.measures if m.is_placed]
    return shown


def _shown(view: View) -> list[tuple[str, str]]:
    return [(sql, f"_c{place}") for place, (sql, _) in enumerate(placed(view))]


def placed_sql(view: View, relation: str) -> str:
    """The columns of `placed`, of all rows in the table's order."""
    return select(_shown(view), identifier(relation))


def _shown_value(measure: Measure) -> str:
    return f"CAST({_clipped(measure, '(' + measure.value + ')')} AS {measure.type})"


def _value(measure: Measure) -> str:
    kinds = {"int": "CAST(({}) AS BIGINT)", "double": "CAST(({}) AS DOUBLE)", "instant": wire_sql("({})", measure.type)}
    return kinds.get(measure.kind, "({})").replace("{}", measure.value)


def _clipped(measure: Measure, value: str) -> str:
    """The value moved into its bounds; null and NaN stay what they are (`least` and `greatest` would skip a null)."""
    if measure.clip is None:
        return value
    whole = measure.kind == "int"
    low, high = (literal(int(bound) if whole else float(bound)) for bound in measure.clip)
    odd = f"{value} IS NULL" if whole else f"{value} IS NULL OR isnan({value})"
    return f"CASE WHEN {odd} THEN {value} ELSE greatest(least({value}, {high}), {low}) END"


def static_sql(view: View, relation: str) -> str:
    """The rows of a static view: the key's parts and the latest columns (`_c0`, ...)."""
    columns = [*key_columns(view.entity), *((finite(column), f"_c{at}") for at, column in enumerate(view.latest))]
    return select(columns, identifier(relation))
