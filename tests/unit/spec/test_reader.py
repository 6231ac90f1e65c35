# ruff: noqa: E501, ISC004 (texts in a table are read line by line, and never broken)

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lichen.errors import FoundWrong, ProjectErrors, WrongUsage
from lichen.spec import ProjectFile, read_project
from lichen.spec.reader import KINDS, find_root, read_settings

FLIGHTS = Path(__file__).parents[3] / "examples" / "flights"
VIEW = "entity: {}\nfrom: x\nlatest: [a]\n"


def test_the_folder_gives_the_kind_and_the_file_the_name(read) -> None:
    project = read(
        {
            "sources/a.yaml": "path: x\n",
            "sources/deep/b.yml": "path: y\n",
            "tables/t.sql": "SELECT 1",
            "features/f.yaml": VIEW,
            "sources/.hidden.yaml": "no: yaml: at: all",
            "tables/.ipynb_checkpoints/t-checkpoint.sql": "SELECT 1",
            "elsewhere/x.yaml": "- nothing",
        }
    )
    assert list(project.sources) == ["a", "b"]
    assert set(project.files) == {"project", "source.a", "source.b", "table.t", "feature.f"}
    assert project.tables["t"].sql == "SELECT 1"
    assert str(project.where("source.a", "path")) == "sources/a.yaml:1:7"
    assert str(project.where("project", "name", key=True)) == "lichen.yaml:1:1"


def test_settings_are_read_whatever_else_is_wrong(tmp_path: Path) -> None:
    root = tmp_path / "1st"
    root.mkdir()
    (root / "lichen.yaml").write_text(
        "name: No name\nonline: ${NOWHERE}/o\nstate: ${HERE}/s.db\nmemory: lots\nengine: spark\ncolour: red\n"
    )
    settings, secrets = read_settings(root, {"HERE": "/mnt"})
    assert (settings.name, settings.state, settings.memory) == ("project", "/mnt/s.db", None)
    assert [str(one) for one in secrets] == ["${HERE}/s.db"]
    assert settings.online == "${NOWHERE}/o"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "name: a\nstate: ${NOWHERE}/s",
            "LCH-1008: the environment variable `NOWHERE` is not set\n  at lichen.yaml:2:8",
        ),
        ("name: a\nlake: s3://b", "LCH-1013: `lake`: it is a path on this machine; other stores come with a later"),
        ("name: [", "LCH-1002: this is not YAML"),
    ],
)
def test_settings_that_reading_needs_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "lichen.yaml").write_text(text)
    with pytest.raises(FoundWrong) as refused:
        read_settings(tmp_path, {})
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"sources/a.yaml": "path: x\npat: y\n"}, "LCH-1001: unknown key `pat`\n  at sources/a.yaml:2:1\n    pat: y\n    ^\n"
         "  fix: did you mean `path`?"),
        ({"sources/a.yaml": "connector: file\npat: y\n"}, "LCH-1014: there is no connector `file`\n  at sources/a.yaml:1:12\n"
         "    connector: file\n               ^\n  fix: did you mean `files`?"),
        ({"tables/a.yaml": ""}, "LCH-1011: `tables/` holds .sql files, and this is none\n  at tables/a.yaml\n"
         "  fix: rename `a.yaml` to end in .sql, or move it out of `tables/`"),
        ({"models/a.txt": ""}, "LCH-1011: `models/` holds .yaml or .yml files, and this is none\n  at models/a.txt\n"
         "  fix: rename `a.txt` to end in .yaml or .yml, or move it out of `models/`"),
        ({"tables/A-b.sql": ""}, "LCH-1010: `A-b` cannot be an asset's name\n  at tables/A-b.sql\n"
         "  why: the file's name is the asset's name, and a name in SQL\n"
         "  fix: use small letters, digits and _, not starting with a digit"),
        ({"tables/a.sql": "/* ---\nsql: x\n--- */\nSELECT 1"}, "LCH-1001: unknown key `sql`\n  at tables/a.sql:2:1\n    sql: x\n    ^\n"
         "  fix: write the statement after the front matter"),
        ({"tables/a.sql": "/* ---\nsql: x\n--- */"}, "LCH-1001: unknown key `sql`\n  at tables/a.sql:2:1\n    sql: x\n    ^\n"
         "  fix: write the statement after the front matter"),
        ({"features/a.yaml": f"{VIEW}sql: x"}, "LCH-1001: unknown key `sql`\n  at features/a.yaml:4:1\n    sql: x\n    ^\n"
         "  fix: it is one of: "),
        ({"sources/a.yaml": "path: x", "tables/a.sql": "SELECT 1"}, "LCH-1015: `a` is both a source and a table\n  at tables/a.sql\n"
         "  why: SQL reads both by name, and sources/a.yaml has it too\n  fix: rename one of them"),
        ({"sources/a.yaml": "path: x", "sources/b/a.yml": "path: x"}, "LCH-1030: two files are called `a`\n  at sources/b/a.yml\n"
         "  why: the file's name is the asset's name, and sources/a.yaml has it too\n  fix: rename one of them"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_project(wrong, files: dict[str, str], text: str) -> None:
    assert wrong(files).startswith(text)


def test_all_that_is_wrong_is_told_at_once(read) -> None:
    with pytest.raises(ProjectErrors) as caught:
        read(
            {
                "lichen.yaml": "nme: p\n",
                "sources/a.yaml": "path: x\npat: y\nlateness: 3\n",
                "sources/b.yaml": "path: 'x\n",
                "features/c.yaml": "on: request\n",
                "models/d.txt": "",
            }
        )
    assert [(error.code, str(error.where).partition(":")[0]) for error in caught.value.errors] == [
        ("LCH-1012", "lichen.yaml"),
        ("LCH-1001", "lichen.yaml"),
        ("LCH-1013", "sources/a.yaml"),
        ("LCH-1001", "sources/a.yaml"),
        ("LCH-1002", "sources/b.yaml"),
        ("LCH-1013", "features/c.yaml"),
        ("LCH-1011", "models/d.txt"),
    ]


def test_the_root_is_the_nearest_folder_upwards(tmp_path: Path) -> None:
    (tmp_path / "lichen.yaml").write_text("name: p")
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_root(tmp_path / "a" / "b") == tmp_path
    (tmp_path / "a" / "lichen.yaml").write_text("name: q")
    assert find_root(tmp_path / "a" / "b") == tmp_path / "a"


def test_no_project_here(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage) as caught:
        find_root(tmp_path)
    assert str(caught.value) == (
        f"LCH-1009: there is no `lichen.yaml` in {tmp_path} or any folder above it\n"
        "  fix: go to a project's folder, or make one: lichen init my_project"
    )


def schemas() -> dict[str, dict[str, Any]]:
    made = {kind: spec.model_json_schema(by_alias=True) for kind, spec in KINDS.values()}
    del made["table"]["properties"]["sql"]
    return {"project": ProjectFile.model_json_schema(by_alias=True), **made}


@pytest.fixture(scope="module")
def flights():
    return read_project(FLIGHTS, os.environ, {"files": {"path": "where", "null": "what stands for null"}})


def test_every_spec_of_the_example_comes_back_from_its_meaning(flights) -> None:
    assert ProjectFile.model_validate(flights.project.meaning()) == flights.project
    for folder, (_, spec) in KINDS.items():
        for name, asset in getattr(flights, folder).items():
            back = spec.model_validate(asset.meaning())
            assert back.meaning() == asset.meaning(), name
            assert back == asset.model_copy(update={"description": None}), name


def test_every_file_of_the_example_is_what_the_json_schema_says(flights) -> None:
    made = schemas()
    for name, file in flights.files.items():
        schema = made[name.partition(".")[0]]
        assert problems(file.data, schema, schema, name) == []


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("feature", {"aggregates": {"a": "median(x)"}}),
        ("feature", {"aggregates": {"a": {"avg": "x", "sum": "y"}}}),
        ("feature", {"aggregates": {"a": {"avg": "x", "clp": [1, 2]}}}),
        ("feature", {"ttl": "3 years"}),
        ("feature", {"from_": "x"}),
        ("project", {"name": "A"}),
        ("source", {"contract": {"columns": {"a": {"null_share": 2}}}}),
        ("table", {"sql": "SELECT 1"}),
    ],
)
def test_the_json_schema_refuses_what_reading_refuses(kind: str, data: dict[str, Any]) -> None:
    schema = schemas()[kind]
    assert problems(data, {**schema, "required": []}, schema, kind) != []


def problems(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str) -> list[str]:
    """What of a value is not as a JSON Schema says: of the words that our own schemas are made of."""
    import re

    known = {
        "$schema",
        "$defs",
        "$ref",
        "title",
        "description",
        "default",
        "examples",
        "type",
        "enum",
        "const",
        "anyOf",
        "oneOf",
    }
    known |= {"properties", "required", "additionalProperties", "patternProperties", "items", "prefixItems", "minItems"}
    known |= {"maxItems", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    assert set(schema) <= known, f"{at}: {set(schema) - known}"
    if "$ref" in schema:
        return problems(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, at)
    found: list[str] = []
    kinds = schema.get("type")
    if kinds is not None and not any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return [f"{at}: {value!r} is no {kinds}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} not in {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: {value!r} is not {schema['const']!r}")
    for word, least in (("anyOf", 1), ("oneOf", 1)):
        fitting = sum(not problems(value, branch, root, at) for branch in schema.get(word, []))
        if word in schema and (fitting < least or (word == "oneOf" and fitting > 1)):
            found.append(f"{at}: {value!r} fits {fitting} of {word}")
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{at}: {value!r} is not like {schema['pattern']}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        found += [f"{at}: {value} < minimum"] * (value < schema.get("minimum", value))
        found += [f"{at}: {value} > maximum"] * (value > schema.get("maximum", value))
        found += [f"{at}: {value} too small"] * ("exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"])
        found += [f"{at}: {value} too large"] * ("exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"])
    if isinstance(value, list):
        found += [f"{at}: too short"] * (len(value) < schema.get("minItems", 0))
        found += [f"{at}: too long"] * (len(value) > schema.get("maxItems", len(value)))
        shapes = schema.get("prefixItems", [schema.get("items", {})] * len(value))
        for place, (inner, shape) in enumerate(zip(value, shapes, strict=False)):
            found += problems(inner, shape, root, f"{at}.{place}")
    if isinstance(value, dict):
        found += [f"{at}: no {key}" for key in schema.get("required", []) if key not in value]
        for key, inner in value.items():
            shape = schema.get("properties", {}).get(key)
            if shape is None:
                fits = [s for pattern, s in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
                shape = fits[0] if fits else schema.get("additionalProperties", {})
            if shape is False:
                found.append(f"{at}: unknown {key}")
            elif shape is not True:
                found += problems(inner, shape, root, f"{at}.{key}")
    return found


def _is(value: Any, kind: str) -> bool:
    kinds = {"string": str, "object": dict, "array": list, "boolean": bool, "null": type(None)}
    if kind in ("integer", "number"):
        return isinstance(value, int if kind == "integer" else int | float) and not isinstance(value, bool)
    return isinstance(value, kinds[kind])


@pytest.mark.parametrize(("folder", "meant"), [("table", "tables"), ("Models", "models"), ("monitor", "monitors")])
def test_a_folder_that_is_nearly_one_of_a_project_is_told(tmp_path: Path, folder: str, meant: str) -> None:
    (tmp_path / "lichen.yaml").write_text("name: p\n")
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "notes.txt").write_text("")
    for other in ("resources", "tests", "data"):
        (tmp_path / other).mkdir()
        (tmp_path / other / "a.yaml").write_text("")
    read_project(tmp_path, {}, {})
    (tmp_path / folder / "a.yaml").write_text("")
    with pytest.raises(ProjectErrors) as caught:
        read_project(tmp_path, {}, {})
    assert str(caught.value) == (
        f"LCH-1038: `{folder}/` is no folder of a project, and its files are not read\n"
        f"  at {folder}\n"
        "  why: a project's folders are sources, tables, features, models, services, monitors\n"
        f"  fix: did you mean `{meant}/`? rename it, or give it a name that is not as near"
    )


def test_a_variable_in_an_option_is_a_secret_that_means_what_is_written(read) -> None:
    files = {"sources/a.yaml": "path: ${DATA}/x.csv\nnull: [NA, '${WORD}']\n"}
    one, other = (read(files, {"DATA": data, "WORD": "none"}).sources["a"] for data in ("/one", "/other"))
    assert one.options["path"].reveal() == "/one/x.csv"
    assert one.options["null"][1].reveal() == "none"
    assert one.meaning() == other.meaning() == {"path": "${DATA}/x.csv", "null": ["NA", "${WORD}"]}


def test_a_variable_in_what_an_asset_means_is_refused(read) -> None:
    files = {
        "lichen.yaml": "name: p\nlake: ${LAKE}/lake\n",
        "sources/a.yaml": "path: x\ncontract: {columns: {n: {accepted: ['${WORD}']}}}\n",
    }
    with pytest.raises(ProjectErrors) as caught:
        read(files, {"LAKE": "/x", "WORD": "none"})
    assert str(caught.value) == (
        "LCH-1039: an environment variable stands in `contract.columns.n.accepted.0`\n  at sources/a.yaml:2:37\n"
        "    contract: {columns: {n: {accepted: ['${WORD}']}}}\n"
        "                                        ^\n"
        "  why: what a project means is the same on every machine, so it stands in its files\n"
        "  fix: write the value; variables are for where `lichen.yaml` keeps things and what a connector is told: "
        "`path` and such"
    )


@pytest.mark.parametrize("key", ["name", "publish"])
def test_a_variable_in_what_a_project_is_called_is_refused(read, key) -> None:
    text = "".join(f"{one}: {'${WORD}' if one == key else 'p'}\n" for one in ("name", "publish"))
    with pytest.raises(ProjectErrors) as caught:
        read({"lichen.yaml": text}, {"WORD": "dev"})
    assert f"LCH-1039: an environment variable stands in `{key}`" in str(caught.value)


def test_where_features_are_looked_up(read) -> None:
    for online, scheme in (("o.db", None), ("${HOME}/o.db", None), ("redis://h/0", "redis"), ("REDISS://h", "rediss")):
        project = read({"lichen.yaml": f"name: p\nonline: {online}\n"}, {"HOME": "/home"}).project
        assert project.online_scheme == scheme


def test_an_online_store_that_is_not_installed_is_refused_beside_what_else_is_wrong(wrong) -> None:
    files = {"lichen.yaml": "name: p\nonline: redi://:${WORD}@host/0\n", "sources/a.yaml": "path: x\npat: y\n"}
    told = wrong(files, {"WORD": "hunter2"})
    assert told.startswith(
        "LCH-1072: there is no online store behind `redi://`\n  at lichen.yaml:2:9\n"
        "    online: redi://:${WORD}@host/0\n            ^\n"
        "  why: `online` is a file's path, or a URL of a store that is installed\n"
        "  fix: did you mean `redis` or `rediss`?\n\nLCH-1001: unknown key `pat`"
    )
    assert "LCH-1072: there is no online store behind `${URL}://`" in wrong(
        {"lichen.yaml": "name: p\nonline: ${URL}://h\n"}, {"URL": "secretword"}
    )
