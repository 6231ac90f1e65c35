from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from arro3.core import Table

from lichen.deploy.personal import treating
from lichen.errors import Where
from lichen.feature.featureset import FeatureSet, RelationFacts, feature_set
from lichen.ports import Column, Relation
from lichen.run.restored import as_recorded, comparable, restored
from lichen.run.workshop import Workshop
from lichen.spec import FeatureView, ProjectFile

KEY = b"k" * 32
PEOPLE = (Column("email", "VARCHAR"), Column("age", "BIGINT"), Column("weight", "DOUBLE"), Column("ward", "VARCHAR"))
SPECS = {
    "person": {"entity": {"email": "varchar"}, "from": "people", "static": True, "latest": ["age", "weight", "ward"]},
    "coming": {
        "on": "request",
        "columns": {"born": "bigint", "stay": "double"},
        "expressions": {
            "old": "born < 1950",
            "older": "coming.old and stay > 1",
            "long": "stay > 3 and person.age > 60",
        },
    },
}
TREATED = {
    "request": {"email": "hashed", "born": "coarsened"},
    "features": {"person.age": "coarsened", "person.weight": "coarsened", "person.ward": "masked"},
}


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    with Workshop(tmp_path, ProjectFile(name="p")) as made:
        yield made


@pytest.fixture
def features(workshop: Workshop) -> FeatureSet:
    facts = {"people": RelationFacts(PEOPLE, None, None)}
    views = {name: FeatureView.model_validate(spec) for name, spec in SPECS.items()}
    return feature_set(list(SPECS), views, facts, where=lambda asset, *_, **__: Where(asset), engine=workshop.engine)


def rows(workshop: Workshop, select: str) -> Table:
    return Table.from_arrow(workshop.engine.query(select, {})).combine_chunks()


def hashed(value: str) -> Any:
    return treating(PEOPLE[0], "hashed", KEY)(value)


def test_keys_come_back_by_their_hashes_and_unknown_ones_stay_out(workshop: Workshop, features: FeatureSet) -> None:
    people = rows(workshop, "SELECT 'ann' AS email, 30 AS age, 60.0 AS weight, 'A' AS ward")
    values = f"('a', '{hashed('ann')}', 1900, 2.0), ('b', '{hashed('eve')}', 1900, 3.0), ('c', NULL, NULL, 4.0)"
    names = 'prediction_id, "request.email", "request.born", "request.stay"'
    recorded = rows(workshop, f"SELECT * FROM (VALUES {values}) AS t({names})")
    sources = {"person": Relation(arrow=people)}
    found = restored(recorded, features, sources, TREATED, KEY, workshop.engine)
    columns = {name: found.column(name).to_pylist() for name in found.column_names}
    assert columns == {
        "prediction_id": ["a", "c"],
        "request.email": ["ann", None],
        "request.born": [None, None],
        "request.stay": [2.0, 4.0],
    }


def test_only_what_can_be_computed_again_is_compared(features: FeatureSet) -> None:
    every = [column.name for column in features.features]
    assert [column.name for column in comparable(features, {})] == every
    names = [column.name for column in comparable(features, TREATED)]
    assert names == ["person.age", "coming.stay", "coming.long"]


def test_a_feature_is_compared_as_the_record_has_it() -> None:
    assert as_recorded(Column("person.age", "BIGINT"), TREATED, KEY)(37) == 30
    assert as_recorded(Column("coming.stay", "DOUBLE"), TREATED, KEY)(3.7) == 3.7
