from __future__ import annotations

import json
import tempfile
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lichen.errors import FoundWrong, SystemFailed
from lichen.run.relations import source_token

EVENTS = """path: s.csv
cursor: seen_at
lateness: 6h
contract:
  key: [id]
  columns:
    id: {type: bigint}
    seen_at: {type: timestamptz}
    n: {type: bigint, range: [0, 100]}
"""
HEAD = "id,seen_at,n\n"


def _events(world, *rows):
    world.write("s.csv", HEAD + "".join(f"{key},2020-01-{day}Z,{n}\n" for key, day, n in rows))


def _ids(world, version):
    return world.rows(version, "SELECT id, n FROM r")


# ------------------------------------------------------------------------------------- whole sources


@pytest.mark.parametrize("on_breach", ["warn", "quarantine"])
def test_every_record_is_kept_or_set_aside(world, on_breach):
    world.write(
        "sources/s.yaml",
        f"path: s.csv\ncontract:\n  key: [id]\n  on_breach: {on_breach}\n  columns:\n"
        "    id: {type: bigint}\n    n: {type: double, range: [0, 10], null_share: 0}\n    t: {accepted: [a, b]}\n",
    )
    world.write(
        "s.csv",
        'id,n,t\n1,1,a\nx,1,b\n1,2,b\n,3,a\n2,99,z\n3,nan,\n4,,\n5,short\n6,1,"torn"x\n7,2,\n',
    )
    version = world.collect()
    balance = version.facts["balance"]
    assert (balance["read"], balance["deduplicated"]) == (10, 0)
    aside = {row: reason for _, row, _, reason, _ in world.aside(version)}
    unreadable = {2, 8, 9}
    if on_breach == "warn":
        assert set(aside) == unreadable
        return
    assert set(aside) == unreadable | {3, 4, 5, 6, 7}
    assert aside[3] == "id: the key is there before"
    assert aside[4] == "id: the key is null"
    assert aside[5] == "n: it is outside [0, 10]; t: it is none of: a, b"
    assert aside[6] == "n: it is outside [0, 10]"
    assert aside[7] == "n: it is null"
    raw = {row: text for _, row, _, _, text in world.aside(version)}
    assert json.loads(raw[5]) == {"id": 2, "n": 99.0, "t": "z"}
    assert all(file.endswith("s.csv") for file, *_ in world.aside(version))
    assert world.rows(version, "SELECT id FROM r") == [(1,), (7,)]


def test_stop_leaves_nothing_behind(world):
    world.write("sources/s.yaml", "path: s.csv\ncontract: {on_breach: stop, columns: {n: {range: [0, 1]}}}\n")
    world.write("s.csv", "n\n1\n2\n")
    with pytest.raises(FoundWrong) as caught:
        world.collect()
    assert str(caught.value).startswith(
        "LCH-2222: `s` breaks its contract: n: it is outside [0, 1], in 1 of 2 rows\n  at sources/s.yaml:2:11\n"
    )
    assert not [path for path in (world.root / ".lichen/lake").rglob("*") if path.is_file()]
    assert not list((world.root / ".lichen/lake/.staging").iterdir())


def test_odd_names_go_all_the_way(world):
    world.write(
        "sources/s.yaml",
        "path: s.csv\ncontract:\n  key: [order]\n"
        "  columns: {'weird \"name\"': {range: [0, 5]}, rows: {unique: true}}\n",
    )
    world.write("s.csv", 'order,"weird ""name""",rows,group,ключ\n1,2,3,4,5\n2,9,4,4,5\n2,3,3,1,1\n')
    version = world.collect()
    assert [column.name for column in version.columns] == ["order", 'weird "name"', "rows", "group", "ключ"]
    assert world.rows(version) == [(1, 2, 3, 4, 5)]
    assert [(row, reason) for _, row, _, reason, _ in world.aside(version)] == [
        (2, 'weird "name": it is outside [0, 5]'),
        (3, "rows: the value is there before"),
    ]


def test_a_source_collected_again_has_the_same_version(world):
    world.write("sources/s.yaml", "path: s.csv\ncontract: {columns: {n: {range: [0, 5]}}}\n")
    world.write("s.csv", "n,t\n1,a\n9,b\n3,c\n")
    first = world.collect()
    assert world.collect().version == first.version
    world.write("s.csv", "n,t\n1,a\n9,b\n4,c\n")
    assert world.collect().version != first.version


def test_columns_make_another_version_though_there_are_no_rows(world):
    world.write("sources/s.yaml", "path: s.csv\n")
    world.write("s.csv", "a,b\n")
    first = world.collect()
    world.write("s.csv", "a,b,c\n")
    assert world.collect().version != first.version


def test_a_type_is_settled_by_values_and_not_by_their_absence(world):
    world.write("sources/s.yaml", "path: s.csv\n")
    world.write("s.csv", "a,b,c\n")
    assert {column.type for column in world.collect().columns} == {"VARCHAR"}
    world.write("s.csv", "a,b,c\n1,,x\n")
    assert [column.type for column in world.collect().columns] == ["BIGINT", "VARCHAR", "VARCHAR"]
    world.write("s.csv", "a,b,c\nx,2.5,1\n2,2.5,1\n")
    version = world.collect()
    assert [column.type for column in version.columns] == ["BIGINT", "DOUBLE", "VARCHAR"]
    assert version.facts["balance"] == {"read": 2, "kept": 1, "quarantined": 1, "deduplicated": 0, "late": 0}


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ("path: nowhere.csv\n", "  at sources/s.yaml:1:7\n"),
        ("path: s.csv\ncontract: {key: [idd]}\n", ("LCH-2221: the contract speaks of a column `idd` that is not there\n"
         "  at sources/s.yaml:2:17\n")),
        ("path: s.csv\ncontract: {columns: {id: {type: bigit}}}\n",
         "LCH-2223: `bigit` is not a type for a table's column\n  at sources/s.yaml:2:22\n"),
        ("path: s.csv\ncontract: {columns: {id: {range: [a, b]}}}\n",
         "LCH-2227: `id` is BIGINT, and its `range` has `a`\n  at sources/s.yaml:2:22\n"),
        ("path: s.csv\ncursor: seen\ncontract: {key: [id]}\n",
         "LCH-2225: the cursor is a column `seen` that is not there\n  at sources/s.yaml:2:9\n"),
        ("path: s.csv\ncursor: id\nlateness: 6h\ncontract: {key: [id]}\n",
         "LCH-2226: `lateness` is a span of time, and the cursor `id` is BIGINT\n  at sources/s.yaml:3:11\n"),
        ("path: s.csv\ntime: seen_at\n", "LCH-2232: "),
    ],
)  # fmt: skip
def test_a_source_that_does_not_fit_is_refused_and_leaves_no_staging(world, spec, shown):
    world.write("sources/s.yaml", spec)
    world.write("s.csv", HEAD + "1,2020-01-01 00:00:00Z,1\n")
    with pytest.raises((FoundWrong, SystemFailed)) as caught:
        world.collect()
    assert shown in str(caught.value)
    assert not list((world.root / ".lichen/lake/.staging").glob("*"))


def test_a_place_that_is_not_there_is_told_with_its_line(world):
    world.write("sources/s.yaml", "path: nowhere.csv\n")
    asset, project = world._asset("source.s")
    with pytest.raises((FoundWrong, SystemFailed)) as caught:
        source_token(asset, None, project, world.workshop)
    assert "  at sources/s.yaml:1:7\n    path: nowhere.csv\n          ^\n" in str(caught.value)


# ------------------------------------------------------------------------------- incremental sources


def test_rows_sent_again_win_and_late_ones_come_in(world):
    world.write("sources/s.yaml", EVENTS)
    _events(world, (1, "01 00:00:00", 1), (2, "02 12:00:00", 2))
    assert world.collect().facts["cursor"] == "2020-01-02 12:00:00+00"
    _events(
        world,
        (2, "02 12:00:00", 20),  # changed
        (3, "02 06:00:00", 3),  # late, at the bound
        (4, "02 05:59:59", 4),  # too late
        (5, "03 00:00:00", 5),
    )
    version = world.collect()
    assert _ids(world, version) == [(1, 1), (3, 3), (2, 20), (5, 5)]
    assert version.facts["balance"] == {"read": 6, "kept": 4, "quarantined": 0, "deduplicated": 1, "late": 1}
    assert version.facts["cursor"] == "2020-01-03 00:00:00+00"


def test_an_incremental_source_collected_again_has_the_same_version(world):
    world.write("sources/s.yaml", EVENTS)
    _events(world, (3, "03 00:00:00", 1), (1, "01 00:00:00", 999), (2, "02 00:00:00", "x"), (4, "02 23:00:00", 4))
    first = world.collect()
    second = world.collect()
    assert second.version == first.version
    assert second.facts["cursor"] == first.facts["cursor"]
    assert world.aside(second) == world.aside(first)
    assert len(world.aside(first)) == 2


def test_a_row_from_the_future_does_not_carry_the_cursor_past_rows_to_come(world):
    world.write("sources/s.yaml", EVENTS)
    world.write("s.csv", HEAD + "1,2020-01-10 00:00:00Z,1\n2,2099-01-01 00:00:00Z,2\n")
    assert world.collect().facts["cursor"] == "2020-01-10 00:00:00+00"
    world.clock.instant += timedelta(days=20)
    world.write("s.csv", HEAD + "3,2020-01-11 00:00:00Z,3\n4,2020-01-25 00:00:00Z,4\n")
    version = world.collect()
    assert _ids(world, version) == [(1, 1), (3, 3), (4, 4), (2, 2)]
    assert version.facts["cursor"] == "2020-01-25 00:00:00+00"


def test_a_row_set_aside_does_not_move_the_cursor(world):
    world.write("sources/s.yaml", EVENTS)
    _events(world, (1, "01 00:00:00", 1), (2, "09 00:00:00", 999))
    assert world.collect().facts["cursor"] == "2020-01-01 00:00:00+00"
    _events(world, (1, "01 00:00:00", 1), (2, "09 00:00:00", 9), (3, "05 00:00:00", 3))
    version = world.collect()
    assert _ids(world, version) == [(1, 1), (3, 3), (2, 9)]
    assert len(world.aside(version)) == 1


def test_bad_rows_that_are_met_again_are_set_aside_once(world):
    world.write("sources/s.yaml", EVENTS)
    rows = [(1, "02 00:00:00", 1), (2, "02 01:00:00", 999), (3, "02 02:00:00", "x")]
    _events(world, *rows)
    world.collect()
    _events(world, *rows, (4, "02 03:00:00", -1))
    version = world.collect()
    assert [row for _, row, *_ in world.aside(version)] == [2, 3, 4]
    assert version.facts["balance"] == {"read": 7, "kept": 1, "quarantined": 3, "deduplicated": 3, "late": 0}


def test_a_source_of_no_rows_has_no_cursor_yet(world):
    world.write("sources/s.yaml", EVENTS)
    world.write("s.csv", HEAD)
    assert world.collect().facts["cursor"] is None
    _events(world, (1, "01 00:00:00", 1))
    assert _ids(world, world.collect()) == [(1, 1)]


def test_a_column_that_comes_later_is_null_in_older_rows(world):
    world.write("sources/s.yaml", EVENTS)
    _events(world, (1, "01 00:00:00", 1))
    world.collect()
    world.write("s.csv", "id,seen_at,n,more\n2,2020-01-02 00:00:00Z,2,x\n")
    version = world.collect()
    assert world.rows(version, "SELECT id, more FROM r") == [(1, None), (2, "x")]


def test_a_changed_contract_reads_everything_again(world):
    world.write("sources/s.yaml", EVENTS)
    _events(world, (1, "01 00:00:00", 50), (2, "05 00:00:00", 1))
    world.collect()
    world.write("sources/s.yaml", EVENTS.replace("[0, 100]", "[0, 10]"))
    assert _ids(world, world.collect()) == [(2, 1)]


@pytest.mark.parametrize(
    ("kind", "first", "second"), [("bigint", ("1", "2"), "3"), ("date", ("2020-01-01", "2020-01-02"), "2020-01-03")]
)
def test_cursors_of_other_kinds(world, kind, first, second):
    world.write(
        "sources/s.yaml", f"path: s.csv\ncursor: c\ncontract: {{key: [id], columns: {{c: {{type: {kind}}}}}}}\n"
    )
    world.write("s.csv", "id,c\n" + "".join(f"{key},{value}\n" for key, value in enumerate(first)))
    assert world.collect().facts["cursor"] == first[1]
    world.write("s.csv", f"id,c\n7,{first[0]}\n8,{first[1]}\n9,{second}\n")
    assert world.rows(world.collect(), "SELECT id FROM r") == [(0,), (1,), (8,), (9,)]


EVENT = st.tuples(st.integers(1, 5), st.integers(0, 40), st.integers(-2, 5))


@settings(max_examples=10, deadline=None)
@given(events=st.lists(EVENT, max_size=14), cuts=st.lists(st.integers(0, 14), max_size=3), growing=st.booleans())
def test_any_split_into_arrivals_ends_in_the_table_of_one_full_load(make_world, events, cuts, growing):
    """Arrivals come in one file that grows, or in one that is replaced; rows up to 6 h late, some bad, some again.

    The first row is good: a source of which no row is kept is refused.
    """
    events = [(9, 0, 1), *events]
    sent, newest = [], 0
    edges = [0, *sorted(min(cut + 1, len(events)) for cut in cuts), len(events)]
    arrivals = []
    for start, end in pairwise(edges):
        arrivals.append([(key, max(hour, newest - 6), n) for key, hour, n in events[start:end]])
        newest = max([newest, *(hour for _, hour, n in arrivals[-1] if n >= 0)])
        sent += arrivals[-1]

    def text(rows):
        lines = (f"{key},2020-01-0{1 + hour // 24} {hour % 24:02}:00:00Z,{n}\n" for key, hour, n in rows)
        return HEAD + "".join(lines)

    tables = []
    for pieces in ([sent], arrivals):
        with tempfile.TemporaryDirectory() as folder:
            world = make_world(Path(folder))
            world.write("sources/s.yaml", EVENTS)
            there = []
            for piece in pieces:
                there = [*there, *piece] if growing else piece
                world.write("s.csv", text(there))
                version = world.collect()
            tables.append((world.rows(version), [file.sha256 for file in version.files], version.facts["cursor"]))
            world.close()
    assert tables[0] == tables[1]


# ------------------------------------------------------------------------------------------- tables


@pytest.fixture
def events(world):
    world.write("sources/e.yaml", "path: e.csv\ncontract: {columns: {k: {type: bigint}, n: {type: bigint}}}\n")
    world.write("e.csv", "k,n\n1,10\n1,11\n2,99\n,5\n3,7\n")
    world.collect("e")
    return world


def test_a_table_sets_rows_aside_that_break_its_grain_or_its_contract(events):
    events.write(
        "tables/t.sql",
        "/* ---\ngrain: [k]\ncontract: {columns: {n: {range: [0, 50]}}}\n--- */\nSELECT k, n FROM e ORDER BY n\n",
    )
    version = events.build("t")
    assert events.rows(version) == [(3, 7), (1, 10)]
    assert version.facts["balance"] == {"read": 5, "kept": 2, "quarantined": 3, "deduplicated": 0, "late": 0}
    assert [(file, row, reason) for file, row, _, reason, _ in events.aside(version)] == [
        (None, 1, "k: the key is null"),
        (None, 4, "k: the key is there before"),
        (None, 5, "n: it is outside [0, 50]"),
    ]
    assert [(breach["column"], breach["rows"], breach["of"]) for breach in version.facts["breaches"]] == [
        ("k", 1, 5),
        ("n", 1, 5),
        ("k", 1, 5),
    ]


@pytest.mark.parametrize(
    ("matter", "shown"),
    [
        ("grain: [kk]", "the grain names a column `kk` that the table does not have\n  at tables/t.sql:2:9\n"),
        ("contract: {columns: {m: {unique: true}}}", ("the contract speaks of a column `m` that is not there\n"
         "  at tables/t.sql:2:22\n")),
        ("contract: {columns: {n: {type: double}}}", ("the contract says that `n` is DOUBLE, and it is BIGINT\n"
         "  at tables/t.sql:2:22\n")),
        ("contract: {columns: {n: {accepted: ['1']}}}", "LCH-2227: `n` is BIGINT, and its `accepted` has `1`\n"),
        ("known: k", "LCH-2234: `known: k` is BIGINT, and has to be an instant"),
        ("time: make_timestamptz(k)", "does not say when its rows became known\n  at tables/t.sql:2:1\n"),
        ("contract: {on_breach: stop, columns: {n: {range: [0, 50]}}}", "LCH-2222: `t` breaks its contract: n: "),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_refused_and_leaves_nothing(events, matter, shown):
    events.write("tables/t.sql", f"/* ---\n{matter}\n--- */\nSELECT k, n FROM e\n")
    with pytest.raises(FoundWrong) as caught:
        events.build("t")
    assert shown in str(caught.value)
    assert not (events.root / ".lichen/lake/t").exists()
    assert not list((events.root / ".lichen/lake/.staging").iterdir())


def test_a_table_of_no_rows_has_its_columns(events):
    events.write(
        "tables/t.sql", "/* ---\ngrain: [k]\n--- */\nSELECT k, sum(n) AS total FROM e WHERE false GROUP BY k\n"
    )
    version = events.build("t")
    assert (version.rows, version.files) == (0, ())
    assert [(column.name, column.type) for column in version.columns] == [("k", "BIGINT"), ("total", "DECIMAL(38,0)")]
    events.write("tables/u.sql", "SELECT count(*) AS rows FROM t\n")
    assert events.rows(events.build("u")) == [(0,)]


def test_a_tables_version_is_named_by_what_it_is_built_from(events):
    events.write("tables/t.sql", "SELECT k FROM e\n")
    first = events.build("t")
    events.write("tables/t.sql", "-- a comment\nSELECT  k\nFROM e;\n")
    assert events.build("t").version == first.version
    events.write("e.csv", "k,n\n1,10\n")
    events.collect("e")
    assert events.build("t").version != first.version


# ------------------------------------------------------------------------------------- keys that are known


@pytest.mark.parametrize(("on_breach", "unique"), [("quarantine", [["id"]]), ("warn", [])])
def test_a_version_says_which_of_its_keys_do_not_repeat(world, on_breach, unique):
    world.write("sources/s.yaml", f"path: s.csv\ncontract:\n  key: [id]\n  on_breach: {on_breach}\n")
    world.write("s.csv", "id\n1\n1\n2\n")
    assert world.collect().facts["unique"] == unique


def test_rows_below_the_cursor_are_late_unless_they_came_in_time(world):
    world.write("sources/s.yaml", EVENTS)
    old = [(1, "01 00:00:00", 1), (9, "01 01:00:00", 999), (8, "01 02:00:00", "x"), (2, "02 12:00:00", 2)]
    _events(world, *old)
    assert world.collect().facts["balance"]["late"] == 0
    _events(world, *old, (3, "03 00:00:00", 3))
    assert world.collect().facts["balance"]["late"] == 0  # what was there, set aside or unreadable before is not late
    new = [(4, "04 00:00:00", 4), (7, "01 00:00:00", 7), (1, "01 05:00:00", 11)]
    _events(world, *old, (3, "03 00:00:00", 3), *new)
    version = world.collect()
    assert version.facts["balance"] == {"read": 10, "kept": 4, "quarantined": 2, "deduplicated": 2, "late": 2}
    assert _ids(world, version) == [(1, 1), (2, 2), (3, 3), (4, 4)]


def test_a_source_of_which_no_row_is_kept_is_refused(world):
    world.write("sources/s.yaml", "path: s.csv\ncontract: {columns: {n: {type: bigint, range: [0, 5]}}}\n")
    world.write("s.csv", "n\n9\nx\ny\n")
    with pytest.raises(FoundWrong) as caught:
        world.collect()
    assert str(caught.value) == (
        "LCH-2229: not one row of `s` was kept: all 3 were set aside, 2 of them because n: a value is not BIGINT\n"
        "  at sources/s.yaml:2:11\n"
        "    contract: {columns: {n: {type: bigint, range: [0, 5]}}}\n"
        "              ^\n"
        "  why: record 2 of s.csv: n: `x` is not BIGINT; an empty table is no result, so nothing was released\n"
        "  fix: mend the rows where they come from, or the contract: a promise, or a column's type, written there"
    )
    world.write("s.csv", "n\n1\n")
    world.collect()
    world.write("s.csv", "n\nx\n")
    with pytest.raises(FoundWrong) as caught:
        world.collect()
    assert caught.value.why == (
        "record 1 of s.csv: n: `x` is not BIGINT; an empty table would have taken the place of what is there, so "
        "nothing was released"
    )


def test_rows_that_are_there_outlast_a_reading_that_gives_none(world):
    world.write("sources/s.yaml", EVENTS)
    _events(world, (1, "01 00:00:00", 1))
    world.collect()
    _events(world, (2, "02 00:00:00", 999), (3, "02 00:00:00", 5), (4, "02 00:00:00", "x"))
    version = world.collect()
    assert _ids(world, version) == [(1, 1), (3, 5)]
    assert version.facts["notes"] == ["MORE THAN HALF SET ASIDE: 2 of the 3 rows read"]


def test_a_table_of_which_no_row_is_kept_is_refused(events):
    events.write("tables/t.sql", "/* ---\ncontract: {columns: {n: {range: [900, 901]}}}\n--- */\nSELECT k, n FROM e\n")
    with pytest.raises(FoundWrong, match=r"not one row of `t` was kept: all 5 .* 5 of them because n: it is outside"):
        events.build("t")


def test_columns_of_parquet_are_stored_as_a_table_can_hold_them(world):
    with duckdb.connect() as session:
        session.execute(
            "COPY (SELECT uuid() AS u, 7::UINTEGER AS n, TIMESTAMP_NS '2020-01-01 00:00:00.123456' AS t, "
            "MAP {'a': 1} AS m, 'b'::ENUM('a', 'b') AS e "
            "UNION ALL SELECT uuid(), 8, TIMESTAMP_NS '2020-01-01 00:00:00.123456789', NULL, 'a') "
            f"TO '{world.root}/s.parquet'"
        )
    world.write("sources/s.yaml", "path: s.parquet\n")
    version = world.collect()
    kinds = [column.type for column in version.columns]
    assert kinds == ["VARCHAR", "BIGINT", "TIMESTAMP", "MAP(VARCHAR, INTEGER)", "VARCHAR"]
    found = world.rows(version, "SELECT length(u), n, m['a'], e, epoch_us(t) % 1000000 FROM r ORDER BY n")
    assert found == [(36, 7, 1, "b", 123_456), (36, 8, None, "a", 123_456)]
    # Nanoseconds that microseconds cannot tell are no silent loss.
    assert world.aside(version) == []
    assert version.facts["notes"] == ["`t`: 1 value cut to the microsecond"]


def test_a_source_that_gives_no_row_any_more_says_so(world):
    world.write("sources/s.yaml", "path: s.csv\n")
    world.write("s.csv", "id\n1\n2\n")
    assert world.collect().facts["notes"] == []
    world.write("s.csv", "id\n")
    assert world.collect().facts["notes"] == ["EMPTY NOW: it had 2 rows"]


def test_rows_of_which_nothing_tells_the_newer_are_told(world):
    world.write("sources/s.yaml", EVENTS)
    _events(world, (1, "01 10:00", 1), (1, "01 10:00", 2), (2, "01 10:00", 3), (2, "01 10:00", 3))
    version = world.collect()
    assert _ids(world, version) == [(1, 2), (2, 3)]
    assert version.facts["balance"]["deduplicated"] == 2
    (note,) = version.facts["notes"]
    assert note == (
        "1 row gave way to another of the same reading with the same id and `seen_at` and other values, such as 1: "
        "the one read last is kept"
    )


def test_a_column_that_nobody_promised_may_come_and_go(world):
    world.write("sources/s.yaml", "path: s.csv\n")
    world.write("s.csv", "id,v\n1,2\n")
    world.collect()
    world.write("s.csv", "id,w\n1,x\n")
    version = world.collect()
    assert world.rows(version) == [(1, "x")]
    assert version.facts["notes"] == ["NEW: `w`", "GONE: `v`"]


def test_a_column_that_is_gone_stays_in_the_rows_that_are_there(world):
    world.write("sources/s.yaml", "path: s.csv\ncursor: n\ncontract: {key: [id]}\n")
    world.write("s.csv", "id,v,n\n1,2,1\n")
    world.collect()
    world.write("s.csv", "id,n,w\n2,2,x\n")
    version = world.collect()
    assert world.rows(version, "SELECT id, v, n, w FROM r") == [(1, 2, 1, None), (2, None, 2, "x")]
    assert version.facts["notes"] == ["NEW: `w`", "GONE: `v`, null in the rows that come now"]
    world.write("s.csv", "id,n,w\n3,3,y\n")
    version = world.collect()
    assert world.rows(version, "SELECT id, v, w FROM r")[2] == (3, None, "y")
    assert version.facts["notes"] == ["GONE: `v`, null in the rows that come now"]
    world.write("s.csv", "id,v,n,w\n4,5,4,z\n")
    assert world.rows(world.collect(), "SELECT id, v, w FROM r")[3] == (4, 5, "z")
