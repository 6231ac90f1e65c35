from __future__ import annotations

import pytest

from lichen.collect.types import engine_types
from lichen.errors import FoundWrong, Where


def test_types_are_told_in_the_engines_words(engine):
    written = {"at": "timestamptz", 'odd "n"': "int", "d": "decimal(12,2)", "e": "hugeint"}
    assert engine_types(written, engine, {}) == {
        "at": "TIMESTAMP WITH TIME ZONE",
        'odd "n"': "INTEGER",
        "d": "DECIMAL(12,2)",
        "e": "DECIMAL(38,0)",
    }
    assert engine_types({}, engine, {}) == {}


@pytest.mark.parametrize("text", ["doubel", "interval", "int) FROM x --", "int AS x, 1", ""])
def test_what_is_no_type_is_refused_at_its_place(engine, text):
    with pytest.raises(FoundWrong) as caught:
        engine_types({"a": "int", "b": text}, engine, {"b": Where("sources/s.yaml", 4, 5, "    b: x")})
    shown = str(caught.value)
    assert shown.startswith(
        f"LCH-2223: `{text}` is not a type for a table's column\n  at sources/s.yaml:4:5\n        b: x\n        ^\n"
    )
    assert shown.endswith("fix: write an SQL type: bigint, double, varchar, boolean, date, timestamptz, decimal(12, 2)")
