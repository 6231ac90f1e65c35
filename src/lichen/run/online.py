"""Fills the online store with a view: from what it holds of the same view over other rows, where that is less work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from arro3.core import Table as ArrowTable

from lichen.errors import SystemFailed
from lichen.feature.materialize import materialize, rematerialize
from lichen.feature.state import FORM
from lichen.feature.view import View
from lichen.graph.version import Version
from lichen.ground.counted import count
from lichen.ground.files import system_failures
from lichen.ground.quoting import identifier, sql, unused
from lichen.ports import DataFile, OnlineStore, Relation
from lichen.run.lost import fault
from lichen.run.release import Releases
from lichen.run.workshop import Workshop

FILLED = "filled"
"""The fact under which a service's version keeps how its features came into the online store."""

MOST = 0.5
"""The share of a table's rows that may have come or gone for a view to be brought up, and not made anew."""

CAME, WENT = "came", "went"


def view_key(view: str, version: str) -> str:
    """The name under which the online store keeps a view at a version, in the form that this Lichen reads."""
    return f"{view}@{version}.{FORM}"


@dataclass(frozen=True)
class Former:
    """What the store holds of a view over an older version of its table, and in which files the two differ.

    `went` are the files of the older table that have no counterpart, and `came` those of the newer.
    """

    key: str
    table: Version
    went: tuple[DataFile, ...]
    came: tuple[DataFile, ...]

    @property
    def rows(self) -> int:
        """How many rows are to be compared."""
        return sum(file.rows for file in (*self.went, *self.came))


def fill(
    view: View, version: Version, table: Version, store: OnlineStore, workshop: Workshop, since: int | None
) -> str | None:
    """Make the store hold a view at a version; returns what there is to say where only a part was written anew."""
    key, rows = view_key(view.name, version.version), workshop.relation(table)
    former = _former(view, version, table, store, workshop)
    if former is not None:
        with _changed(view, former, table, workshop) as (changed, number):
            if number <= MOST * table.rows:
                try:
                    base = (former.key, 1)
                    touched = rematerialize(view, rows, changed, workshop.engine, store, key, base, since=since)
                    return _told(view, touched, number, table)
                except SystemFailed as failed:
                    if failed.code != "LCH-3021":  # what was held of the view went meanwhile
                        raise
    materialize(view, rows, workshop.engine, store, key, since=since)
    return None


def _told(view: View, touched: int, number: int, table: Version) -> str:
    entities, rows = count(touched, "entity", "entities"), count(number, "row")
    return f"{view.name}: {entities} written anew, for {rows} that came or went beside {count(table.rows, 'row')}"


def _former(view: View, version: Version, table: Version, store: OnlineStore, workshop: Workshop) -> Former | None:
    """What the store holds of a view of the same meaning, of several the one with fewest rows to compare.

    Of those the newest. It was written once and never changed since, and all files of its table are there.
    """
    held = {key for key in store.views() if key.startswith(f"{view.name}@")}
    if not held or not view.entity:
        return None
    releases, found = Releases(workshop.state), list[Former]()
    for name in dict.fromkeys(release.versions.get(version.asset) for release in releases.history()):
        old = releases.version(version.asset, name) if name else None
        if old is None or old.fingerprint != version.fingerprint or view_key(view.name, old.version) not in held:
            continue
        key, read = view_key(view.name, old.version), releases.version(table.asset, old.inputs.get(table.asset, ""))
        if read is None or not _alike(read, table) or fault(read, workshop) is not None:
            continue
        if (store.generation(key) or (0, ""))[0] == 1:
            found.append(_differing(key, read, table))
    return min(found, key=lambda former: former.rows, default=None)


def _alike(one: Version, other: Version) -> bool:
    """Whether two versions of a table are of one meaning and one shape: only their rows may differ."""
    return (one.fingerprint, one.columns) == (other.fingerprint, other.columns)


def _differing(key: str, old: Version, new: Version) -> Former:
    """The files between those that both versions begin with and those that both end with.

    The order in which rows landed decides between rows of one instant, so files that are shared, but stand elsewhere,
    are compared.
    """
    ours, theirs = [file.path for file in new.files], [file.path for file in old.files]
    most = min(len(ours), len(theirs))
    start = next((n for n in range(most) if ours[n] != theirs[n]), most)
    end = next((n for n in range(most - start) if ours[-1 - n] != theirs[-1 - n]), most - start)
    return Former(key, old, old.files[start : len(theirs) - end], new.files[start : len(ours) - end])


@contextmanager
def _changed(view: View, former: Former, table: Version, workshop: Workshop) -> Iterator[tuple[Relation, int]]:
    """The keys of the rows that only one of two tables holds, in a file of their own, and how many rows those are."""
    tables = workshop.tables
    inputs = {
        CAME: Relation(table.columns, tables.locations(table.relation, former.came)),
        WENT: Relation(table.columns, tables.locations(former.table.relation, former.went)),
    }
    folder = workshop.folder("scratch") / f"changed-{uuid4().hex}"
    with system_failures("make the scratch folder", folder):
        folder.mkdir()
    try:
        select, engine = changed_sql(view), workshop.engine
        columns = engine.describe(select, inputs)
        written = engine.sql(select, inputs, folder)
        changed = Relation(columns, tuple(str(folder / file.path) for file in written))
        count_all = sql(
            "SELECT CAST(coalesce(sum(", identifier(columns[-1].name), "), 0) AS BIGINT) AS rows FROM changed"
        )
        found = ArrowTable.from_arrow(engine.query(count_all, {"changed": changed}))
        yield changed, found.column("rows").to_pylist()[0]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def changed_sql(view: View) -> str:
    """The keys, with the grain of a corrected table, of rows that only one of `came` and `went` holds; how many, last.

    Rows are bags and compared by a hash of what the view reads of them: first what an entity's add up to, then, of the
    entities that differ, row by row. Rows of one instant that stand in another order have changed too, for the order in
    which they landed decides between them; they count as none.
    """
    names = [*(column.name for column in view.entity), *(view.grain if view.corrected else ())]
    short = {name: f"_k{place}" for place, name in enumerate(dict.fromkeys(names))}
    keys, key = ", ".join(short.values()), ", ".join(short[column.name] for column in view.entity)
    every = keys if view.static else f"{keys}, _t, _q"
    signed = "(SELECT _e, CAST(_s AS HUGEINT) AS _v FROM c UNION ALL SELECT _e, -CAST(_s AS HUGEINT) FROM w)"
    differ = sql("SELECT _e FROM", signed, "GROUP BY _e HAVING sum(_v) <> 0")
    rows = [sql("SELECT", every, ", _s,", n, "AS _n FROM", side, "WHERE _e IN (FROM d)") for side, n in _SIDES]
    bags = sql("SELECT", keys, ", abs(sum(_n)) AS _m FROM (", " UNION ALL ".join(rows), ") GROUP BY", every, ", _s")
    parts = [] if view.static else [f"{key}, _t, _q"]
    parts += [", ".join([*(short[name] for name in view.grain), "_q"])] if view.corrected else []
    found = [sql(bags, "HAVING _m > 0"), *(_reordered(keys, part) for part in parts)]
    named = ", ".join(f"{place} AS {identifier(name)}" for name, place in short.items())
    total = sql("CAST(sum(_m) AS BIGINT) AS", unused("rows", names))
    c, w = (sql(side, "AS NOT MATERIALIZED (", _rows(view, short, key, name), ")") for side, name in _NAMED)
    with_them = sql("WITH", c, ",", w, ", d AS (", differ, ")")
    return sql(with_them, "SELECT", named, ",", total, "FROM (", " UNION ALL ".join(found), ") GROUP BY ALL")


_SIDES = (("c", "1"), ("w", "-1"))
_NAMED = (("c", CAME), ("w", WENT))


def _rows(view: View, short: Mapping[str, str], key: str, name: str) -> str:
    """What is compared of a relation's rows.

    The keys, the instants, the entity as a number (`_e`), a hash of all that the view reads (`_s`), the place (`_r`).
    """
    moments = {} if view.static else {"_t": f"epoch_us({view.time})", "_q": f"epoch_us({view.known})"}
    read = [f"({measure.value})" for measure in view.measures if measure.kind != "rows"]
    read += [*map(identifier, short), *moments.values(), *(identifier(column.name) for column in view.latest)]
    shown = [f"{identifier(column)} AS {place}" for column, place in short.items()]
    shown += [f"{moment} AS {place}" for place, moment in moments.items()]
    inner = sql("SELECT", ", ".join([*shown, f"hash({', '.join(read)}) AS _s"]), "FROM", name)
    return sql("SELECT *, hash(", key, ") AS _e, row_number() OVER () AS _r FROM (", inner, ")")


def _reordered(keys: str, part: str) -> str:
    """The keys of rows that stand in another order among those that have the columns `part` in common."""
    several = sql("SELECT", part, "FROM c GROUP BY", part, "HAVING min(_s) <> max(_s)")
    lists = [
        sql("(SELECT", part, ", list(_s ORDER BY _r) AS _o FROM", side, "SEMI JOIN s USING (", part, ") GROUP BY ALL)")
        for side in "cw"
    ]
    both = sql("FROM", lists[0], "AS a JOIN", lists[1], "AS b USING (", part, ") WHERE a._o <> b._o")
    other = sql("WITH s AS MATERIALIZED (", several, ") SELECT", part, both)
    return sql("SELECT", keys, ", 0 AS _m FROM c SEMI JOIN (", other, ") AS o USING (", part, ")")
