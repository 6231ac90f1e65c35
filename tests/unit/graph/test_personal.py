from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lichen.graph.build import Graph, build_graph
from lichen.graph.edges import project_lineage
from lichen.graph.fingerprint import fingerprint, meaning
from lichen.graph.lineage import AssetColumn
from lichen.graph.personal import declared, of_service, reached
from lichen.spec import ProjectSpec, read_project

FILES = {
    "lichen.yaml": "name: clinic\n",
    "sources/visits.yaml": """
path: visits.csv
time: at
known: at
contract: {key: [visit], columns: {email: {pii: direct}, glucose: {pii: sensitive, range: [0, 100]}}}
""",
    "sources/people.yaml": "path: people.csv\ncontract: {key: [email], columns: {born: {pii: quasi}}}\n",
    "tables/history.sql": """
/* ---
grain: [visit]
time: at
known: at
contract: {columns: {has_mail: {pii: none}}}
--- */
SELECT v.visit, v.email, v.at, v.late, lower(v.email) AS mail, v.email LIKE '%@%' AS has_mail, p.born,
  date_part('year', p.born) AS year, v.glucose, v.stay
FROM visits AS v LEFT JOIN people AS p ON p.email = v.email WHERE v.glucose > 0
""",
    "features/person.yaml": """
entity: {email: varchar}
from: history
aggregates: {sugar: avg(glucose), visits: count(*), mails: count_distinct(mail), with_mail: sum(has_mail::int)}
windows: [7d]
latest: [born, stay]
pii: {mails_7d: none}
""",
    "features/coming.yaml": """
on: request
columns: {email: varchar, born: date, stay: double}
expressions: {age: "date_part('year', prediction_time) - date_part('year', born)", long: stay > 3}
""",
    "models/late.yaml": """
task: classification
label: {from: history, value: late, at: at, known: at}
features: [person, coming]
learner: logistic
validate: {test: 5d}
""",
    "services/late.yaml": "model: late\n",
}
COLUMNS = {"visits": ["visit", "email", "at", "late", "glucose", "stay"], "people": ["email", "born"]}


class Clinic:
    def __init__(self, root: Path, files: Mapping[str, str]) -> None:
        for name, text in {**FILES, **files}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text.lstrip("\n"))
        self.spec: ProjectSpec = read_project(root, {}, {"files": {"path": "where"}})
        self.graph: Graph = build_graph(self.spec)

    @property
    def found(self) -> tuple[dict[str, str], dict[str, str]]:
        lineage = project_lineage(self.graph, self.spec, COLUMNS)
        return of_service("late", self.graph["service.late"].personal, lineage, self.spec)


@pytest.fixture
def clinic(tmp_path: Path) -> Callable[..., Clinic]:
    return lambda files={}: Clinic(tmp_path, files)


def test_a_class_follows_the_values_to_what_a_service_asks_for_and_uses(clinic: Any) -> None:
    request, features = clinic().found
    assert request == {"email": "direct", "born": "quasi"}
    assert features == {
        "person.sugar_7d": "sensitive",
        "person.born": "quasi",
        "coming.email": "direct",
        "coming.born": "quasi",
        "coming.age": "quasi",
    }


def test_what_only_decides_on_rows_hands_nothing_on(clinic: Any) -> None:
    _, features = clinic().found  # `glucose` filters the table, `email` groups the view
    assert not {"person.visits_7d", "person.stay", "coming.long"} & set(features)


def test_a_column_that_declares_another_class_has_that_one(clinic: Any) -> None:
    _, features = clinic().found
    assert not {"person.with_mail_7d", "person.mails_7d"} & set(features)
    view = FILES["features/coming.yaml"] + "pii: {long: sensitive, age: none}\n"
    request, features = clinic({"features/coming.yaml": view}).found
    assert (features["coming.long"], features.get("coming.age")) == ("sensitive", None)
    assert request == {"email": "direct", "born": "quasi"}
    view = FILES["features/person.yaml"].replace("mails_7d: none", "email: sensitive")
    assert clinic({"features/person.yaml": view}).found[0]["email"] == "sensitive"


def test_of_several_classes_the_strictest_counts(clinic: Any) -> None:
    table = FILES["tables/history.sql"].replace(
        "v.email LIKE '%@%' AS has_mail", "v.glucose + length(v.email) AS has_mail"
    )
    table = table.replace("contract: {columns: {has_mail: {pii: none}}}\n", "")
    assert clinic({"tables/history.sql": table}).found[1]["person.with_mail_7d"] == "sensitive"


def test_a_score_has_no_class(clinic: Any) -> None:
    made = clinic()
    lineage = project_lineage(made.graph, made.spec, COLUMNS)
    found = reached(made.graph["service.late"].personal, lineage, "model.late")
    assert not [column for column in found if column.column == "score"]
    assert found[AssetColumn("table.history", "year")] == "quasi"


def test_what_is_declared_above_a_service_is_its_own(clinic: Any) -> None:
    made = clinic()
    every = dict(declared((asset.id, asset.spec) for asset in made.graph))
    assert made.graph["service.late"].personal == every
    assert {str(column): said for column, said in every.items()} == {
        "visits.email": "direct",
        "visits.glucose": "sensitive",
        "people.born": "quasi",
        "history.has_mail": "none",
        "person.mails_7d": "none",
    }
    assert made.graph["model.late"].personal == {}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("sources/visits.yaml", "pii: direct", "pii: quasi"),
        ("sources/visits.yaml", "email: {pii: direct}, ", ""),
        ("sources/visits.yaml", "pii: sensitive, ", ""),
        ("tables/history.sql", "contract: {columns: {has_mail: {pii: none}}}\n", ""),
        ("features/person.yaml", "pii: {mails_7d: none}\n", ""),
    ],
)
def test_another_class_makes_another_service_and_nothing_else(clinic: Any, file: str, old: str, new: str) -> None:
    before = {asset.id: (fingerprint(asset), meaning(asset)) for asset in clinic().graph}
    assert old in FILES[file]
    after = {
        asset.id: (fingerprint(asset), meaning(asset)) for asset in clinic({file: FILES[file].replace(old, new)}).graph
    }
    assert [name for name in before if before[name] != after[name]] == ["service.late"]


def test_a_project_without_personal_data_means_what_it_meant(clinic: Any) -> None:
    files = {}
    for name in ("sources/visits.yaml", "sources/people.yaml", "tables/history.sql", "features/person.yaml"):
        text = FILES[name].replace("pii: direct", "").replace("pii: sensitive, ", "").replace("pii: quasi", "")
        files[name] = text.replace("pii: none", "").replace("pii: {mails_7d: none}\n", "")
    made = clinic(files)
    assert "pii" not in meaning(made.graph["service.late"])
    assert made.found == ({}, {})
