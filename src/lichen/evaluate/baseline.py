"""What the model is worth more than: a constant, and the best single feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from arro3.core import Table
from numpy.typing import NDArray

from lichen.evaluate.metrics import METRICS, Floats
from lichen.ports import Matrix
from lichen.train.fit import Trained
from lichen.train.prepare import LABEL

_BINS = 20
_WEIGHT = 20.0


@dataclass(frozen=True)
class Baseline:
    """Two predictions that need no model, measured on the test rows.

    `constant` is the training rows' mean label, predicted for every row. `feature` is the one feature whose twenty
    bins (or categories), each predicting its training rows' mean label, did best on the early-stop rows, or on the
    training rows where there are none.
    """

    constant: float
    constant_metrics: Mapping[str, float]
    feature: str
    feature_metrics: Mapping[str, float]


def baseline(task: str, trained: Trained) -> Baseline:
    """Measure both on the test rows; nothing is chosen by looking at them."""
    tables = {part: Table.from_arrow(matrix.rows) for part, matrix in trained.parts.items()}
    labels = {part: column_of(table, LABEL) for part, table in tables.items()}
    mean = float(labels["train"].mean())
    best, lowest, chosen = "", float("inf"), np.full(len(labels["test"]), mean)
    matrix, held_out = trained.parts["train"], "early_stop" if len(labels["early_stop"]) else "train"
    for name in matrix.names:
        columns = {part: column_of(table, name) for part, table in tables.items()}
        table = LabelMeans.of(matrix, name, columns["train"], labels["train"], mean)
        error = float(((table.predict(columns[held_out]) - labels[held_out]) ** 2).mean())
        if error < lowest:
            best, lowest, chosen = name, error, table.predict(columns["test"])
    test = labels["test"]
    return Baseline(
        mean,
        {name: metric(test, np.full(len(test), mean), None) for name, metric in METRICS[task].items()},
        best,
        {name: metric(test, chosen, None) for name, metric in METRICS[task].items()},
    )


def column_of(table: Table, name: str) -> NDArray[np.float64]:
    """A column of encoded rows as numbers."""
    return np.asarray(table.column(name).to_numpy() if table.num_rows else [], dtype=np.float64)


@dataclass(frozen=True)
class LabelMeans:
    """The mean label in each bin of a column, drawn to the mean of all where rows are few; the last bin is missing."""

    edges: Floats | None
    means: Floats

    @classmethod
    def of(cls, matrix: Matrix, name: str, values: Floats, labels: Floats, mean: float) -> LabelMeans:
        """Learn them of a feature's training values; `mean` is the labels'."""
        edges = None
        if name not in matrix.categories:
            present = values[~np.isnan(values)]
            inner = np.linspace(0, 100, _BINS + 1)[1:-1]
            edges = np.unique(np.percentile(present, inner)) if len(present) else np.empty(0)
        count = (matrix.categories[name] if edges is None else len(edges) + 1) + 1
        place = _places(edges, values, count)
        rows = np.bincount(place, minlength=count)
        sums = np.bincount(place, labels, minlength=count)
        return cls(edges, (sums + _WEIGHT * mean) / (rows + _WEIGHT))

    def predict(self, values: Floats) -> Floats:
        """The mean label of each value's bin."""
        found: Floats = self.means[_places(self.edges, values, len(self.means))]
        return found


def _places(edges: Floats | None, values: Floats, count: int) -> NDArray[np.int64]:
    if edges is None:
        return np.where(values < 0, count - 1, values).astype(np.int64)
    return np.where(np.isnan(values), count - 1, np.searchsorted(edges, values, side="right"))
