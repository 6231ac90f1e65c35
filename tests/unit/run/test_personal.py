from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from arro3.core import Table

from lichen.deploy.personal import PERSONAL, treating
from lichen.graph.version import Version
from lichen.ports import Column, Relation
from lichen.run.personal import EverTreated, ever_treated, forms, known_by
from lichen.run.workshop import Workshop
from lichen.spec import ProjectFile

KEY = b"k" * 32
REQUEST = (Column("phone", "BIGINT"), Column("born", "DATE"), Column("ward", "VARCHAR"), Column("size", "BIGINT"))
EVER = EverTreated(
    {"phone": frozenset({"hashed"}), "born": frozenset({"coarsened"}), "ward": frozenset({"masked", "hashed"})},
    frozenset({"person.born"}),
)
ROWS = """
SELECT * FROM (VALUES (491::INTEGER, DATE '1980-05-03', 'A', 1), (492, NULL, 'B', 2), (491, NULL, 'C', 3))
  AS t(phone, born, ward, size)
"""


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    with Workshop(tmp_path, ProjectFile(name="p")) as made:
        yield made


def rows(workshop: Workshop, select: str) -> Relation:
    return Relation(arrow=Table.from_arrow(workshop.engine.query(select, {})))


def pairs(relation: Relation) -> set[tuple[Any, Any]]:
    table = Table.from_arrow(relation.arrow)
    return set(zip(table.column("value").to_pylist(), table.column("recorded").to_pylist(), strict=True))


def hashed(value: int) -> Any:
    return treating(REQUEST[0], "hashed", KEY)(value)


def test_each_value_of_the_labels_is_known_as_it_may_be_recorded(workshop: Workshop) -> None:
    columns = tuple(Column(f"request.{c.name}", "VARCHAR" if c.name == "phone" else c.type) for c in REQUEST)
    answered = Version("predictions.s", "v", "", columns=columns)
    found = forms(REQUEST, EVER, answered, rows(workshop, ROWS), KEY, workshop.engine)
    assert set(found) == {"phone", "born"}  # what was masked cannot be found, and `size` is as it is
    assert pairs(found["phone"]) == {(491, hashed(491)), (492, hashed(492)), (491, "491"), (492, "492")}
    assert pairs(found["born"]) == {(date(1980, 5, 3), date(1980, 1, 1)), (date(1980, 5, 3), date(1980, 5, 3))}


def test_labels_without_a_row_have_no_forms(workshop: Workshop) -> None:
    answered = Version("predictions.s", "v", "", columns=(Column("request.phone", "VARCHAR"),))
    found = forms(REQUEST, EVER, answered, rows(workshop, f"{ROWS} LIMIT 0"), KEY, workshop.engine)
    assert {name: pairs(one) for name, one in found.items()} == {"phone": set()}


def test_a_value_is_known_by_its_hash(workshop: Workshop) -> None:
    found = known_by(REQUEST[0], "hashed", rows(workshop, ROWS), KEY, workshop.engine)
    assert found == {hashed(491): 491, hashed(492): 492}


def test_a_service_remembers_each_way_in_which_it_treated_a_column(world: Any) -> None:
    ways = [
        None,
        {"request": {"phone": "hashed"}, "features": {"person.born": "coarsened"}},
        {"request": {"phone": "masked", "size": "hashed"}, "features": {}},
    ]
    release = None
    for number, way in enumerate(ways):
        facts = {} if way is None else {PERSONAL: way}
        version = Version("service.s", f"v{number}", "", facts=facts)
        world.releases.keep(version)
        release = world.releases.move("prod", [version], at="2020", expected=release, facts={})
    found = ever_treated("s", world.releases, "prod")
    both = {"phone": frozenset({"hashed", "masked"}), "size": frozenset({"hashed"})}
    assert found == EverTreated(both, frozenset({"person.born"}))
    assert found.masked == {"phone"}
    for other in (("s", "dev"), ("t", "prod")):
        assert ever_treated(other[0], world.releases, other[1]) == EverTreated({}, frozenset())
