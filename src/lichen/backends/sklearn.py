"""Logistic regression and random forests by scikit-learn, kept as skops files."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lichen.backends.learning import (
    Budget,
    Floats,
    Parameter,
    Rows,
    asked,
    contributions,
    corrupt,
    expect_columns,
    helps,
    read,
    read_columns,
    scores,
    settle,
    shares,
    write,
    write_columns,
)
from lichen.backends.skops_file import MODEL, pack, read_model, unpack
from lichen.ports import Arrow, Matrix

_LARGEST = float(np.finfo(np.float32).max)

# All that a file may hold beyond skops's own list of harmless types.
_IN_LOGISTIC = ("numpy.dtype",)
_IN_FOREST = ("sklearn.tree._tree.Tree",)

_LOGISTIC = {
    "C": Parameter("The inverse of how much the coefficients are drawn to zero.", 1.0, low=1e-9, high=1e9),
    "max_iter": Parameter("The most steps of the solver.", 200, low=1, high=100_000),
    "max_categories": Parameter("The most categories of a column with a coefficient of their own.", 50, low=1),
    "balanced": Parameter("Whether both classes count alike, however rare one is.", False),
}

_FOREST = {
    "n_estimators": Parameter("The most trees that are grown.", 100, low=1, high=10_000),
    "max_depth": Parameter("The deepest a tree goes.", 12, low=1, high=64),
    "min_samples_leaf": Parameter("The fewest training rows in a leaf.", 25, low=1),
    "max_features": Parameter("The share of columns looked at for each split.", 0.2, low=0.001, high=1.0),
    "max_samples": Parameter("The share of rows each tree sees.", 0.3, low=0.001, high=1.0),
    "balanced": Parameter("Whether both classes count alike, however rare one is.", False),
}
_STEPS = 20
_TREES = 10


# ----------------------------------------------------------------------------------------------- logistic


@dataclass(frozen=True)
class _Terms:
    """A logistic model column by column: what each value adds to the log odds.

    Both ways of predicting add the same terms in the same order, so they agree to the bit; a product of
    matrices would add them in the order of the machine's liking.
    """

    start: float
    slopes: tuple[tuple[int, float, float, float], ...]
    """Column, slope, offset, and what a missing value adds."""
    tables: tuple[tuple[int, tuple[float, ...]], ...]
    """Column, and what each code adds; the last is for -1."""

    def each(self, values: Floats) -> Iterator[tuple[int, Floats]]:
        """Each column that is read, and what it adds to the log odds of each row."""
        for column, slope, offset, missing in self.slopes:
            x = values[:, column]
            yield column, np.where(np.isfinite(x), x * slope + offset, missing)
        for column, table in self.tables:
            yield column, np.asarray(table)[values[:, column].astype(np.int64)]

    def score(self, values: Floats) -> Floats:
        total = np.full(len(values), self.start)
        for _, added in self.each(values):
            total += added
        return np.fromiter(map(_probability, total.tolist()), np.float64, len(total))

    def row(self) -> Callable[[Sequence[float]], float]:
        start, slopes, tables, finite = self.start, self.slopes, self.tables, math.isfinite

        def predict_row(row: Sequence[float]) -> float:
            total = start
            for column, slope, offset, missing in slopes:
                x = row[column]
                total += x * slope + offset if finite(x) else missing
            for column, table in tables:
                total += table[int(row[column])]
            return _probability(total)

        return predict_row


def _probability(odds: float) -> float:
    # The one place where log odds become a probability, in Python for both ways: numpy's exp differs by a bit.
    if odds >= 0:
        return 1.0 / (1.0 + math.exp(-odds))
    power = math.exp(odds) if odds > -745.0 else 0.0
    return power / (1.0 + power)


class LogisticFitted:
    """A scikit-learn pipeline (impute, scale, one column a category, logistic regression) and its terms."""

    def __init__(self, content: bytes, pipeline: Any, names: Sequence[str], categories: Mapping[str, int]) -> None:
        self._content, self._pipeline, self._names, self._categories = content, pipeline, tuple(names), dict(categories)
        self._terms = _terms(pipeline, self._names, self._categories)

    def predict(self, matrix: Matrix) -> Arrow:
        """One DOUBLE column `score`: the probability of the second class."""
        expect_columns(matrix, self._names)
        return scores(self._terms.score(read(matrix).values))

    def compile_row(self) -> Callable[[Sequence[float]], float]:
        """A function that scores one row."""
        return self._terms.row()

    def importances(self) -> Mapping[str, float]:
        """Each column's share of the coefficients' size: a standard deviation's effect, or the widest of its codes."""
        own = _coefficients(self._pipeline, self._names, self._categories)
        weights = np.zeros(len(self._names))
        for place, coefficient in own.numeric:
            weights[place] = abs(coefficient)
        for place, table in own.codes:
            weights[place] = max(map(abs, table.values()), default=0.0)
        return shares(weights, self._names)

    def save(self, folder: Path) -> None:
        """Write the pipeline as a skops file."""
        write(folder / MODEL, self._content)
        write_columns(folder, "classification", self._names, self._categories)


class LogisticWithMeans(LogisticFitted):
    """A logistic model that also knows what each column adds to a mean training row's log odds: any but the oldest."""

    def __init__(
        self,
        content: bytes,
        pipeline: Any,
        names: Sequence[str],
        categories: Mapping[str, int],
        means: Sequence[float],
    ) -> None:
        super().__init__(content, pipeline, names, categories)
        self._means = tuple(means)

    @classmethod
    def of(cls, pipeline: Any, train: Matrix) -> LogisticWithMeans:
        """The model that was fitted to these rows."""
        means = [0.0] * len(train.names)
        for column, added in _terms(pipeline, train.names, train.categories).each(read(train).values):
            means[column] = float(added.mean())
        return cls(pack(pipeline), pipeline, train.names, train.categories, means)

    def contributions(self, matrix: Matrix) -> Arrow:
        """What each column adds to the log odds, less what it adds to a mean training row's."""
        expect_columns(matrix, self._names)
        values = read(matrix).values
        parts = [np.zeros(len(values))] * len(self._names)
        for column, added in self._terms.each(values):
            parts[column] = added - self._means[column]
        return contributions(self._names, parts, np.full(len(values), self._terms.start + sum(self._means)))

    def save(self, folder: Path) -> None:
        """Write the pipeline as a skops file, and the means beside the columns."""
        write(folder / MODEL, self._content)
        write_columns(folder, "classification", self._names, self._categories, self._means)


class LogisticLearner:
    """Logistic regression by scikit-learn: numbers imputed and scaled, one column a category."""

    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    params: ClassVar[Mapping[str, str]] = helps(_LOGISTIC)
    contributes: ClassVar[bool] = True

    def check(self, params: Mapping[str, Any]) -> None:
        """Refuse a parameter that is none, or whose value is not allowed."""
        settle("logistic", _LOGISTIC, params)

    def stops_early(self, params: Mapping[str, Any]) -> bool:
        """Never: it is solved until it converges."""
        del params
        return False

    def fit(
        self,
        task: str,
        train: Matrix,
        early_stop: Matrix | None,
        params: Mapping[str, Any],
        *,
        seed: int,
        seconds: float | None,
    ) -> LogisticFitted:
        """Solve until it converges or `seconds` are spent; nothing is stopped early, and nothing is random."""
        del early_stop, seed
        budget = Budget(seconds)
        settings, rows = asked("logistic", _LOGISTIC, self.tasks, task, train, params)
        columns, model = _steps(train, rows, settings)
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        # With one thread sums are added in one order, whatever the machine.
        with threadpool_limits(limits=1):
            design = columns.fit_transform(_finite(rows.values))
            _solve(model, design, rows.labels, settings["max_iter"], budget)
        from sklearn.pipeline import Pipeline

        pipeline = Pipeline([("columns", columns), ("model", model)])
        return LogisticWithMeans.of(pipeline, train)

    def load(self, folder: Path) -> LogisticFitted:
        """Read a skops file that holds nothing but types of the trusted list."""
        columns = read_columns(folder)
        content = read_model(folder)
        pipeline = unpack(content, folder / MODEL, _IN_LOGISTIC)
        try:
            if columns.means is None:
                return LogisticFitted(content, pipeline, columns.names, columns.categories)
            return LogisticWithMeans(content, pipeline, columns.names, columns.categories, columns.means)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as failure:
            raise corrupt(folder / MODEL, f"it is not a pipeline of `logistic`: {failure}") from failure


def _finite(values: Floats) -> Floats:
    values[~np.isfinite(values)] = np.nan
    return values


def _steps(train: Matrix, rows: Rows, settings: Mapping[str, Any]) -> tuple[Any, Any]:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numeric = [place for place, name in enumerate(train.names) if name not in train.categories]
    coded = [place for place, name in enumerate(train.names) if name in train.categories]
    kept = [_most_frequent(rows.values[:, place], settings["max_categories"]) for place in coded]
    impute = SimpleImputer(strategy="mean", keep_empty_features=True, copy=False)
    steps: list[tuple[str, Any, list[int]]] = []
    if numeric:
        steps.append(("numbers", Pipeline([("impute", impute), ("scale", StandardScaler(copy=False))]), numeric))
        if not np.isfinite(rows.values[:, numeric]).all():  # an indicator of nothing would be a block without a column
            steps.append(("missing", MissingIndicator(sparse=True, error_on_new=False), numeric))
    if coded:
        steps.append(("categories", OneHotEncoder(categories=kept, handle_unknown="ignore"), coded))
    columns = ColumnTransformer(steps, sparse_threshold=1.0)
    weight = "balanced" if settings["balanced"] else None
    model = LogisticRegression(C=settings["C"], class_weight=weight, max_iter=_STEPS, warm_start=True)
    return columns, model


def _most_frequent(codes: Floats, most: int) -> list[float]:
    found, counts = np.unique(codes, return_counts=True)
    order = np.lexsort((found, -counts))[:most]
    return sorted(found[order].tolist())


def _solve(model: Any, design: Any, labels: Floats, most: int, budget: Budget) -> None:
    from sklearn.exceptions import ConvergenceWarning

    done = 0
    while done < most:
        model.set_params(max_iter=min(_STEPS, most - done))
        with warnings.catch_warnings():
            # Stopping between steps is how the budget is kept; `n_iter_` tells whether it has converged.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(design, labels)
        steps = int(model.n_iter_[0])
        done += max(steps, 1)
        if steps < _STEPS or budget.spent:
            return


@dataclass(frozen=True)
class _Coefficients:
    """A fitted pipeline's coefficients, each with the place of the column it belongs to."""

    numeric: tuple[tuple[int, float], ...]
    missing: Mapping[int, float]
    codes: tuple[tuple[int, Mapping[int, float]], ...]


def _coefficients(pipeline: Any, names: Sequence[str], categories: Mapping[str, int]) -> _Coefficients:
    numeric = [place for place, name in enumerate(names) if name not in categories]
    coded = [place for place, name in enumerate(names) if name in categories]
    steps = pipeline.named_steps["columns"].named_transformers_
    left = pipeline.named_steps["model"].coef_[0].tolist()
    lacking = [numeric[place] for place in steps["missing"].features_.tolist()] if "missing" in steps else []
    kept = [own.tolist() for own in steps["categories"].categories_] if coded else []
    if len(left) != len(numeric) + len(lacking) + sum(map(len, kept)):
        raise ValueError(f"it has {len(left)} coefficients")
    of_numbers, left = left[: len(numeric)], left[len(numeric) :]
    of_missing, left = left[: len(lacking)], left[len(lacking) :]
    tables = []
    for place, own in zip(coded, kept, strict=True):
        tables.append((place, {int(code): left[at] for at, code in enumerate(own)}))
        left = left[len(own) :]
    return _Coefficients(
        tuple(zip(numeric, of_numbers, strict=True)), dict(zip(lacking, of_missing, strict=True)), tuple(tables)
    )


def _terms(pipeline: Any, names: Sequence[str], categories: Mapping[str, int]) -> _Terms:
    coefficients = _coefficients(pipeline, names, categories)
    slopes = []
    if coefficients.numeric:
        numbers = pipeline.named_steps["columns"].named_transformers_["numbers"].named_steps
        filled, scale = numbers["impute"].statistics_.tolist(), numbers["scale"]
        shapes = zip(coefficients.numeric, filled, scale.mean_.tolist(), scale.scale_.tolist(), strict=True)
        for (place, coefficient), fill, mean, spread in shapes:
            slope = coefficient / spread
            offset = -mean * slope
            slopes.append((place, slope, offset, fill * slope + offset + coefficients.missing.get(place, 0.0)))
    tables = []
    for place, table in coefficients.codes:
        codes = [*range(categories[names[place]]), -1]
        tables.append((place, tuple(table.get(code, 0.0) for code in codes)))
    start = float(pipeline.named_steps["model"].intercept_[0])
    return _Terms(start, tuple(slopes), tuple(tables))


# ------------------------------------------------------------------------------------------------- forest


class ForestFitted:
    """A scikit-learn forest; missing numbers and categories take the way each split learned for them."""

    def __init__(
        self, content: bytes, forest: Any, task: str, names: Sequence[str], categories: Mapping[str, int]
    ) -> None:
        self._content, self._forest, self._task = content, forest, task
        self._names, self._categories = tuple(names), dict(categories)
        self._coded = [place for place, name in enumerate(self._names) if name in self._categories]
        place = 1 if task == "classification" else 0
        self._leaves = [tree.tree_.value[:, 0, place] for tree in forest.estimators_]

    def predict(self, matrix: Matrix) -> Arrow:
        """One DOUBLE column `score`: the mean of the trees, added in their order."""
        expect_columns(matrix, self._names)
        values = _narrow(read(matrix).values, self._coded)
        total = np.zeros(len(values))
        for tree, leaves in zip(self._forest.estimators_, self._leaves, strict=True):
            total += leaves[tree.tree_.apply(values)] if len(values) else 0.0
        return scores(total / len(self._leaves))

    def compile_row(self) -> Callable[[Sequence[float]], float]:
        """A function that scores one row by walking down each tree."""
        trees = [_ways(tree.tree_, leaves) for tree, leaves in zip(self._forest.estimators_, self._leaves, strict=True)]
        count, coded = len(trees), self._coded

        def predict_row(row: Sequence[float]) -> float:
            values = _narrow(np.array([row], dtype=np.float64), coded)[0].tolist()
            total = 0.0
            for columns, thresholds, lefts, rights, missings, leaves in trees:
                node, left = 0, lefts[0]
                while left != -1:
                    x = values[columns[node]]
                    goes_left = x <= thresholds[node] or (x != x and missings[node])
                    node = left if goes_left else rights[node]
                    left = lefts[node]
                total += leaves[node]
            return total / count

        return predict_row

    def importances(self) -> Mapping[str, float]:
        """Each column's share of the impurity its splits took away."""
        return shares(np.asarray(self._forest.feature_importances_), self._names)

    def save(self, folder: Path) -> None:
        """Write the forest as a skops file."""
        write(folder / MODEL, self._content)
        write_columns(folder, self._task, self._names, self._categories)


class ForestLearner:
    """A random forest by scikit-learn; a category's place in its list is taken as a number."""

    tasks: ClassVar[tuple[str, ...]] = ("classification", "regression")
    params: ClassVar[Mapping[str, str]] = helps(_FOREST)

    def check(self, params: Mapping[str, Any]) -> None:
        """Refuse a parameter that is none, or whose value is not allowed."""
        settle("forest", _FOREST, params)

    def stops_early(self, params: Mapping[str, Any]) -> bool:
        """Never: more trees do not overfit."""
        del params
        return False

    def fit(
        self,
        task: str,
        train: Matrix,
        early_stop: Matrix | None,
        params: Mapping[str, Any],
        *,
        seed: int,
        seconds: float | None,
    ) -> ForestFitted:
        """Grow trees, ten at a time, until all are grown or `seconds` are spent; more trees do not overfit."""
        del early_stop
        budget = Budget(seconds)
        settings, rows = asked("forest", _FOREST, self.tasks, task, train, params)
        forest = _forest(task, settings, seed)
        coded = [place for place, name in enumerate(train.names) if name in train.categories]
        values, most = _narrow(rows.values, coded), settings["n_estimators"]
        for grown in range(_TREES, most + _TREES, _TREES):
            forest.set_params(n_estimators=min(grown, most))
            forest.fit(values, rows.labels)
            if budget.spent:
                break
        return ForestFitted(pack(forest), forest, task, train.names, train.categories)

    def load(self, folder: Path) -> ForestFitted:
        """Read a skops file that holds nothing but types of the trusted list."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        columns = read_columns(folder)
        content = read_model(folder)
        forest = unpack(content, folder / MODEL, _IN_FOREST)
        wanted = RandomForestClassifier if columns.task == "classification" else RandomForestRegressor
        if not isinstance(forest, wanted) or forest.n_features_in_ != len(columns.names):
            raise corrupt(folder / MODEL, f"it is not a forest for {columns.task} of {len(columns.names)} columns")
        try:
            return ForestFitted(content, forest, columns.task, columns.names, columns.categories)
        except (AttributeError, IndexError, TypeError, ValueError) as failure:
            raise corrupt(folder / MODEL, f"it is not a fitted forest: {failure}") from failure


def _forest(task: str, settings: Mapping[str, Any], seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    options = {
        **{name: value for name, value in settings.items() if name not in ("n_estimators", "balanced")},
        "random_state": seed,
        "n_jobs": -1,
        "warm_start": True,
    }
    if task == "regression":
        return RandomForestRegressor(**options)
    return RandomForestClassifier(**options, class_weight="balanced" if settings["balanced"] else None)


def _narrow(values: Floats, coded: Sequence[int]) -> Any:
    # scikit-learn's trees read 32-bit numbers; beyond their range a number counts as the largest there is.
    narrow = np.clip(values, -_LARGEST, _LARGEST).astype(np.float32, order="C")
    for place in coded:
        column = narrow[:, place]
        column[column < 0] = np.nan
    return narrow


def _ways(tree: Any, leaves: Floats) -> tuple[list[Any], ...]:
    arrays = (tree.feature, tree.threshold, tree.children_left, tree.children_right, tree.missing_go_to_left, leaves)
    return tuple(array.tolist() for array in arrays)
