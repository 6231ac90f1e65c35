from __future__ import annotations

import math

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lichen.ground.quoting import identifier, identifiers, literal

_text = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"))


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        yield connection


def test_names() -> None:
    assert identifier("a") == '"a"'
    assert identifier('a"; DROP TABLE x; --') == '"a""; DROP TABLE x; --"'
    assert identifiers(["a", "b c"]) == '"a", "b c"'
    assert identifiers([]) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (True, "true"),
        (False, "false"),
        (-7, "-7"),
        ("it's", "'it''s'"),
        (0.5, "0.5e0"),
        (1e16, "1e+16"),
        (math.inf, "CAST('inf' AS DOUBLE)"),
        (-math.inf, "CAST('-inf' AS DOUBLE)"),
    ],
)
def test_values(value: object, text: str) -> None:
    assert literal(value) == text


def test_a_nul_character_is_refused() -> None:
    with pytest.raises(ValueError, match="a name cannot hold a NUL character"):
        identifier("a\x00")
    with pytest.raises(ValueError, match="a literal cannot hold a NUL character"):
        literal("a\x00")


@given(name=_text.filter(lambda name: name.strip()), value=_text | st.booleans() | st.integers(-(2**127), 2**127 - 1))
def test_duckdb_reads_back_what_was_quoted(connection, name: str, value: object) -> None:
    found = connection.execute(f"SELECT {literal(value)} AS {identifier(name)}")
    assert found.description[0][0] == name
    assert found.fetchone() == (value,)


@given(st.floats())
def test_a_float_is_a_double_to_the_bit(connection, value: float) -> None:
    kind, found = connection.execute(f"SELECT typeof({literal(value)}), {literal(value)}").fetchone()
    assert kind == "DOUBLE"
    assert (
        math.isnan(found) if math.isnan(value) else (found, math.copysign(1, found)) == (value, math.copysign(1, value))
    )


def test_a_float_of_numpy_is_a_float() -> None:
    numpy = pytest.importorskip("numpy")
    assert literal(numpy.float64(2.5)) == "2.5e0"
    assert literal(numpy.float64("nan")) == "CAST('nan' AS DOUBLE)"
