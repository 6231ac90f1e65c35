from __future__ import annotations

import pytest
from pydantic import ValidationError

from lichen.spec import ColumnPromise, Contract


def test_a_contract_promises_nothing_by_itself() -> None:
    assert Contract().meaning() == {}
    assert Contract().on_breach == "quarantine"


@pytest.mark.parametrize("range_", [(0, 1), (1, 1), ("2013-01-01", "2014-01-01"), (float("-inf"), 0)])
def test_ranges(range_: tuple[object, object]) -> None:
    assert ColumnPromise(range=range_).range == range_


@pytest.mark.parametrize(
    ("range_", "text"),
    [
        ((2, 1), "the range starts at 2.0, which is not below its end 1.0"),
        (("b", "a"), "the range starts at b, which is not below its end a"),
        ((0, float("nan")), "the range starts at 0.0, which is not below its end nan"),
        ((0, "a"), "both ends of a range are numbers, or both are texts"),
    ],
)
def test_ranges_that_hold_nothing(range_: tuple[object, object], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        ColumnPromise(range=range_)


def test_a_list_of_accepted_values_names_some() -> None:
    with pytest.raises(ValidationError, match="the list is empty, so no row could keep this promise: name the values"):
        ColumnPromise(accepted=())


def test_accepted_values_keep_their_types() -> None:
    accepted = ColumnPromise.model_validate({"accepted": [1, 1.5, "1", True]}).accepted
    assert accepted is not None
    assert [type(value) for value in accepted] == [int, float, str, bool]


def test_a_contract_comes_back_from_its_meaning() -> None:
    contract = Contract.model_validate(
        {"key": ["a"], "columns": {"a": {"range": [0, 1], "accepted": ["x", 2]}}, "on_breach": "stop"}
    )
    assert Contract.model_validate(contract.meaning()) == contract
