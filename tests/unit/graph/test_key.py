from __future__ import annotations

import duckdb
import pytest
import sqlglot

from lichen.graph.key import keeps_key

KEPT = [
    "SELECT id, x FROM t",
    "SELECT id AS leg, x FROM t WHERE x > 1",
    "SELECT * FROM t",
    "FROM t",
    "SELECT *, x + 1 AS y FROM t ORDER BY x LIMIT 3",
    "SELECT DISTINCT id, x FROM t",
    "SELECT ID, row_number() OVER (PARTITION BY x) AS n FROM t QUALIFY n = 1",
    "SELECT id FROM t USING SAMPLE 3",
]
LOST = [
    "SELECT x AS id FROM t",
    "SELECT id // 2 AS id FROM t",
    "SELECT id, unnest(l) AS u FROM t",
    "SELECT id, unlist(l) AS u FROM t",
    "SELECT id, generate_subscripts(l, 1) AS u FROM t",
    "SELECT id FROM t, u",
    "SELECT t.id FROM t JOIN u ON t.x = u.x",
    "SELECT id FROM t CROSS JOIN unnest(t.l) AS m(e)",
    "SELECT id FROM t UNION ALL SELECT id FROM t",
    "WITH t AS (SELECT 1 AS id UNION ALL SELECT 1) SELECT id FROM t",
    "SELECT id FROM (SELECT id FROM t UNION ALL SELECT id FROM t)",
    "SELECT max(x) AS id FROM t GROUP BY l",
    "SELECT * REPLACE (1 AS id) FROM t",
    "SELECT COLUMNS('i.*') FROM t",
    "SELECT id FROM range(3) AS t(id)",
]


@pytest.fixture
def session() -> duckdb.DuckDBPyConnection:
    session = duckdb.connect()
    session.execute("CREATE TABLE t AS SELECT range AS id, range % 3 AS x, [1, 2] AS l FROM range(9)")
    session.execute("CREATE TABLE u AS SELECT range % 2 AS x FROM range(4)")
    return session


@pytest.mark.parametrize("select", KEPT)
def test_what_shows_each_row_once_keeps_its_key(select: str, session: duckdb.DuckDBPyConnection) -> None:
    key = "leg" if "leg" in select else "id"
    assert keeps_key(sqlglot.parse_one(select, dialect="duckdb"), [key], [["id"]])
    count, different = session.sql(f"SELECT count(*), count(DISTINCT {key}) FROM ({select})").fetchall()[0]
    assert count == different > 0


@pytest.mark.parametrize("select", LOST)
def test_what_cannot_be_told_is_counted(select: str) -> None:
    assert not keeps_key(sqlglot.parse_one(select, dialect="duckdb"), ["id"], [["id"]])


def test_a_part_of_a_key_is_no_key_and_more_than_a_key_is_one() -> None:
    tree = sqlglot.parse_one("SELECT a, b, c FROM t", dialect="duckdb")
    assert not keeps_key(tree, ["a"], [["a", "b"]])
    assert keeps_key(tree, ["a", "B", "c"], [["a", "b"]])
    assert not keeps_key(tree, ["a", "b"], [])
