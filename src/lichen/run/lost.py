"""What was deleted or damaged by hand: versions whose files are not there as they were written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from arro3.core import Table as ArrowTable

from lichen.contract.admit import quarantine_table
from lichen.contract.late import count_late
from lichen.contract.quarantine import SET_ASIDE
from lichen.errors import SystemFailed, Where
from lichen.graph.build import Asset
from lichen.graph.fingerprint import MEANING, meaning
from lichen.graph.version import Version
from lichen.ground.quoting import identifier, literal, sql
from lichen.ports import Relation, Since
from lichen.run.workshop import Workshop
from lichen.spec import Source
from lichen.train.artifact import fault as artifact_fault


def artifact(trained: Version, workshop: Workshop) -> Path:
    """The folder in which a model version's files belong."""
    return workshop.home / "artifacts" / str(trained.facts["artifact"])


def fault(version: Version, workshop: Workshop) -> str | None:
    """What is wrong with a version's files, in words, or None; files are looked up, and not read."""
    try:
        workshop.tables.locations(version.relation, version.files)
        workshop.tables.locations(quarantine_table(version.relation), version.quarantine)
    except SystemFailed as failure:
        return f"{failure.what}: {failure.why}" if failure.why else failure.what
    if "artifact" in version.facts and (wrong := artifact_fault(artifact(version, workshop))):
        return f"its model's files are not what was written: {wrong}"
    return None


def faults(versions: Mapping[str, Version], workshop: Workshop) -> dict[str, str]:
    """Every version of which a file is lost, by asset, each with what is wrong."""
    found = {asset: fault(version, workshop) for asset, version in versions.items()}
    return {asset: wrong for asset, wrong in found.items() if wrong is not None}


def from_one_place(asset: Asset, before: Version) -> bool:
    """Whether a source with a cursor reads the place that its version came from; another may hold other rows."""
    source, old, now = asset.spec, before.facts.get(MEANING, {}), meaning(asset)
    assert isinstance(source, Source)
    return bool(source.cursor) and all(old.get(key) == now.get(key) for key in ("connector", "path", "cursor"))


def refuse_loss(source: Source, before: Version, again: Version, where: Where, workshop: Workshop) -> None:
    """Refuse a source with a cursor that was read anew and does not give again what it gave before.

    It is read anew where what is written of it changed: then every key must come again. It is read anew where its file
    is lost, too: then fewer rows come than were there, or the first of them are later.
    """
    if fault(before, workshop) is None:
        _refuse_gone(source, before, again, where, workshop)
        return
    was, comes = _span(before, source), _span(again, source)
    given = again.rows + sum(file.rows for file in again.quarantine)
    if given >= before.rows and not _later(was[0], comes[0], before, source, workshop):
        return
    raise SystemFailed(
        "LCH-3913",
        f"rows of `{before.relation}` would be lost: it had {before.rows:,}, `{source.cursor}` from {was[0]} to "
        f"{was[1]}, and its place gives {given:,}, from {comes[0]} to {comes[1]}",
        where=where,
        why="it is read anew, for a file of it is gone from the lake, and its place keeps new rows alone",
        fix="put the older files back; to go on without these rows, take `cursor` away",
    )


def _refuse_gone(source: Source, before: Version, again: Version, where: Where, workshop: Workshop) -> None:
    """Refuse where a key that is there came neither again nor among the rows set aside."""
    names = [*source.contract.key, str(source.cursor)]
    types = {column.name: column.type for column in again.columns}
    if not types.keys() >= set(names) or not {column.name for column in before.columns} >= set(names):
        return  # another key, or another cursor: another table
    shown = ", ".join(f"TRY_CAST({identifier(name)} AS {types[name]}) AS {identifier(name)}" for name in names)
    earlier = workshop.engine.query(sql("SELECT", shown, "FROM rows"), {"rows": workshop.relation(before)})
    quarantine = workshop.tables.locations(quarantine_table(again.relation), again.quarantine)
    aside, since = Relation(SET_ASIDE, quarantine), Since(str(source.cursor), "", source.contract.key)
    gone = count_late(earlier, since, workshop.relation(again), aside, workshop.engine)
    if gone:
        raise SystemFailed(
            "LCH-3913",
            f"{gone:,} of the {before.rows:,} rows of `{before.relation}` would be lost: its place gives them no more",
            where=where,
            why="it is read anew, for what is written of it changed, and its place keeps new rows alone",
            fix="put the older files back, or take the change back; to go on without these rows, take `cursor` away",
        )


def _span(version: Version, source: Source) -> tuple[str, str]:
    """The least and the greatest cursor, as the files' statistics have them."""
    stats = [file.stats.get(str(source.cursor), {}) for file in version.files]
    bounds = [(one.get("min", "?"), one.get("max", "?")) for one in stats]
    return bounds[0] if len(bounds) == 1 else ("?", "?")


def _later(before: str, after: str, version: Version, source: Source, workshop: Workshop) -> bool:
    kind = next(column.type for column in version.columns if column.name == source.cursor)
    first, now = (sql("TRY_CAST(", literal(text), "AS", kind, ")") for text in (before, after))
    asked = workshop.engine.query(sql("SELECT coalesce(", now, ">", first, ", false) AS later"), {})
    return bool(ArrowTable.from_arrow(asked).column("later").to_pylist()[0])
