from __future__ import annotations

import json

import pytest
from deltalake.schema import ArrayType, Field, MapType, PrimitiveType, StructType

from lichen.backends.delta_schema import delta_schema, delta_stats, has_naive_timestamps
from lichen.errors import FoundWrong
from lichen.ports import Column, DataFile


def _type(word: str) -> object:
    return delta_schema("t", (Column("c", word),)).fields[0].type


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("DECIMAL(18,3)", PrimitiveType("decimal(18,3)")),
        ("TIMESTAMP WITH TIME ZONE", PrimitiveType("timestamp")),
        ("TIMESTAMP", PrimitiveType("timestamp_ntz")),
        ("FLOAT[384]", ArrayType(PrimitiveType("float"), True)),
        ("DOUBLE[][]", ArrayType(ArrayType(PrimitiveType("double"), True), True)),
        (
            "MAP(VARCHAR, DECIMAL(3,1)[])",
            MapType(PrimitiveType("string"), ArrayType(PrimitiveType("decimal(3,1)"), True), True),
        ),
        (
            'STRUCT(a INTEGER, "x, ""y) z" DECIMAL(3,1)[], s STRUCT("TIMESTAMP" DATE))',
            StructType(
                [
                    Field("a", PrimitiveType("integer")),
                    Field('x, "y) z', ArrayType(PrimitiveType("decimal(3,1)"), True)),
                    Field("s", StructType([Field("TIMESTAMP", PrimitiveType("date"))])),
                ]
            ),
        ),
    ],
)
def test_types_are_said_in_delta_s_words(word: str, expected: object) -> None:
    assert _type(word) == expected


UNKNOWN = (
    *("HUGEINT", "UBIGINT", "TIME", "INTERVAL", "UUID", "INTEGER[3]", "MAP(VARCHAR, TIME)", "ENUM('a', 'b')", ""),
    *("HUGEINT[]", "STRUCT(a TIME)", "STRUCT(a)", "STRUCT()", "DECIMAL(39,0)", "DECIMAL", "TIMESTAMP_NS", "bigint"),
)


@pytest.mark.parametrize("word", UNKNOWN)
def test_other_types_are_refused(word: str) -> None:
    with pytest.raises(FoundWrong) as caught:
        _type(word)
    assert str(caught.value) == (
        f"LCH-3006: table `t`: column `c` has type {word}, which Delta Lake does not know\n"
        "  fix: cast it to one of: BIGINT, INTEGER, SMALLINT, TINYINT, DOUBLE, FLOAT, VARCHAR, BOOLEAN, DATE, "
        "TIMESTAMP, TIMESTAMP WITH TIME ZONE, BLOB, DECIMAL(p,s), T[], MAP(K, V), STRUCT(...)"
    )


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("TIMESTAMP", True),
        ("STRUCT(a TIMESTAMP[])", True),
        ("STRUCT(a TIMESTAMP WITH TIME ZONE, b TIMESTAMP)", True),
        ("TIMESTAMP WITH TIME ZONE[]", False),
        ('STRUCT("TIMESTAMP" DATE)', False),
    ],
)
def test_timestamps_without_zone_are_found_at_any_depth(word: str, expected: bool) -> None:
    assert has_naive_timestamps((Column("c", word),)) is expected


@pytest.mark.parametrize(
    ("word", "known", "lowest", "highest"),
    [
        ("BIGINT", {"min": "-5", "max": "9223372036854775807"}, -5, 9223372036854775807),
        ("DOUBLE", {"min": "0.5", "max": "4.0"}, 0.5, None),
        ("DOUBLE", {"min": "0.5", "max": "4.0", "has_nan": "true"}, 0.5, None),
        ("DOUBLE", {"min": "0.5", "max": "4.0", "has_nan": "false"}, 0.5, 4.0),
        ("DOUBLE", {"min": "-inf", "max": "inf", "has_nan": "false"}, None, None),
        ("DECIMAL(10,2)", {"min": "0.10", "max": "6.00"}, 0.1, 6),
        ("DECIMAL(38,10)", {"min": "0.0", "max": "400000000000000007953.8499354624"}, 0, None),
        ("VARCHAR", {"min": "", "max": "я\n"}, "", "я\n"),
        ("BOOLEAN", {"min": "0", "max": "1"}, None, None),
        ("BLOB", {"min": "00", "max": "FF"}, None, None),
        ("DATE", {"min": "2013-12-01", "max": "infinity"}, "2013-12-01", None),
        ("DATE", {"min": "0044-03-15 (BC)", "max": "12013-12-01"}, None, None),
        ("TIMESTAMP", {"min": "2013-12-01 00:00:00.1234", "max": "infinity"}, "2013-12-01T00:00:00.123400", None),
        (
            "TIMESTAMP WITH TIME ZONE",
            {"min": "2013-12-01 01:00:00+01", "max": "2013-12-01 00:00:00"},
            "2013-12-01T00:00:00.000000Z",
            None,
        ),
        ("BIGINT[]", {"min": "1", "max": "2"}, None, None),
        ("FLOAT[2]", {"min": "1", "max": "2"}, None, None),
        ("BIGINT", {}, None, None),
    ],
)
def test_a_bound_is_given_only_where_it_holds(
    word: str, known: dict[str, str], lowest: object, highest: object
) -> None:
    file = DataFile("f", 7, 1, "", {"c": {**known, "null_count": "2"}})
    stats = json.loads(delta_stats(file, (Column("c", word), Column("d", "BIGINT"))))
    assert stats["numRecords"] == 7
    assert stats["minValues"] == ({} if lowest is None else {"c": lowest})
    assert stats["maxValues"] == ({} if highest is None else {"c": highest})
    assert stats["nullCount"] == ({} if word.endswith("]") else {"c": 2})
