"""Lichen's side: `feature.join` over the Parquet files, and its answer written by the engine."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from turn import Job, feature, take

from lichen.backends.duckdb import DuckDBEngine
from lichen.feature.featureset import FeatureSet
from lichen.feature.join import join
from lichen.feature.view import View, WindowAggregate
from lichen.ports import Column, Relation

FUNCTIONS = {"count": "count", "sum": "sum", "mean": "avg", "max": "max"}


def view_of(job: Job, place: int) -> View:
    types = dict(job["event_columns"])
    entity = tuple(Column(name, types[name]) for name in job["key"])
    aggregates = tuple(
        WindowAggregate(name, FUNCTIONS[name], *(("*",) if name == "count" else ("x", None, "DOUBLE")))
        for name in job["functions"]
    )
    windowed = [
        Column(f"{a.name}_{w}", "BIGINT" if a.name == "count" else "DOUBLE") for a in aggregates for w in job["windows"]
    ]
    latest = () if job["windows"] else tuple(Column(name, types[name]) for name in job["columns"])
    return View(
        name=f"v{place}", entity=entity, table=f"events_{place}", time="happened", known="happened",
        aggregates=aggregates, windows=tuple(job["windows"]), latest=latest, ttl_us=job["ttl_us"], static=False,
        features=(*windowed, *latest),
    )  # fmt: skip


def main(job: Job) -> None:
    views = tuple(view_of(job, place) for place in range(len(job["events"])))
    features = tuple(Column(feature(place, c.name), c.type) for place, view in enumerate(views) for c in view.features)
    columns = tuple(Column(*column) for column in job["event_columns"])
    inputs = {view.table: Relation(columns, (file,)) for view, file in zip(views, job["events"], strict=True)}
    labels = Relation(tuple(Column(*column) for column in job["label_columns"]), (job["labels"],))
    # As in a project: its tables' files and what is made of them are in the lake.
    engine = DuckDBEngine(scratch=Path(job["scratch"]), threads=job["threads"], lake=Path(job["labels"]).parent)
    joined = join(FeatureSet(views, (), views[0].entity, features), labels, "at", inputs, engine)
    engine.sql("FROM joined", {"joined": Relation(arrow=joined)}, Path(job["into"]))


take(main, version("lichen"))
