"""The rows of the views' tables that some questions can see: what is read to answer a sample without reading all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from arro3.core import Array, Table

from lichen.feature.featureset import FeatureSet
from lichen.feature.view import ALL, View
from lichen.ground.beside import side_by_side
from lichen.ground.quoting import identifier, sql
from lichen.ports import Column, Engine, Relation

_ROW, _SEEN = "_lichen_row", "_lichen_seen"

AT_ONCE = 2
"""The tables that are read at a time."""


@dataclass(frozen=True)
class Stretch:
    """The instants, in microseconds since 1970, from `first` to `last` that are asked about."""

    first: int
    last: int


def narrowed(
    features: FeatureSet, sources: Mapping[str, Relation], asked: Table, stretches: Sequence[Stretch], engine: Engine
) -> tuple[FeatureSet, dict[str, Relation]]:
    """The features with each view reading a table of its own, and those tables, by the view's name.

    `sources` has each view's table by the view's name, `asked` the questions, with the columns of `features.request`;
    `stretches` says when they are asked. Left out are rows of other entities, rows that became known only after the
    last question, and rows that are older than twice what the view reaches back: no answer depends on them, and some
    that are needless stay, which whoever reads the rest has to pass by. Rows keep their order. Of a table with
    corrections all stay: one row decides until when another counts, wherever it stands.
    """
    keys = Relation(arrow=asked)
    readers: dict[str, list[View]] = {}
    for view in features.views:
        readers.setdefault(view.table, []).append(view)

    def read(views: Sequence[View]) -> dict[str, Relation]:
        source = sources[views[0].name]
        kept = [_read_by(view, source.columns) for view in views]
        every = [column for column in source.columns if any(column in own for own in kept)]
        rows = engine.query(_select(views, every, stretches), {"rows": source, "asked": keys})
        table = Table.from_arrow(rows).combine_chunks()
        return {view.name: _seen(table, place, own) for place, (view, own) in enumerate(zip(views, kept, strict=True))}

    tables: dict[str, Relation] = {}
    for found in side_by_side(read, readers.values(), AT_ONCE):
        tables |= found
    own = replace(features, views=tuple(replace(view, table=view.name) for view in features.views))
    return own, tables


def _seen(table: Table, place: int, kept: Sequence[Column]) -> Relation:
    """The rows that one of the views may see, with the columns that it may read."""
    part = table.select([column.name for column in kept])
    if table.num_rows:
        flags = table.column(f"{_SEEN}{place}").combine_chunks().to_numpy()
        places = Array.from_numpy(np.flatnonzero(flags))
        part = Table.from_batches([part.to_batches()[0].take(places)])
    return Relation(tuple(kept), arrow=part)


def _select(views: Sequence[View], columns: Sequence[Column], stretches: Sequence[Stretch]) -> str:
    """SQL for the rows of a table that some of the views may see, and which of them may: one reading for all."""
    kept = ", ".join(identifier(column.name) for column in columns)
    within = [_within(view, stretches) for view in views]
    seen = ", ".join(
        f"(({inside}) AND {_is_asked(view)}) AS {_SEEN}{place}"
        for place, (view, inside) in enumerate(zip(views, within, strict=True))
    )
    # Numbered after those that no question sees are left out: what a file says of its rows then saves reading them.
    some = " OR ".join(f"({inside})" for inside in dict.fromkeys(within))
    rows = sql("SELECT", kept, f", row_number() OVER () AS {_ROW} FROM rows WHERE", some)
    flags = [f"{_SEEN}{place}" for place in range(len(views))]
    shown = sql("SELECT", f"{kept}, {_ROW}, {seen}", "FROM (", rows, ")")
    return sql(
        "SELECT", f"{kept}, {', '.join(flags)}", "FROM (", shown, ") WHERE", " OR ".join(flags), f"ORDER BY {_ROW}"
    )


def _is_asked(view: View) -> str:
    """SQL that is true of the rows of entities that are asked about."""
    if not view.entity or view.corrected:
        return "true"
    key = ", ".join(f"CAST({identifier(column.name)} AS {column.type})" for column in view.entity)
    return sql(f"coalesce(({key}) IN (SELECT DISTINCT", key, "FROM asked), false)")


def _read_by(view: View, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns that a view may read: its own, and those whose names stand anywhere in its SQL."""
    own = {*(column.name for column in (*view.entity, *view.latest)), *view.grain}
    written = "\n".join([view.time or "", view.known or "", *(a.value for a in view.aggregates)]).casefold()
    found = tuple(c for c in columns if c.name in own or c.name.casefold() in written)
    return found or tuple(columns[:1])


def _within(view: View, stretches: Sequence[Stretch]) -> str:
    """SQL that is true of rows which a question may see, and of rows without a time, which none may."""
    if view.static or view.corrected:
        return "true"
    parts = []
    for stretch in stretches:
        known = f"({view.known}) <= {_moment(stretch.last)}"
        oldest = f"({view.time}) >= {_moment(stretch.first - 2 * view.reach)}"
        parts.append(known if view.reach == ALL else f"({known} AND {oldest})")
    return " OR ".join([*parts, f"({view.known}) IS NULL", f"({view.time}) IS NULL"])


def _moment(microseconds: int) -> str:
    return f"make_timestamptz({microseconds}::BIGINT)"
