"""What the learners of this package share: parameters, rows as numpy, refusals, the file of columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from arro3.core import Array, Table
from numpy.typing import NDArray

from lichen.errors import FoundWrong, LichenError, SystemFailed, Where, WrongUsage, did_you_mean
from lichen.ground.clock import SystemClock
from lichen.ground.files import system_failures
from lichen.ports import Arrow, Matrix

COLUMNS = "columns.json"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Parameter:
    """A learner's parameter: what it does, its value where none is given, and the values allowed."""

    help: str
    default: int | float | bool | str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def accepts(self, value: object) -> bool:
        """Whether a value has the right type and lies between the bounds, both included."""
        if isinstance(self.default, bool):
            return isinstance(value, bool)
        if isinstance(self.default, str):
            return isinstance(value, str) and value in self.choices
        if isinstance(value, bool) or not isinstance(value, int | float) or self.read(value) != value:
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def read(self, value: Any) -> Any:
        """A value in the parameter's type: `30.0` is the whole number 30, and no value where decimals are lost."""
        if type(self.default) is not int or not isinstance(value, float):
            return value
        return int(value) if value.is_integer() else None

    def wanted(self) -> str:
        """The values allowed, in words."""
        if isinstance(self.default, bool):
            return "true or false"
        if isinstance(self.default, str):
            return "one of " + ", ".join(self.choices)
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        if self.low is None:
            return kind if self.high is None else f"{kind} up to {self.high:g}"
        return f"{kind} from {self.low:g}" + ("" if self.high is None else f" to {self.high:g}")


def helps(parameters: Mapping[str, Parameter]) -> dict[str, str]:
    """Each parameter's one line of help, with its default."""
    return {name: f"{known.help} Default: {known.default}." for name, known in parameters.items()}


def settle(learner: str, known: Mapping[str, Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter's value: the given ones, checked, over the defaults."""
    for name, value in given.items():
        if name not in known:
            raise FoundWrong("LCH-2701", f"`{learner}` has no parameter `{name}`", fix=did_you_mean(name, known))
        if not known[name].accepts(value):
            raise FoundWrong(
                "LCH-2702",
                f"`{learner}`: the parameter `{name}` is {value!r}",
                why=known[name].help,
                fix=f"give it {known[name].wanted()}",
            )
    return {name: parameter.read(given.get(name, parameter.default)) for name, parameter in known.items()}


class Budget:
    """The seconds that a learner may take from now on; without a limit where they are null."""

    def __init__(self, seconds: float | None) -> None:
        self._clock, self._seconds = SystemClock(), seconds
        self._begun = self._clock.seconds()

    @property
    def spent(self) -> bool:
        """Whether they are over."""
        return self._seconds is not None and self._clock.seconds() - self._begun >= self._seconds


@dataclass(frozen=True)
class Rows:
    """A matrix as numpy: `values` holds one column a name, Fortran order, NaN missing, codes as numbers."""

    values: Floats
    labels: Floats


def read(matrix: Matrix) -> Rows:
    """A matrix's rows as numpy; `labels` is empty where the matrix has none."""
    table = Table.from_arrow(matrix.rows)
    lacking = [name for name in matrix.names if name not in table.column_names]
    if lacking:
        raise WrongUsage(
            "LCH-2703",
            f"the rows have no column `{lacking[0]}`",
            why="the matrix names it among what the model reads",
            fix=did_you_mean(lacking[0], table.column_names),
        )
    values = np.empty((table.num_rows, len(matrix.names)), order="F")
    for place, name in enumerate(matrix.names):
        values[:, place] = _column(table, name)
    return Rows(values, _column(table, "_label") if "_label" in table.column_names else np.empty(0))


def _column(table: Table, name: str) -> Floats:
    if table.num_rows == 0:
        return np.empty(0)
    return np.asarray(table.column(name).to_numpy(), dtype=np.float64)


def scores(values: Floats) -> Arrow:
    """Predictions as they cross the port: one DOUBLE column `score`."""
    table: Arrow = Table.from_arrays([Array.from_numpy(np.ascontiguousarray(values))], names=["score"])
    return table


def contributions(names: Sequence[str], values: Sequence[Floats], base: Floats) -> Arrow:
    """Contributions as they cross the port: one DOUBLE column a name, then `base`."""
    arrays = [Array.from_numpy(np.ascontiguousarray(column)) for column in (*values, base)]
    table: Arrow = Table.from_arrays(arrays, names=[*names, "base"])
    return table


def expect_columns(matrix: Matrix, names: Sequence[str]) -> None:
    """Refuse to predict for other columns than the model learned from."""
    if tuple(matrix.names) != tuple(names):
        raise WrongUsage(
            "LCH-2704",
            "the rows have other columns than the model learned from",
            why=f"it learned from {', '.join(names)}; these are {', '.join(matrix.names)}",
            fix="encode the rows with the model's own preparation",
        )


def asked(
    learner: str,
    known: Mapping[str, Parameter],
    tasks: Sequence[str],
    task: str,
    train: Matrix,
    given: Mapping[str, Any],
) -> tuple[dict[str, Any], Rows]:
    """What every fit begins with: the parameters, settled, and the rows to learn from; both checked."""
    settings, rows = settle(learner, known, given), read(train)
    expect_learnable(learner, task, tasks, rows)
    return settings, rows


def expect_learnable(learner: str, task: str, tasks: Sequence[str], rows: Rows) -> None:
    """Refuse a task the learner does not know, and rows that nothing can be learned from."""
    if task not in tasks:
        raise FoundWrong(
            "LCH-2705",
            f"`{learner}` cannot learn {task}",
            why=f"it learns {' and '.join(tasks)}",
            fix="choose another `learner`",
        )
    if len(rows.labels) == 0:
        raise FoundWrong(
            "LCH-2706",
            f"`{learner}` was given no labelled row to learn from",
            fix="look at the label table, and at how much of it `validate` leaves for training",
        )
    if rows.values.shape[1] == 0:
        raise FoundWrong("LCH-2707", f"`{learner}` was given no feature to learn from", fix="name `features`")
    if not np.isfinite(rows.labels).all():
        raise FoundWrong(
            "LCH-2708", "a training label is not a finite number", fix="leave such rows out of the label table"
        )
    if task == "classification":
        _expect_two_classes(learner, np.unique(rows.labels))


def _expect_two_classes(learner: str, classes: Floats) -> None:
    if not np.isin(classes, (0.0, 1.0)).all():
        shown = ", ".join(f"{value:g}" for value in classes[:5])
        raise FoundWrong(
            "LCH-2709",
            "the training labels are not two classes",
            why=f"a class is 0 or 1; there are: {shown}",
            fix="make the label a boolean, or set `task: regression`",
        )
    if len(classes) < 2:
        raise FoundWrong(
            "LCH-2710",
            f"every training label is {classes[0]:g}",
            why=f"`{learner}` learns to tell two classes apart, and the training rows hold one",
            fix="look at the label's definition, or train on a longer span",
        )


def shares(weights: Floats, names: Sequence[str]) -> dict[str, float]:
    """Weights as shares that add up to 1; equal shares where no column weighs anything."""
    total = float(weights.sum())
    parts = weights / total if total > 0 else np.full(len(names), 1 / len(names))
    return dict(zip(names, parts.tolist(), strict=True))


def write(path: Path, content: bytes) -> None:
    """Write one of a model's files; the caller makes the folder durable."""
    with system_failures("write the model", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_columns(
    folder: Path, task: str, names: Sequence[str], categories: Mapping[str, int], means: Sequence[float] | None = None
) -> None:
    """Write which columns the model reads, in order, and what each adds to a mean training row's score, if known."""
    content: dict[str, Any] = {"task": task, "names": list(names), "categories": dict(categories)}
    if means is not None:
        content["means"] = list(means)
    write(folder / COLUMNS, json.dumps(content, indent=1, ensure_ascii=False).encode())


@dataclass(frozen=True)
class Columns:
    """What a model reads, as `write_columns` left it."""

    task: str
    names: tuple[str, ...]
    categories: Mapping[str, int]
    means: tuple[float, ...] | None = None


def read_columns(folder: Path) -> Columns:
    """Read which columns a model reads."""
    path = folder / COLUMNS
    try:
        content = json.loads(read_text(path))
        task, names, categories = content["task"], tuple(content["names"]), dict(content["categories"])
        means = tuple(map(float, content["means"])) if "means" in content else None
    except (ValueError, KeyError, TypeError) as failure:
        raise corrupt(path, "it does not say what columns the model reads") from failure
    sound = all(isinstance(name, str) for name in names) and set(categories) <= set(names)
    sound = sound and (means is None or len(means) == len(names))
    if not sound or not all(isinstance(count, int) for count in categories.values()):
        raise corrupt(path, "it does not say what columns the model reads")
    return Columns(task, names, categories, means)


def read_text(path: Path) -> str:
    """A model's file as text."""
    with system_failures("read the model", path):
        content = path.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as failure:
        raise corrupt(path, f"byte {failure.start} is not UTF-8 text") from failure


def corrupt(path: Path, why: str) -> LichenError:
    """The error for a model's file that is not what its learner wrote."""
    return SystemFailed(
        "LCH-2711",
        "the model's file is damaged, or is not a model",
        where=Where(path),
        why=why,
        fix="bring the file back from a copy, or train the model again",
    )
