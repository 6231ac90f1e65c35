"""What must hold of a small project whenever nothing is running, asked of the real stores and by outside readers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
from deltalake import DeltaTable, QueryBuilder
from small_project import LATENESS, SHOPS_ASIDE, SHOPS_KEPT, SmallProject, Visit

from lichen import Project
from lichen.graph.version import Version
from lichen.run.audit import AUDIT, broken_at
from lichen.run.keeping import KEPT
from lichen.run.release import VERSIONS, Release

FACE = ("visits", "shops", "purchases", "daily", "totals")


def released(root: Path) -> tuple[Release, dict[str, Version]]:
    """The release in force and its versions."""
    with Project(root) as project:
        release = project.releases.current("prod")
        assert release is not None
        return release, project.releases.versions(release)


def face_equals_release(root: Path) -> None:
    """The published Delta tables hold the release's files, and `deltalake` and DuckDB read the same rows by path."""
    release, versions = released(root)
    by_relation = {version.relation: (asset, version) for asset, version in versions.items()}
    lake = root / ".lichen/lake"
    shown = {path.parent.name for path in lake.glob("*/_delta_log")}
    wanted = {
        v.relation for name, v in versions.items() if name.partition(".")[0] in ("source", "table", "predictions")
    }
    assert shown == wanted
    with duckdb.connect() as connection:
        for table in sorted(wanted):
            asset, version = by_relation[table]
            face = DeltaTable(str(lake / table))
            assert face.transaction_version("lichen") == release.since[asset]
            assert sorted(face.file_uris()) == sorted(str(lake / table / file.path) for file in version.files)
            if not version.files:
                continue
            ((rows, distinct),) = connection.execute(
                "SELECT count(*), count(DISTINCT hash(t)) FROM read_parquet($1) AS t", [face.file_uris()]
            ).fetchall()
            counted = QueryBuilder().register("face", face).execute("SELECT count(*) AS rows FROM face").read_all()
            assert rows == distinct == version.rows == counted.column("rows").to_pylist()[0]


def totals_of_face(root: Path) -> list[list[object]]:
    """The rows of `totals`, read by DuckDB from the published path."""
    uris = DeltaTable(str(root / ".lichen/lake/totals")).file_uris()
    with duckdb.connect() as connection:
        return [list(row) for row in connection.execute("SELECT * FROM read_parquet($1) ORDER BY 1", [uris]).fetchall()]


def visits_of_face(root: Path) -> list[Visit]:
    """The rows of `visits`, read by DuckDB from the published path."""
    uris = DeltaTable(str(root / ".lichen/lake/visits")).file_uris()
    columns = "visit_id, shop, epoch_us(asked_at), epoch_us(sent_at), cents, bought"
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT {columns} FROM read_parquet($1) ORDER BY 1", [uris]).fetchall()
    return [Visit(row[0], row[1], _instant(row[2]), _instant(row[3]), row[4], row[5]) for row in rows]


def _instant(microseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)


def tables_hold_what_was_sent(small: SmallProject) -> None:
    """No row lost, none doubled: the tables equal the plain model of what was sent."""
    assert visits_of_face(small.root) == small.expected()
    assert totals_of_face(small.root) == small.totals()


def balance_is_whole(small: SmallProject, before: Version | None, sent_before: list[Visit]) -> None:
    """The balance of the cursor source equals a plain count of what the reading must have met."""
    _, versions = released(small.root)
    visits, shops = versions["source.visits"], versions["source.shops"]
    kept = len(small.expected())
    if before is None:
        read = len(small.sent)
    else:
        since = max(visit.sent_at for visit in sent_before) - LATENESS
        read = before.rows + sum(visit.sent_at >= since for visit in small.sent)
    assert visits.facts["balance"] == {
        "read": read,
        "kept": kept,
        "quarantined": 0,
        "deduplicated": read - kept,
        "late": 0,
    }
    aside, there = SHOPS_ASIDE, SHOPS_KEPT
    assert shops.facts["balance"] == {
        "read": aside + there,
        "kept": there,
        "quarantined": aside,
        "deduplicated": 0,
        "late": 0,
    }
    for version in versions.values():
        counts = version.facts.get("balance", {})
        if counts:
            assert counts["read"] == counts["kept"] + counts["quarantined"] + counts["deduplicated"] + counts["late"]


def audit_is_whole(root: Path) -> None:
    """Every release has its entry in the audit, and no entry was changed or lost."""
    with Project(root) as project:
        state = project.workshop.state
        assert broken_at(state, AUDIT) is None
        entries = [entry for _, entry in state.entries(AUDIT)]
        releases = sorted(release.number for release in project.releases.history())
        moved = [entry["number"] for entry in entries if "number" in entry]
        assert moved == releases == list(range(1, len(releases) + 1))


def little_is_left_over(root: Path) -> None:
    """No staging outlives the killed runs; of files, only what one run leaves is of no version, and few are kept.

    (A source with a cursor writes what it read before it lands it on what is there; the next run sweeps that. A table
    in intervals has a file for each that was filled by itself, and a run exchanges those that changed.)
    """
    with Project(root) as project:
        versions = [Version.from_dict(stored) for _, stored in project.workshop.state.scan(VERSIONS)]
    lake = root / ".lichen/lake"
    assert not list((lake / ".staging").glob("*"))
    named = {file.path for version in versions for file in (*version.files, *version.quarantine)}
    for folder in lake.iterdir():
        if not folder.name.startswith("."):
            there = {path.name for path in folder.glob("*.parquet")}
            assert len(there - named) <= (folder.name == "visits"), f"{folder.name} holds files that no version names"
            together = max((len(version.files) for version in versions if version.relation == folder.name), default=0)
            assert len(there) <= 2 * KEPT + 4 + together, f"{folder.name} holds {len(there)} files"


def one_release(line: str) -> str:
    """A reader's line, checked: the tables it saw belong to one release."""
    seen = json.loads(line)
    assert seen["visits"] == seen["purchases"] == seen["by_day"] == seen["by_shop"], f"torn: {seen}"
    assert seen["spent"] == seen["spent_by_day"] == seen["spent_by_shop"], f"torn: {seen}"
    return line
