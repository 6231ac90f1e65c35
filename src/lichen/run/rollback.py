"""Rolls an environment back: it takes up the versions of an earlier release of its own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lichen.errors import WrongUsage, did_you_mean
from lichen.run.moved import Moved, move
from lichen.run.release import Release, Releases
from lichen.run.trunk import BRANCHED, branched_from, made_by_project
from lichen.run.whole import Wholeness
from lichen.run.workshop import Workshop

ROLLED_BACK = "rolled_back_to"
"""The fact under which a release keeps the number of the release that it took up again."""


def roll_back(
    environment: str,
    to: int | None,
    releases: Releases,
    workshop: Workshop,
    why: Mapping[str, Any] = MappingProxyType({}),
) -> Moved:
    """Point an environment at the versions of its release `to`, or of the one before; what it answered stays.

    The one before is the newest before the release in force that held other versions; after a rollback it is counted
    from the release that was taken up again, so that rolling back twice goes back twice. The release keeps `why`.
    """
    history = releases.history(environment)
    if not history:
        raise WrongUsage(
            "LCH-1018", f"`{environment}` has no release yet", fix=f"build one: lichen run --env {environment}"
        )
    wanted = _before(history) if to is None else _numbered(to, environment, history, releases)
    facts: dict[str, Any] = {ROLLED_BACK: wanted.number, **why}
    branched = branched_from(wanted, releases)
    if branched is not None:
        facts[BRANCHED] = branched
    looked = Wholeness(releases, workshop)
    fix = _fix(wanted, history, looked) if looked.lack(wanted) else ""
    return move("rollback", environment, wanted, releases, workshop, facts, fix)


def _fix(wanted: Release, history: list[Release], looked: Wholeness) -> str:
    """What can be done where a release is no longer whole: take up another, or build it again."""
    whole = min((one.number for one in history if looked.lack(one) is None), default=None)
    commit = wanted.facts.get("commit")
    checked_out = f"check out commit {commit[:8]} and run" if commit else ""
    if whole is not None:
        taken_up = f"the oldest release that can be taken up again is {whole}"
        return f"{taken_up}; or {checked_out}" if checked_out else taken_up
    built = f"no release can be taken up again; build what the project says now: lichen run --env {wanted.environment}"
    return f"{built}; or {checked_out} for what it said then" if checked_out else built


def _before(history: list[Release]) -> Release:
    now = history[0]
    from_number = now.facts.get(ROLLED_BACK, now.number)
    for release in history:
        if release.number < from_number and made_by_project(release.versions) != made_by_project(now.versions):
            return release
    raise WrongUsage(
        "LCH-1047",
        f"`{now.environment}` has no release before {from_number} that held anything else",
        fix="lichen history lists the releases; take one up again by its number: --to N",
    )


def _numbered(to: int, environment: str, history: list[Release], releases: Releases) -> Release:
    for release in history:
        if release.number == to:
            return release
    elsewhere = next((one.environment for one in releases.history() if one.number == to), None)
    why = f"it is a release of `{elsewhere}`" if elsewhere else None
    fix = did_you_mean(str(to), [str(release.number) for release in history])
    raise WrongUsage("LCH-1048", f"`{environment}` has no release {to}", why=why, fix=fix)
