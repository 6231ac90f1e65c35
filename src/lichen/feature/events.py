"""Reads the rows of a view's table through the engine, as arrays in the order that `compute` wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lichen.errors import FoundWrong
from lichen.feature.history import Events
from lichen.feature.statement import key_columns, key_names, select
from lichen.ground.quoting import identifier
from lichen.ports import Arrow, Engine, Relation

if TYPE_CHECKING:
    from collections.abc import Mapping

    import arro3.core as arro3

    from lichen.feature.view import View


def load(rows: Arrow) -> arro3.Table:
    """Arrow rows as a table in memory that can be read again."""
    from arro3.core import Table

    return Table.from_arrow(rows)


def numbers(table: arro3.Table, name: str, type_: Any = np.int64) -> Any:
    """A column without nulls as a numpy array of a type."""
    if len(table) == 0:
        # A stream without rows may come without a chunk to read.
        return np.empty(0, type_)
    return np.ascontiguousarray(table.column(name).to_numpy(), type_)


def events_of(view: View, table: arro3.Table, entities: int, start: int = 0) -> Events:
    """The arrays in rows that `events_sql` gave, for the `entities` entities numbered from `start` on."""
    ids = numbers(table, "_e")
    values: list[Any] = []
    missing: list[Any] = []
    for place, measure in enumerate(view.measures):
        number = np.float64 if measure.kind == "double" else np.int64
        values.append(numbers(table, f"_v{place}", number) if measure.needs_values else None)
        holes = numbers(table, f"_n{place}", np.bool_) if measure.kind != "rows" else None
        missing.append(holes if holes is not None and holes.any() else None)
    return Events(
        first=np.searchsorted(ids, np.arange(start, start + entities + 1)).astype(np.int64),
        times=numbers(table, "_t"),
        known=numbers(table, "_q"),
        values=tuple(values),
        missing=tuple(missing),
    )


def refuse_twins(view: View, source: Relation, engine: Engine) -> None:
    """Refuse (`FoundWrong`) a static view whose table has a key twice: nothing tells which row is right."""
    names = key_names(view)
    keys = f"({select([*key_columns(view.entity), ('1', '_one')], identifier('rows'))})"
    whole = " AND ".join(f"{name} IS NOT NULL" for name in names) or "true"
    shown = [*((f"CAST({name} AS VARCHAR)", name) for name in names), ("count(*)", "_n")]
    grouped = f"GROUP BY {', '.join(names)}" if names else ""
    found = select(shown, keys, "WHERE", whole, grouped, "HAVING count(*) > 1 LIMIT 1")
    twins = load(engine.query(found, {"rows": source}))
    if len(twins) == 0:
        return
    count = twins.column("_n").to_pylist()[0]
    parts = [f"{c.name} = {twins.column(n).to_pylist()[0]}" for c, n in zip(view.entity, names, strict=True)]
    key = ", ".join(parts)
    raise FoundWrong(
        "LCH-2613",
        f"feature view `{view.name}` is static, and `{view.table}` has {count} rows for {key or 'everybody'}",
        why="a static view has one row for each entity, for without a time nothing tells which is the latest",
        fix=f"keep one row for each key in `{view.table}`, or give the view a `time`",
    )


def again(inputs: Mapping[str, Relation]) -> dict[str, Relation]:
    """The same relations, with Arrow streams read into memory so that several statements may read them."""
    return {
        name: relation if relation.arrow is None else Relation(relation.columns, arrow=load(relation.arrow))
        for name, relation in inputs.items()
    }
