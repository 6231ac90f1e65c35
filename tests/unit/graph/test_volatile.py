# ruff: noqa: E501, ISC004 (texts in a table are read line by line, and never broken)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lichen.errors import FoundWrong, ProjectErrors, Where
from lichen.graph.statement import parse_statement
from lichen.graph.volatile import refuse_volatile, refuse_volatile_value

WHY = "a version is named by what it is made of, and this would give other rows of the same inputs"


def found(text: str) -> list[str]:
    """The word at each place that is refused, and the sentence."""
    lines = text.split("\n")

    def place(line: int, column: int) -> Where:
        return Where("t.sql", line, column, lines[line - 1])

    refused = refuse_volatile(parse_statement(text, place).volatile, text, place)
    return [f"{str(e.where)[6:]} {e.what}" for e in refused]


def said(name: str) -> str:
    return f"{name} gives another answer each time it is asked"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SELECT random() AS a FROM x", ["1:8 " + said("`random`")]),
        ("SELECT a,\n  NOW () AS t\nFROM x", ["2:3 " + said("`now`")]),
        ("SELECT a FROM x WHERE t < current_timestamp", ["1:27 " + said("`current_timestamp`")]),
        ("SELECT a FROM x WHERE t < CURRENT_DATE - 1", ["1:27 " + said("`current_date`")]),
        ("SELECT gen_random_uuid() AS id, uuid() AS b FROM x", ["1:8 " + said("`gen_random_uuid`"), "1:33 " + said("`uuid`")]),
        ("WITH c AS (SELECT nextval('s') AS n) SELECT * FROM c", ["1:19 " + said("`nextval`")]),
        ("SELECT a FROM x ORDER BY main.random()", ["1:31 " + said("`random`")]),
        ('SELECT "today"() AS a FROM x', ["1:8 " + said("`today`")]),
        ("SELECT getvariable('v'), version(), current_user FROM x",
         ["1:8 " + said("`getvariable`"), "1:26 " + said("`version`"), "1:37 " + said("`current_user`")]),
        ("SELECT random() + random() AS a FROM x", ["1:8 " + said("`random`")]),
        ("SELECT age(t) AS a FROM x", ["1:8 " + said("`age` of one instant")]),
        ("SELECT t.age() AS a FROM x AS t", ["1:10 " + said("`age` of one instant")]),
        ("SELECT * FROM x\nUSING SAMPLE 10", ["2:1 " + said("`USING SAMPLE`")]),
        ("SELECT * FROM x TABLESAMPLE 10%", ["1:17 " + said("`USING SAMPLE`")]),
    ],
)  # fmt: skip
def test_what_gives_another_answer_each_time_is_refused_where_it_stands(text: str, told: list[str]) -> None:
    assert found(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "SELECT now, random, x.today, \"uuid\" FROM x",
        "SELECT age(a, b), a.age(b), error('no') FROM x",
        "WITH stats(a) AS (SELECT 1) SELECT a AS version FROM stats",
        "SELECT 'now()' AS a -- random()\nFROM x /* today() */",
        "SELECT hash(a), md5(b), date_trunc('day', t), user FROM x",
    ],
)  # fmt: skip
def test_what_only_looks_like_it_is_not_refused(text: str) -> None:
    assert found(text) == []


def test_a_tables_statement_is_refused_with_its_place_in_the_file(build: Callable[..., Any]) -> None:
    with pytest.raises(ProjectErrors) as caught:
        build(
            {"tables/legs.sql": "/* ---\ntime: arrived\n--- */\nSELECT a AS b,\n  now() AS t, uuid() AS u FROM flights"}
        )
    assert [str(error) for error in caught.value.errors] == [
        f"LCH-2007: {said('`now`')}\n"
        "  at tables/legs.sql:5:3\n"
        "      now() AS t, uuid() AS u FROM flights\n"
        "      ^\n"
        f"  why: {WHY}\n"
        "  fix: use an instant that the rows hold, such as when they arrived: a column of the source",
        f"LCH-2007: {said('`uuid`')}\n"
        "  at tables/legs.sql:5:15\n"
        "      now() AS t, uuid() AS u FROM flights\n"
        "                  ^\n"
        f"  why: {WHY}\n"
        "  fix: make it of the row itself, as in hash(id) or md5(id), or bring it in as a column of the source",
    ]


PREDICTION_TIME = (
    "read `prediction_time`, when the prediction is asked for, in an expression of a view with `on: request`"
)
OF_THE_ROW = "make it of the row itself, as in hash(id) or md5(id), or bring it in as a column of the source"


@pytest.mark.parametrize(
    ("text", "word", "fix"),
    [
        ("date_diff('day', t, today())", "today()", PREDICTION_TIME),
        ("a * random()", "random()", OF_THE_ROW),
        ("getvariable('a')", "getvariable", "bring it in as a column of the source"),
        ("age(t)", "age(t)", PREDICTION_TIME),
    ],
)
def test_an_expression_is_refused_at_its_word(text: str, word: str, fix: str) -> None:
    line = f"  d: {text}"
    with pytest.raises(FoundWrong) as caught:
        refuse_volatile_value(text, Where("f.yaml", 3, 6, line), of_a_feature=True)
    assert str(caught.value.where) == f"f.yaml:3:{line.index(word) + 1}"
    assert (caught.value.code, caught.value.fix) == ("LCH-2007", fix)


def test_an_expression_that_cannot_be_read_is_left_for_the_engine() -> None:
    refuse_volatile_value("avg(", Where("f.yaml"))
    refuse_volatile_value("arr_delay + 1", Where("f.yaml"))
