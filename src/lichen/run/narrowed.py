"""The rows of the views' tables that some questions can see: what is read to answer a sample without reading all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from arro3.core import Table

from lichen.feature.featureset import FeatureSet
from lichen.feature.view import ALL, View
from lichen.ground.beside import side_by_side
from lichen.ground.quoting import identifier, sql
from lichen.ports import Column, Engine, Relation

_ROW, _KEY = "_lichen_row", "_lichen_key"

AT_ONCE = 2
"""The views whose rows are read at a time."""


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

    def read(view: View) -> Relation:
        source, kept = sources[view.name], _read_by(view, sources[view.name].columns)
        rows = engine.query(_select(view, kept, stretches), {"rows": source, "asked": keys})
        return Relation(kept, arrow=Table.from_arrow(rows))

    tables = side_by_side(read, features.views, AT_ONCE)
    own = replace(features, views=tuple(replace(view, table=view.name) for view in features.views))
    return own, {view.name: table for view, table in zip(features.views, tables, strict=True)}


def _select(view: View, columns: Sequence[Column], stretches: Sequence[Stretch]) -> str:
    kept = [column.name for column in columns]
    own = [
        (f"CAST({identifier(column.name)} AS {column.type})", f"{_KEY}{place}")
        for place, column in enumerate(view.entity)
    ]
    shown = ", ".join([*map(identifier, kept), *(f"{text} AS {name}" for text, name in own)])
    # Numbered after those that no question sees are left out: what a file says of its rows then saves reading them.
    rows = sql("SELECT", shown, f", row_number() OVER () AS {_ROW} FROM rows WHERE", _within(view, stretches))
    one = ""
    if own and not view.corrected:
        distinct = ", ".join(f"{text} AS {name}" for text, name in own)
        same = " AND ".join(f"r.{name} = k.{name}" for _, name in own)
        one = sql("SEMI JOIN (SELECT DISTINCT", distinct, "FROM asked) AS k ON", same)
    names = ", ".join(f"r.{identifier(name)}" for name in kept)
    return sql("SELECT", names, "FROM (", rows, ") AS r", one, f"ORDER BY r.{_ROW}")


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
