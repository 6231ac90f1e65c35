"""The release that an environment branches from, and shares what it does not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lichen.graph.build import Asset
from lichen.graph.fingerprint import fingerprint
from lichen.graph.version import Version


@dataclass(frozen=True)
class Trunk:
    """The published environment's release as another environment sees it; `release` is None before its first.

    `moved` says that it changed since the environment last branched from it.
    """

    environment: str
    release: int | None
    versions: Mapping[str, Version] = field(repr=False)
    moved: bool = False

    def brings(self, asset: Asset) -> bool:
        """Whether a source's rows come from here: it is in this release and means the same."""
        there = self.versions.get(asset.id)
        return asset.kind == "source" and there is not None and there.fingerprint == fingerprint(asset)

    def not_its_own(self, released: Mapping[str, Version]) -> dict[str, Version]:
        """Of an environment's versions those that are not shared with this release: what it mends by itself."""
        return {name: one for name, one in released.items() if self.versions.get(name) != one}
