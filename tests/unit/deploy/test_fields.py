import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from lichen.deploy.fields import Fields, kind_of, read_instant
from lichen.deploy.refused import Refused
from lichen.errors import FoundWrong
from lichen.ports import Column

INSTANT = "an instant in ISO 8601 with its offset, as in 2013-12-01T08:30:00-05:00"
DECIMAL = "a number, or a number in quotes, with at most 3 digits before and 2 after the point"
RIGHT = [
    ("VARCHAR", "UA", "UA"),
    ("text", "", ""),
    ("BOOLEAN", True, True),
    ("INTEGER", -3, -3),
    ("TINYINT", 127, 127),
    ("BIGINT", 2**63 - 1, 2**63 - 1),
    ("UBIGINT", 2**64 - 1, 2**64 - 1),
    ("BIGINT", 30.0, 30),
    ("DOUBLE", 3, 3.0),
    ("DOUBLE", 2.5, 2.5),
    ("FLOAT", 2.5, 2.5),
    ("timestamptz", "2013-12-01T08:30:00-05:00", datetime(2013, 12, 1, 13, 30, tzinfo=UTC)),
    ("TIMESTAMP WITH TIME ZONE", "2013-12-01T08:30:00Z", datetime(2013, 12, 1, 8, 30, tzinfo=UTC)),
    ("TIMESTAMP", "2013-12-01T08:30:00", datetime(2013, 12, 1, 8, 30, tzinfo=UTC).replace(tzinfo=None)),
    ("DATE", "2013-12-01", date(2013, 12, 1)),
    ("DECIMAL(5,2)", 1.25, Decimal("1.25")),
    ("FLOAT[2]", [1, 2.5], [1.0, 2.5]),
    ("double[3]", [0, -1e300, 2.5], [0.0, -1e300, 2.5]),
    ("DECIMAL(5,2)", "-999.99", Decimal("-999.99")),
]
WRONG = [
    ("VARCHAR", 1, "a text in quotes, without NUL characters"),
    ("VARCHAR", "a\x00b", "a text in quotes, without NUL characters"),
    ("BOOLEAN", 1, "true or false"),
    ("BOOLEAN", "true", "true or false"),
    ("INTEGER", 2**31, "a whole number from -2147483648 to 2147483647"),
    ("INTEGER", 1.5, "a whole number from -2147483648 to 2147483647"),
    ("BIGINT", 2.0**53, "a whole number from -9223372036854775808 to 9223372036854775807"),
    ("INTEGER", True, "a whole number from -2147483648 to 2147483647"),
    ("TINYINT", 128, "a whole number from -128 to 127"),
    ("UTINYINT", -1, "a whole number from 0 to 255"),
    ("DOUBLE", "1", "a number"),
    ("DOUBLE", False, "a number"),
    ("DOUBLE", 10**400, "a number"),
    ("FLOAT", 1e39, "a number between -3.4e38 and 3.4e38"),
    ("TIMESTAMP WITH TIME ZONE", "2013-12-01T08:30:00", INSTANT),
    ("TIMESTAMP WITH TIME ZONE", "0001-01-01T00:00:00+14:00", INSTANT),
    ("TIMESTAMP WITH TIME ZONE", 1385904600, INSTANT),
    ("TIMESTAMP", "2013-12-01T08:30:00Z", "a time in ISO 8601 without an offset, as in 2013-12-01T08:30:00"),
    ("DATE", "20131201", "a date, as in 2013-12-01"),
    ("DATE", "2013-13-01", "a date, as in 2013-12-01"),
    ("DECIMAL(5,2)", "1.255", DECIMAL),
    ("DECIMAL(5,2)", 1000, DECIMAL),
    ("DECIMAL(5,2)", "NaN", DECIMAL),
    ("DECIMAL(5,2)", "1e999999999", DECIMAL),
    ("DECIMAL(5,2)", True, DECIMAL),
    ("DOUBLE", {"a": 1}, "a number"),
    ("DOUBLE[2]", [1.0], "an array of exactly 2 finite numbers"),
    ("DOUBLE[2]", "[1, 2]", "an array of exactly 2 finite numbers"),
    ("FLOAT[2]", {"0": 1, "1": 2}, "an array of exactly 2 numbers between -3.4e38 and 3.4e38"),
]


@pytest.mark.parametrize(("kind", "value", "typed"), RIGHT)
def test_a_right_value_is_typed(kind, value, typed):
    read = Fields([Column("x", kind)]).read({"x": value})["x"]
    assert read == typed
    assert type(read) is type(typed)


@pytest.mark.parametrize(("kind", "value", "right"), WRONG)
def test_a_wrong_value_says_what_is_right(kind, value, right):
    with pytest.raises(Refused) as refused:
        Fields([Column("x", kind)]).read({"x": value})
    assert refused.value.code == "LCH-1803"
    assert refused.value.fix == f"it must be {right}"


def test_what_is_absent_or_null_is_null_and_the_order_is_the_columns():
    fields = Fields([Column("a", "DOUBLE"), Column("b", "VARCHAR"), Column("c", "BIGINT")])
    assert list(fields.read({"c": 1, "a": None}).items()) == [("a", None), ("b", None), ("c", 1)]


def test_a_type_that_json_cannot_bring_is_refused_at_the_start():
    with pytest.raises(FoundWrong) as wrong:
        Fields([Column("tags", "VARCHAR[]")])
    assert str(wrong.value) == (
        "LCH-1820: the request column `tags` has the type VARCHAR[], which a JSON request cannot bring\n"
        "  fix: use one of VARCHAR, BOOLEAN, DOUBLE, FLOAT, TIMESTAMP WITH TIME ZONE, TIMESTAMP, DATE, "
        "TINYINT, SMALLINT, INTEGER, BIGINT, UTINYINT, USMALLINT, UINTEGER, UBIGINT, DECIMAL(p,s), FLOAT[n], DOUBLE[n]"
    )


@pytest.mark.parametrize(
    ("kind", "value", "what", "right"),
    [
        ("DOUBLE[2]", [1.0], "`v` is a JSON array of 1", "it must be an array of exactly 2 finite numbers"),
        ("DOUBLE[2]", [1, None], "`v[1]` is a JSON null", "`v` must be an array of exactly 2 finite numbers"),
        ("DOUBLE[2]", [math.inf, 1], "`v[0]` is inf", "`v` must be an array of exactly 2 finite numbers"),
        ("DOUBLE[2]", [1, True], "`v[1]` is True", "`v` must be an array of exactly 2 finite numbers"),
        (
            "FLOAT[2]",
            [1, 1e39],
            "`v[1]` is 1e+39",
            "`v` must be an array of exactly 2 numbers between -3.4e38 and 3.4e38",
        ),
    ],
)
def test_a_wrong_vector_names_the_field_the_element_and_the_bound(kind, value, what, right):
    with pytest.raises(Refused) as refused:
        Fields([Column("v", kind)]).read({"v": value})
    assert (refused.value.code, refused.value.field) == ("LCH-1803", "v")
    assert (refused.value.what, refused.value.fix) == (what, right)


def test_prediction_id_is_no_column():
    with pytest.raises(FoundWrong) as wrong:
        Fields([Column("prediction_id", "VARCHAR")])
    assert str(wrong.value) == (
        "LCH-1821: a request column cannot be called `prediction_id`\n"
        "  why: a request gives its answer's own name under that key\n"
        "  fix: give the column another name"
    )


def test_kinds_and_instants():
    assert kind_of(Column("x", "timestamptz")) == "TIMESTAMP WITH TIME ZONE"
    assert read_instant("2013-12-01T08:30:00+00:00") == datetime(2013, 12, 1, 8, 30, tzinfo=UTC)
    with pytest.raises(ValueError):
        read_instant("yesterday")
    assert not math.isnan(Fields([Column("x", "DOUBLE")]).read({"x": 0})["x"])


def test_unknown_fields_are_passed_over_where_the_service_says_so():
    fields = Fields([Column("carrier", "VARCHAR")], ignore_unknown=True)
    assert fields.read({"carrier": "UA", "colour": "red", "": {}}) == {"carrier": "UA"}
    with pytest.raises(Refused):
        fields.read({"rows": 3})
    with pytest.raises(Refused):
        fields.read({"carrier": 3, "colour": "red"})
