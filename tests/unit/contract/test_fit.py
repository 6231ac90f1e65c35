from __future__ import annotations

import pytest

from lichen.contract.fit import check_values
from lichen.errors import FoundWrong, Where
from lichen.ports import Column
from lichen.spec import Contract

INSTANT = "TIMESTAMP WITH TIME ZONE"


def _check(engine, kind, **promise):
    contract = Contract.model_validate({"columns": {"c": promise}})
    check_values(contract, [Column("c", kind)], engine, {"c": Where("s.yaml", 3, 5)})


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        ("BIGINT", {"range": [0, 1], "accepted": [0, 1.0]}),
        ("DECIMAL(12,2)", {"range": [0, 1]}),
        ("VARCHAR", {"range": ["a", "b"], "accepted": ["it's"]}),
        ("BOOLEAN", {"accepted": [True, False]}),
        (INSTANT, {"range": ["2020-01-01", "2021-01-01 00:00+02"]}),
        ("DATE", {"accepted": ["2020-01-01"]}),
        ("BIGINT", {}),
    ],
)
def test_values_of_the_columns_kind_fit(engine, kind, promise):
    _check(engine, kind, **promise)


@pytest.mark.parametrize(
    ("kind", "promise", "what", "fix"),
    [
        ("BIGINT", {"range": ["0", "9"]}, "its `range` has `0`", "write numbers, without quotes"),
        ("DOUBLE", {"accepted": [1, True]}, "its `accepted` has true", "write numbers, without quotes"),
        ("BOOLEAN", {"range": [0, 1]}, "its `range` has 0", "say which values may be: `accepted: [true]`"),
        ("VARCHAR", {"range": [0, 5]}, "its `range` has 0",
         "write it in quotes: '0', or give the column a type of numbers"),
        ("VARCHAR", {"accepted": ["NO", False]}, "its `accepted` has false",
         "write it in quotes: 'false', or give the column a type of numbers"),
        (INSTANT, {"range": ["2020-01-01", "2020-13-01"]}, "its `range` has `2020-13-01`",
         f"write what can be read as {INSTANT}"),
        ("DATE", {"accepted": ["today's"]}, "its `accepted` has `today's`", "write what can be read as DATE"),
        ("BIGINT[]", {"accepted": [1]}, "its `accepted` has 1",
         "write it in quotes: '1', or give the column a type of numbers"),
    ],
)  # fmt: skip
def test_values_of_another_kind_are_refused(engine, kind, promise, what, fix):
    with pytest.raises(FoundWrong) as caught:
        _check(engine, kind, **promise)
    assert str(caught.value) == f"LCH-2227: `c` is {kind}, and {what}\n  at s.yaml:3:5\n  fix: {fix}"
