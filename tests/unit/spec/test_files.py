# ruff: noqa: E501, ISC004 (texts in a table are read line by line, and never broken)

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.errors import FoundWrong, LichenError, SystemFailed
from lichen.spec.files import SpecFile, read_sql, read_yaml


@pytest.fixture
def yaml(tmp_path: Path):
    def read(text: str | bytes, **environment: str) -> SpecFile:
        path = tmp_path / "a.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_yaml(path, tmp_path, environment)

    return read


@pytest.fixture
def sql(tmp_path: Path):
    def read(text: str, **environment: str) -> SpecFile:
        path = tmp_path / "a.sql"
        path.write_bytes(text.encode())
        return read_sql(path, tmp_path, environment)

    return read


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", {}),
        ("# only a comment", {}),
        ("null", {}),
        ("---\na: 1\n...", {"a": 1}),
        ("on: request", {"on": "request"}),
        ("yes: 1\n2: b\nnull: NA\n~: c", {"yes": 1, "2": "b", "null": "NA", "~": "c"}),
        ("a: [NO, yes, on]", {"a": ["NO", "yes", "on"]}),
        ("a: [true, False]", {"a": [True, False]}),
        ("a: 2013-01-01\nb: 2013-02-30", {"a": "2013-01-01", "b": "2013-02-30"}),
        ("a: 1:30\nb: 007\nc: 1e-3", {"a": "1:30", "b": "007", "c": 0.001}),
        ("a: ='", {"a": "='"}),
        ("a: =", {"a": "="}),
        ("a: '7'\nb: !!str 7\nc: \"1e3\"\nd: |\n  7\n", {"a": "7", "b": "7", "c": "1e3", "d": "7\n"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: 1\r\nb:\r\n  c: 2\r\n", {"a": 1, "b": {"c": 2}}),
        ("\ufeffa: 1", {"a": 1}),
        ("a:\nb: ~", {"a": None, "b": None}),
    ],
)
def test_what_yaml_means(yaml, text: str, data: dict[str, Any]) -> None:
    assert yaml(text).data == data


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: 1\nb: 2\na: 3", "LCH-1006: the key `a` stands here twice\n  at a.yaml:3:1\n    a: 3\n    ^\n"
         "  fix: keep one of them; the first is on line 1"),
        ("x: {a: 1, a: 2}", "LCH-1006: the key `a` stands here twice\n  at a.yaml:1:11\n    x: {a: 1, a: 2}\n              ^\n"
         "  fix: keep one of them; the first is on line 1"),
        ("? [a]\n: 1", "LCH-1007: a key here is not a word\n  at a.yaml:1:3\n    ? [a]\n      ^\n"
         "  fix: write the key as plain text"),
        ("a:\n\t- b", "LCH-1036: a tab stands in the indentation\n  at a.yaml:2:1\n    \t- b\n    ^\n"
         "  why: YAML is indented with spaces alone: a tab has no width of its own\n  fix: put spaces in its place"),
        ("a: 1\n---\nb: 2", "LCH-1002: this is not YAML\n  at a.yaml:2:1\n    ---\n    ^\n"
         "  why: expected a single document in the stream but found another document\n"
         "  fix: check the indentation before this place, and put quotes around a text with a colon in it"),
        ('a: "b\\0"', "LCH-1037: the text holds a NUL character\n  at a.yaml:1:4\n    a: \"b\\0\"\n       ^\n"
         "  why: neither a name nor a value of SQL can hold one\n  fix: write the text without it"),
        ("a:\n  b: 1\n\tc: 2", "LCH-1036: a tab stands in the indentation\n  at a.yaml:3:1\n    \tc: 2\n    ^\n"
         "  why: YAML is indented with spaces alone: a tab has no width of its own\n  fix: put spaces in its place"),
        ("a:\n  \tb: 1\n", "LCH-1036: a tab stands in the indentation\n  at a.yaml:2:3\n      \tb: 1\n      ^\n"
         "  why: YAML is indented with spaces alone: a tab has no width of its own\n  fix: put spaces in its place"),
        ("x: é\na: \x01", "LCH-1002: this is not YAML\n  at a.yaml:2:4\n    a: \x01\n       ^\n"
         "  why: unacceptable character #x0001: control characters are not allowed\n"
         "  fix: check the indentation before this place, and put quotes around a text with a colon in it"),
        ("- a\n- b", "LCH-1005: the file holds no mapping\n  at a.yaml:1:1\n    - a\n    ^\n  fix: write `key: value` lines"),
        ("just text", "LCH-1005: the file holds no mapping\n  at a.yaml:1:1\n    just text\n    ^\n  fix: write `key: value` lines"),
        ("a: !!python/name:os.system", "LCH-1035: the tag `!!python/name:os.system` is not understood here\n"
         "  at a.yaml:1:4\n    a: !!python/name:os.system\n       ^\n"
         "  fix: write a plain value: a text, a number, true, false, null, a list or a mapping"),
        ("a: !!set {b}", "LCH-1035: the tag `!!set` is not understood here\n  at a.yaml:1:4\n    a: !!set {b}\n       ^\n"
         "  fix: write a plain value: a text, a number, true, false, null, a list or a mapping"),
        ("a: !secret b", "LCH-1035: the tag `!secret` is not understood here\n  at a.yaml:1:4\n    a: !secret b\n       ^\n"
         "  fix: write a plain value: a text, a number, true, false, null, a list or a mapping"),
        ("a: &a [*a]", "LCH-1033: the file is nested too deeply\n  at a.yaml\n  fix: write it with fewer levels"),
    ],
)  # fmt: skip
def test_what_is_refused(yaml, text: str, error: str) -> None:
    with pytest.raises(FoundWrong) as caught:
        yaml(text)
    assert str(caught.value) == error


def test_a_merge_key_is_a_key_like_others(yaml) -> None:
    assert yaml("x: &x {a: 1}\ny: {<<: *x}").data["y"] == {"<<": {"a": 1}}


def test_many_aliases_are_counted_as_what_they_stand_for(yaml) -> None:
    lines = ["a0: &a0 [" + "x, " * 9 + "x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 9)]
    with pytest.raises(FoundWrong) as caught:
        yaml("\n".join(lines))
    error = str(caught.value)
    assert error.startswith("LCH-1034: the file holds too many values\n  at a.yaml:")
    assert error.endswith(
        "  why: 100,000 are the most, each alias counted as what it stands for\n  fix: write fewer aliases, or split the file"
    )


def test_deep_nesting_is_read(yaml) -> None:
    assert yaml("a: " + "[" * 90 + "]" * 90).data["a"]


@pytest.mark.parametrize("depth", [101, 300_000])
def test_too_deep_nesting_is_refused(yaml, depth: int) -> None:
    with pytest.raises(FoundWrong) as caught:
        yaml("a: " + "[" * depth + "]" * depth)
    assert (
        str(caught.value) == "LCH-1033: the file is nested too deeply\n  at a.yaml\n  fix: write it with fewer levels"
    )


def test_bytes_that_are_no_text(yaml) -> None:
    with pytest.raises(FoundWrong) as caught:
        yaml(b"a: \xff")
    assert str(caught.value) == (
        "LCH-1003: the file is not UTF-8 text\n  at a.yaml\n  why: byte 3 is 0xff\n  fix: save it as UTF-8"
    )


def test_a_huge_file(yaml) -> None:
    with pytest.raises(FoundWrong) as caught:
        yaml("# " + "x" * (1 << 20))
    assert str(caught.value) == (
        "LCH-1032: the file is too large to be read\n  at a.yaml\n"
        "  why: it has 1,048,578 characters, and 1,048,576 are the most\n"
        "  fix: split it, or move it out of the project's folders if it holds data"
    )


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    with pytest.raises(SystemFailed) as caught:
        read_yaml(tmp_path / "a.yaml", tmp_path, {})
    assert str(caught.value) == (
        "LCH-1004: the file cannot be read\n  at a.yaml\n  why: Is a directory\n"
        "  fix: check that it is a file and that you may read it"
    )


def test_variables_stand_in_values_alone(yaml) -> None:
    file = yaml("a: ${A}/x-${B}  # ${UNSET}\nb: ['${A}', {c: \"${A}${A}\"}]\nd: $A ${} ${1}\n${A}: e\n", A="1", B="'\"")
    assert file.data == {"a": "1/x-'\"", "b": ["1", {"c": "11"}], "d": "$A ${} ${1}", "${A}": "e"}


def test_what_a_variable_holds_is_not_read_again(yaml) -> None:
    assert yaml("a: ${A}", A="${B}\nc: 1").data == {"a": "${B}\nc: 1"}


def test_an_unset_variable_is_named_where_it_stands(yaml) -> None:
    with pytest.raises(FoundWrong) as caught:
        yaml("a: 1\nb:\n  - x\n  - /${DATA}/f.csv\n")
    assert str(caught.value) == (
        "LCH-1008: the environment variable `DATA` is not set\n  at a.yaml:4:5\n      - /${DATA}/f.csv\n        ^\n"
        "  fix: set it before the command: DATA=..."
    )


def test_an_empty_variable_is_refused_where_it_stands(yaml) -> None:
    with pytest.raises(FoundWrong) as caught:
        yaml("a: ${DATA}/f.csv", DATA="")
    assert str(caught.value) == (
        "LCH-1071: the environment variable `DATA` is empty\n  at a.yaml:1:4\n    a: ${DATA}/f.csv\n       ^\n"
        "  why: a path or a name with nothing in its place is another one: `${DATA}/x.csv` would be `/x.csv`\n"
        "  fix: set it before the command: DATA=...; or take `${DATA}` away here"
    )


def test_what_a_variable_holds_is_never_shown(yaml) -> None:
    file = yaml("a: {b: 'x-${KEY}'}\nc: KEY", KEY="hunter2")
    assert file.as_written(("a", "b"), "x-hunter2") == "'x-${KEY}'"
    assert file.as_written(("c",), "KEY") == "'KEY'"
    assert file.masked(("a",), "`x-hunter2` is wrong") == "`x-${KEY}` is wrong"
    assert file.masked(("c",), "`x-hunter2` is wrong") == "`x-hunter2` is wrong"
    assert "hunter2" not in repr(file.where(("a", "b")))


def test_values_are_shown_as_they_are_written(yaml) -> None:
    file = yaml("")
    assert [file.as_written((), value) for value in (None, True, 1.5, "a")] == ["null", "true", "1.5", "'a'"]
    assert len(file.as_written((), "x" * 1000)) < 100


def test_places(yaml) -> None:
    file = yaml("a: 1\nb:\n  - c: x\n  - {d: y}\n")
    assert str(file.where(("b", 0, "c"))) == "a.yaml:3:8"
    assert str(file.where(("b", 0, "c"), key=True)) == "a.yaml:3:5"
    assert str(file.where(("b", 1, "d"), key=True)) == "a.yaml:4:6"
    assert str(file.where(("b", 7, "e"))) == "a.yaml:3:3"
    assert str(file.where(("nowhere",))) == "a.yaml:1:1"
    assert file.line(9).text is None
    assert str(yaml("").where(("a",))) == "a.yaml"


def test_an_sql_file_without_front_matter(sql) -> None:
    file = sql("-- a comment\nSELECT 1")
    assert (file.data, file.sql, file.sql_line) == ({}, "-- a comment\nSELECT 1", 1)


@pytest.mark.parametrize(
    "text",
    [
        "/* ---\ngrain: [a]\ntime: b\n--- */\nSELECT 1",
        "/*---\ngrain: [a]\ntime: b\n---*/\nSELECT 1",
        "/* --- tables/a.sql\ngrain: [a]\ntime: b\n--- */\nSELECT 1",
        "\n\n/* ---\ngrain: [a]\ntime: b\n--- */\nSELECT 1",
        "\ufeff/* ---\r\ngrain: [a]\r\ntime: b\r\n--- */\r\nSELECT 1",
        "/* ---\ngrain: [a]\ntime: b\n--- */ SELECT 1",
    ],
)
def test_front_matter_and_the_lines_of_both(sql, text: str) -> None:
    file = sql(text)
    lines = text.removeprefix("\ufeff").split("\n")
    assert file.data == {"grain": ["a"], "time": "b"}
    where = file.where(("time",))
    assert lines[where.line - 1][where.column - 1] == "b"
    at = file.sql.index("SELECT")
    line, column = file.sql_line + file.sql.count("\n", 0, at), at - file.sql.rfind("\n", 0, at)
    assert lines[line - 1][column - 1 :].startswith("SELECT")


def test_front_matter_of_nothing(sql) -> None:
    assert sql("/* ---\n--- */\nSELECT 1").data == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("/* ---\ngrain: [a]\nSELECT 1", 1),
        ("/* ---\ngrain: [a]\n*/\nSELECT 1", 1),
        ("/* --- grain: [a] --- */\nSELECT 1", 1),
        ("-- a comment first\n/* ---\ngrain: [a]\n--- */\nSELECT 1", 2),
        ("SELECT 1\n/* ---\ngrain: [a]\n--- */", 2),
    ],
)
def test_front_matter_that_would_pass_for_a_comment(sql, text: str, line: int) -> None:
    with pytest.raises(FoundWrong) as caught:
        sql(text)
    shown = text.split("\n")[line - 1]
    assert str(caught.value) == (
        f"LCH-1031: this looks like front matter, and it is not read\n  at a.sql:{line}:1\n    {shown}\n    ^\n"
        "  why: front matter stands at the top of the file, between a line `/* ---` and a line `--- */`\n"
        "  fix: move or close it; a comment starts otherwise"
    )


@pytest.mark.parametrize(
    "text", ["/* ------\n title\n------ */\nSELECT 1", "/* -- x -- */ SELECT 1", "SELECT 1 -- /* ---"]
)
def test_comments_with_dashes_are_comments(sql, text: str) -> None:
    assert (sql(text).data, sql(text).sql) == ({}, text)


def test_an_error_in_front_matter_points_into_the_file(sql) -> None:
    with pytest.raises(FoundWrong, match="stands here twice") as caught:
        sql("\n/* ---\ngrain: [a]\ngrain: [b]\n--- */\nSELECT 1")
    assert str(caught.value.where) == "a.sql:4:1"


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,?$\n\t \x0c\u2028é0.~<=", max_size=40)
    | st.binary(max_size=40)
    | st.text(max_size=20)
)
def test_any_file_is_read_or_refused(tmp_path: Path, content: str | bytes) -> None:
    for suffix, read in (("yaml", read_yaml), ("sql", read_sql)):
        path = tmp_path / f"any.{suffix}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(errors="surrogatepass"))
        refusal = "LCH-10"
        try:
            assert isinstance(read(path, tmp_path, {}).data, dict)
        except LichenError as error:
            refusal = str(error)
        assert refusal.startswith("LCH-10")


def test_the_path_is_shown_from_the_projects_root(tmp_path: Path) -> None:
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "a.yaml").write_text("a: 1")
    assert read_yaml(folder / "a.yaml", tmp_path, os.environ).shown == os.path.join("sources", "a.yaml")
