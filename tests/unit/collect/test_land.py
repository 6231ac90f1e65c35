from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.collect.land import land
from lichen.ports import Relation


def _values(rows, columns="k, c, v"):
    told = ", ".join("(" + ", ".join("NULL" if value is None else repr(value) for value in row) + ")" for row in rows)
    empty = "SELECT NULL::INT AS k, NULL::INT AS c, NULL::VARCHAR AS v WHERE false"
    return f"SELECT k::INT AS k, c::INT AS c, v::VARCHAR AS v FROM (VALUES {told}) AS t({columns})" if rows else empty


@pytest.fixture
def landed(stage, fetch, engine, tables):
    def run(old, new, key=("k",)):
        there, come = stage(_values(old)), stage(_values(new))
        folder = tables.staging("t")
        got = land(come.columns, key, "c", come.relation, there.relation, engine, folder)
        rows = fetch(Relation(come.columns, tuple(str(folder / file.path) for file in got.files)))
        assert len(rows) + got.deduplicated == len(old) + len(new)
        return rows

    return run


def test_a_row_sent_again_replaces_the_one_that_is_there(landed):
    assert landed([(1, 5, "old"), (2, 6, "stays")], [(1, 5, "new"), (3, 7, "more")]) == [
        (1, 5, "new"),
        (2, 6, "stays"),
        (3, 7, "more"),
    ]


def test_the_greatest_cursor_wins_whenever_it_came(landed):
    assert landed([(1, 9, "newer")], [(1, 5, "stale")]) == [(1, 9, "newer")]
    assert landed([(1, 5, "stale")], [(1, 9, "newer")]) == [(1, 9, "newer")]
    assert landed([(1, None, "no time")], [(1, 5, "timed")]) == [(1, 5, "timed")]


def test_in_one_reading_the_last_of_equal_cursors_wins(landed):
    assert landed([], [(1, 5, "first"), (1, 5, "last")]) == [(1, 5, "last")]


@pytest.mark.parametrize(
    ("rows", "alike", "example"),
    [
        ([(1, 5, "a"), (1, 5, "b"), (2, 5, "a"), (2, 5, "a")], 1, "1"),
        ([(1, 5, "a"), (1, 5, "b"), (1, 5, "c"), (2, None, "a"), (2, None, "b")], 3, "1"),
        ([(1, 5, "a"), (1, 5, "b"), (1, 6, "c")], 0, None),
        ([(None, 5, "a"), (None, 5, "b"), (3, 4, None)], 0, None),
        ([(1, 5, None), (1, 5, "b")], 1, "1"),
    ],
)
def test_rows_of_one_reading_of_which_nothing_tells_the_newer_are_counted(stage, engine, tables, rows, alike, example):
    there, come = stage(_values([(1, 5, "old")])), stage(_values(rows))
    got = land(come.columns, ("k",), "c", come.relation, there.relation, engine, tables.staging("t"))
    assert (got.alike, got.example) == (alike, example)


def test_rows_without_a_whole_key_are_one_only_where_all_is_equal(landed):
    rows = [(None, 5, "a"), (None, 5, "b")]
    assert landed(rows, rows) == rows
    assert landed([(None, 5, "a")], [(None, 5, None)]) == [(None, 5, "a"), (None, 5, None)]


def test_nothing_on_nothing_is_nothing(landed):
    assert landed([], []) == []


def test_a_new_column_is_null_in_old_rows_and_an_old_type_gives_way(stage, fetch, engine, tables):
    there = stage("SELECT 1 AS k, 5 AS c, NULL::VARCHAR AS v")
    come = stage("SELECT 2 AS k, 6 AS c, 7::BIGINT AS v, 'x' AS more")
    folder = tables.staging("t")
    got = land(come.columns, ("k",), "c", come.relation, there.relation, engine, folder)
    (file,) = got.files
    assert fetch(Relation(come.columns, (str(folder / file.path),))) == [(1, 5, None, None), (2, 6, 7, "x")]


def test_any_names_will_do(stage, fetch, engine, tables):
    select = (
        'SELECT 1 AS "weird ""name""", 2 AS "order", 3 AS "_age", 4 AS "_PLACE", 5 AS "rows", 6 AS "ключ", '
        '7 AS "already_there", 8 AS "_age_", 9 AS more'
    )
    rows = stage(select)
    folder = tables.staging("t")
    got = land(rows.columns, ('weird "name"', "rows"), "order", rows.relation, rows.relation, engine, folder)
    assert got.deduplicated == 1
    (file,) = got.files
    assert fetch(Relation(rows.columns, (str(folder / file.path),))) == [tuple(range(1, 10))]


ROWS = st.lists(
    st.tuples(st.integers(0, 4) | st.none(), st.integers(0, 3) | st.none(), st.sampled_from("ab")), max_size=12
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, cuts=st.lists(st.integers(0, 12), max_size=2))
def test_however_rows_are_split_the_same_rows_are_there_in_the_same_order(landed, rows, cuts):
    whole = landed([], rows)
    there = []
    edges = [0, *sorted(cuts), len(rows)]
    for start, end in pairwise(edges):
        there = landed(there, rows[min(start, len(rows)) : end])
    assert there == whole


def test_however_rows_are_split_the_same_bytes_are_written(stage, engine, tables):
    cells = "i AS k, i // 3 AS c, CASE WHEN i % 7 > 0 THEN 'v' || i % 11 END AS v, i / 7 AS d"
    written = set()
    for cuts in ([0, 5000], [0, 2500, 5000], [0, 1, 4999, 5000]):
        there = stage(f"SELECT {cells} FROM range(0) r(i)").relation
        for start, end in pairwise(cuts):
            new, folder = stage(f"SELECT {cells} FROM range({start}, {end}) r(i)").relation, tables.staging("t")
            got = land(new.columns, ("k",), "c", new, there, engine, folder)
            there = Relation(new.columns, tuple(str(folder / file.path) for file in got.files))
        written.add(got.files[0].sha256)
    assert len(written) == 1
