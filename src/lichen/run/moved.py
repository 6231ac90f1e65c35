"""Points an environment at versions that were built before: what `promote` and `rollback` share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lichen.errors import FoundWrong
from lichen.graph.version import Version
from lichen.ground.failpoint import fp
from lichen.run.audit import who
from lichen.run.deployed import prove_services
from lichen.run.face import show_face
from lichen.run.release import Release, Releases
from lichen.run.trunk import made_by_project
from lichen.run.whole import Wholeness
from lichen.run.workshop import Workshop


@dataclass(frozen=True)
class Moved:
    """An environment's release after a `promote` or `rollback`, and the release whose versions it holds.

    `entered` are the assets whose version is another than before, `left` those that are gone; `nothing` says that it
    held these versions already.
    """

    what: Literal["promote", "rollback"]
    release: Release
    of: Release
    entered: tuple[str, ...]
    left: tuple[str, ...]
    nothing: bool

    def as_dict(self) -> dict[str, Any]:
        """The move for a machine."""
        return {
            "environment": self.release.environment,
            "release": self.release.number,
            "of": {"environment": self.of.environment, "release": self.of.number},
            "nothing": self.nothing,
            "entered": list(self.entered),
            "left": list(self.left),
        }


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The assets whose version is another than before, and those that are gone."""
    entered = tuple(sorted(asset for asset, version in after.items() if before.get(asset) != version))
    return entered, tuple(sorted(set(before) - set(after)))


def move(
    what: Literal["promote", "rollback"],
    environment: str,
    of: Release,
    releases: Releases,
    workshop: Workshop,
    facts: Mapping[str, Any],
    fix: str,
) -> Moved:
    """Point an environment at another release's versions, in one transaction; what its services answered stays its own.

    Refused, with `fix`, where a file or version of that release is no longer there. Services that are promoted are
    proven first; a rollback goes back to what was.
    """
    lack = Wholeness(releases, workshop).lack(of)
    if lack is not None:
        raise FoundWrong("LCH-3921", f"release {of.number} of `{of.environment}` is no longer whole", why=lack, fix=fix)
    before = releases.current(environment)
    held = releases.versions(before)
    own = {asset: version for asset, version in held.items() if asset not in made_by_project(held)}
    versions: dict[str, Version] = {**made_by_project(releases.versions(of)), **own}
    named = {asset: version.version for asset, version in versions.items()}
    entered, left = changed(before.versions if before else {}, named)
    nothing = before is not None and not entered and not left
    release = before if nothing else None
    if release is None:
        if what == "promote":
            prove_services([versions[one] for one in entered if one.startswith("service.")], versions, workshop)
        kept = {"what": what, "user": who(), "commit": of.facts.get("commit"), **facts}
        fp("pointer.ready")
        at = workshop.clock.now().isoformat()
        without = {asset: of.left_out.get(asset) for asset in versions}
        release = releases.move(environment, versions.values(), at=at, expected=before, facts=kept, left_out=without)
        fp("pointer.moved")
    show_face(release, versions, workshop)
    return Moved(what, release, of, entered, left, nothing)
