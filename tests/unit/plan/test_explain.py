from __future__ import annotations

from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.errors import Where
from lichen.graph.imprint import imprint
from lichen.ground.counted import few
from lichen.plan.explain import differences, file_and_line, phrased, sql_edits


@pytest.mark.parametrize(
    ("old", "new", "phrase"),
    [
        ({"seed": 1}, {"seed": 2}, "seed (1 -> 2)"),
        ({"label": {"wait": "172800s"}}, {"label": {"wait": "259200s"}}, "label.wait (2d -> 3d)"),
        ({"ttl": "5400s"}, {"ttl": "7261s"}, "ttl (90m -> 7261s)"),
        ({}, {"seed": 2}, "seed (added)"),
        ({"seed": 2}, {}, "seed (removed)"),
        ({"sql": "SELECT 1"}, {"sql": "SELECT 2"}, "sql"),
        ({"gate": {"auc": {"min": 0.6}}}, {"gate": {"auc": {"min": 0.7}}}, "gate.auc.min (0.6 -> 0.7)"),
        ({"features": ["a"]}, {"features": ["b"]}, "features"),
        ({"time": "x" * 30}, {"time": "y"}, "time"),
        ({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, {}, "a (removed), b (removed), c (removed) and 2 more"),
        ({"order": [1, 2]}, {"order": [2, 1]}, "order"),
        ({"order": [1], "windows": ["1h"]}, {"order": [1, 2], "windows": ["2h"]}, "windows"),
        ({"a": 1}, {"a": 1}, "its meaning"),
    ],
)
def test_what_changed_in_words(old: dict[str, object], new: dict[str, object], phrase: str) -> None:
    assert phrased([one.phrase for one in differences(old, new)]) == f"{phrase} changed"


_words = st.dictionaries(st.text("abc", min_size=1), st.integers() | st.text() | st.lists(st.integers()), max_size=5)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_words, _words)
def test_a_difference_for_any_change(old: dict[str, object], new: dict[str, object]) -> None:
    assert (differences(old, new) == []) == (old == new)


def edits(old: str, new: str) -> list[tuple[str, str | None]]:
    found = sql_edits(imprint(old, {}), imprint(new, {}), partial(Where, "t.sql"), Where("t.sql", 1))
    return [(edit.what, file_and_line(edit.where)) for edit in found]


def test_an_edit_of_a_statement_is_told_with_its_line() -> None:
    old = "WITH c AS (\n  SELECT a AS d, b\n  FROM t\n  WHERE a > 0\n)\nSELECT d, b FROM c"
    assert edits(old, old.replace("a AS d", "a + 1 AS d")) == [("c.d", "t.sql:2")]
    assert edits(old, old.replace("a > 0", "a > 1")) == [("WHERE of `c`", "t.sql:4")]
    assert edits(old, old.replace("  WHERE a > 0\n", "")) == [("WHERE of `c` (removed)", "t.sql:1")]
    assert edits(old, old.replace("d, b FROM c", "d, b, d + b AS e\nFROM c ORDER BY e")) == [
        ("e (added)", "t.sql:6"),
        ("ORDER BY (added)", "t.sql:7"),
    ]
    assert edits(old, old.replace("SELECT d, b FROM", "SELECT b, d FROM")) == [("sql", "t.sql:1")]


def test_a_few_of_many() -> None:
    assert [few("abcd"[:n]) for n in range(1, 5)] == ["a", "a, b", "a, b, c", "a, b, c and 1 more"]
    assert [file_and_line(where) for where in (None, Where("a.sql"), Where("a.sql", 3, 4))] == [
        None,
        "a.sql",
        "a.sql:3",
    ]
