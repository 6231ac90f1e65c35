"""Personal data in a service's answers: how it was treated, and how labels and tables find what was recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from arro3.core import Table

from lichen.deploy.fields import kind_of
from lichen.deploy.personal import MASKED, PERSONAL, treating
from lichen.deploy.predictions import array_of
from lichen.feedback.label import REQUEST
from lichen.graph.version import Version
from lichen.ground.quoting import identifier, sql
from lichen.ports import Column, Engine, Relation
from lichen.run.release import Releases


@dataclass(frozen=True)
class EverTreated:
    """How a service's columns were treated in any version of it that is kept: each may have been in several ways."""

    request: Mapping[str, frozenset[str]]
    features: frozenset[str]

    @property
    def masked(self) -> frozenset[str]:
        """The columns of the request whose values were not recorded, be it for a while."""
        return frozenset(name for name, ways in self.request.items() if MASKED in ways)


def ever_treated(service: str, releases: Releases, environment: str) -> EverTreated:
    """How the columns of a service were treated in the releases of an environment."""
    asset = f"service.{service}"
    made = {release.versions[asset] for release in releases.history(environment) if asset in release.versions}
    versions = [version for name in sorted(made) if (version := releases.version(asset, name)) is not None]
    request: dict[str, frozenset[str]] = {}
    features: frozenset[str] = frozenset()
    for said in (version.facts[PERSONAL] for version in versions if PERSONAL in version.facts):
        for name, way in said["request"].items():
            request[name] = request.get(name, frozenset()) | {way}
        features |= frozenset(said["features"])
    return EverTreated(request, features)


def forms(
    request: Sequence[Column],
    ever: EverTreated,
    answered: Version,
    labels: Relation,
    key: bytes,
    engine: Engine,
) -> dict[str, Relation]:
    """For each column of a request that is treated: the label table's values, and as what they may be recorded.

    That is what the treatment makes of them, and the value itself, as which they were recorded before.
    """
    recorded = {column.name: column.type for column in answered.columns}
    found = {}
    for column in request:
        ways = ever.request.get(column.name, frozenset())
        kind = recorded.get(f"{REQUEST}{column.name}")
        if ways and kind is not None and MASKED not in ways:
            each = [_form(column, way, kind, labels, key, engine) for way in sorted(ways)]
            names = [f"form_{place}" for place in range(len(each))]
            parts = [sql("SELECT value, recorded FROM", name) for name in names]
            parts.append(sql("SELECT value, TRY_CAST(value AS", kind, ") AS recorded FROM", names[0]))
            inputs = {name: Relation(arrow=table) for name, table in zip(names, each, strict=True)}
            found[column.name] = Relation(arrow=Table.from_arrow(engine.query(" UNION ".join(parts), inputs)))
    return found


def _form(column: Column, way: str, kind: str, rows: Relation, key: bytes, engine: Engine) -> Table:
    """The distinct values of a column of rows, and what a treatment makes of each, in the type of the record."""
    name = identifier(column.name)
    select = sql("SELECT DISTINCT", name, "AS value, CAST(", name, f"AS {column.type}) AS typed FROM rows WHERE", name,
                 "IS NOT NULL")  # fmt: skip
    table = Table.from_arrow(engine.query(select, {"rows": rows})).combine_chunks()
    made = map(treating(column, way, key), table.column("typed").to_pylist())
    return Table.from_arrays(
        [table.column("value").combine_chunks(), array_of(made, kind_of(Column("", kind)))], names=["value", "recorded"]
    )


def known_by(column: Column, way: str, rows: Relation, key: bytes, engine: Engine) -> dict[Any, Any]:
    """The values of a column of rows, by what a treatment makes of them."""
    name = identifier(column.name)
    select = sql("SELECT DISTINCT CAST(", name, f"AS {column.type}) AS value FROM rows WHERE", name, "IS NOT NULL")
    values = Table.from_arrow(engine.query(select, {"rows": rows})).column("value").to_pylist()
    treat = treating(column, way, key)
    return {treat(value): value for value in values}
