import pytest

from lichen.errors import FoundWrong
from lichen.ground.types import lake_columns, lake_type, same_columns, storable


@pytest.mark.parametrize(
    ("duckdb_type", "stored"),
    [
        ("BIGINT", "BIGINT"),
        ("DECIMAL(2,1)", "DECIMAL(2,1)"),
        ("UBIGINT", "DECIMAL(20,0)"),
        ("TIMESTAMP_NS", "TIMESTAMP"),
        ("UUID", "VARCHAR"),
        ("INTEGER[2]", "INTEGER[]"),
        ("FLOAT[384]", "FLOAT[384]"),
        ("DOUBLE[3]", "DOUBLE[3]"),
        ("FLOAT[3][]", "FLOAT[][]"),
        ("FLOAT[3][2]", "FLOAT[][]"),
        ("STRUCT(a FLOAT[3])", "STRUCT(a FLOAT[])"),
        ("DECIMAL(9,2)[3]", "DECIMAL(9,2)[]"),
        ("STRUCT(a HUGEINT, \"b, c\" ENUM('x, y'))", 'STRUCT(a DECIMAL(38,0), "b, c" VARCHAR)'),
        ("MAP(VARCHAR, UINTEGER)", "MAP(VARCHAR, BIGINT)"),
    ],
)
def test_types_are_stored(duckdb_type: str, stored: str) -> None:
    assert lake_type(duckdb_type) == stored


@pytest.mark.parametrize("duckdb_type", ["INTERVAL", "TIME", "BIT", "TIME[]", "UNION(k INTEGER)", "SOMETHING"])
def test_a_type_that_cannot_be_stored_is_refused(duckdb_type: str) -> None:
    with pytest.raises(FoundWrong) as refused:
        lake_columns([("gap", duckdb_type)])
    assert refused.value.what == f"column `gap` has type {duckdb_type}, which a table cannot hold"
    assert refused.value.fix is not None


def test_only_what_needs_a_cast_is_wrapped() -> None:
    assert storable("SELECT 1 AS n", [("n", "INTEGER")]) == "SELECT 1 AS n"
    assert 'CAST("h" AS DECIMAL(38,0)) AS "h"' in storable("SELECT 1 AS n, h", [("n", "INTEGER"), ("h", "HUGEINT")])


@pytest.mark.parametrize(
    ("found", "what"),
    [
        ([("d", "DECIMAL(2,1)")], "its column `d` is DECIMAL(2,1)"),
        ([("e", "DOUBLE")], "it has no column `d`"),
        ([("d", "DOUBLE"), ("x", "DATE")], "its column `x` (DATE) is not the table's"),
    ],
)
def test_a_file_unlike_its_table_is_refused(found: list[tuple[str, str]], what: str) -> None:
    with pytest.raises(FoundWrong) as refused:
        same_columns("part-0.parquet", found, [("d", "DOUBLE")])
    assert refused.value.code == "LCH-2311"
    assert refused.value.what == f"`part-0.parquet` does not fit its table: {what}"


def test_a_vector_is_a_list_in_a_file() -> None:
    same_columns("part-0.parquet", [("e", "FLOAT[]")], [("e", "FLOAT[384]")])
    with pytest.raises(FoundWrong) as refused:
        same_columns("part-0.parquet", [("e", "DOUBLE[]")], [("e", "FLOAT[384]")])
    assert refused.value.what == "`part-0.parquet` does not fit its table: its column `e` is DOUBLE[]"
