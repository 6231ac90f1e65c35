from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lichen.errors import (
    FoundWrong,
    LichenError,
    ProjectErrors,
    SystemFailed,
    Where,
    WrongUsage,
    did_you_mean,
    nearest,
)


def test_an_error_says_what_where_why_and_what_to_do() -> None:
    error = FoundWrong("LCH-1001", "unknown key `a`", where=Where("x.yaml", 2, 3, "b: a"), why="w", fix="f")
    assert str(error) == "LCH-1001: unknown key `a`\n  at x.yaml:2:3\n    b: a\n      ^\n  why: w\n  fix: f"


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        (Where("f"), "  at f"),
        (Where("f", 2), "  at f:2"),
        (Where("f", 2, 1), "  at f:2:1"),
        (Where("f", 2, None, "text"), "  at f:2\n    text"),
        (Where("f", 2, 3, "\ta b"), "  at f:2:3\n    \ta b\n    \t ^"),
        (Where("f", 2, 5, "ab"), "  at f:2:5\n    ab\n        ^"),
        (Where("f", 1, 1, ""), "  at f:1:1\n    \n    ^"),
    ],
)
def test_a_place_is_shown_as_far_as_it_is_known(where: Where, shown: str) -> None:
    assert str(LichenError("LCH-1001", "x", where=where)) == f"LCH-1001: x\n{shown}"


@given(st.integers(1, 5000), st.integers(0, 5000))
def test_the_caret_of_a_long_line_stands_under_its_column(column: int, extra: int) -> None:
    text = "." * (column - 1) + "X" + "." * extra
    line, caret = str(LichenError("c", "x", where=Where("f", 1, column, text))).splitlines()[2:4]
    assert line[caret.index("^")] == "X"
    assert len(line) <= 244


def test_an_error_for_a_machine() -> None:
    assert FoundWrong("LCH-1", "x", where=Where("f", 1, 2, "t")).as_dict() == {
        "code": "LCH-1",
        "what": "x",
        "where": {"file": "f", "line": 1, "column": 2},
        "why": None,
        "fix": None,
    }
    assert LichenError("LCH-1", "x").as_dict()["where"] is None


def test_each_kind_of_error_has_its_exit_code() -> None:
    assert (FoundWrong.exit_code, WrongUsage.exit_code, SystemFailed.exit_code) == (1, 2, 3)


def test_several_errors_are_told_at_once() -> None:
    several = ProjectErrors([FoundWrong("LCH-1", "a", fix="f"), SystemFailed("LCH-2", "b")])
    assert str(several) == "LCH-1: a\n  fix: f\n\nLCH-2: b"
    assert (several.code, several.what, several.fix, len(several.errors)) == ("LCH-1", "a", "f", 2)


def test_near_names_whatever_their_case() -> None:
    assert nearest("CARIER", ["carrier", "origin"]) == ["carrier"]
    assert nearest("x", []) == []
    assert len(nearest("ab", ["ab1", "ab2", "ab3", "ab4"])) == 3


@pytest.mark.parametrize(
    ("name", "known", "sentence"),
    [
        ("carier", ["origin", "carrier"], "did you mean `carrier`?"),
        ("delay_1", ["delay_1h", "delay_1d"], "did you mean `delay_1h` or `delay_1d`?"),
        ("zzz", ["b", "a"], "it is one of: a, b"),
        ("zzz", [], "there is none yet"),
    ],
)
def test_did_you_mean(name: str, known: list[str], sentence: str) -> None:
    assert did_you_mean(name, known) == sentence


def test_a_long_list_of_names_is_cut() -> None:
    assert did_you_mean("zzz", [f"a{n:02}" for n in range(21)]).endswith("a19, ...")


def test_an_error_is_retold_in_every_text_but_the_users_line() -> None:
    error = FoundWrong("LCH-1", "a b", where=Where("b", 1, 1, "b"), why="b", fix=None)
    told = error.retold(lambda text: text.replace("b", "c"))
    assert str(told) == "LCH-1: a c\n  at c:1:1\n    b\n    ^\n  why: c"
    assert type(told) is FoundWrong
    assert (
        str(ProjectErrors([error, error]).retold(str.upper))
        == f"{error.retold(str.upper)}\n\n{error.retold(str.upper)}"
    )
