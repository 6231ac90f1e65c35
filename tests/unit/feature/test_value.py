from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lichen.errors import WrongUsage
from lichen.feature.value import becomes, from_wire, is_storable, key_encoder, storable_instead, to_type, wire_sql
from lichen.ports import Column

TEXTS = (Column("a", "VARCHAR"), Column("b", "VARCHAR"))


@given(one=st.tuples(st.text(), st.text()), other=st.tuples(st.text(), st.text()))
def test_different_keys_give_different_bytes(one, other):
    encode = key_encoder(TEXTS)
    assert (encode(one) == encode(other)) == (one == other)


def test_the_type_decides_what_is_the_same_key():
    number, text = key_encoder((Column("k", "BIGINT"),)), key_encoder((Column("k", "VARCHAR"),))
    assert number([1]) == number([1.0]) != number([11])
    assert text(["5"]) != text(["05"])
    assert number([None]) is None
    double = key_encoder((Column("k", "DOUBLE"),))
    assert double([0.0]) == double([-0.0]) == double([0])
    moment = key_encoder((Column("k", "TIMESTAMP WITH TIME ZONE"),))
    wired = key_encoder((Column("k", "TIMESTAMP WITH TIME ZONE"),), wired=True)
    assert moment([datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)]) == wired([1_000_000])
    day = key_encoder((Column("k", "DATE"),))
    assert day([date(1970, 1, 3)]) == key_encoder((Column("k", "DATE"),), wired=True)([2])


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("BIGINT", "5"), ("BIGINT", 1.5), ("VARCHAR", 5), ("DOUBLE", "x"), ("DATE", datetime(2020, 1, 1, tzinfo=UTC)),
        ("TIMESTAMP", 3), ("DATE", "2020-01-01"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_no_key(type_, value):
    with pytest.raises(WrongUsage) as caught:
        key_encoder((Column("k", type_),))([value])
    assert str(caught.value) == (
        f"LCH-2601: the key `k` is {value!r}, which is no {type_}\n"
        "  why: an entity is found by its key's exact value and type\n"
        f"  fix: send `k` as {type_}"
    )


def test_a_vector_is_stored_as_it_is():
    assert is_storable("FLOAT[384]")
    assert is_storable("DOUBLE[3]")
    assert (wire_sql("v", "FLOAT[3]"), from_wire("FLOAT[3]")) == ("v", None)
    assert to_type("FLOAT[3]")([0.1, None, 2]) == [0.10000000149011612, None, 2.0]
    assert to_type("DOUBLE[2]")([0.1, 2]) == [0.1, 2.0]


@pytest.mark.parametrize(
    ("type_", "advice"),
    [
        ("FLOAT[]", "to FLOAT[384] in its table"),
        ("DOUBLE[]", "to DOUBLE[384] in its table"),
        ("INTEGER[]", "to FLOAT[384] in its table"),
        ("DECIMAL(9,2)[]", "to FLOAT[384] in its table"),
        ("INTEGER[3]", "to FLOAT[3] in its table"),
        ("VARCHAR[]", "in its table, to VARCHAR say"),
        ("FLOAT[][]", "in its table, to VARCHAR say"),
        ("STRUCT(a INTEGER)", "in its table, to VARCHAR say"),
    ],
)
def test_other_lists_are_not_stored_and_are_told_what_to_become(type_, advice):
    assert not is_storable(type_)
    assert storable_instead(type_) == advice


@pytest.mark.parametrize(
    ("given", "wanted", "does"),
    [
        ("FLOAT[8]", "FLOAT[8]", True),
        ("DOUBLE[8]", "FLOAT[8]", True),
        ("FLOAT[8]", "FLOAT[16]", False),
        ("FLOAT[]", "FLOAT[8]", False),
        ("DOUBLE", "DOUBLE[1]", False),
        ("FLOAT[8]", "VARCHAR", True),
        ("BIGINT", "VARCHAR", True),
        ("DOUBLE", "VARCHAR", False),
        ("FLOAT", "VARCHAR", False),
    ],
)
def test_what_becomes_another_type(given: str, wanted: str, does: bool) -> None:
    assert becomes(given, wanted) == does
