"""Values that are right, for a description of what a service takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lichen.deploy.answer import Deployed
from lichen.deploy.fields import kind_of
from lichen.ground.types import vector_of
from lichen.ports import Column

_BY_KIND: Mapping[str, Any] = {
    "VARCHAR": "text",
    "BOOLEAN": True,
    "DOUBLE": 1.5,
    "FLOAT": 1.5,
    "TIMESTAMP WITH TIME ZONE": "2013-12-01T08:30:00-05:00",
    "TIMESTAMP": "2013-12-01T08:30:00",
    "DATE": "2013-12-01",
}


def example_of(deployed: Deployed) -> dict[str, Any]:
    """A request that is right: typical values of the training rows where they are known, else one of each type."""
    return {column.name: deployed.example.get(column.name, _any(column)) for column in deployed.request}


def _any(column: Column) -> Any:
    vector = vector_of(kind_of(column))
    return [0.5] * vector[1] if vector else _BY_KIND.get(kind_of(column), 1)
