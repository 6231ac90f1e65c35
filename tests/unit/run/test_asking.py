from arro3.core import Array, DataType, Table

from lichen.run.asking import rows_of


def test_rows_of_a_table_even_where_python_has_no_such_instant():
    instants = Array([0, -(2**62), None], type=DataType.int64()).cast(DataType.timestamp("us", tz="UTC"))
    table = Table.from_arrays([Array([1, 2, 3], type=DataType.int64()), instants], names=["n", "at"])
    rows = rows_of(table)
    assert [row["n"] for row in rows] == [1, 2, 3]
    assert rows[0]["at"].year == 1970
    assert repr(rows[1]["at"]) == "an instant beyond the years 1 to 9999, or finer than a microsecond"
    assert rows[2]["at"] is None
