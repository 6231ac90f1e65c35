"""Feast's side: `get_historical_features` of its default offline store (`file`, also called `dask`) over local files.

The store is made and its views are applied before the clock runs.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from pathlib import Path

import feast
import pandas as pd
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64, Int64
from turn import Job, feature, result, take

KINDS = {"BIGINT": ValueType.INT64, "VARCHAR": ValueType.STRING}
TYPES = {"BIGINT": Int64, "DOUBLE": Float64}
stores: list[FeatureStore] = []


def store_of(job: Job) -> FeatureStore:
    if not stores:
        types, folder = dict(job["event_columns"]), Path(job["scratch"])
        store = FeatureStore(
            config=RepoConfig(project="bench", provider="local", registry=str(folder / "registry.db"),
                              online_store=None, entity_key_serialization_version=3)
        )  # fmt: skip
        entities = [Entity(name=name, join_keys=[name], value_type=KINDS[types[name]]) for name in job["key"]]
        views = [
            FeatureView(
                name=f"v{place}", entities=entities, ttl=timedelta(microseconds=job["ttl_us"] or 0),
                schema=[Field(name=name, dtype=TYPES[types[name]]) for name in job["columns"]],
                source=FileSource(name=f"s{place}", path=file, timestamp_field="happened"), online=False,
            )
            for place, file in enumerate(job["events"])
        ]  # fmt: skip
        store.apply([*entities, *views])
        stores.append(store)
    return stores[0]


@cache
def names(columns: tuple[str, ...], views: int) -> dict[str, str]:
    return {f"v{place}__{name}": feature(place, name) for place in range(views) for name in columns}


def main(job: Job) -> None:
    labels = pd.read_parquet(job["labels"]).rename(columns={"at": "event_timestamp"})
    asked = [f"v{place}:{name}" for place in range(len(job["events"])) for name in job["columns"]]
    found = store_of(job).get_historical_features(labels, asked, full_feature_names=True).to_arrow()
    called = {"event_timestamp": "at"} | names(tuple(job["columns"]), len(job["events"]))
    found = found.rename_columns([called.get(name, name) for name in found.column_names])
    pq.write_table(found, result(job), compression="zstd")


take(main, feast.__version__)
