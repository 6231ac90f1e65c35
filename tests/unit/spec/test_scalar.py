from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lichen.spec.scalar import plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("0", 0),
        ("-12", -12),
        ("+3", 3),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("1e-3", 0.001),
        ("-.5E+2", -50.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
    ],
)
def test_words_that_are_values(text: str, value: object) -> None:
    assert plain(text) == value
    assert type(plain(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "NO",
        "on",
        "off",
        "y",
        "n",
        "tRUE",
        "nil",
        "007",
        "0x1f",
        "0o7",
        "1_000",
        "1:30",
        "12:30:45",
        "2013-01-01",
        "2013-02-30",
        "=",
        "<<",
        "1e",
        ".",
        "-",
        "+",
        "1.2.3",
        "٣",
        "9" * 30,
        "inf",
        "nan",
        "NA",
    ],
)
def test_words_that_stay_text(text: str) -> None:
    assert plain(text) == text


def test_nan_is_a_number() -> None:
    assert math.isnan(plain(".nan"))


@given(st.integers(-(10**18) + 1, 10**18 - 1) | st.floats(allow_nan=False) | st.booleans() | st.none())
def test_what_yaml_writes_comes_back(value: object) -> None:
    assert plain(yaml.safe_dump(value).split("\n")[0].strip()) == value


@given(st.text(max_size=20))
def test_any_word_has_a_value(text: str) -> None:
    value = plain(text)
    assert value == text or not isinstance(value, str)
