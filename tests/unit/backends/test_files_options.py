from __future__ import annotations

from pathlib import Path

import pytest
from arro3.core import Table

from lichen.backends.files import FilesConnector
from lichen.errors import ProjectErrors
from lichen.spec import ProjectSpec, read_project

FILES = FilesConnector()


@pytest.mark.parametrize(
    ("key", "value", "told", "why"),
    [
        ("header", '"false"', "it must be true or false", "'false'"),
        ("header", "no", "it must be true or false", "'no'"),
        ("header", "1", "it must be true or false", "1"),
        ("header", "${WORD}", "it must be true or false", "'${WORD}'"),
        ("skip", "x", "it must be a whole number", "'x'"),
        ("skip", "1.5", "it must be a whole number", "1.5"),
        ("skip", "true", "it must be a whole number", "true"),
        ("skip", "-1", "it must be 0 or more", "-1"),
        ("skip", "${WORD}", "it must be a whole number", "'${WORD}'"),
        ("delimiter", "5", "it must be a text", "5"),
        ("quote", "[x]", "it must be a text", None),
        ("date_format", "3", "it must be a text", "3"),
        ("encoding", "8", "it must be a text", "8"),
        ("null", "{NA: x}", "it must be a text, a whole number or a list: `[a, b]`", None),
        ("null", "~", "it must be a text, a whole number or a list: `[a, b]`", "null"),
        ("path", "[a.csv]", "it must be a text", None),
        ("path", "{a: b}", "it must be a text", None),
    ],
)
def test_an_option_of_the_wrong_type_is_refused_where_it_stands(
    tmp_path: Path, key: str, value: str, told: str, why: str | None
) -> None:
    line = f"{key}: {value}"
    with pytest.raises(ProjectErrors) as wrong:
        _project(tmp_path, line)
    under = " " * (len(line) - len(value))
    assert str(wrong.value) == (
        f"LCH-1013: `{key}`: {told}\n  at sources/s.yaml:2:{len(under) + 1}\n    {line}\n    {under}^"
        + (f"\n  why: it is {why}" if why else "")
    )


def test_in_a_list_the_value_of_the_wrong_type_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectErrors) as wrong:
        _project(tmp_path, "null: [NA, 1.5]")
    assert str(wrong.value) == (
        "LCH-1013: `null.1`: it must be a text or a whole number\n  at sources/s.yaml:2:12\n"
        "    null: [NA, 1.5]\n               ^\n  why: it is 1.5"
    )


def test_options_of_the_right_type_are_taken(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("passed over\n-999;x\n7;y\n")
    for null in ("-999", "[NA, -999]"):
        lines = f"header: ${{HEADER}}\nskip: ${{SKIP}}\ndelimiter: ;\nquote: null\nnull: {null}"
        options = _project(tmp_path, lines).sources["s"].options | {"path": str(tmp_path / "s.csv")}
        rows = Table.from_arrow(FILES.read(options, {}).rows)
        assert (rows["column0"].to_pylist(), rows["column1"].to_pylist()) == ([None, 7], ["x", "y"])


def _project(folder: Path, lines: str) -> ProjectSpec:
    """A project with a source of these lines, read as `check` does."""
    (folder / "sources").mkdir(exist_ok=True)
    (folder / "lichen.yaml").write_text("name: p\n")
    path = "" if lines.startswith("path") else "path: s.csv"
    (folder / "sources/s.yaml").write_text(f"{path}\n{lines}\n")
    variables = {"WORD": "maybe", "HEADER": "false", "SKIP": "1"}
    return read_project(folder, variables, {"files": FILES.options}, {"files": FILES.option_types})
