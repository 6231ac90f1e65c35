"""Moves recorded answers into the lake, exactly once: rows and the place they were read up to are one version."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from arro3.core import Table

from lichen.contract.adopt import adopt
from lichen.deploy.predictions import batches, columns_of
from lichen.deploy.segment import Position, discard, record_of
from lichen.graph.version import Version, version_name
from lichen.ground.quoting import identifier, sql
from lichen.ground.types import vector_of
from lichen.ports import Column, DataFile, Relation
from lichen.run.face import show_face
from lichen.run.release import Release, Releases
from lichen.run.workshop import Workshop

ID = "prediction_id"
MOST_FILES = 24
"""With more files than this the table is written anew as one."""

_INTEGERS = frozenset(["TINYINT", "SMALLINT", "INTEGER", "BIGINT"])

NEW, OLD = "newly_recorded", "already_there"


def predictions_asset(service: str) -> str:
    """The asset that holds a service's recorded answers."""
    return f"predictions.{service}"


def record_folder(service: str, environment: str, workshop: Workshop) -> Path:
    """The folder of the records of a service in an environment: each environment's answers are its own."""
    return workshop.home / "records" / environment / service


def record_folders(service: str, environment: str, workshop: Workshop) -> list[Path]:
    """The folders in which a service's answers wait to be moved: of live servers, and of replays."""
    home = record_folder(service, environment, workshop)
    return sorted(path for path in home.iterdir() if path.is_dir()) if home.is_dir() else []


def land_predictions(
    service: str, releases: Releases, environment: str, workshop: Workshop
) -> tuple[Release, int] | None:
    """Move what a service recorded since the last time into the lake; returns the release and the rows, None for none.

    Of two answers with one id the first counts, so that asking twice is recorded once. A record that is no longer there
    is told of once, in the release's facts: what had not been moved of it is lost.
    """
    release = releases.current(environment)
    if release is None:
        return None
    versions = releases.versions(release)
    before = versions.get(predictions_asset(service))
    after, added = before, 0
    present: dict[str, Path] = {}
    for folder in record_folders(service, environment, workshop):
        # Where no heading can be read there is no record, or a damaged one: reading it tells which.
        record = record_of(folder) or ""
        present[record] = folder
        after, more = _read_folder(service, record, folder, after, workshop)
        added += more
    if after is None or after == before:
        return None
    gone = sorted(set(after.facts["cursors"]) - set(present))
    after = after.with_facts(cursors={name: end for name, end in after.facts["cursors"].items() if name in present})
    releases.keep(after)
    versions[after.asset] = after
    moved = releases.move(
        environment,
        versions.values(),
        at=workshop.clock.now().isoformat(),
        expected=release,
        facts={"recorded": {service: added}, **({"records_gone": gone} if gone else {})},
    )
    show_face(moved, versions, workshop)
    for record, end in after.facts["cursors"].items():
        discard(present[record], Position.parse(end))
    return moved, added


def land_all(releases: Releases, environment: str, workshop: Workshop) -> tuple[Release | None, dict[str, int]]:
    """Move into the lake what any service of an environment recorded; returns the last release and the rows by service.

    A service that the project no longer has is among them: its answers were given.
    """
    home, release, rows = workshop.home / "records" / environment, None, {}
    for folder in sorted(home.iterdir()) if home.is_dir() else ():
        landed = land_predictions(folder.name, releases, environment, workshop)
        if landed is not None:
            release, rows[folder.name] = landed
    return release, rows


def _read_folder(
    service: str, record: str, folder: Path, before: Version | None, workshop: Workshop
) -> tuple[Version | None, int]:
    """Add what a record holds beyond its cursor, which is the record's wherever its folder is."""
    cursors = dict(before.facts["cursors"]) if before else {}
    start = Position.parse(cursors[record]) if record in cursors else None
    version, added = before, 0
    for end, heading, rows in batches(folder, start):
        cursors[record] = str(end)
        there = version.rows if version else 0
        names = [Table.from_arrow(rows).column(name).to_pylist() for name in ("model", "model_version")]
        by = set(zip(*names, strict=True))
        version = _appended(service, columns_of(heading), Relation(arrow=rows), version, cursors, by, workshop)
        added += version.rows - there
    return version, added


def _appended(
    service: str,
    columns: tuple[Column, ...],
    rows: Relation,
    before: Version | None,
    cursors: dict[str, str],
    by: set[tuple[str, str]],
    workshop: Workshop,
) -> Version:
    asset = predictions_asset(service)
    table = Version(asset, "", "").relation
    old = workshop.relation(before) if before else Relation(columns)
    together = _together(before.columns if before else (), columns)
    folder = workshop.tables.staging(table)
    anew = before is not None and (before.columns != together or len(before.files) >= MOST_FILES)
    select = _unseen(_as(together, columns))
    if before is not None and anew:
        select = sql("SELECT", _as(together, before.columns), "FROM", OLD, "UNION ALL", select)
    staged = workshop.engine.sql(select, {NEW: rows, OLD: old}, folder)
    added = adopt(table, together, folder, staged, workshop.engine, workshop.tables)
    files: tuple[DataFile, ...] = added if anew or before is None else (*before.files, *added)
    content = "".join(file.sha256 for file in files) + str(sorted(cursors.items()))
    answered_by = {*map(tuple, before.facts["answered_by"]), *by} if before else by
    return Version(
        asset,
        version_name("predictions", {}, content),
        "",
        columns=together,
        files=files,
        facts={"cursors": dict(cursors), "answered_by": sorted(map(list, answered_by))},
    )


def _unseen(columns: str) -> str:
    """SQL for the newly recorded answers whose id is not there yet, the first of each id."""
    placed = sql("SELECT *, row_number() OVER () AS _place FROM", NEW)
    first = sql("SELECT * FROM (", placed, f") QUALIFY row_number() OVER (PARTITION BY {ID} ORDER BY _place) = 1")
    there = sql("SELECT 1 FROM", OLD, f"AS o WHERE o.{ID} = n.{ID}")
    return sql("SELECT", columns, "FROM (", first, ") AS n WHERE NOT EXISTS (", there, ")")


def _together(old: Iterable[Column], new: Iterable[Column]) -> tuple[Column, ...]:
    """The columns of both; one whose type differs gets the number that holds both, or where there is none a text."""
    named = {column.name: column for column in old}
    for column in new:
        there = named.setdefault(column.name, column)
        if there.type != column.type:
            named[column.name] = Column(column.name, _wider({there.type, column.type}))
    return tuple(named.values())


def _wider(types: set[str]) -> str:
    if types <= _INTEGERS:
        return "BIGINT"
    if types <= _INTEGERS | {"FLOAT", "DOUBLE"}:
        return "DOUBLE"
    sizes = {vector[1] if vector else None for vector in map(vector_of, types)}
    return f"DOUBLE[{sizes.pop()}]" if len(sizes) == 1 and None not in sizes else "VARCHAR"


def _as(wanted: Iterable[Column], there: Iterable[Column]) -> str:
    present = {column.name for column in there}
    return ", ".join(
        f"CAST({identifier(c.name) if c.name in present else 'NULL'} AS {c.type}) AS {identifier(c.name)}"
        for c in wanted
    )
