"""A side of `bench.serving`: FastAPI, features as rows of SQLite, a frame of one row, a scikit-learn pipeline.

`python serve_fastapi.py JOB.json` prints its port. The pipeline holds the very model that Lichen serves; each answer is
appended to a log that is never synced.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from by_hand import serve
from serving_rows import vector
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

job = json.loads(Path(sys.argv[1]).read_text())
names = job["names"]


class Trees(ClassifierMixin, BaseEstimator):
    """The booster as an estimator."""

    def __init__(self, path: str) -> None:
        self.path = path

    def fit(self, rows: Any, labels: Any) -> Trees:  # noqa: ARG002 - scikit-learn's
        self.booster_, self.classes_ = lightgbm.Booster(model_file=self.path), np.array([0, 1])
        return self

    def predict_proba(self, rows: Any) -> Any:
        ones = self.booster_.predict(rows, num_threads=1)
        return np.column_stack([1 - ones, ones])


kept = pd.read_parquet(job["features"])
store = sqlite3.connect(Path(job["scratch"]) / "features.db", check_same_thread=False)
kept.to_sql("features", store, index=False, if_exists="replace")
store.execute("CREATE UNIQUE INDEX of_customer ON features (customer)")
store.row_factory = sqlite3.Row

pipeline = Pipeline([("columns", ColumnTransformer([("kept", "passthrough", names)])), ("model", Trees(job["model"]))])
pipeline.fit(pd.DataFrame([[0.0] * len(names)] * 2, columns=names), [0, 1])


def answer(asked: dict[str, Any]) -> tuple[float, list[float]]:
    found = dict(store.execute("SELECT * FROM features WHERE customer = ?", [asked["customer"]]).fetchone())
    found.pop("customer")
    row = vector(asked, found, names)
    return float(pipeline.predict_proba(pd.DataFrame([row], columns=names))[0, 1]), row


serve(answer, Path(job["scratch"]))
