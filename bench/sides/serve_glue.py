"""A side of `bench.serving`: Feast's online store (SQLite) and an MLflow model, glued in one FastAPI process.

`python serve_glue.py JOB.json` prints its port. Features come by `get_online_features`, the ten expressions are plain
Python (Feast's on-demand views, on pandas, take longer), the model is asked through `mlflow.pyfunc`; each answer is
appended to a log that is never synced.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any

os.environ.update(FEAST_USAGE="False", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")

import lightgbm
import mlflow.pyfunc
import pandas as pd
import uvicorn
from fastapi import FastAPI
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64
from pydantic import BaseModel
from serving_rows import vector

job = json.loads(Path(sys.argv[1]).read_text())
names, scratch = job["names"], Path(job["scratch"])


class Trees(mlflow.pyfunc.PythonModel):
    """The booster as an MLflow model."""

    def load_context(self, context: Any) -> None:
        self.booster = lightgbm.Booster(model_file=context.artifacts["model"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:  # noqa: ARG002 - MLflow's
        return self.booster.predict(model_input, num_threads=1)


class Ask(BaseModel):
    customer: int
    price: float
    distance: float
    items: int
    hour: int
    coupon: float | None = None


def feast_store() -> FeatureStore:
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
    store.apply([customer, view])
    now = pd.Timestamp.now(tz="UTC").to_pydatetime()
    store.materialize(now - timedelta(hours=1), now + timedelta(minutes=1))
    return store


with redirect_stdout(sys.stderr):
    store = feast_store()
    asked_features = [f"customer:{name}" for name in pd.read_parquet(job["features"]).columns if name != "customer"]
    mlflow.pyfunc.save_model(
        scratch / "mlflow", python_model=Trees(), artifacts={"model": job["model"]}, pip_requirements=[]
    )
    model = mlflow.pyfunc.load_model(str(scratch / "mlflow"))
log = open(scratch / "answers.jsonl", "a", buffering=1)  # noqa: SIM115 - open as long as it serves
app = FastAPI()


@app.post("/predict")
async def predict(ask: Ask) -> dict[str, float]:
    asked = ask.model_dump()
    found = store.get_online_features(asked_features, [{"customer": ask.customer}]).to_dict()
    row = vector(asked, {name: values[0] for name, values in found.items() if name != "customer"}, names)
    score = float(model.predict(pd.DataFrame([row], columns=names))[0])
    log.write(json.dumps({"at": time.time(), **asked, "features": row, "score": score}) + "\n")
    return {"score": score}


listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
print(listening.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[listening])
