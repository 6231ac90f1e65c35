"""Gradient-boosted trees by LightGBM, kept as LightGBM's own text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lichen.backends.learning import (
    Budget,
    Parameter,
    asked,
    contributions,
    corrupt,
    expect_columns,
    helps,
    read,
    read_columns,
    read_text,
    scores,
    settle,
    shares,
    write,
    write_columns,
)
from lichen.backends.lightgbm_library import LibraryError, Trees, cannot_load, library, threads
from lichen.backends.lightgbm_text import fault
from lichen.errors import FoundWrong
from lichen.ports import Arrow, Matrix

if TYPE_CHECKING:
    from lichen.backends.learning import Rows

MODEL = "model.txt"
_THREADS = re.compile(r"\[num_threads: \d+\]")
_PLAIN = re.compile(r"[A-Za-z0-9_.\-]+")
_LARGEST = float(np.finfo(np.float32).max)
_BY_US = frozenset({"num_iterations", "early_stopping_round"})

_PARAMETERS = {
    "num_iterations": Parameter("The most trees that are grown.", 500, low=1, high=100_000),
    "learning_rate": Parameter("How much of each tree counts.", 0.05, low=1e-6, high=1.0),
    "num_leaves": Parameter("The most leaves a tree has.", 31, low=2, high=131_072),
    "max_depth": Parameter("The deepest a tree goes; -1 is without a limit.", -1, low=-1, high=1_000),
    "min_data_in_leaf": Parameter("The fewest training rows in a leaf.", 50, low=1),
    "min_sum_hessian_in_leaf": Parameter("The smallest sum of second derivatives in a leaf.", 1e-3, low=0),
    "min_gain_to_split": Parameter("The smallest gain for which a leaf is split.", 0.0, low=0),
    "feature_fraction": Parameter("The share of columns each tree sees.", 1.0, low=0.01, high=1.0),
    "bagging_fraction": Parameter("The share of rows each tree sees; needs `bagging_freq`.", 1.0, low=0.01, high=1.0),
    "bagging_freq": Parameter("After how many trees rows are drawn again; 0 is never.", 0, low=0),
    "lambda_l1": Parameter("How much leaves are drawn to zero by their size.", 0.0, low=0),
    "lambda_l2": Parameter("How much leaves are drawn to zero by their square.", 0.0, low=0),
    "max_bin": Parameter("The most steps a number is cut into.", 255, low=2, high=65_535),
    "cat_smooth": Parameter("How much rare categories are smoothed.", 10.0, low=0),
    "cat_l2": Parameter("How much splits by category are drawn to zero.", 10.0, low=0),
    "max_cat_threshold": Parameter("The most categories on one side of a split.", 32, low=1),
    "min_data_per_group": Parameter("The fewest training rows of a category.", 100, low=1),
    "scale_pos_weight": Parameter("How much a row of the second class counts.", 1.0, low=1e-6),
    "early_stopping_round": Parameter("After how many trees without gain growing stops; 0 is never.", 50, low=0),
}


class LightGBMFitted:
    """A LightGBM model: its text, and the trees that the C library made of it."""

    def __init__(self, text: str, task: str, names: Sequence[str], categories: Mapping[str, int]) -> None:
        self._text, self._task, self._names, self._categories = text, task, tuple(names), dict(categories)
        self._trees = Trees(text)

    def predict(self, matrix: Matrix) -> Arrow:
        """One DOUBLE column `score`."""
        expect_columns(matrix, self._names)
        return scores(self._trees.predict(read(matrix).values))

    def compile_row(self) -> Callable[[Sequence[float]], float]:
        """A function that scores one row; each thread needs one of its own."""
        return self._trees.row()

    def contributions(self, matrix: Matrix) -> Arrow:
        """What each column adds to the raw score, by exact TreeSHAP."""
        expect_columns(matrix, self._names)
        told = self._trees.contributions(read(matrix).values)
        return contributions(self._names, list(told[:, :-1].T), told[:, -1])

    def importances(self) -> Mapping[str, float]:
        """Each column's share of all gain."""
        return shares(self._trees.gains(), self._names)

    def save(self, folder: Path) -> None:
        """Write the model as text."""
        write(folder / MODEL, self._text.encode())
        write_columns(folder, self._task, self._names, self._categories)


@dataclass(eq=False)
class _Stop:
    """Ends growing when the early-stop rows no longer gain, or the time is spent; remembers the best tree."""

    module: ModuleType
    patience: int
    budget: Budget
    best: int = 0
    lowest: float = float("inf")
    order: ClassVar[int] = 30
    before_iteration: ClassVar[bool] = False

    def __call__(self, env: Any) -> None:
        grown = env.iteration + 1
        results = env.evaluation_result_list
        if not results or results[0][2] < self.lowest:
            self.best, self.lowest = grown, results[0][2] if results else self.lowest
        stale = self.patience > 0 and grown - self.best >= self.patience
        if stale or self.budget.spent:
            raise self.module.EarlyStopException(self.best - 1, results)


class LightGBMLearner:
    """Gradient-boosted trees by LightGBM; the model is kept as LightGBM's own text."""

    tasks: ClassVar[tuple[str, ...]] = ("classification", "regression")
    params: ClassVar[Mapping[str, str]] = helps(_PARAMETERS)
    contributes: ClassVar[bool] = True

    def check(self, params: Mapping[str, Any]) -> None:
        """Refuse a parameter that is none, or whose value is not allowed."""
        settle("lightgbm", _PARAMETERS, params)

    def stops_early(self, params: Mapping[str, Any]) -> bool:
        """Whether growing stops where rows held out no longer gain."""
        return bool(settle("lightgbm", _PARAMETERS, params)["early_stopping_round"])

    def fit(
        self,
        task: str,
        train: Matrix,
        early_stop: Matrix | None,
        params: Mapping[str, Any],
        *,
        seed: int,
        seconds: float | None,
    ) -> LightGBMFitted:
        """Grow trees until `early_stop` no longer improves or `seconds` are spent; the best number of them is kept.

        The number of threads does not change the model. A model that the budget cut short depends on the machine's
        speed; so does nothing else.
        """
        budget = Budget(seconds)
        settings, rows = asked("lightgbm", _PARAMETERS, self.tasks, task, train, params)
        _expect_representable(rows, None if early_stop is None else read(early_stop))
        module = _import()
        stop = _Stop(module, settings["early_stopping_round"] if early_stop else 0, budget)
        grown = _grow(module, task, train, rows, early_stop, settings, seed, stop)
        text = grown.model_to_string(num_iteration=stop.best)
        # The number of threads is the machine's, and no part of the model: the same model has the same text anywhere.
        return LightGBMFitted(_THREADS.sub("[num_threads: 0]", text), task, train.names, train.categories)

    def load(self, folder: Path) -> LightGBMFitted:
        """Read a model's text; it is looked through before LightGBM reads it."""
        columns = read_columns(folder)
        path = folder / MODEL
        text = read_text(path)
        wrong = fault(text, len(columns.names))
        if wrong is not None:
            raise corrupt(path, wrong)
        try:
            return LightGBMFitted(text, columns.task, columns.names, columns.categories)
        except LibraryError as failure:
            raise corrupt(path, str(failure)) from failure


def _import() -> ModuleType:
    library()
    try:
        import lightgbm
    except OSError as failure:
        raise cannot_load(str(failure)) from failure
    module: ModuleType = lightgbm
    return module


def _grow(
    module: ModuleType,
    task: str,
    train: Matrix,
    rows: Rows,
    early_stop: Matrix | None,
    settings: Mapping[str, Any],
    seed: int,
    stop: _Stop,
) -> Any:
    options = {
        **{name: value for name, value in settings.items() if name not in _BY_US},
        "objective": "binary" if task == "classification" else "regression",
        "metric": "binary_logloss" if task == "classification" else "l2",
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": threads(),
        "verbosity": -1,
    }
    coded = [place for place, name in enumerate(train.names) if name in train.categories]
    data = module.Dataset(
        _without_codes_below_zero(rows, coded).values,
        rows.labels,
        feature_name=_plain_names(train.names),
        categorical_feature=coded,
        params=options,
    )
    valid = []
    if early_stop is not None:
        held = read(early_stop)
        valid = [data.create_valid(_without_codes_below_zero(held, coded).values, held.labels)]
    try:
        return module.train(
            options, data, num_boost_round=settings["num_iterations"], valid_sets=valid, callbacks=[stop]
        )
    except module.basic.LightGBMError as failure:
        raise FoundWrong(
            "LCH-2713",
            "LightGBM refused the training rows or the parameters",
            why=str(failure),
            fix="change `params`, or look at the features",
        ) from failure


def _expect_representable(rows: Rows, held: Rows | None) -> None:
    """Refuse labels that LightGBM would take as infinite: it keeps them, and the gain of a split, as 32-bit floats."""
    furthest = max(float(np.abs(one.labels).max(initial=0.0)) for one in (rows, held or rows))
    if furthest > _LARGEST or float(np.square(rows.labels - rows.labels.mean()).sum()) > _LARGEST:
        raise FoundWrong(
            "LCH-2714",
            f"the labels are too large for `lightgbm`: they go as far from zero as {furthest:.3g}",
            why=f"it keeps labels, and the squares of how they differ, as 32-bit floats: {_LARGEST:.2g} is the largest",
            fix="give the label a `range` in a contract, so that they are set aside; or divide it, or let the model "
            "learn its logarithm",
        )


def _plain_names(names: Sequence[str]) -> list[str]:
    # LightGBM refuses or rewrites names with signs of its own; `columns.json` holds the true ones.
    plain = all(_PLAIN.fullmatch(name) for name in names)
    return list(names) if plain else [f"column_{place}" for place in range(len(names))]


def _without_codes_below_zero(rows: Rows, coded: Sequence[int]) -> Rows:
    # LightGBM takes a missing category as NaN in training, and -1 and NaN alike in prediction.
    for place in coded:
        column = rows.values[:, place]
        column[column < 0] = float("nan")
    return rows
