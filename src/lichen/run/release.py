"""Releases: one consistent set of versions, and environments, the names that point at one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from lichen.errors import SystemFailed
from lichen.graph.version import Version
from lichen.ground.failpoint import fp
from lichen.ports import Conflict, Forget, Put, StateStore
from lichen.run.audit import record

VERSIONS, RELEASES, ENVIRONMENTS = "versions", "releases", "environments"

LEFT_OUT = "left_out"
"""The fact under which a release keeps, by asset, the late rows that its version is without, by interval."""


@dataclass(frozen=True)
class Release:
    """One consistent set of versions, by asset; `since` says in which release each entered."""

    number: int
    environment: str
    versions: Mapping[str, str]
    since: Mapping[str, int]
    at: str
    parent: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def left_out(self) -> Mapping[str, Any]:
        """The late rows that versions are without: a version of the same rows stands, whatever came since."""
        found: Mapping[str, Any] = self.facts.get(LEFT_OUT, {})
        return found

    def as_dict(self) -> dict[str, Any]:
        """The release as a JSON object, for the state store."""
        return {
            "number": self.number,
            "environment": self.environment,
            "versions": dict(self.versions),
            "since": dict(self.since),
            "at": self.at,
            "parent": self.parent,
            "facts": dict(self.facts),
        }


class Releases:
    """Reads and moves the releases of a project's environments.

    Who moves them holds a lease and hands in its `fence`: a move by one who lost the lease meanwhile fails.
    """

    def __init__(self, state: StateStore, fence: Put | None = None) -> None:
        self.state, self._fence = state, fence

    def current(self, environment: str) -> Release | None:
        """The release an environment points at."""
        pointer = self.state.get(ENVIRONMENTS, environment)
        return None if pointer is None else self.numbered(int(pointer["release"]))

    def numbered(self, number: int) -> Release:
        """One release by its number."""
        stored = self.state.get(RELEASES, _key(number))
        if stored is None:
            raise SystemFailed("LCH-3902", f"release {number} is not in the state store", fix="restore the state store")
        return Release(**stored)

    def history(self, environment: str | None = None) -> list[Release]:
        """All releases, newest first; of one environment where it is named."""
        found = [Release(**stored) for _, stored in self.state.scan(RELEASES)]
        return [release for release in reversed(found) if environment in (None, release.environment)]

    def version(self, asset: str, name: str) -> Version | None:
        """A version that was built before, released or not."""
        stored = self.state.get(VERSIONS, f"{asset}@{name}")
        return None if stored is None else Version.from_dict(stored)

    def versions(self, release: Release | None) -> dict[str, Version]:
        """A release's versions, by asset."""
        found = {}
        for asset, name in release.versions.items() if release else ():
            version = self.version(asset, name)
            if version is None:
                raise SystemFailed(
                    "LCH-3903", f"version {name} of `{asset}` is not in the state store", fix="restore the state store"
                )
            found[asset] = version
        return found

    def newest(self, count: int) -> list[Release]:
        """The newest releases of each environment, at most so many of each: what is kept whole."""
        found: list[Release] = []
        for environment in self.environments():
            found += self.history(environment)[:count]
        return found

    def environments(self) -> list[str]:
        """The environments that point at a release."""
        return [name for name, _ in self.state.scan(ENVIRONMENTS)]

    def keep(self, version: Version, *also: Put) -> None:
        """Record a version as built, in no release yet, together with what else is to be known of it."""
        kept = Put(VERSIONS, f"{version.asset}@{version.version}", version.as_dict())
        try:
            self.state.write(kept, *also, *self._fenced())
        except Conflict as conflict:
            raise _overtaken("the project", conflict) from conflict
        fp("release.version_kept")

    def forget(self, *gone: Forget) -> None:
        """Remove documents that nothing names any more."""
        try:
            self.state.write(*gone, *self._fenced())
        except Conflict as conflict:
            raise _overtaken("the project", conflict) from conflict

    def _fenced(self) -> tuple[Put, ...]:
        return (self._fence,) if self._fence else ()

    def move(
        self,
        environment: str,
        versions: Iterable[Version],
        *,
        at: str,
        expected: Release | None,
        facts: Mapping[str, Any],
        mended: frozenset[str] = frozenset(),
        left_out: Mapping[str, Any] = MappingProxyType({}),
    ) -> Release:
        """Point an environment at a new release, in one transaction with its audit entry; all or nothing.

        The versions of `mended` assets are the ones before in other files: they enter anew, so that they are published.
        `left_out` has the late rows that these versions are without; of others that stay, what was known of them stays.
        """
        named = {version.asset: version.version for version in versions}
        numbers = [int(key) for key, _ in self.state.scan(RELEASES)]
        number = max(numbers, default=0) + 1
        before = expected.versions if expected else {}
        since = {
            asset: expected.since[asset] if expected and before.get(asset) == name and asset not in mended else number
            for asset, name in named.items()
        }
        known = expected.left_out if expected else {}
        stay = {asset: rows for asset, rows in known.items() if named.get(asset) == before.get(asset)}
        left = {asset: rows for asset, rows in {**stay, **left_out}.items() if rows}
        told = {**facts, LEFT_OUT: left} if left else dict(facts)
        release = Release(number, environment, named, since, at, expected.number if expected else None, told)
        entry = {"act": facts.get("what", "release"), "at": at, **release.as_dict()}
        pointer = {"release": expected.number} if expected else None
        fp("release.before_move")
        try:
            record(
                self.state,
                entry,
                Put(RELEASES, _key(number), release.as_dict(), expect=None),
                Put(ENVIRONMENTS, environment, {"release": number}, expect=pointer),
                *self._fenced(),
            )
        except Conflict as conflict:
            raise _overtaken(f"`{environment}`", conflict) from conflict
        fp("release.moved")
        return release


def _key(number: int) -> str:
    return f"{number:08d}"


def _overtaken(what: str, conflict: Conflict) -> SystemFailed:
    return SystemFailed(
        "LCH-3911",
        f"{what} was moved by another run meanwhile",
        why=str(conflict),
        fix="run again: what was built is reused",
    )
