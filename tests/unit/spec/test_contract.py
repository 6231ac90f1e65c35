from __future__ import annotations

import pytest
from pydantic import ValidationError

from lichen.errors import ProjectErrors
from lichen.spec import ColumnPromise, Contract, Source, Table


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


def test_a_class_of_personal_data_means_nothing_to_rows() -> None:
    plain = Contract.model_validate({"columns": {"born": {"type": "date"}}})
    classed = Contract.model_validate(
        {"columns": {"born": {"type": "date", "pii": "quasi"}, "email": {"pii": "direct"}}}
    )
    assert classed.without_classes() == plain
    for spec in (Source, Table):
        assert spec(contract=classed).meaning() == spec(contract=plain).meaning()
        only = Contract.model_validate({"columns": {"email": {"pii": "direct"}}})
        assert spec(contract=only).meaning() == spec().meaning()


def test_a_column_that_promises_to_be_there_means_something() -> None:
    promised = Contract.model_validate({"columns": {"email": {}}})
    assert promised.without_classes() == promised


def test_an_unknown_class_of_personal_data_is_told_with_those_there_are(read) -> None:
    with pytest.raises(ProjectErrors) as refused:
        read({"sources/a.yaml": "path: x\ncontract:\n  columns:\n    email: {pii: directly}\n"})
    assert str(refused.value) == (
        "LCH-1013: `contract.columns.email.pii`: it must be `direct`, `quasi`, `sensitive` or `none`\n"
        "  at sources/a.yaml:4:18\n        email: {pii: directly}\n                     ^\n"
        "  why: it is 'directly'\n  fix: did you mean `direct`?"
    )
