"""Each feature alone: how well the mean label of its bins, learned on the training rows, says the label of others."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from arro3.core import Table
from numpy.typing import NDArray

from lichen.evaluate.metrics import Floats, r2, roc_auc
from lichen.ports import Matrix
from lichen.train.fit import Trained
from lichen.train.prepare import LABEL

_BINS = 20
_WEIGHT = 20.0

TELLS = {"classification": "roc_auc", "regression": "r2"}
"""The metric that says how well a feature alone tells the label."""


@dataclass(frozen=True)
class Single:
    """A feature alone: its mean squared error on the rows held out for choosing, and what it tells on the test rows.

    The rows held out are those for early stopping, or the training rows where there are none. `tells` is the ROC AUC
    or R² (see `TELLS`).
    """

    feature: str
    error: float
    tells: float
    means: LabelMeans = field(compare=False, repr=False)


def singles(task: str, trained: Trained) -> tuple[Single, ...]:
    """Every feature of a trained model alone, in its order."""
    tables = {part: Table.from_arrow(matrix.rows) for part, matrix in trained.parts.items()}
    labels = {part: column_of(table, LABEL) for part, table in tables.items()}
    train, held_out = trained.parts["train"], "early_stop" if len(labels["early_stop"]) else "train"
    mean = float(labels["train"].mean())
    found = []
    for name in train.names:
        columns = {part: column_of(table, name) for part, table in tables.items()}
        means = LabelMeans.of(train, name, columns["train"], labels["train"], mean)
        error = float(((means.predict(columns[held_out]) - labels[held_out]) ** 2).mean())
        found.append(Single(name, error, means.tells(task, columns["test"], labels["test"]), means))
    return tuple(found)


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

    def tells(self, task: str, values: Floats, labels: Floats) -> float:
        """How well the means say these labels: ROC AUC or R²."""
        if task != "classification":
            return r2(labels, self.predict(values))
        # The rows of a bin have one score: two rows for each bin, weighted, stand for all.
        count = len(self.means)
        place = _places(self.edges, values, count)
        positive = np.bincount(place, labels, count)
        negative = np.bincount(place, minlength=count) - positive
        both = np.r_[np.ones(count), np.zeros(count)]
        return roc_auc(both, np.r_[self.means, self.means], np.r_[positive, negative])


def _places(edges: Floats | None, values: Floats, count: int) -> NDArray[np.int64]:
    if edges is None:
        return np.where(values < 0, count - 1, values).astype(np.int64)
    return np.where(np.isnan(values), count - 1, np.searchsorted(edges, values, side="right"))
