"""What an environment branches from: the release of the published one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from lichen.graph.build import STAGES
from lichen.plan import Trunk
from lichen.run.release import Release, Releases

Held = TypeVar("Held")

BRANCHED = "branched_from"
"""The fact under which a release keeps the environment and release that its environment branched from."""


def made_by_project(held: Mapping[str, Held]) -> dict[str, Held]:
    """Of what a release holds by asset, what the project's files say; the rest is what its services answered."""
    return {asset: one for asset, one in held.items() if asset.partition(".")[0] in STAGES}


def trunk_of(environment: str, publish: str | None, releases: Releases) -> Trunk | None:
    """What an environment branches from; None for the published one, and where none is published."""
    if publish is None or environment == publish:
        return None
    there, here = releases.current(publish), releases.current(environment)
    versions = made_by_project(releases.versions(there))
    return Trunk(publish, there.number if there else None, versions, _moved(publish, here, there, releases))


def _moved(trunk: str, here: Release | None, there: Release | None, releases: Releases) -> bool:
    if here is None or (there is not None and made_by_project(here.versions) == made_by_project(there.versions)):
        return False
    return not still_there(branched_from(here, releases), trunk, there, releases)


def branched_from(release: Release | None, releases: Releases) -> Mapping[str, Any] | None:
    """The environment and release that a release's environment last branched from; None where it never did."""
    while release is not None:
        if BRANCHED in release.facts:
            found: Mapping[str, Any] = release.facts[BRANCHED]
            return found
        release = releases.numbered(release.parent) if release.parent is not None else None
    return None


def still_there(branched: Mapping[str, Any] | None, trunk: str, there: Release | None, releases: Releases) -> bool:
    """Whether an environment holds what it held when another branched from it; answers that came in do not count."""
    if branched is None or branched["environment"] != trunk:
        return False
    then = {} if branched["release"] is None else releases.numbered(branched["release"]).versions
    return made_by_project(then) == made_by_project(there.versions if there else {})
