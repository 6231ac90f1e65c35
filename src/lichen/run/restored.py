"""What can be computed again of answers whose record holds personal data otherwise than it was asked with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from arro3.core import Array, Table

from lichen.deploy.fields import kind_of
from lichen.deploy.personal import MASKED, Treated, treating
from lichen.deploy.predictions import array_of
from lichen.feature.featureset import FeatureSet
from lichen.feedback.label import REQUEST
from lichen.ground.types import vector_of
from lichen.ports import Column, Engine, Relation
from lichen.run.personal import known_by

_FLOATS = frozenset({"DOUBLE", "FLOAT"})


def restored(
    rows: Table, features: FeatureSet, sources: Mapping[str, Relation], treated: Treated, key: bytes, engine: Engine
) -> Table:
    """Recorded answers with the keys they were asked with: those whose keys some table of their release has.

    A key is known by its hash. Other columns of the request that were treated are null: what is made of them is not
    `comparable`.
    """
    said, keys = treated.get("request", {}), _keys(features)
    names, arrays = rows.column_names, [rows.column(name).combine_chunks() for name in rows.column_names]
    kept = np.ones(rows.num_rows, np.bool_)
    for column in features.request:
        if column.name not in said:
            continue
        place = names.index(f"{REQUEST}{column.name}")
        values: list[Any] = [None] * rows.num_rows
        if column.name in keys:
            known: dict[Any, Any] = {}
            for view in features.views:
                if column.name in (own.name for own in view.entity):
                    known |= known_by(column, said[column.name], sources[view.name], key, engine)
            recorded = arrays[place].to_pylist()
            kept &= np.array([one is None or one in known for one in recorded], np.bool_)
            values = [known.get(one) for one in recorded]
        arrays[place] = array_of(values, kind_of(column))
    places = Array.from_numpy(np.flatnonzero(kept).astype(np.uint32))
    table = Table.from_arrays(arrays, names=names)
    return Table.from_arrays([table.column(name).combine_chunks().take(places) for name in names], names=names)


def comparable(features: FeatureSet, treated: Treated) -> list[Column]:
    """The features that can be computed again and held against what was recorded.

    Others were masked, are made of a column of the request that the record does not hold, or are floats or vectors that
    were treated: sums may be added up differently, and no hash shows how near two floats are.
    """
    used = treated.get("features", {})
    lost = {name for name in treated.get("request", {}) if name not in _keys(features)}
    lost |= {qualified for qualified, column in features.request_features if column in lost}
    for level in features.levels:
        lost |= {one.name for one in level if not lost.isdisjoint(one.reads)}
    return [column for column in features.features if column.name not in lost and _is_held(column, used)]


def _is_held(column: Column, used: Mapping[str, str]) -> bool:
    way, kind = used.get(column.name), kind_of(column)
    return way is None or (way != MASKED and kind not in _FLOATS and vector_of(kind) is None)


def as_recorded(column: Column, treated: Treated, key: bytes) -> Callable[[Any], Any]:
    """What makes a feature's value that which a record holds of it."""
    way = treated.get("features", {}).get(column.name)
    return treating(column, way, key) if way is not None else lambda value: value


def _keys(features: FeatureSet) -> set[str]:
    return {column.name for view in features.views for column in view.entity}
