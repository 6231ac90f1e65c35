"""Two sides of `bench.serving`: Feast's online store (SQLite) and an MLflow model, glued in one FastAPI process.

`python serve_glue.py JOB.json documented` is as their documentation has it: request expressions are an on-demand
feature view, the model is logged by its flavour with a signature, a frame goes from one to the other. `lean` is what
a patient engineer makes of it: expressions in plain Python, a model without a signature. Both print their port, and
append each answer to a log that is never synced.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any

os.environ.update(FEAST_USAGE="False", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")

import lightgbm
import mlflow.lightgbm
import mlflow.pyfunc
import numpy as np
import pandas as pd
from by_hand import serve
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64
from mlflow.models import infer_signature
from serving_rows import computed, vector

job, lean = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2] == "lean"
names, scratch = job["names"], Path(job["scratch"]) / sys.argv[2]
scratch.mkdir()
COMPUTED = list(
    computed(
        {"price": 1.0, "distance": 1.0, "items": 1, "hour": 1, "coupon": 1.0},
        {"mean_30d": 1.0, "high_90d": 1.0, "n_7d": 1.0, "n_90d": 1.0},
    )
)


class Trees(mlflow.pyfunc.PythonModel):
    """The booster as an MLflow model."""

    def load_context(self, context: Any) -> None:
        self.booster = lightgbm.Booster(model_file=context.artifacts["model"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:  # noqa: ARG002 - MLflow's
        return self.booster.predict(model_input, num_threads=1)


def on_demand(view: FeatureView, request: RequestSource) -> Any:
    @on_demand_feature_view(sources=[view, request], schema=[Field(name=name, dtype=Float64) for name in COMPUTED])
    def quote(inputs: pd.DataFrame) -> pd.DataFrame:
        price, distance, items, hour = (inputs[name] for name in ("price", "distance", "items", "hour"))
        found = pd.DataFrame()
        found["per_item"] = price / items.clip(lower=1)
        found["per_km"] = price / (distance + 1)
        found["log_price"] = np.log(price + 1)
        found["log_distance"] = np.log(distance + 1)
        found["night"] = ((hour < 6) | (hour > 22)).astype(float)
        found["discounted"] = price - inputs["coupon"].astype(float).fillna(0)
        found["against_mean"] = price - inputs["mean_30d"].astype(float).fillna(0)
        found["share_of_high"] = price / (inputs["high_90d"].astype(float).fillna(0) + 1)
        found["busy"] = inputs["n_7d"].fillna(0) / (inputs["n_90d"].fillna(0) + 1)
        found["rush"] = (hour - 17).abs().astype(float)
        return found

    return quote


def feast_store() -> tuple[FeatureStore, list[str]]:
    kept = pd.read_parquet(job["features"])
    columns = [name for name in kept.columns if name != "customer"]
    kept[columns] = kept[columns].astype(float)
    kept["made"] = pd.Timestamp.now(tz="UTC")
    kept.to_parquet(scratch / "feast.parquet")
    online = {"type": "sqlite", "path": str(scratch / "feast.db")}
    store = FeatureStore(
        config=RepoConfig(project="bench", provider="local", registry=str(scratch / "registry.db"),
                          online_store=online, entity_key_serialization_version=3)
    )  # fmt: skip
    customer = Entity(name="customer", join_keys=["customer"], value_type=ValueType.INT64)
    view = FeatureView(
        name="customer", entities=[customer], ttl=timedelta(days=1),
        schema=[Field(name=name, dtype=Float64) for name in columns],
        source=FileSource(name="made", path=str(scratch / "feast.parquet"), timestamp_field="made"),
    )  # fmt: skip
    kinds = {"price": Float64, "distance": Float64, "items": Int64, "hour": Int64, "coupon": Float64}
    request = RequestSource(name="request", schema=[Field(name=name, dtype=kind) for name, kind in kinds.items()])
    asked = [f"customer:{name}" for name in columns]
    if lean:
        store.apply([customer, view])
    else:
        store.apply([customer, view, on_demand(view, request)])
        asked += [f"quote:{name}" for name in COMPUTED]
    now = pd.Timestamp.now(tz="UTC").to_pydatetime()
    store.materialize(now - timedelta(hours=1), now + timedelta(minutes=1))
    return store, asked


def mlflow_model() -> Any:
    path = scratch / "mlflow"
    if lean:
        mlflow.pyfunc.save_model(path, python_model=Trees(), artifacts={"model": job["model"]}, pip_requirements=[])
    else:
        example = pd.DataFrame([[0.5] * len(names)] * 2, columns=names)
        booster = lightgbm.Booster(model_file=job["model"])
        signature = infer_signature(example, booster.predict(example))
        mlflow.lightgbm.save_model(booster, path, signature=signature, pip_requirements=[])
    return mlflow.pyfunc.load_model(str(path))


with redirect_stdout(sys.stderr):
    store, features = feast_store()
    model = mlflow_model()


def as_documented(asked: dict[str, Any]) -> tuple[float, list[float]]:
    frame = store.get_online_features(features, [asked]).to_df()
    for name in ("price", "distance", "items", "hour", "coupon"):
        frame[name] = asked[name]
    frame = frame.rename(columns={name.rpartition(".")[2]: name for name in names})[names].astype(float)
    return float(model.predict(frame)[0]), frame.iloc[0].tolist()


def leanly(asked: dict[str, Any]) -> tuple[float, list[float]]:
    found = store.get_online_features(features, [{"customer": asked["customer"]}]).to_dict()
    row = vector(asked, {name: values[0] for name, values in found.items() if name != "customer"}, names)
    return float(model.predict(pd.DataFrame([row], columns=names))[0]), row


serve(leanly if lean else as_documented, scratch)
