from __future__ import annotations

import pytest
import sqlglot

from lichen.graph.reach import Mixed, reach

GIVEN = {"f": ["id", "ts", "x"], "p": ["id", "ts"], "g": ["id", "ts"]}


def reached(sql: str) -> dict[str, tuple[str, ...] | None]:
    return reach(sqlglot.parse_one(sql, dialect="duckdb"), "day", GIVEN)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT *, ts AS day FROM f WHERE x > 1", {"f": ('"ts"',)}),
        ("SELECT * RENAME (ts AS day) FROM f", {"f": ('"ts"',)}),
        ("SELECT f.ts::DATE AS day, p.id FROM f LEFT JOIN p USING (id)", {"f": ('CAST("ts" AS DATE)',), "p": None}),
        ("SELECT f.ts AS day FROM p RIGHT JOIN f USING (id)", {"f": ('"ts"',), "p": None}),
        ("SELECT f.ts AS day FROM f ASOF LEFT JOIN p ON p.id = f.id AND p.ts <= f.ts", {"f": ('"ts"',), "p": None}),
        ("SELECT ts AS day FROM f WHERE id IN (SELECT id FROM p)", {"f": ('"ts"',), "p": None}),
        ("SELECT ts AS day, (SELECT max(id) FROM p WHERE p.id = f.id) AS n FROM f", {"f": ('"ts"',), "p": None}),
        (
            "SELECT date_trunc('day', ts) AS day, count(*) AS n FROM f GROUP BY ALL",
            {"f": ("DATE_TRUNC('DAY', \"ts\")",)},
        ),
        ("WITH a(day) AS (SELECT ts FROM f) SELECT day FROM a", {"f": ('("ts")',)}),
        ("SELECT ts AS later, later + INTERVAL 1 DAY AS day FROM f", {"f": ("(\"ts\") + INTERVAL '1' DAY",)}),
        ("SELECT ts AS day FROM f UNION ALL SELECT ts FROM g", {"f": ('"ts"',), "g": ('"ts"',)}),
        ("SELECT ts AS day FROM f EXCEPT SELECT ts FROM f", {"f": ('"ts"',)}),
        ("SELECT DISTINCT ON (ts) ts AS day, id FROM f", {"f": ('"ts"',)}),
        ("SELECT ts AS day, sum(x) OVER (PARTITION BY id, ts) AS s FROM f", {"f": ('"ts"',)}),
        (
            "SELECT ts::DATE AS day, sum(x) OVER w AS s FROM f WINDOW w AS (PARTITION BY ts)",
            {"f": ('CAST("ts" AS DATE)',)},
        ),
        ("SELECT ts AS day FROM f QUALIFY row_number() OVER (PARTITION BY ts ORDER BY id) = 1", {"f": ('"ts"',)}),
        (
            "SELECT ts::DATE AS day FROM f QUALIFY row_number() OVER (PARTITION BY day ORDER BY id) = 1",
            {"f": ('CAST("ts" AS DATE)',)},
        ),
        (
            "SELECT f.ts AS day FROM f JOIN p ON p.id = f.id QUALIFY row_number() OVER (PARTITION BY x, day) = 1",
            {"f": ('"ts"',), "p": None},
        ),
        ("SELECT DISTINCT ON (day) ts::DATE AS day, id FROM f", {"f": ('CAST("ts" AS DATE)',)}),
        ("SELECT DISTINCT ON (f.ts) f.ts AS day, id AS ts FROM f", {"f": ('"ts"',)}),
        ("SELECT l.day FROM p, (SELECT f.ts AS day FROM f WHERE f.id = p.id) AS l", {"f": ('("ts")',), "p": None}),
        ("SELECT ts AS day FROM f SEMI JOIN p USING (id)", {"f": ('"ts"',), "p": None}),
        ("SELECT ts AS day FROM f, unnest(f.x) AS u(v)", {"f": ('"ts"',)}),
        (
            """WITH a AS (SELECT id, ts - INTERVAL 1 HOUR AS t FROM f) SELECT t::DATE AS day, count(*) AS n
            FROM a JOIN (SELECT id FROM p LIMIT 3) AS q ON q.id = a.id GROUP BY ALL""",
            {"f": ("CAST((\"ts\" - INTERVAL '1' HOUR) AS DATE)",), "p": None},
        ),
    ],
)
def test_which_interval_a_row_reaches(sql: str, expected: dict[str, tuple[str, ...] | None]) -> None:
    assert reached(sql) == expected


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT ts AS day FROM f LIMIT 3", "LIMIT chooses rows"),
        ("SELECT ts AS day FROM f OFFSET 3", "OFFSET chooses rows"),
        ("SELECT max(ts) AS day FROM f GROUP BY id", "not computed of one row"),
        ("SELECT ts AS day FROM f GROUP BY ROLLUP (ts)", "ROLLUP"),
        ("SELECT ts AS day FROM f GROUP BY GROUPING SETS ((ts), ())", "ROLLUP"),
        (
            "SELECT ts AS day, row_number() OVER (ORDER BY ts) AS n FROM f",
            "a window compares rows of several intervals",
        ),
        ("SELECT ts AS day, sum(x) OVER (PARTITION BY ts::DATE) AS n FROM f", "it does not go by `f.ts`"),
        ("SELECT DISTINCT ON (id) ts AS day FROM f", "DISTINCT ON compares rows"),
        ("SELECT p.ts AS day FROM f LEFT JOIN p USING (id)", "put `p` first"),
        ("SELECT f.ts AS day FROM f FULL JOIN p USING (id)", "put `f` first"),
        ("SELECT coalesce(f.ts, p.ts) AS day FROM f JOIN p USING (id)", "it comes from `f` and `p`"),
        ("SELECT a.ts AS day FROM f AS a, f AS b", "read more than once"),
        ("SELECT ts AS day FROM f WHERE id IN (SELECT id FROM f)", "read more than once"),
        ("WITH RECURSIVE r AS (SELECT ts FROM f) SELECT ts AS day FROM r", "WITH RECURSIVE"),
        ("WITH f AS (SELECT * FROM g) SELECT ts AS day FROM f", "a relation's too"),
        ("SELECT t.ts AS day FROM f AS t(ts, id)", "columns that are named in FROM"),
        ("SELECT ts AS day FROM f POSITIONAL JOIN p", "positional"),
        ("SELECT ts AS day FROM (f JOIN p USING (id))", "SELECT"),
        ("SELECT TIMESTAMP '2020-01-01' AS day FROM f", "the same for all rows"),
        ("SELECT unnest([ts]) AS day FROM f", "not computed of one row"),
        ("SELECT u.v AS day FROM f, unnest(f.x) AS u(v)", "columns that are named in FROM"),
        (
            "SELECT p.ts AS day FROM f ASOF JOIN p ON p.id = f.id AND p.ts <= f.ts",
            "an ASOF join chooses among the rows of",
        ),
        ("SELECT l.day FROM f, (SELECT g.ts AS ts, f.ts AS day FROM g) AS l", "made of `f`, which a query around"),
        ("SELECT l.day FROM f, LATERAL (SELECT g.ts AS ts, f.ts::DATE AS day FROM g) AS l", "a list of values"),
        ("SELECT #2 AS day, ts FROM f", "not computed of one row"),
        ("SELECT DISTINCT ON (ts) f.ts AS day, id AS ts FROM f", "it does not go by `f.ts`"),
        (
            "SELECT x AS ts, f.ts AS day FROM f JOIN p USING (id) QUALIFY row_number() OVER (PARTITION BY ts) = 1",
            "it does not go by `f.ts`",
        ),
        (
            "SELECT ts::DATE AS id, id AS day FROM f QUALIFY row_number() OVER (PARTITION BY ts::DATE) = 1",
            "it does not go by `f.id`",
        ),
    ],
)
def test_what_mixes_intervals_is_told(sql: str, why: str) -> None:
    with pytest.raises(Mixed) as mixed:
        reached(sql)
    assert why in mixed.value.why
