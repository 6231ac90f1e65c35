# ruff: noqa: E501 (texts in a table are read line by line, and never broken)

from __future__ import annotations

import contextlib

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from lichen.errors import Where
from lichen.graph.expression import is_aggregate
from lichen.graph.origin import How, Origin
from lichen.graph.statement import parse_statement
from lichen.graph.statement_lineage import StatementLineage, statement_lineage

INPUTS = {"t": ["a", "b", "c", "g"], "u": ["k", "x", "G"]}


def lineage(text: str, described: list[str] | None = None) -> StatementLineage:
    return statement_lineage(
        parse_statement(text, lambda line, column: Where("t.sql", line, column)), INPUTS, described
    )


def told(text: str) -> dict[str, dict[str, str]]:
    """Each column's own origins, and under `*` the rows': `t.a: value computed`."""
    made = lineage(text)
    parts = {**{column.name: column.origins for column in made.columns}, "*": made.rows}
    return {
        name: {str(origin): " ".join(how.words) for origin, how in sorted(origins.items()) if origin.column != "*"}
        for name, origins in parts.items()
    }


HOWS = [
    ("SELECT a, b + 1 AS e FROM t", {"a": {"t.a": "value"}, "e": {"t.b": "value computed"}, "*": {}}),
    ("SELECT a AS x FROM t WHERE b > 0", {"x": {"t.a": "value"}, "*": {"t.b": "filter"}}),
    ("SELECT count(*) AS n FROM t WHERE b > 0", {"n": {}, "*": {"t.b": "filter"}}),
    ("SELECT g, sum(a) AS s FROM t GROUP BY g", {"g": {"t.g": "value"}, "s": {"t.a": "value computed aggregated"}, "*": {"t.g": "group"}}),
    ("SELECT sum(a) FILTER (WHERE b > 0) AS s FROM t", {"s": {"t.a": "value computed aggregated", "t.b": "filter"}, "*": {}}),
    ("SELECT lag(a) OVER (PARTITION BY g ORDER BY b) AS p FROM t", {"p": {"t.a": "value computed windowed", "t.b": "window", "t.g": "window"}, "*": {"t.b": "order", "t.g": "order"}}),
    ("SELECT a FROM t ORDER BY b", {"a": {"t.a": "value"}, "*": {"t.b": "order"}}),
    ("SELECT a FROM t ORDER BY b LIMIT 2", {"a": {"t.a": "value"}, "*": {"t.b": "order limit"}}),
    ("SELECT a FROM (SELECT a FROM t ORDER BY b) LIMIT 2", {"a": {"t.a": "value"}, "*": {"t.b": "order limit"}}),
    ("SELECT DISTINCT a FROM t", {"a": {"t.a": "value"}, "*": {"t.a": "distinct"}}),
    ("SELECT a, x FROM t JOIN u ON t.b = u.k", {"a": {"t.a": "value"}, "x": {"u.x": "value"}, "*": {"t.b": "join", "u.k": "join"}}),
    ("SELECT g FROM t FULL JOIN u USING (g)", {"g": {"t.g": "value join", "u.g": "value join"}, "*": {"t.g": "join", "u.g": "join"}}),
    ("SELECT a, x FROM t LEFT JOIN u ON t.b = u.k AND t.c > 0", {"a": {"t.a": "value"}, "x": {"t.b": "join", "t.c": "join", "u.k": "join", "u.x": "value"}, "*": {"t.b": "join", "t.c": "join", "u.k": "join"}}),
    ("SELECT a, x FROM t RIGHT JOIN u ON t.b = u.k", {"a": {"t.a": "value", "t.b": "join", "u.k": "join"}, "x": {"u.x": "value"}, "*": {"t.b": "join", "u.k": "join"}}),
    ("SELECT a, d.k FROM t LEFT JOIN (SELECT k FROM u WHERE x > 0) AS d ON true", {"a": {"t.a": "value"}, "k": {"u.k": "value", "u.x": "filter join"}, "*": {"u.x": "filter"}}),
    ("SELECT CASE WHEN a > 0 THEN b END AS e FROM t", {"e": {"t.a": "value computed", "t.b": "value computed"}, "*": {}}),
    ("SELECT a, (SELECT max(x) FROM u WHERE u.k = t.b) AS m FROM t", {"a": {"t.a": "value"}, "m": {"t.b": "filter", "u.k": "filter", "u.x": "value computed aggregated"}, "*": {}}),
    ("SELECT EXISTS (SELECT x FROM u WHERE k = a) AS e FROM t", {"e": {"t.a": "filter", "u.k": "filter"}, "*": {}}),
    ("SELECT a FROM t UNION ALL BY NAME SELECT k AS a, x FROM u", {"a": {"t.a": "value", "u.k": "value"}, "x": {"u.x": "value"}, "*": {}}),
    ("WITH q AS (SELECT sum(a) AS s FROM t) SELECT g FROM t, q WHERE b > s", {"g": {"t.g": "value"}, "*": {"t.a": "aggregated filter", "t.b": "filter"}}),
    ("WITH RECURSIVE r(n, p) AS (SELECT a, b FROM t UNION ALL SELECT p, x FROM r JOIN u ON k = n) SELECT n FROM r", {"n": {"t.a": "value", "t.b": "value", "u.x": "value"}, "*": {"t.a": "join", "t.b": "join", "u.k": "join", "u.x": "join"}}),
    ("SELECT a + b AS x, x * 2 AS y FROM t", {"x": {"t.a": "value computed", "t.b": "value computed"}, "y": {"t.a": "value computed", "t.b": "value computed"}, "*": {}}),
    ("SELECT first(a ORDER BY b) AS f FROM t", {"f": {"t.a": "value computed aggregated", "t.b": "aggregated order"}, "*": {}}),
    ("SELECT product(a) AS p FROM t", {"p": {"t.a": "value computed aggregated"}, "*": {}}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), HOWS, ids=[text for text, _ in HOWS])
def test_each_column_says_how_it_reaches_what_is_made_of_it(text: str, expected: dict[str, dict[str, str]]) -> None:
    assert told(text) == expected


def test_the_rows_of_an_input_are_an_origin_of_their_own() -> None:
    made = lineage("SELECT count(*) AS n FROM t")
    assert made.rows == {Origin("t", "*"): How.COUNT}
    assert made.origins("N") == made.rows


def test_a_column_s_place_is_where_its_expression_stands() -> None:
    made = lineage("SELECT a,\n  b + 1 AS e,\n  count(*) OVER () AS n,\n  t.* EXCLUDE (a)\nFROM t")
    assert [(one.name, one.place) for one in made.columns] == [
        ("a", (1, 8)), ("e", (2, 3)), ("n", (3, 3)), ("b", (4, 5)), ("c", (4, 5)), ("g", (4, 5)),
    ]  # fmt: skip


OPAQUE = [
    "SELECT COLUMNS(lambda x: x = 'a') FROM t",
    "SELECT * LIKE 'a%' FROM t",
    "SELECT a FROM t JOIN nowhere USING (zzz)",
    "SELECT zzz FROM t",
    "SELECT * FROM t PIVOT (sum(a) FOR g IN (SELECT g FROM u))",
    "SELECT a FROM t UNION ALL SELECT k, x FROM u",
    "WITH q AS (SELECT zzz FROM t) SELECT max(m) AS m FROM q",
]


@pytest.mark.parametrize("text", OPAQUE)
def test_what_cannot_be_read_lets_all_inputs_reach_all_outputs(text: str) -> None:
    made = lineage(text, ["m"])
    assert made.opaque
    reached = made.origins("m")
    wanted = {Origin("t", column) for column in (*INPUTS["t"], "*")}
    assert wanted <= set(reached)
    assert all(reached[origin].kind == "value" and reached[origin].mixes_rows for origin in wanted)


def test_a_part_that_cannot_be_read_leaves_the_rest_clear() -> None:
    made = lineage("SELECT a, (SELECT zzz FROM u) AS z FROM t")
    assert made.opaque
    assert made.columns[0].origins == {Origin("t", "a"): How.VALUE}
    assert {origin.relation for origin in made.columns[1].origins} == {"t", "u"}


def test_columns_that_the_engine_names_otherwise_make_it_opaque() -> None:
    assert not lineage("SELECT a, b + 1 FROM t", ["a", "(b + 1)"]).opaque
    assert lineage("SELECT a FROM t", ["b"]).opaque
    assert lineage("SELECT a FROM t", ["a", "b"]).opaque


def test_an_input_whose_columns_are_not_known_is_read_by_name() -> None:
    statement = parse_statement("SELECT p.a, q.b AS e FROM p JOIN q ON p.k = q.k", lambda line, column: Where("x"))
    made = statement_lineage(statement, {"p": None})
    assert [set(map(str, column.origins)) for column in made.columns] == [{"p.a"}, {"q.b"}]
    assert statement_lineage(parse_statement("SELECT * FROM p", lambda line, column: Where("x")), {}).opaque


def test_a_long_chain_of_operators_or_unions_is_read() -> None:
    assert told("SELECT " + " + ".join(["a"] * 300) + " AS s FROM t")["s"] == {"t.a": "value computed"}
    made = lineage(" UNION ALL ".join(["SELECT a FROM t"] * 200))
    assert not made.opaque


def test_a_lineage_is_read_from_what_was_written_of_it() -> None:
    made = lineage("SELECT a, sum(b) OVER (ORDER BY c) AS s, COLUMNS(lambda x: x = 'a') FROM t", ["a", "s", "z"])
    assert StatementLineage.from_dict(made.as_dict()) == made


def over_group(node: exp.Expr) -> bool:
    return is_aggregate(node, over_group=True)


def test_every_aggregate_of_duckdb_is_known_to_sum_up_rows() -> None:
    with duckdb.connect() as connection:
        names = connection.sql(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'"
        )
        told = [name for (name,) in names.fetchall() if name.isidentifier()]
    unknown = []
    for name in told:
        for arguments in ("a", "a, b", "a, b, c"):
            with contextlib.suppress(sqlglot.errors.ParseError):
                call = sqlglot.parse_one(f"SELECT {name}({arguments}) FROM t", dialect="duckdb").expressions[0]
                unknown += [] if any(map(is_aggregate, call.walk())) else [name]
                over = sqlglot.parse_one(f"SELECT {name}({arguments}) OVER () FROM t", dialect="duckdb").expressions[0]
                unknown += [] if any(map(over_group, call.walk())) else [f"{name} over a group"]
                unknown += [f"{name} over a window"] if any(map(over_group, over.walk())) else []
    assert set(unknown) == set()
