"""Whether a release can be taken up again: its versions are known, and their files are there."""

from __future__ import annotations

from lichen.run.lost import fault
from lichen.run.release import Release, Releases
from lichen.run.trunk import made_by_project
from lichen.run.workshop import Workshop


class Wholeness:
    """Looks at releases; a version that many of them hold is looked at once."""

    def __init__(self, releases: Releases, workshop: Workshop) -> None:
        self.releases, self.workshop = releases, workshop
        self._seen: dict[tuple[str, str], str | None] = {}

    def lack(self, release: Release) -> str | None:
        """What is missing of a release, in words, or None; what its services answered does not count."""
        for entry in made_by_project(release.versions).items():
            if entry not in self._seen:
                self._seen[entry] = self._lack(*entry)
            if self._seen[entry] is not None:
                return self._seen[entry]
        return None

    def _lack(self, asset: str, name: str) -> str | None:
        version = self.releases.version(asset, name)
        if version is None:
            return f"version {name} of `{asset}` was forgotten"
        return f"files of version {name} of `{asset}` were swept" if fault(version, self.workshop) else None
