from __future__ import annotations

import pytest

from lichen.errors import FoundWrong, SystemFailed, Where
from lichen.graph.build import build_graph
from lichen.ports import Column, Relation
from lichen.spec import read_project
from lichen.transform.build import build, describe, placed

MATTER = "/* ---\ngrain: [id]\n--- */\n"
COLUMNS = (Column("id", "BIGINT"), Column("amount", "DOUBLE"), Column("kind", "VARCHAR"))


@pytest.fixture
def table(tmp_path):
    """A project of one source `events` and a table `t` with this text: its asset and the project."""

    def make(text):
        for folder in ("sources", "tables"):
            (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / "lichen.yaml").write_text("name: p\n")
        (tmp_path / "sources/events.yaml").write_text("path: e.csv\n")
        (tmp_path / "tables/t.sql").write_text(text)
        project = read_project(tmp_path, {}, {"files": {"path": ""}})
        return build_graph(project)["table.t"], project

    return make


@pytest.fixture
def built(table, stage, engine, tables):
    def run(text, rows="SELECT 1::BIGINT AS id, 2.5::DOUBLE AS amount, 'a' AS kind"):
        asset, project = table(text)
        return build(asset, {"events": stage(rows).relation}, engine, tables, project)

    return run


@pytest.fixture
def refused(table, engine):
    def run(text):
        asset, project = table(text)
        with pytest.raises(FoundWrong) as caught:
            describe(asset, {"events": COLUMNS}, engine.describe, project)
        return str(caught.value)

    return run


def test_the_lakes_types_are_what_the_statement_gives(built, fetch):
    staged = built(
        "SELECT sum(id) AS total, 3::UBIGINT AS unsigned, 4::UTINYINT AS small, 'a'::ENUM('a', 'b') AS word, "
        "uuid '00000000-0000-0000-0000-000000000001' AS key, NULL AS nothing, 7::UHUGEINT AS most FROM events",
        "SELECT 9223372036854775807 AS id UNION ALL SELECT 9223372036854775807",
    )
    assert [(column.name, column.type) for column in staged.columns] == [
        ("total", "DECIMAL(38,0)"),
        ("unsigned", "DECIMAL(20,0)"),
        ("small", "SMALLINT"),
        ("word", "VARCHAR"),
        ("key", "VARCHAR"),
        ("nothing", "INTEGER"),
        ("most", "DECIMAL(38,0)"),
    ]
    ((total, *rest),) = fetch(staged.relation)
    assert int(total) == 18446744073709551614
    assert [str(value) for value in rest] == ["3", "4", "a", "00000000-0000-0000-0000-000000000001", "None", "7"]


def test_a_table_of_no_rows_is_a_table(built, fetch):
    staged = built("SELECT id, amount FROM events WHERE false")
    assert (staged.rows, [column.name for column in staged.columns]) == (0, ["id", "amount"])
    assert fetch(staged.relation) == []


@pytest.mark.parametrize(
    "text", ["SELECT id FROM events;", "SELECT id FROM events -- all", "\n\n  FROM events SELECT id ;\n\n"]
)
def test_a_semicolon_and_a_comment_at_the_end_do_no_harm(built, text):
    assert built(text).rows == 1


@pytest.mark.parametrize(
    ("before", "line", "indent"),
    [
        (MATTER, 4, 0),
        (MATTER + "\n\n", 6, 0),
        (MATTER + "\n  ", 5, 2),
        ("/* ---\ngrain: [id]\n--- */ ", 3, 7),
        ("", 1, 0),
        ("\n   ", 2, 3),
        ("/* ---\r\ngrain: [id]\r\n--- */\r\n", 4, 0),
    ],
)
def test_an_error_stands_under_the_word_in_the_users_file(refused, before, line, indent):
    shown = refused(f"{before}SELECT id, amont FROM events")
    at = f"  at tables/t.sql:{line}:{indent + 12}\n"
    assert shown.startswith("LCH-2301: the SQL is wrong\n" + at)
    text, caret = shown.split("\n")[2:4]
    assert text[caret.index("^") :].startswith("amont FROM")
    assert "amount" in shown.rsplit("fix:", 1)[1]


def test_an_error_on_a_later_line_is_placed_there(refused):
    shown = refused(MATTER + "SELECT\n  id,\n  'ünï' || kind AS k, nosuch(amount)\nFROM events")
    assert "  at tables/t.sql:6:23\n" in shown
    text, caret = shown.split("\n")[2:4]
    assert text[caret.index("^") :] == "nosuch(amount)"


def test_a_grain_that_is_no_column_is_refused(refused):
    assert refused("/* ---\ngrain: [kind, idd]\n--- */\nSELECT id, kind FROM events") == (
        "LCH-2231: the grain names a column `idd` that the table does not have\n"
        "  at tables/t.sql:2:15\n"
        "    grain: [kind, idd]\n"
        "                  ^\n"
        "  fix: did you mean `id`?"
    )


def test_a_statement_that_fails_while_it_runs_leaves_no_staging(built, tables):
    with pytest.raises(FoundWrong, match="a value does not fit") as caught:
        built("SELECT CAST(kind AS INT) AS n FROM events")
    assert str(caught.value.where).startswith("tables/t.sql:1")
    assert [path for path in (tables._root / ".staging").iterdir() if "part" not in str(list(path.iterdir()))] == []


def test_names_that_sql_uses_may_be_columns(built, fetch):
    staged = built(
        'SELECT "order", "group", "rows", "weird ""name""", "ключ" FROM events',
        'SELECT 1 AS "order", 2 AS "group", 3 AS "rows", 4 AS "weird ""name""", 5 AS "ключ"',
    )
    assert fetch(staged.relation) == [(1, 2, 3, 4, 5)]
    assert describe is not None
    assert Relation(staged.columns).files == ()


def test_two_columns_of_one_name_are_refused(refused):
    assert "LCH-2235: the statement gives two columns called `ID`" in refused("SELECT 1 AS id, 2 AS ID")


def test_an_error_about_a_file_of_its_own_keeps_its_place(table):
    error = SystemFailed("LCH-3002", "cannot write what the statement gives", where=Where("lake/part-0.parquet"))
    assert placed(error, *table("SELECT 1 AS n")) is error
