"""The published face: what outside readers see of one environment, kept equal to its release."""

from __future__ import annotations

from collections.abc import Mapping

from lichen.graph.version import Version
from lichen.ground.failpoint import fp
from lichen.run.release import Release, Releases
from lichen.run.workshop import Workshop

SHOWN = {"source", "table", "predictions"}
"""The kinds of asset that outside readers see as tables."""


def show_face(release: Release | None, versions: Mapping[str, Version], workshop: Workshop) -> list[str]:
    """Make the published face equal a release; returns the tables that had to be changed.

    Each table's face carries the number of the release in which its present version entered, so a table that
    did not change is not touched, and a crash between the pointer and the face is mended by calling this again.
    A release that its environment no longer points at is not shown; with `publish: null` nothing is.
    """
    publish, shown = workshop.settings.publish, workshop.tables.published()
    if publish is None:
        return [_hide(table, shown, workshop) for table in sorted(shown)]
    if release is None or release.environment != publish or not _is_current(release, workshop):
        return []
    changed = []
    wanted = {
        version.relation: (version, release.since[asset])
        for asset, version in versions.items()
        if asset.partition(".")[0] in SHOWN
    }
    for table, (version, since) in wanted.items():
        if shown.get(table) == since:
            continue
        fp("face.before_publish")
        if shown.get(table, 0) > since:
            # The face of the environment that was published before: its numbers say nothing of this one's order.
            _hide(table, shown, workshop)
        workshop.tables.publish(table, version.columns, version.files, since)
        changed.append(table)
    return changed + [_hide(table, shown, workshop) for table in sorted(set(shown) - set(wanted))]


def _is_current(release: Release, workshop: Workshop) -> bool:
    current = Releases(workshop.state).current(release.environment)
    return current is not None and current.number == release.number


def _hide(table: str, shown: Mapping[str, int], workshop: Workshop) -> str:
    fp("face.before_withdraw")
    workshop.tables.withdraw(table, shown[table])
    return table
