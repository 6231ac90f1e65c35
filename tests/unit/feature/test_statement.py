from __future__ import annotations

import duckdb
import pytest

from lichen.feature.statement import (
    NEVER,
    events_sql,
    finite,
    hashed_key,
    key_columns,
    landed_sql,
    placed,
    same_known,
    select,
    touched_sql,
    whole_key,
)
from lichen.ports import Column


def test_names_are_quoted_and_expressions_are_not():
    assert select([("a + 1", 'odd "name')], "t", "WHERE true") == 'SELECT a + 1 AS "odd ""name" FROM t WHERE true'
    assert select([("a", "b")], "t", every=True) == 'SELECT *, a AS "b" FROM t'


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("BIGINT", [0, 1, -1, 2**63 - 1, -(2**63)]), ("UBIGINT", [0, 1, 2**63 - 1, 2**63, 2**64 - 1]),
        ("BOOLEAN", ["true", "false"]), ("DATE", ["'1969-12-31'", "'1970-01-01'", "'2013-06-01'"]),
        ("TIMESTAMP", ["'1969-12-31 23:59:59.999999'", "'1970-01-01'"]),
        ("TIMESTAMP WITH TIME ZONE", ["'1970-01-01 00:00+00'", "'1970-01-01 00:00+01'"]),
        ("VARCHAR", ["''", "'a'", "'A'", "'a '", "'ä'", "'a|'", "'|a'"]), ("DOUBLE", ["0.0", "1.5", "'nan'", "'inf'"]),
    ],
)  # fmt: skip
def test_keys_that_differ_give_numbers_that_differ(type_, values):
    entity = (Column("k", type_),)
    numbers = ", ".join(f"{sql} AS {name}" for sql, name in hashed_key(entity, ["k"]))
    rows = ", ".join(f"(CAST({value} AS {type_}))" for value in values)
    found = duckdb.sql(f"SELECT {numbers} FROM (VALUES {rows}) t(k)").fetchall()
    assert len(set(found)) == len(values)
    # One whole number needs no hash; the others have two, which differ by themselves.
    assert [len(row) for row in found] == [2 if type_ in ("VARCHAR", "DOUBLE") else 1] * len(values)
    assert all(len({row[at] for row in found}) == len(values) for at in range(len(found[0])))


def test_zeros_and_nans_are_one_key_each():
    numbers = ", ".join(sql for sql, _ in hashed_key((Column("k", "DOUBLE"),), ["k"]))
    rows = "('0.0'::DOUBLE), ('-0.0'::DOUBLE), ('nan'::DOUBLE), (-('nan'::DOUBLE))"
    found = duckdb.sql(f"SELECT {numbers} FROM (VALUES {rows}) t(k)").fetchall()
    assert found[0] == found[1] != found[2] == found[3]


def test_everybody_is_one_key():
    assert hashed_key((), []) == [("0::BIGINT", "_h")]
    assert whole_key([]) == "true"
    assert key_columns(()) == []


def test_an_infinite_instant_is_shown_as_none():
    sql = finite(Column("t", "TIMESTAMP"))
    found = duckdb.sql(f"SELECT {sql} FROM (VALUES ('infinity'::TIMESTAMP), ('2013-06-01')) v(t)").fetchall()
    assert [row[0] is None for row in found] == [True, False]
    assert finite(Column("n", "BIGINT")) == 'CAST("n" AS BIGINT)'


def test_rows_are_known_when_they_happen_where_the_view_says_so(tiny):
    assert same_known(tiny.make_view(known="happened"))
    assert not same_known(tiny.make_view())
    assert not same_known(tiny.make_view(known="happened", grain=("event",), corrected=True))


def test_a_row_of_an_event_is_known_until_the_next(engine, tiny):
    view = tiny.make_view((), functions=tiny.AGGREGATES[:1], latest=(), grain=("event",), corrected=True)
    rows = [{"learned": tiny.minute(k), "happened": tiny.minute(0), "event": e} for k, e in
            ((5, 1), (3, 1), (5, 1), (4, None), (6, None), (None, 1))]  # fmt: skip
    from arro3.core import Table

    found = Table.from_arrow(engine.query(landed_sql(view, "rows"), {"rows": tiny.table_of(rows)}))
    known = [None if end == int(NEVER) else (end - tiny.microsecond(tiny.minute(0))) // 60_000_000
             for end in found.column("_u").to_pylist()]  # fmt: skip
    assert known == [5, 5, None, None, None, None]
    kept = Table.from_arrow(engine.query(events_sql(view, "rows"), {"rows": tiny.table_of(rows)}))
    # The first was followed the moment it was known; the last is never known.
    assert len(kept) == 4
    assert len(set(kept.column("_x").to_pylist())) == 3


def test_a_delivery_has_each_event_once(engine, tiny):
    from arro3.core import Table

    view = tiny.make_view((), functions=tiny.AGGREGATES[5:6], latest=(), grain=("event",))
    rows = [{"learned": tiny.minute(k), "happened": tiny.minute(0), "event": e, "size": n}
            for n, (k, e) in enumerate(((5, 1), (3, 1), (5, 1), (4, None), (4, None)))]  # fmt: skip

    def kept(delivery):
        asked = events_sql(view, "rows", delivery=delivery)
        found = Table.from_arrow(engine.query(asked, {"rows": tiny.table_of(rows)}))
        return found.column("_v0").to_pylist(), found.column("_x").to_pylist()

    assert sorted(kept(None)[0]) == [0, 1, 2, 3, 4]
    assert sorted(kept(7)[0]) == [2, 3, 4]
    # A row that no event names is another in each delivery.
    assert len(set(kept(7)[1]) & set(kept(8)[1])) == 1


@pytest.mark.parametrize("corrected", [False, True])
def test_changed_rows_touch_their_entities_and_those_of_their_events(engine, tiny, corrected):
    from arro3.core import Table

    view = tiny.make_view(grain=("event",), corrected=corrected)
    rows = tiny.table_of([{"code": "a", "event": 1}, {"code": "b", "event": 1}, {"code": "c", "event": None}])
    changed = tiny.table_of([{"code": "b", "event": 1}, {"code": None, "event": 1}, {"code": "d", "event": None}])
    inputs = {"rows": rows, "changed": changed}
    found = Table.from_arrow(engine.query(touched_sql(view, "changed", "rows"), inputs))
    assert sorted(found.column("_k0").to_pylist()) == (["a", "b", "d"] if corrected else ["b", "d"])


def test_what_is_shown_are_the_latest_columns_then_what_functions_place(tiny):
    functions = (tiny.AGGREGATES[0], ("last", "last", "size", (-1.0, 3.0), "INTEGER"), tiny.AGGREGATES[2])
    view = tiny.make_view(functions=functions, latest=tiny.LATEST[:1])
    assert [type_ for _, type_ in placed(view)] == ["VARCHAR", "INTEGER"]
