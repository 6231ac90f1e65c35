"""The SELECT statements that read the rows of a view's table: evaluated, keyed, sorted.

A key's parts travel as `_k0`, `_k1`, ...; `_e` is an entity's number, `_t` and `_q` are a row's event time and
known-time in microseconds, `_r` is its place in the table, `_v0`, ... are its measures, `_n0`, ... tell which of them
are null, and `_c0`, ... are its latest columns.
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
    """An entity's key columns, cast, under their travelling names."""
    return [(typed(column), f"_k{place}") for place, column in enumerate(entity)]


def entities_sql(entity: Sequence[Column], source: str) -> str:
    """The distinct keys without nulls in a relation, numbered from 0 as `_e`."""
    if not entity:
        return "SELECT 0::BIGINT AS _e"
    names = [f"_k{place}" for place in range(len(entity))]
    distinct = f"({select(key_columns(entity), source)})"
    whole = " AND ".join(f"{name} IS NOT NULL" for name in names)
    pairs = [(name, name) for name in names]
    grouped = f"({select(pairs, distinct, 'WHERE', whole, 'GROUP BY', ', '.join(names))})"
    return select([("row_number() OVER () - 1", "_e"), *pairs], grouped)


def events_sql(view: View, relation: str, entities: str) -> str:
    """The rows of a view's table that belong to `entities`, sorted by (`_e`, `_t`, `_q`, `_r`)."""
    assert view.time is not None
    assert view.known is not None
    inner = [
        *key_columns(view.entity),
        ("row_number() OVER ()", "_r"),
        (f"epoch_us({view.time})", "_t"),
        (f"epoch_us({view.known})", "_q"),
        *((_value(measure), f"_v{place}") for place, measure in enumerate(view.measures) if measure.kind != "rows"),
        *((finite(column), f"_c{place}") for place, column in enumerate(view.latest)),
    ]
    evaluated = f"({select(inner, identifier(relation))}) AS r"
    shown = [("e._e", "_e"), ("r._t", "_t"), ("r._q", "_q"), ("r._r", "_r")]
    for place, measure in enumerate(view.measures):
        if measure.kind != "rows":
            shown.append((f"r._v{place} IS NULL", f"_n{place}"))
        if measure.needs_values:
            shown.append((f"coalesce({_clipped(measure, f'r._v{place}')}, 0)", f"_v{place}"))
    shown += [(f"r._c{place}", f"_c{place}") for place in range(len(view.latest))]
    matched = " AND ".join(f"r.{name} = e.{name}" for name in key_names(view)) or "true"
    return select(
        shown,
        f"{evaluated} JOIN {identifier(entities)} AS e ON {matched}",
        "WHERE r._t IS NOT NULL AND r._q IS NOT NULL ORDER BY e._e, r._t, r._q, r._r",
    )


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
