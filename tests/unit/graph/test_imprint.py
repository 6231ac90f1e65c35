from __future__ import annotations

from itertools import product

import duckdb
import pytest

from lichen.graph.imprint import Imprint, imprint

INPUTS = {"t": ["a", "b", "k"], "u": ["k", "c"]}
BASE = """
WITH p AS (SELECT a AS x, b AS y, k FROM t WHERE a > 0),
     q AS (SELECT p.*, u.c FROM p LEFT JOIN u ON u.k = p.k)
SELECT x, x + y AS z, c, k FROM q
"""


def changed(old: str, new: str) -> list[str]:
    """The output columns that differ, and `*` where the rows do."""
    before, after = (imprint(text, INPUTS) for text in (old, new))
    assert before.columns is not None
    assert after.columns is not None
    pairs = zip(before.columns, after.columns, strict=True)
    rows = ["*"] if before.rows != after.rows else []
    return [str(name) for (_, one), (name, other) in pairs if one != other] + rows


@pytest.mark.parametrize(
    ("old", "new", "columns"),
    [
        ("a AS x", "a AS x", []),
        ("x + y AS z", "x - y AS z", ["z"]),
        ("b AS y", "b + 1 AS y", ["z"]),
        ("a AS x, b AS y", "b AS x, a AS y", ["x", "z"]),
        ("LEFT JOIN", "JOIN", ["*"]),
        ("a > 0", "a > 1", ["*"]),
        ("u.c FROM", "u.c * 2 AS c FROM", ["c"]),
        ("FROM q", "FROM q ORDER BY z LIMIT 3", ["*"]),
        ("SELECT x,", "SELECT DISTINCT x,", ["*"]),
        ("u ON u.k = p.k", "u AS w ON w.k = p.k", None),
        ("FROM q", "FROM q AS r", []),
        ("u ON u.k = p.k", "u USING (k)", ["*"]),
    ],
)
def test_a_change_marks_what_depends_on_it(old: str, new: str, columns: list[str] | None) -> None:
    text = BASE.replace(old, new) if columns is not None else BASE.replace(old, new).replace("u.c", "w.c")
    assert changed(BASE, text) == (columns or [])


@pytest.mark.parametrize(
    ("old", "new", "columns"),
    [
        ("SELECT a, count(*) AS n FROM t GROUP BY a", "SELECT a, count(*) AS n FROM t GROUP BY 1", ["*"]),
        ("SELECT a, sum(b) AS s FROM t GROUP BY ALL", "SELECT a, sum(k) AS s FROM t GROUP BY ALL", ["s"]),
        ("SELECT a, sum(b) AS s FROM t GROUP BY ALL", "SELECT a + 1 AS a, sum(b) AS s FROM t GROUP BY ALL", ["a", "*"]),
        ("SELECT a AS d FROM t ORDER BY 1", "SELECT b AS d FROM t ORDER BY 1", ["d", "*"]),
        ("SELECT a FROM t UNION ALL SELECT b FROM t", "SELECT a FROM t UNION ALL SELECT k FROM t", ["a"]),
        ("SELECT a FROM t UNION ALL SELECT b FROM t", "SELECT a FROM t UNION SELECT b FROM t", ["a", "*"]),
        ("SELECT a FROM t EXCEPT SELECT b FROM t", "SELECT a FROM t EXCEPT SELECT k FROM t", ["a", "*"]),
        (
            "SELECT a, (SELECT max(c) FROM u) AS m FROM t",
            "SELECT a, (SELECT max(c) FROM u WHERE k > 1) AS m FROM t",
            ["m"],
        ),
        (
            "SELECT a FROM t WHERE k IN (SELECT k FROM u)",
            "SELECT a FROM t WHERE k IN (SELECT c FROM u)",
            ["*"],
        ),
        (
            "SELECT sum(a) OVER w AS s, b FROM t WINDOW w AS (PARTITION BY k)",
            "SELECT sum(a) OVER w AS s, b FROM t WINDOW w AS (PARTITION BY b)",
            ["s"],
        ),
        ("SELECT a, unnest([b]) AS v FROM t", "SELECT a, unnest([k]) AS v FROM t", ["v", "*"]),
        ("SELECT * EXCLUDE (b) FROM t", "SELECT * EXCLUDE (a) FROM t", ["b", "k"][:1]),
        ("SELECT * REPLACE (a + 1 AS a) FROM t", "SELECT * REPLACE (a + 2 AS a) FROM t", ["a"]),
        ("SELECT d.v FROM (VALUES (1), (2)) AS d(v)", "SELECT d.v FROM (VALUES (1), (3)) AS d(v)", ["v"]),
        ("SELECT d.v FROM (VALUES (1), (2)) AS d(v)", "SELECT d.v FROM (VALUES (1)) AS d(v)", ["v", "*"]),
        ("SELECT a, a + 1 AS n, n * 2 AS m FROM t", "SELECT a, a + 2 AS n, n * 2 AS m FROM t", ["n", "m"]),
        ("SELECT count(*) AS n FROM t", "SELECT count(*) AS n FROM u", ["*"]),
        ("SELECT date_part('day', a) AS d FROM t", "SELECT date_part('hour', a) AS d FROM t", ["d"]),
    ],
)
def test_statements_of_many_kinds(old: str, new: str, columns: list[str]) -> None:
    assert changed(old, old) == []
    assert changed(old, new) == columns


@pytest.mark.parametrize(
    "text",
    [
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r",
        "SELECT * FROM t PIVOT (sum(a) FOR k IN (1, 2))",
        "SELECT COLUMNS('a|b') FROM t",
        "FROM unknown",
    ],
)
def test_what_cannot_be_told_apart_is_one_whole(text: str) -> None:
    made = imprint(text, INPUTS)
    assert made == imprint(text, INPUTS)
    assert made.columns is None
    assert made.rows != imprint(text.replace("1", "3").replace("b", "k").replace("unknown", "other"), INPUTS).rows


def test_what_is_no_statement_is_its_text() -> None:
    assert imprint("SELECT FROM WHERE", {}).columns is None
    assert imprint("(" * 5000, {}).columns is None


def test_the_columns_go_by_the_names_that_the_engine_tells() -> None:
    made = imprint("SELECT a, count(*) FROM t GROUP BY a", INPUTS)
    assert set(made.named(["a", "count_star()"]) or ()) == {"a", "count_star()"}
    assert made.named(["b", "count_star()"]) is None
    assert made.named(["a"]) is None
    assert Imprint(None, "").named([]) is None


def test_the_parts_are_told_as_they_are_written() -> None:
    made = imprint(BASE, INPUTS)
    assert [(str(part), part.place) for part in made.parts if part.scope != "q"] == [
        ("FROM of `p`", (2, 42)),
        ("WHERE of `p`", (2, 50)),
        ("p.x", (2, 19)),
        ("p.y", (2, 27)),
        ("p.k", (2, 35)),
        ("FROM", (4, 33)),
        ("x", (4, 8)),
        ("z", (4, 11)),
        ("c", (4, 23)),
        ("k", (4, 26)),
    ]


TWICE = [
    "SELECT {0} AS v, {1} AS w FROM t AS x JOIN t AS y ON x.k = y.k",
    "SELECT x.a AS v FROM t AS x LEFT JOIN t AS y ON {0} = {1}",
    "SELECT {0} AS v FROM t AS x, t AS y WHERE {1} > 1",
    "SELECT sum({0}) AS v FROM t AS x, t AS y GROUP BY {1}",
    "SELECT coalesce({0}, {1}) AS v FROM t AS x FULL JOIN t AS y ON x.k = y.a",
    "SELECT (SELECT max(y.k * 10 + {0}) FROM t AS y WHERE y.a >= {1}) AS v FROM t AS x",
    "SELECT {0} AS v FROM (SELECT * FROM t WHERE b > 1) AS x, t AS y WHERE {1} < 3",
    "SELECT {0} AS v, {1} AS w FROM (SELECT p.* FROM t, t AS p) AS x, t AS y",
    "SELECT {0} AS v FROM t AS x CROSS JOIN t AS y ANTI JOIN u ON u.c = {1}",
    "WITH q AS (SELECT {0} AS v FROM t AS x, t AS y) SELECT q.v, {1} AS w FROM q, t AS x, t AS y",
    "SELECT {0} AS v FROM t AS y, t AS x WHERE {1} = 2",
    "SELECT z.v FROM t AS x JOIN t AS y ON x.k > y.k, unnest([{0}, {1}]) AS z(v)",
    "SELECT z.v FROM t AS x, t AS y, (SELECT {0} AS v FROM u WHERE u.c < {1}) AS z",
]
COLUMNS = ("x.a", "x.b", "y.a", "y.b")


@pytest.mark.parametrize("known", [INPUTS, {}], ids=["known", "unknown"])
def test_of_a_relation_that_is_read_twice_the_same_hashes_mean_the_same_values(known) -> None:
    engine = duckdb.connect()
    engine.sql("CREATE TABLE t AS FROM (VALUES (1, 2, 1), (2, 3, 1), (3, 1, 2), (1, 3, 2)) AS v(a, b, k)")
    engine.sql("CREATE TABLE u AS FROM (VALUES (1, 3), (2, 1)) AS v(k, c)")
    columns: dict[tuple[str, str], list[object]] = {}
    for text in (shape.format(*chosen) for shape in TWICE for chosen in product(COLUMNS, repeat=2)):
        made, rows = imprint(text, known), engine.sql(text).fetchall()
        assert made.columns is not None
        assert columns.setdefault((made.rows, ""), [len(rows)]) == [len(rows)], text
        for place, (_, own) in enumerate(made.columns):
            values = sorted(str(row[place]) for row in rows)
            assert columns.setdefault((made.rows, own), values) == values, text


@pytest.mark.parametrize(
    ("old", "new", "columns"),
    [
        ("SELECT x.a, y.b FROM t AS x, t AS y", "SELECT x.a, y.b FROM t AS x LEFT JOIN t AS y USING (k)", ["*"]),
        ("SELECT x.a, y.b FROM t AS x, t AS y", "SELECT q.a, r.b FROM t AS q, t AS r", []),
        ("SELECT x.a, y.b FROM t AS x, t AS y", "SELECT x.a, y.b FROM t AS x, u, t AS y", ["*"]),
        ("SELECT x.a, y.b FROM t AS x, t AS y", "SELECT y.a, x.b FROM t AS x, t AS y", ["a", "b"]),
        ("SELECT s.i AS v FROM (SELECT {'i': a, 'j': b} AS s FROM t)",
         "SELECT s.j AS v FROM (SELECT {'i': a, 'j': b} AS s FROM t)", ["v"]),
        ("SELECT b AS a, k FROM t ORDER BY a LIMIT 1", "SELECT a AS b, k FROM t ORDER BY b LIMIT 1", ["b", "*"]),
        ("SELECT k FROM (SELECT a, 1 AS k FROM t)", "SELECT k FROM (SELECT sum(a) AS a, 1 AS k FROM t)", ["*"]),
        ("SELECT (SELECT max(u.c) FROM u) AS m FROM t", "SELECT (SELECT max(t.k) FROM u) AS m FROM t", ["m", "*"]),
        ("SELECT count(*) AS n FROM t AS x, t AS y, unnest([x.a]) AS z",
         "SELECT count(*) AS n FROM t AS y, t AS x, unnest([x.a]) AS z", ["*"]),
    ],
)  # fmt: skip
def test_what_a_name_means_is_told_apart(old: str, new: str, columns: list[str]) -> None:
    assert changed(old, new) == columns
