"""One asset as built once: what it was built from, and what came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from lichen.ground.digest import digest
from lichen.ports import Column, DataFile


def version_name(fingerprint: str, inputs: Mapping[str, str], content: str = "") -> str:
    """The name of the version that these things make: the same things always make the same name."""
    return digest({"fingerprint": fingerprint, "inputs": dict(inputs), "content": content})[:16]


def relation_name(asset: str) -> str:
    """The name under which SQL reads an asset's rows.

    >>> relation_name("table.flight_legs"), relation_name("predictions.late_arrival")
    ('flight_legs', 'predictions_late_arrival')
    """
    kind, _, name = asset.partition(".")
    prefix = {"source": "", "table": "", "model": "training_"}.get(kind, f"{kind}_")
    return prefix + name


def is_own(relation: str) -> bool:
    """Whether a relation's name is kept for rows that Lichen makes by itself.

    >>> is_own("predictions_late_arrival"), is_own("flights")
    (True, False)
    """
    return relation == "quarantine" or relation.startswith(("predictions_", "training_")) or "__quarantine" in relation


@dataclass(frozen=True)
class Version:
    """One asset as built once.

    For a table or a source, `columns` and `files` are its manifest, and `quarantine` the files of the rows set
    aside. `facts` holds what else is known of it: a
    source's cursor and token, counts of rows read, kept and quarantined, a model's metrics and artifacts.
    """

    asset: str
    version: str
    fingerprint: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    files: tuple[DataFile, ...] = ()
    quarantine: tuple[DataFile, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def relation(self) -> str:
        """The name under which SQL reads its rows."""
        return relation_name(self.asset)

    @property
    def rows(self) -> int:
        """How many rows its files hold."""
        return sum(file.rows for file in self.files)

    def with_facts(self, **facts: Any) -> Self:
        """The same version with more facts."""
        return replace(self, facts={**self.facts, **facts})

    def as_dict(self) -> dict[str, Any]:
        """The version as a JSON object, for the state store."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """The version that `as_dict` wrote."""
        return cls(
            asset=value["asset"],
            version=value["version"],
            fingerprint=value["fingerprint"],
            inputs=dict(value["inputs"]),
            columns=tuple(Column(**column) for column in value["columns"]),
            files=tuple(DataFile(**file) for file in value["files"]),
            quarantine=tuple(DataFile(**file) for file in value["quarantine"]),
            facts=dict(value["facts"]),
        )
