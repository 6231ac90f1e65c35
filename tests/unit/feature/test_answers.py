from __future__ import annotations

import numpy as np
import pytest

from lichen.feature.answers import Answers
from lichen.feature.history import Events, answer, history


@pytest.fixture
def told(tiny):
    """A view's answers to four questions: the third names nobody, the others come entity by entity."""
    functions = (
        ("rows", "count", "*", None, ""), ("total", "sum", "size", None, "INTEGER"),
        ("mean", "avg", "size", None, "INTEGER"), ("last", "last", "word", None, "VARCHAR"),
    )  # fmt: skip
    view = tiny.make_view(functions=functions, windows=("all",), latest=tiny.LATEST[:1])
    order = np.array([3, 0, 1])
    found = Answers(view, 4, order)
    for start, times, instants, rows in ((0, [5, 2], [1, 9], [40, 20]), (2, [4], [9], [30])):
        past = history(
            view,
            Events(
                np.array([0, len(times)]), np.argsort(times), np.sort(times), None, None, 0,
                (None, np.array(times), None), (None, None, None), (None, None, None),
            ),
        )  # fmt: skip
        questions = np.zeros(len(instants), np.int64), np.array(instants)
        found.add(past, np.array(rows), answer(view, past, *questions), start)
    return found


def test_numbers_stand_in_the_order_of_the_questions(told):
    asked = np.array([True, True, False, True])
    made = {name: (values.tolist(), some.tolist()) for name, values, some in told.numbers(asked, 2)}
    assert made["rows_all"] == ([2, 1, 0, 0], asked.tolist())
    assert made["total_all"][1] == made["mean_all"][1] == [True, True, False, False]
    assert made["total_all"][0][:2] == [7, 4]
    assert made["mean_all"][0][:2] == [3.5, 4.0]
    assert "last_all" not in made


def test_a_count_has_an_answer_everywhere_where_all_ask(told):
    assert next(some for name, _, some in told.numbers(np.ones(4, np.bool_), 2) if name == "rows_all") is None


def test_positions_become_the_numbers_of_rows_in_their_table(told):
    assert {name: (column, rows.tolist()) for name, column, rows in told.placed()} == {
        "word": (0, [40, 30, -1, -1]), "last_all": (1, [40, 30, -1, -1]),
    }  # fmt: skip
