"""What both learners' backends refuse, text by text."""

from __future__ import annotations

import numpy as np
import pytest
from arro3.core import Table

from lichen.backends.learning import Budget, Parameter, Rows, asked, expect_columns, expect_learnable, read
from lichen.errors import FoundWrong, LichenError, WrongUsage
from lichen.ports import Matrix
from lichen.testing.learner import matrix

TASKS = ("classification",)


def rows(labels: list[float], columns: int = 2) -> Rows:
    return Rows(np.zeros((len(labels), columns)), np.array(labels, dtype=np.float64))


def refusal(found: pytest.ExceptionInfo[LichenError]) -> str:
    return str(found.value)


def test_a_column_that_is_not_there_is_named() -> None:
    given = matrix(10, 1)
    fewer = Table.from_arrow(given.rows).select(["view.number", "view.odd", "other", "code"])
    with pytest.raises(WrongUsage) as found:
        read(Matrix(fewer, given.names, given.categories))
    assert refusal(found).startswith(
        "LCH-2703: the rows have no column `rare`\n  why: the matrix names it among what the model reads\n  fix: "
    )


def test_other_columns_than_those_learned_are_refused() -> None:
    given = matrix(10, 1)
    with pytest.raises(WrongUsage) as found:
        expect_columns(given, ("a", "b"))
    assert refusal(found) == (
        "LCH-2704: the rows have other columns than the model learned from\n"
        f"  why: it learned from a, b; these are {', '.join(given.names)}\n"
        "  fix: encode the rows with the model's own preparation"
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (rows([]), ("LCH-2706: `forest` was given no labelled row to learn from\n"
         "  fix: look at the label table, and at how much of it `validate` leaves for training")),
        (rows([0, 1], columns=0), "LCH-2707: `forest` was given no feature to learn from\n  fix: name `features`"),
        (rows([0, float("nan")]),
         "LCH-2708: a training label is not a finite number\n  fix: leave such rows out of the label table"),
        (rows([0, 1, 2]), ("LCH-2709: the training labels are not two classes\n"
         "  why: a class is 0 or 1; there are: 0, 1, 2\n  fix: make the label a boolean, or set `task: regression`")),
        (rows([1, 1]), ("LCH-2710: every training label is 1\n"
         "  why: `forest` learns to tell two classes apart, and the training rows hold one\n"
         "  fix: look at the label's definition, or train on a longer span")),
    ],
)  # fmt: skip
def test_rows_that_nothing_can_be_learned_from(given: Rows, text: str) -> None:
    with pytest.raises(FoundWrong) as found:
        expect_learnable("forest", "classification", TASKS, given)
    assert refusal(found) == text


def test_a_fit_begins_with_checked_parameters_and_rows() -> None:
    given = matrix(10, 1)
    known = {"depth": Parameter("How deep.", 3, low=1)}
    settings, found = asked("forest", known, TASKS, "classification", given, {})
    assert settings == {"depth": 3}
    assert found.values.shape == (10, len(given.names))
    settings, _ = asked("forest", known, TASKS, "classification", given, {"depth": 30.0})
    assert (settings, type(settings["depth"])) == ({"depth": 30}, int)
    with pytest.raises(FoundWrong, match="LCH-2702"):
        asked("forest", known, TASKS, "classification", given, {"depth": 30.5})
    with pytest.raises(FoundWrong, match="LCH-2701"):
        asked("forest", known, TASKS, "classification", given, {"width": 3})
    with pytest.raises(FoundWrong, match="LCH-2705"):
        asked("forest", known, TASKS, "regression", given, {})


def test_a_budget_is_spent_at_its_end_and_never_without_one() -> None:
    assert Budget(0.0).spent
    assert not Budget(3600.0).spent
    assert not Budget(None).spent
