from __future__ import annotations

import json
import re

import pytest
from arro3.core import Table

from lichen.errors import FoundWrong, LichenError, WrongUsage
from lichen.ports import Relation
from lichen.run.reading import query

ASIDE = "SELECT 'f.csv' AS file, 3::BIGINT AS row, 'n' AS \"column\", 'bad' AS reason, '{\"n\":9}' AS raw"


@pytest.fixture
def ask(world):
    def run(text, environment="prod"):
        table = Table.from_arrow(query(text, world.releases, environment, world.workshop))
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    return run


@pytest.fixture
def released(world):
    world.put("source.events", "SELECT unnest([1, 2, 3]) AS n", aside=ASIDE)
    world.put("table.totals", "SELECT 6 AS total", aside=ASIDE.replace("3::", "8::"))
    world.put("table.clean", "SELECT 1 AS one")
    world.release()
    return world


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("SELECT n FROM events ORDER BY n DESC", [(3,), (2,), (1,)]),
        ("FROM Events WHERE n > 2 -- the last", [(3,)]),
        ("WITH events AS (SELECT 7 AS n) SELECT * FROM events", [(7,)]),
        ("SELECT (SELECT max(n) FROM events) + total AS x FROM totals;", [(9,)]),
        ("SELECT 1 AS x", [(1,)]),
        ("SELECT asset, row FROM quarantine ORDER BY row DESC", [("table.totals", 8), ("source.events", 3)]),
        (
            "SELECT count(*) AS n FROM quarantine AS a JOIN quarantine AS b USING (row) JOIN events ON true -- all",
            [(6,)],
        ),
        ("WITH q AS (FROM quarantine) SELECT asset, raw FROM q WHERE row = 3", [("source.events", '{"n":9}')]),
        ("WITH quarantine AS (SELECT 1 AS x) SELECT x FROM quarantine", [(1,)]),
        ("SELECT n FROM events LIMIT 0", []),
    ],
)
def test_a_select_reads_the_release(released, ask, text, rows):
    assert ask(text) == rows


def test_a_query_sees_one_release_whatever_is_released_meanwhile(released, ask):
    answer = query("SELECT e.n, t.total FROM events AS e, totals AS t", released.releases, "prod", released.workshop)
    released.put("source.events", "SELECT 100 AS n")
    released.put("table.totals", "SELECT 100 AS total")
    released.release()
    table = Table.from_arrow(answer)
    assert set(table.column("total").to_pylist()) == {6}
    assert set(table.column("n").to_pylist()) == {1, 2, 3}
    assert ask("SELECT n, total FROM events, totals") == [(100, 100)]


def test_a_table_of_ones_own_named_quarantine_is_what_one_reads(world, ask):
    world.put("table.quarantine", "SELECT 5 AS mine", aside=ASIDE)
    world.release()
    assert ask("SELECT mine FROM quarantine") == [(5,)]


def test_a_quarantine_of_nothing_is_empty(world, ask):
    world.put("table.t", "SELECT 1 AS n")
    world.release()
    assert ask("SELECT * FROM quarantine") == []


def _refused(ask, text, kind=FoundWrong):
    with pytest.raises(kind) as caught:
        ask(text)
    return str(caught.value)


def test_a_table_that_is_not_there_is_refused_with_near_names(released, ask):
    assert _refused(ask, "SELECT * FROM total") == (
        "LCH-2101: the release has no table `total`\n  at query:1:15\n    SELECT * FROM total\n                  ^\n"
        "  fix: did you mean `totals`? `lichen query` alone lists all"
    )
    assert _refused(ask, "FROM zzz").endswith("  fix: it is one of: clean, events, quarantine, totals")


LISTED = [
    ("events", "source", 3, "n"),
    ("totals", "table", 1, "total"),
    ("clean", "table", 1, "one"),
    ("quarantine", "set aside", 2, "asset, file, row, column, reason, raw"),
]


@pytest.mark.parametrize("text", [None, "SHOW TABLES", "show all tables;", "DESCRIBE"])
def test_all_that_can_be_read_is_listed(released, ask, text):
    assert ask(text) == LISTED


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("DESCRIBE events", [("n", "INTEGER")]),
        (' desc table\n "Events" ;', [("n", "INTEGER")]),
        ("SHOW totals", [("total", "INTEGER")]),
        ("DESCRIBE SELECT n, 'x' AS t FROM events", [("n", "INTEGER"), ("t", "VARCHAR")]),
        ("DESCRIBE quarantine", [("asset", "VARCHAR"), ("file", "VARCHAR"), ("row", "BIGINT"), ("column", "VARCHAR"),
                                 ("reason", "VARCHAR"), ("raw", "VARCHAR")]),
    ],
)  # fmt: skip
def test_a_relation_or_a_select_is_described(released, ask, text, rows):
    assert ask(text) == rows


def test_a_relation_or_a_select_is_summed_up(released, ask):
    for text in ("SUMMARIZE events", "summarize\nSELECT n FROM events"):
        ((name, kind, low, high, *_, count, _),) = ask(text)
        assert (name, kind, low, high, count) == ("n", "INTEGER", "1", "3", 3)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("DESCRIBE evens", "  at query:1:10\n    DESCRIBE evens\n             ^\n"),
        ("SUMMARIZE\n  evens", "  at query:2:3\n      evens\n      ^\n"),
        ("DESC SELECT 1 FROM evens", "  at query:1:20\n    DESC SELECT 1 FROM evens\n                       ^\n"),
    ],
)
def test_what_is_described_is_refused_where_the_user_wrote_it(released, ask, text, shown):
    assert _refused(ask, text) == (
        f"LCH-2101: the release has no table `evens`\n{shown}"
        "  fix: did you mean `events`? `lichen query` alone lists all"
    )


@pytest.mark.parametrize(
    ("text", "why"), [("CREATE TABLE t (a INT)", "it is CREATE"), ("SUMMARIZE", "there is no statement")]
)
def test_what_is_no_question_is_refused(released, ask, text, why):
    shown = _refused(ask, text)
    assert shown.startswith(
        "LCH-2008: a query is one SELECT, or SHOW TABLES, DESCRIBE or SUMMARIZE of a table or a SELECT\n  at query:1:1"
    )
    assert shown.endswith(f"  why: {why}\n  fix: ask with one of them; what a table holds is changed by its own file")


def test_without_a_release_there_is_nothing_to_read(world, ask):
    assert _refused(ask, "SELECT 1", WrongUsage) == (
        "LCH-1018: `prod` has no release yet\n  fix: build one: lichen run --env prod"
    )


@pytest.mark.parametrize("relation", ["events", "quarantine"])
def test_an_error_stands_under_the_word(released, ask, relation):
    shown = _refused(ask, f"SELECT\n  nn\nFROM {relation}")
    assert shown.startswith("LCH-2301: the SQL is wrong\n")
    assert 'Referenced column "nn" not found' in shown
    # The engine places it where it can; the line that a query on the quarantine has in front does not count.
    assert "  at SQL:2:3\n      nn\n      ^\n" in shown or "\n  at " not in shown


ATTACKS = [
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_csv_auto('{secret}')",
    "FROM '{secret}'",
    'SELECT * FROM "{secret}"',
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_json('{json}')",
    "SELECT * FROM read_json_objects('{json}')",
    "SELECT * FROM read_ndjson('{json}')",
    "SELECT * FROM read_parquet('{parquet}')",
    "SELECT * FROM parquet_scan('{parquet}')",
    "FROM '{parquet}'",
    "SELECT * FROM parquet_metadata('{parquet}')",
    "SELECT * FROM parquet_schema('{parquet}')",
    "SELECT * FROM parquet_kv_metadata('{parquet}')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT getenv('HOME')",
    "DESCRIBE '{secret}'",
    'SUMMARIZE "{secret}"',
    "DESCRIBE SELECT * FROM read_csv('{secret}')",
    "SUMMARIZE SELECT 1) TO '{out}' --",
    "SHOW DATABASES",
    "COPY events TO '{out}'",
    "COPY (SELECT 1) TO '{out}' (FORMAT csv)",
    "COPY events FROM '{secret}'",
    "EXPORT DATABASE '{out}'",
    "IMPORT DATABASE '{folder}'",
    "ATTACH '{out}' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "RESET ALL",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "SELECT * FROM 'https://example.com/x.csv'",
    "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "WITH x AS (SELECT * FROM read_text('{secret}')) SELECT * FROM x",
    "WITH RECURSIVE x AS (FROM read_blob('{secret}') UNION ALL FROM x) SELECT * FROM x",
    "SELECT (SELECT content FROM read_text('{secret}')) AS x FROM events",
    "SELECT n FROM events WHERE n IN (SELECT length(content) FROM read_text('{secret}'))",
    "SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')",
    "SELECT * FROM query_table('{secret}')",
    "SELECT 1; COPY (SELECT 1) TO '{out}'",
    "CREATE TABLE x AS SELECT 1",
    "INSERT INTO events VALUES (9)",
    "DELETE FROM events",
    "DROP VIEW events",
    "SELECT 1) TO '{out}' (FORMAT csv); --",
    "SELECT 1\n) TO '{out}'; SELECT (1",
    "SELECT * FROM sqlite_scan('{out}', 't')",
    "SELECT * FROM read_duckdb('{out}')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_text(''{secret}'')'))",
    "SELECT * FROM quarantine, read_text('{secret}')",
    "SELECT 1 FROM quarantine) TO '{out}' (FORMAT csv); --",
    "SELECT * FROM events, LATERAL (SELECT * FROM read_text('{secret}')) AS y",
    "EXPLAIN ANALYZE SELECT * FROM read_text('{secret}')",
    "SELECT * FROM enable_logging(storage_path := '{out}')",
    "(FROM events UNION ALL (SELECT length(content) FROM read_text('{secret}')))",
    "VALUES ((SELECT content FROM read_text('{secret}')))",
    'SELECT * FROM main."{secret}"',
    "PIVOT read_csv('{secret}') ON a",
    "SELECT * FROM READ_TEXT/**/('{secret}')",
    "SELECT * FROM \"read_text\"('{secret}')",
    "SELECT load_extension('{out}')",
    "SELECT * FROM system.main.read_text('{secret}')",
]


@pytest.mark.parametrize("doors", ["whole", "engine"])
def test_no_statement_reaches_a_file(released, tmp_path, doors):
    """Each attack is refused by `query`; and the engine alone, without the tree being read first, gives nothing."""
    secret, parquet, out = tmp_path / "secret.csv", tmp_path / "secret.parquet", tmp_path / "out"
    secret.write_text("a,b\ncanary,1\n")
    (tmp_path / "secret.json").write_text(json.dumps({"a": "canary"}) + "\n")
    staging = tmp_path / "staging"
    staging.mkdir()
    (file,) = released.workshop.engine.sql("SELECT 'canary' AS a", {}, staging)
    (staging / file.path).rename(parquet)
    places = {"secret": secret, "json": tmp_path / "secret.json", "parquet": parquet, "out": out, "folder": tmp_path}
    events = {"events": released.workshop.relation(released.versions["source.events"])}
    refused, succeeded = 0, []
    for written_attack in ATTACKS:
        attack = re.sub(r"\{(\w+)\}", lambda found: str(places[found[1]]), written_attack)
        try:
            if doors == "whole":
                answer = query(attack, released.releases, "prod", released.workshop)
            else:
                into = released.workshop.tables.staging("t")
                written = tuple(str(into / file.path) for file in released.workshop.engine.sql(attack, events, into))
                names = released.workshop.engine.describe(attack, events)
                answer = released.workshop.engine.query("FROM r", {"r": Relation(names, written)})
            rows = [column.to_pylist() for column in Table.from_arrow(answer).columns]
        except LichenError:
            refused += 1
        else:
            if doors == "whole" or "canary" in str(rows):
                succeeded.append((attack, rows))
        assert not out.exists()
    print(f"{doors}: {refused} of {len(ATTACKS)} attacks refused")
    assert succeeded == []
    assert len(ATTACKS) >= 40
