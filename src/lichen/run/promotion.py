"""Promotes an environment: the one it branched from takes over what it holds, by one move of a pointer."""

from __future__ import annotations

from lichen.errors import FoundWrong, WrongUsage, did_you_mean, nearest
from lichen.run.moved import Moved, changed, move
from lichen.run.release import Release, Releases
from lichen.run.trunk import branched_from, made_by_project, still_there
from lichen.run.workshop import Workshop


def promote(environment: str, into: str, releases: Releases, workshop: Workshop) -> Moved:
    """Point `into` at what `environment` holds; nothing is built.

    Refused where `environment` did not branch from `into`, and where `into` changed since.
    """
    release = _released(environment, releases)
    there = releases.current(into)
    if there is None or made_by_project(there.versions) != made_by_project(release.versions):
        _refuse_other_ground(release, into, there, releases)
    facts = {"promoted_from": {"environment": environment, "release": release.number}}
    again = f"build what is missing, then promote: lichen run --env {environment}"
    return move("promote", into, release, releases, workshop, facts, again)


def _released(environment: str, releases: Releases) -> Release:
    release = releases.current(environment)
    if release is None:
        known = releases.environments()
        meant = f"{did_you_mean(environment, known)} If not, build it" if nearest(environment, known) else "build it"
        raise WrongUsage(
            "LCH-1045",
            f"`{environment}` has nothing to promote: no run has made a release of it",
            fix=f"{meant}: lichen run --env {environment}",
        )
    return release


def _refuse_other_ground(release: Release, into: str, there: Release | None, releases: Releases) -> None:
    """Refuse a release that does not stand on what `into` holds: what it brings was judged beside other versions."""
    environment, branched = release.environment, branched_from(release, releases)
    if branched is None or branched["environment"] != into:
        found = f"it branches from `{branched['environment']}`" if branched else "it branches from no environment"
        raise WrongUsage(
            "LCH-1046",
            f"`{environment}` cannot be promoted to `{into}`: {found}",
            fix=f"with `publish: {into}` in lichen.yaml the others branch from it when they run, and go back into it",
        )
    if not still_there(branched, into, there, releases):
        then = {} if branched["release"] is None else releases.numbered(branched["release"]).versions
        entered, left = changed(made_by_project(then), made_by_project(there.versions if there else {}))
        names = [*entered, *left]
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        raise FoundWrong(
            "LCH-3920",
            f"`{into}` changed since `{environment}` branched from it: {', '.join(names[:4])}{more}",
            why=f"`{environment}` was built and judged beside release {branched['release'] or 'none'} of `{into}`, "
            f"which is at {there.number if there else 'none'} now",
            fix=f"run again, then promote: lichen run --env {environment}",
        )
