"""Trains a model: split, encode, learn, keep the files, score the test rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from arro3.core import Table
from numpy.typing import NDArray

from lichen.errors import FoundWrong, did_you_mean
from lichen.feature.featureset import FeatureSet
from lichen.ground.clock import Clock
from lichen.ground.files import system_failures
from lichen.ground.quoting import identifier, sql
from lichen.ports import Column, Engine, Fitted, Learner, Matrix, Relation
from lichen.spec import Model
from lichen.train.artifact import MODEL, keep
from lichen.train.calibrate import Calibration, interval, probability
from lichen.train.prepare import LABEL, Preparation, check_features, prepare
from lichen.train.split import PARTS, Labelled, Split, labelled, split


@dataclass(frozen=True)
class Scored:
    """The test rows, in the order of the label table: what was asked, what came out, what was true.

    `at` is in microseconds since 1970 in UTC; `slices` holds the columns that the model's `slices` name.
    """

    at: NDArray[np.int64]
    label: NDArray[np.float64]
    score: NDArray[np.float64]
    slices: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Trained:
    """A model as it came out of training, with all that its evaluation needs.

    `digest` names its artifact, `folder` holds it. `parts` are the encoded rows with their labels;
    `seconds` is how long learning took.
    """

    digest: str
    folder: Path
    preparation: Preparation
    fitted: Fitted
    split: Split
    test: Scored
    parts: Mapping[str, Matrix]
    seconds: float
    calibration: Calibration | None = None
    """What a score means, learned from the early-stop rows; None where a number has no interval."""


def train(
    model: Model,
    features: FeatureSet,
    rows: Relation,
    learner: Learner,
    engine: Engine,
    folder: Path,
    *,
    clock: Clock,
) -> Trained:
    """Train a model on labelled rows: the label table's columns and, by their qualified names, the features.

    The rows are read several times, so they are files or an Arrow table. The artifact becomes `folder/<digest>`;
    everything it holds follows from the rows, the model and the learner, but for a budget that ended learning early.
    """
    kept = check_features(model, features)
    held = rows if rows.columns else replace(rows, columns=engine.describe("FROM rows", {"rows": rows}))
    _expect_columns(model, kept, held)
    with system_failures("keep the model's files", folder):
        folder.mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(prefix=".staging-", dir=folder, ignore_cleanup_errors=True)
    with made as scratch:
        columns = labelled(model, held, engine)
        cuts = split(model, held, columns, engine)
        parts = {part: f"({columns.part(cuts.early_stop, cuts.test)}) = '{part}'" for part in PARTS}
        preparation = prepare(kept, held, engine, where=parts["train"])
        matrices = {
            part: preparation.matrix(held, engine, where=where, label=columns.label) for part, where in parts.items()
        }
        started = clock.seconds()
        fitted = learner.fit(
            model.task,
            matrices["train"],
            None if model.validate_.early_stop is None else matrices["early_stop"],
            model.params,
            seed=model.seed,
            seconds=None if model.budget is None else model.budget.total_seconds(),
        )
        seconds = clock.seconds() - started
        test = _scored(model, held, columns, parts["test"], engine, score(fitted, matrices["test"]))
        calibration = _calibrated(model, held, columns, parts["early_stop"], engine, fitted, matrices["early_stop"])
        staging = Path(scratch) / "artifact"
        staging.mkdir()
        fitted.save(staging / MODEL)
        name = keep(staging, folder, _manifest(model, preparation, cuts, calibration))
    return Trained(name, folder / name, preparation, fitted, cuts, test, matrices, seconds, calibration)


def score(fitted: Fitted, matrix: Matrix) -> NDArray[np.float64]:
    """A model's predictions for encoded rows."""
    return _numbers(Table.from_arrow(fitted.predict(matrix)), "score")


def compiled(preparation: Preparation, fitted: Fitted) -> Callable[[Sequence[Any]], float]:
    """A function from one row's feature values, in the order of `preparation.names`, to its score."""
    encode, predict = preparation.row, fitted.compile_row()

    def answer(values: Sequence[Any]) -> float:
        return predict(encode(values))

    return answer


def _expect_columns(model: Model, features: Sequence[Column], rows: Relation) -> None:
    there = [column.name for column in rows.columns]
    label = model.label
    wanted = [(name, "label") for name in (label.value, label.at, label.known)]
    wanted += [(column.name, "features") for column in features] + [(name, "slices") for name in model.slices]
    for name, key in wanted:
        if name not in there:
            raise FoundWrong(
                "LCH-2930",
                f"the training rows have no column `{name}`",
                why=f"the model's `{key}` names it",
                fix=did_you_mean(name, there),
            )


def _scored(
    model: Model, rows: Relation, columns: Labelled, where: str, engine: Engine, scores: NDArray[np.float64]
) -> Scored:
    sliced = [f"{identifier(name)} AS {identifier(f'slice.{name}')}" for name in model.slices]
    wanted = ", ".join((f"{columns.at} AS at", f"{columns.label} AS {identifier(LABEL)}", *sliced))
    select = sql("SELECT", wanted, "FROM rows WHERE", where)
    table = Table.from_arrow(engine.query(select, {"rows": rows}))
    _expect_finite(model, scores)
    return Scored(
        table.column("at").to_numpy(),
        _numbers(table, LABEL),
        scores,
        {name: table.column(f"slice.{name}").to_pylist() for name in model.slices},
    )


def _calibrated(
    model: Model, rows: Relation, columns: Labelled, where: str, engine: Engine, fitted: Fitted, matrix: Matrix
) -> Calibration | None:
    """What a score means, learned from the early-stop rows: their labels were known before the test starts.

    They stopped learning and taught nothing else. Without them a score stays what it is, and a number has no interval:
    a slice of the training rows would change what is learned, or cost a second training.
    """
    select = sql("SELECT", f"{columns.at} AS at, {columns.label} AS {identifier(LABEL)}", "FROM rows WHERE", where)
    table = Table.from_arrow(engine.query(select, {"rows": rows}))
    scores, label = score(fitted, matrix), _numbers(table, LABEL)
    order = np.argsort(_numbers(table, "at"), kind="stable")
    order = order[np.isfinite(scores[order])]
    if model.task == "classification":
        return probability(label[order], scores[order])
    return interval(label[order], scores[order], model.coverage)


def _expect_finite(model: Model, scores: NDArray[np.float64]) -> None:
    wild = int((~np.isfinite(scores)).sum())
    if wild:
        raise FoundWrong(
            "LCH-2931",
            f"`{model.learner}` learned to predict what is no finite number, in {wild:,} of {len(scores):,} test rows",
            why="nothing can be said of how good such a model is",
            fix="look for values in the label and the features that are out of all proportion, and give them a `range` "
            "in a contract",
        )


def _numbers(table: Table, name: str) -> NDArray[np.float64]:
    return np.asarray(table.column(name).to_numpy() if table.num_rows else [], dtype=np.float64)


def _manifest(model: Model, preparation: Preparation, cuts: Split, calibration: Calibration | None) -> dict[str, Any]:
    return {
        "task": model.task,
        "learner": model.learner,
        "params": dict(model.params),
        "seed": model.seed,
        "preparation": preparation.as_dict(),
        "split": cuts.as_dict(),
        "calibration": None if calibration is None else calibration.as_dict(),
    }
