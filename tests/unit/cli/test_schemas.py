from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lichen.cli.schemas import schemas, write_schemas
from lichen.run.workshop import connector_options
from lichen.spec import read_project
from lichen.spec.reader import KINDS

ROOT = Path(__file__).parents[3]
PROJECTS = [ROOT / "src/lichen/templates/starter", ROOT / "examples/flights"]


def written(root: Path) -> list[tuple[str, dict[str, Any]]]:
    """Each file of a project with its kind, as it is read."""
    project = read_project(root, {"LICHEN_FLIGHTS": "x"}, connector_options())
    return [(asset.partition(".")[0], dict(file.data)) for asset, file in project.files.items()]


@pytest.mark.parametrize("root", PROJECTS, ids=lambda root: root.name)
def test_our_own_projects_are_valid(root: Path) -> None:
    made = schemas()
    files = written(root)
    assert {kind for kind, _ in files} == set(made)
    for kind, data in files:
        jsonschema.validate(data, made[kind])


@pytest.mark.parametrize("kind", ["project", *(kind for kind, _ in KINDS.values())])
def test_an_unknown_key_is_refused(kind: str) -> None:
    data = next(data for one, data in written(PROJECTS[0]) if one == kind)
    with pytest.raises(jsonschema.ValidationError, match="colour"):
        jsonschema.validate({**data, "colour": "red"}, schemas()[kind])


def test_each_schema_is_one() -> None:
    for schema in schemas().values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_schemas_are_written_one_file_a_kind(tmp_path: Path) -> None:
    made = schemas()
    paths = write_schemas(tmp_path / "new", made)
    assert [path.name for path in paths] == [f"{kind}.schema.json" for kind in made]
    assert {path.name.partition(".")[0]: json.loads(path.read_text()) for path in paths} == made


@pytest.mark.parametrize(
    ("key", "right", "wrong"),
    [
        ("header", [False, "${HEADER}"], ["no", 1]),
        ("skip", [0, 2, "${SKIP}"], [-1, 1.5, "x", True]),
        ("null", ["NA", -999, ["NA", -999]], [{"NA": "x"}, [1.5], True]),
        ("delimiter", [";", "${MARK}"], [5, None]),
        ("quote", ["'", None], [5]),
    ],
)
def test_a_connectors_key_has_its_type(key: str, right: list[Any], wrong: list[Any]) -> None:
    schema = schemas()["source"]
    for value in right:
        jsonschema.validate({"path": "x", key: value}, schema)
    for value in wrong:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"path": "x", key: value}, schema)
