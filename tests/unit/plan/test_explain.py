from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lichen.plan.explain import changed_places


@pytest.mark.parametrize(
    ("old", "new", "phrase"),
    [
        ({"seed": 1}, {"seed": 2}, "seed (1 -> 2)"),
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
    assert changed_places(old, new) == phrase


_words = st.dictionaries(st.text("abc", min_size=1), st.integers() | st.text() | st.lists(st.integers()), max_size=5)


@given(_words, _words)
def test_a_phrase_for_any_change(old: dict[str, object], new: dict[str, object]) -> None:
    assert (changed_places(old, new) == "its meaning") == (old == new)
