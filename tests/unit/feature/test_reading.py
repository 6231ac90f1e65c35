from __future__ import annotations

from pathlib import Path

import pytest

from lichen.errors import FoundWrong, Where
from lichen.feature.reading import Reading, RelationFacts
from lichen.ports import Column
from lichen.spec import FeatureView

TYPES = {**dict.fromkeys(("carrier", "flight_id", "leg"), "VARCHAR"), "arrived": "TIMESTAMP WITH TIME ZONE"}
COLUMNS = tuple(Column(*one) for one in TYPES.items())
VIEW = {"entity": {"carrier": "varchar"}, "from": "legs", "latest": ["leg"]}


def where(asset: str, *path: str | int, key: bool = False) -> Where:
    return Where(Path(asset), text="/".join(map(str, path)) + (" (key)" if key else ""))


def view(engine, written, key=("flight_id",)):
    facts = RelationFacts(COLUMNS, "arrived", "arrived", key)
    return Reading({"legs": facts}, where, engine).view("carrier", FeatureView.model_validate({**VIEW, **written}))


def test_a_view_has_the_grain_it_declares_or_the_key_of_its_table(engine) -> None:
    made = view(engine, {"grain": ["flight_id", "leg"]})
    assert (made.grain, made.corrected) == (("flight_id", "leg"), True)
    made = view(engine, {})
    assert (made.grain, made.corrected) == (("flight_id",), False)
    made = view(engine, {}, key=())
    assert (made.grain, made.corrected) == ((), False)


def test_a_grain_is_of_columns_that_are_there(engine) -> None:
    with pytest.raises(FoundWrong) as caught:
        view(engine, {"grain": ["leg", "fligth_id"]})
    assert str(caught.value) == (
        "LCH-2622: `legs` has no column `fligth_id`\n  at feature.carrier\n    grain/1 (key)\n"
        "  fix: did you mean `flight_id`?"
    )
