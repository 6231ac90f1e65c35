from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lichen.spec.words import Name, Span, Spec, check_name


class Part(Spec):
    """A part."""

    description: str | None = None
    name: Name = "x"
    span: Span | None = None


@pytest.mark.parametrize("name", ["a", "_a", "flight_legs2"])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "2a", "a-b", "a b", "a.b", "é", "a\n"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="is not a name: use small letters, digits and _, not starting with a digit"):
        check_name(name)


@pytest.mark.parametrize("value", [3, 1.5, True])
def test_a_span_without_a_unit_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="a duration has a unit: 90s, 5m, 3h, 28d, 2w"):
        Part(span=value)


@pytest.mark.parametrize("text", ["92d", "90s", "5m", "3h", "10000001s", "52w", "115d17h46m41s"])
def test_a_span_comes_back_from_its_meaning(text: str) -> None:
    assert Part.model_validate(Part(span=text).meaning()) == Part(span=text)


@given(st.integers(1, 30_000_000_000))
def test_every_span_comes_back_from_its_meaning(seconds: int) -> None:
    part = Part(span=timedelta(seconds=seconds))
    assert Part.model_validate(part.meaning()) == part


def test_the_description_has_no_meaning() -> None:
    assert Part(description="one").meaning() == Part(description="two").meaning() == {}
    assert Part(name="y").meaning() == {"name": "y"}


def test_equal_spans_mean_the_same() -> None:
    assert Part(span="1d").meaning() == Part(span="24h").meaning() == {"span": "86400s"}


def test_a_part_is_frozen_and_strict_about_its_keys() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Part().name = "y"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Part(nam="y")  # type: ignore[call-arg]


def test_the_keys_as_they_are_written() -> None:
    assert Part.written_keys() == ["description", "name", "span"]


def test_its_json_schema_says_what_a_name_and_a_span_are() -> None:
    properties = Part.model_json_schema()["properties"]
    assert properties["name"]["pattern"] == "^[a-z_][a-z0-9_]*$"
    assert properties["span"]["anyOf"][0]["pattern"] == r"^\s*([0-9]{1,12}\s*(ms|[smhdw])\s*)+$"
