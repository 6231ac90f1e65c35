"""The releases of an environment as a person reads them: what was done, what changed, what can be taken up again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lichen.run.moved import changed
from lichen.run.release import Release, Releases
from lichen.run.whole import Wholeness
from lichen.run.workshop import Workshop


@dataclass(frozen=True)
class Entry:
    """One release of an environment: by what it came, and what entered or left by it.

    `what` is `run`, `promote`, `rollback`, or `record`: it brought in what services answered. `kept` says that it can
    be taken up again: the files of old releases are swept.
    """

    release: Release
    what: str
    entered: tuple[str, ...]
    left: tuple[str, ...]
    kept: bool

    @property
    def number(self) -> int:
        """The release's number."""
        return self.release.number

    def as_dict(self) -> dict[str, Any]:
        """The release for a machine."""
        return {
            **self.release.as_dict(),
            "what": self.what,
            "entered": list(self.entered),
            "left": list(self.left),
            "kept": self.kept,
        }


def entries(releases: Releases, environment: str, workshop: Workshop) -> list[Entry]:
    """The releases of an environment, newest first."""
    looked, found = Wholeness(releases, workshop), []
    history = releases.history(environment)
    numbered = {release.number: release for release in history}
    for release in history:
        before = numbered.get(release.parent) if release.parent is not None else None
        entered, left = changed(before.versions if before else {}, release.versions)
        what = release.facts.get("what") or ("record" if "recorded" in release.facts else "run")
        found.append(Entry(release, what, entered, left, looked.lack(release) is None))
    return found
