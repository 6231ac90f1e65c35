"""What was deleted or damaged by hand: versions whose files are not there as they were written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from arro3.core import Table as ArrowTable

from lichen.contract.admit import quarantine_table
from lichen.errors import SystemFailed, Where
from lichen.graph.version import Version
from lichen.ground.quoting import literal, sql
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


def refuse_loss(source: Source, lost: Version, again: Version, where: Where, workshop: Workshop) -> None:
    """Refuse a source with a cursor, read anew for its file is lost, that does not give again what it gave before.

    Its place may keep new rows alone. Then fewer rows come than were there, or the first of them are later.
    """
    before, after = _span(lost, source), _span(again, source)
    if again.rows >= lost.rows and not _later(before[0], after[0], lost, source, workshop):
        return
    raise SystemFailed(
        "LCH-3913",
        f"rows of `{lost.relation}` are lost: it had {lost.rows:,}, `{source.cursor}` from {before[0]} to {before[1]}, "
        f"and its place gives {again.rows:,}, from {after[0]} to {after[1]}",
        where=where,
        why="their file is gone or damaged, and what was read of a place that keeps new rows alone is only there",
        fix="put the file back from a copy; to go on without these rows, change the source (its `lateness`, say): "
        "it is then read anew",
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
