"""What an asset means, as one hash: layout and comments do not count, everything else does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lichen.graph.build import Asset
from lichen.graph.version import Version
from lichen.ground.digest import digest
from lichen.spec import FeatureView

FORMAT = 1
"""Raised when the same spec starts to give other rows, so that everything is built anew."""


MEANING = "meaning"
"""The fact under which a version keeps what its asset meant, so that a plan can say what changed."""


def meaning(asset: Asset) -> dict[str, Any]:
    """What an asset means, in the form a version keeps, a plan compares and a fingerprint hashes."""
    words = asset.spec.meaning()
    if asset.statement is not None:
        words["sql"] = asset.statement.canonical
    if asset.personal:
        words["pii"] = {str(column): said for column, said in asset.personal.items()}
    if isinstance(asset.spec, FeatureView):
        # Keys and features are read by place: their order counts, and a mapping's is lost when it is hashed.
        words["order"] = [*(asset.spec.entity or ()), *asset.spec.feature_names()]
    return words


def fingerprint(asset: Asset) -> str:
    """The hash of one asset's own meaning, without its inputs'."""
    return _fingerprint(asset.kind, asset.name, meaning(asset))


def is_fingerprint_of(version: Version, meant: Mapping[str, Any]) -> bool:
    """Whether a version was made from this meaning, in the format of today."""
    kind, _, name = version.asset.partition(".")
    return version.fingerprint == _fingerprint(kind, name, meant)


def _fingerprint(kind: str, name: str, meant: Mapping[str, Any]) -> str:
    return digest({"format": FORMAT, "kind": kind, "name": name, "meaning": meant})[:16]
