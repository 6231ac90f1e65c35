# ruff: noqa: E501, ISC004 (texts in a table are read line by line, and never broken)

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lichen.errors import FoundWrong, LichenError, Where
from lichen.graph.statement import Statement, parse_statement


def parse(text: str) -> Statement:
    lines = text.split("\n")
    return parse_statement(text, lambda line, column: Where("t.sql", line, column, lines[line - 1]))


def refused(text: str) -> str:
    with pytest.raises(FoundWrong) as caught:
        parse(text)
    return str(caught.value)


READ = [
    "SELECT * FROM Flights",
    'SELECT * FROM "Flights"',
    "FROM x",
    "FROM x SELECT a",
    "TABLE x",
    "(SELECT * FROM a)",
    "SELECT 1",
    "SELECT * FROM a UNION ALL SELECT * FROM b EXCEPT SELECT * FROM c",
    "WITH flights AS (SELECT * FROM flights) SELECT * FROM flights",
    "WITH Flights AS (SELECT * FROM x) SELECT * FROM FLIGHTS JOIN \"flights\" AS o ON true",
    "WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM b",
    "WITH c AS (WITH x AS (SELECT * FROM y) SELECT * FROM x) SELECT * FROM c, x",
    "WITH RECURSIVE t AS (SELECT 1 AS a UNION ALL SELECT t.a + 1 FROM t JOIN stem ON t.a < stem.n) SELECT * FROM t",
    "WITH a AS MATERIALIZED (SELECT * FROM z) SELECT * FROM a",
    "SELECT * FROM x WHERE y IN (SELECT z FROM w) AND EXISTS (SELECT 1 FROM v)",
    "SELECT (SELECT max(a) FROM q) FROM x ORDER BY (SELECT max(b) FROM k)",
    "SELECT * FROM x, LATERAL (SELECT * FROM y WHERE y.a = x.a)",
    "SELECT sum(v) OVER (PARTITION BY (SELECT 1 FROM h)) FROM x QUALIFY row_number() OVER () = 1",
    "SELECT [(SELECT max(a) FROM q) FOR i IN l] FROM x",
    "FROM x PIVOT (sum(a) FOR b IN (1, 2))",
    "SELECT * FROM (SELECT 1 AS a, 2 AS b FROM x) UNPIVOT (v FOR n IN (a, b))",
    "SELECT COLUMNS(*) FROM x POSITIONAL JOIN y",
    "SELECT * FROM (VALUES (1)) AS v(a), range(10), generate_series(1, 2) AS g(n)",
    "SELECT unnest(y.l) FROM x AS y",
    "SELECT * FROM x GROUP BY ALL",
]  # fmt: skip


@pytest.mark.parametrize("text", READ)
def test_what_a_statement_reads_is_what_duckdb_says_it_reads(text: str) -> None:
    with duckdb.connect() as connection:
        told = {name.lower() for name in connection.get_table_names(text)}
    statement = parse(text)
    assert set(statement.reads) == told
    assert list(statement.reads) == sorted(statement.places)


def test_each_read_has_its_place() -> None:
    text = "SELECT 'legs' /* legs */, o.legs\nFROM (\n\tSELECT * FROM other) AS o\nJOIN Legs USING (x), legs AS again"
    lines = text.split("\n")
    places = parse(text).places
    assert {name: lines[line - 1][column - 1 :][:5] for name, (line, column) in places.items()} == {
        "legs": "Legs ",
        "other": "other",
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a FROM x", "select\n\ta -- why\nfrom /* which */ x;"),
        ("SELECT a::INT FROM x", "SELECT CAST(a AS INT) FROM x"),
    ],
)
def test_layout_and_comments_do_not_count(one: str, other: str) -> None:
    assert parse(one).canonical == parse(other).canonical


@pytest.mark.parametrize(
    "other",
    [
        "SELECT a AS b, 8 AS c FROM x",
        "SELECT a AS d, 7 AS c FROM x",
        "SELECT 7 AS c, a AS b FROM x",
        "SELECT a AS b, 7 AS c FROM y",
        "SELECT a AS b, 7.0 AS c FROM x",
        "SELECT a AS b, '7' AS c FROM x",
        "SELECT DISTINCT a AS b, 7 AS c FROM x",
        "SELECT a AS b, 7 AS c FROM x WHERE true",
        "SELECT a AS b, 7 AS c FROM x LIMIT 1",
        "SELECT a AS b, -7 AS c FROM x",
    ],
)
def test_everything_else_counts(other: str) -> None:
    assert parse("SELECT a AS b, 7 AS c FROM x").canonical != parse(other).canonical


@pytest.mark.parametrize("text", READ)
def test_the_canonical_text_is_its_own(text: str) -> None:
    assert parse(parse(text).canonical).canonical == parse(text).canonical


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("SELECT\n\ta b c FROM x", "LCH-2001: this is not SQL that DuckDB's dialect knows\n  at t.sql:2:6\n    \ta b c FROM x\n    \t    ^\n"
         "  why: Invalid expression / Unexpected token\n  fix: check the word at this place and the commas and parentheses before it"),
        ("SELECT a FROM", "LCH-2001: this is not SQL that DuckDB's dialect knows\n  at t.sql:1:10\n    SELECT a FROM\n             ^\n"
         "  why: Expected table name but got the end\n  fix: check the word at this place and the commas and parentheses before it"),
        ("SELECT 'é', (a\nFROM where", "LCH-2001: this is not SQL that DuckDB's dialect knows\n  at t.sql:2:1\n    FROM where\n    ^\n"
         "  why: Expecting )\n  fix: check the word at this place and the commas and parentheses before it"),
        ("SELECT a -- it's\n, 'b\nFROM x", "LCH-2006: a text in quotes is opened here and never closed\n  at t.sql:2:3\n    , 'b\n      ^\n"
         "  fix: close it"),
        ('SELECT "b', 'LCH-2006: a name in quotes is opened here and never closed\n  at t.sql:1:8\n    SELECT "b\n           ^\n  fix: close it'),
        ("SELECT a /* b", "LCH-2006: a comment is opened here and never closed\n  at t.sql:1:10\n    SELECT a /* b\n             ^\n  fix: close it"),
        ("SELECT $$b", "LCH-2006: a text in $$ is opened here and never closed\n  at t.sql:1:8\n    SELECT $$b\n           ^\n  fix: close it"),
        ("-- a comment", "LCH-2002: a table is one SELECT statement, and this is not\n  at t.sql:1:1\n    -- a comment\n    ^\n"
         "  why: there is no statement\n  fix: write one SELECT (or WITH ... SELECT); Lichen creates the table itself"),
        ("SELECT 1; SELECT 2", "LCH-2002: a table is one SELECT statement, and this is not\n  at t.sql:1:1\n    SELECT 1; SELECT 2\n    ^\n"
         "  why: there are 2 statements\n  fix: write one SELECT (or WITH ... SELECT); Lichen creates the table itself"),
        ("DELETE FROM x", "LCH-2002: a table is one SELECT statement, and this is not\n  at t.sql:1:1\n    DELETE FROM x\n    ^\n"
         "  why: it is DELETE\n  fix: write one SELECT (or WITH ... SELECT); Lichen creates the table itself"),
        ("WITH p AS (\n  PIVOT x ON y USING sum(z))\nSELECT * FROM p", "LCH-2004: PIVOT and UNPIVOT stand behind a table in FROM, not as "
         "statements of their own\n  at t.sql:2:9\n      PIVOT x ON y USING sum(z))\n            ^\n"
         "  why: as a statement, its columns depend on the rows\n  fix: write SELECT * FROM x PIVOT (sum(value) FOR name IN ('a', 'b'))"),
        ("SELECT *\nFROM a JOIN read_parquet('b') USING (x)", "LCH-2003: a table reads sources and tables by name, not files or functions "
         "that open them: `read_parquet`\n  at t.sql:2:13\n    FROM a JOIN read_parquet('b') USING (x)\n                ^\n"
         "  why: what is read past the graph has no lineage, no version and no contract\n  fix: declare it in sources/ and read it by its name"),
    ],
)  # fmt: skip
def test_what_is_refused_and_where(text: str, error: str) -> None:
    assert refused(text) == error


@pytest.mark.parametrize(
    "text", ["PIVOT x ON y", "UNPIVOT x ON a, b INTO NAME n VALUE v", "SELECT * FROM (PIVOT x ON y USING sum(z))"]
)
def test_pivot_as_a_statement(text: str) -> None:
    assert refused(text).startswith("LCH-2004")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SELECT * FROM 'x.csv'", "x.csv"),
        ('SELECT * FROM "x.csv"', "x.csv"),
        ('SELECT * FROM "/etc/passwd"', "/etc/passwd"),
        ("SELECT * FROM main.x", "main.x"),
        ("SELECT * FROM information_schema.tables", "information_schema.tables"),
        ("SELECT * FROM read_csv('x')", "read_csv"),
        ("SELECT * FROM READ_CSV_AUTO('x')", "read_csv_auto"),
        ("SELECT * FROM read_json('x')", "read_json"),
        ("SELECT * FROM read_text('x')", "read_text"),
        ("SELECT * FROM glob('*')", "glob"),
        ("SELECT * FROM x, LATERAL glob('*')", "glob"),
        ("SELECT * FROM query('SELECT 1')", "query"),
        ("SELECT * FROM query_table('x')", "query_table"),
        ("SELECT * FROM parquet_metadata('x')", "parquet_metadata"),
        ("SELECT * FROM pragma_table_info('x')", "pragma_table_info"),
        ("SELECT * FROM duckdb_secrets()", "duckdb_secrets"),
        ("SELECT * FROM sqlite_scan('a', 'b')", "sqlite_scan"),
        ("SELECT getenv('HOME')", "getenv"),
        ("WITH a AS (SELECT * FROM x WHERE y IN (SELECT content FROM read_blob('z'))) SELECT * FROM a", "read_blob"),
    ],
)
def test_a_statement_reads_nothing_past_the_graph(text: str, name: str) -> None:
    error = refused(text)
    assert error.startswith("LCH-2003")
    assert error.split("\n")[0].endswith(f": `{name}`")


@pytest.mark.parametrize("text", ["CREATE TABLE a AS SELECT 1", "DESCRIBE x", "SHOW TABLES", "SUMMARIZE x", "COPY x TO 'y'", "ATTACH 'x'",
                                  "INSERT INTO x SELECT 1", "VALUES (1)", "", ";", "SET a = 1", "INSTALL httpfs", "PRAGMA version"])  # fmt: skip
def test_only_a_select_is_a_table(text: str) -> None:
    assert refused(text).startswith("LCH-2002")


def test_what_is_no_select_is_named() -> None:
    assert "\n  why: it is EXPLAIN\n" in refused("EXPLAIN SELECT 1")


def test_deep_nesting_is_refused() -> None:
    error = refused("SELECT " + "(" * 5_000 + "1" + ")" * 5_000)
    assert error.startswith("LCH-2005: the statement is nested too deeply\n  at t.sql:1:1")
    assert error.endswith("fix: split it into several tables")


@given(
    st.lists(
        st.sampled_from(
            [
                "SELECT",
                "FROM",
                "WHERE",
                "WITH",
                "AS",
                "(",
                ")",
                ",",
                "*",
                "a",
                "x",
                "1",
                "'b'",
                "'",
                '"',
                "--",
                "/*",
                "*/",
                ";",
                "\n",
                "$$",
                "JOIN",
                "ON",
                "IN",
                "[",
                "]",
                "{",
                ":",
                "=",
            ]
        ),
        max_size=14,
    )
)
def test_any_text_is_read_or_refused(words: list[str]) -> None:
    refusal = None
    try:
        parse(" ".join(words))
    except LichenError as error:
        refusal = error
    assert refusal is None or (refusal.code.startswith("LCH-200") and refusal.where is not None)
