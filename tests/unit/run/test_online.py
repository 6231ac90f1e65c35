from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from arro3.core import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from lichen.backends.duckdb import DuckDBEngine
from lichen.backends.sqlite_online import SQLiteOnlineStore
from lichen.feature.materialize import materialize, rematerialize
from lichen.feature.state import unpack
from lichen.feature.view import View, WindowAggregate
from lichen.ports import Column, Relation
from lichen.run.online import changed_sql

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
EVENT = (
    "event BIGINT, shop VARCHAR, town BIGINT, happened TIMESTAMPTZ, learned TIMESTAMPTZ, amount DOUBLE, word VARCHAR"
)
AGGREGATES = (
    WindowAggregate("rows", "count", "*"),
    WindowAggregate("total", "sum", "amount", None, "DOUBLE"),
    WindowAggregate("first", "first", "word", None, "VARCHAR"),
    WindowAggregate("words", "count_distinct", "word", None, "VARCHAR"),
)
SHOP, TOWN, WORD = Column("shop", "VARCHAR"), Column("town", "BIGINT"), Column("word", "VARCHAR")
PROMPT = View("v", (SHOP,), "e", "happened", "happened", AGGREGATES, ("5m", "all"), (WORD,), None, False, ())
LATE = View("v", (SHOP, TOWN), "e", "happened", "learned", AGGREGATES, ("5m",), (WORD,), 60_000_000, False, ())
CORRECTED = View(
    "v", (SHOP,), "e", "happened", "learned", AGGREGATES, ("5m", "all"), (WORD,), None, False, (), ("event",), True
)
STATIC = View("v", (SHOP, TOWN), "e", None, None, (), (), (WORD,), None, True, ())


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> DuckDBEngine:
    return DuckDBEngine(scratch=tmp_path_factory.mktemp("scratch"), threads=2)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLiteOnlineStore]:
    made = SQLiteOnlineStore(tmp_path_factory.mktemp("online") / "online.db")
    yield made
    made.close()


def relation(rows: list[tuple[Any, ...]]) -> Relation:
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = 'UTC'; CREATE TABLE t ({EVENT})")
        if rows:
            connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * 7)})", [list(row) for row in rows])
        return Relation(tuple(Column(*c) for c in COLUMNS), arrow=Table.from_arrow(connection.sql("FROM t")))


COLUMNS = [column.split() for column in EVENT.replace("TIMESTAMPTZ", "TIMESTAMP_WITH_TIME_ZONE").split(", ")]


def minute(number: int | None) -> datetime | None:
    return None if number is None else BEGIN + timedelta(minutes=number)


def changed(view: View, came: Relation, went: Relation, engine: DuckDBEngine) -> Table:
    return Table.from_arrow(engine.query(changed_sql(view), {"came": came, "went": went}))


TIMES = st.one_of(st.none(), *[st.integers(0, 8)] * 6).map(minute)
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), *[st.integers(0, 9)] * 5), st.sampled_from(["a", "b", "ä", "", None]),
        st.sampled_from([1, -5, None]), TIMES, TIMES,
        st.one_of(st.none(), st.integers(0, 3).map(float)), st.sampled_from(["x", "y", None]),
    ),
    max_size=25,
)  # fmt: skip


def held(store: SQLiteOnlineStore, key: str, view: View) -> dict[bytes, Any]:
    """All that the visible generation holds, read past the port."""
    number, _ = store.generation(key) or (0, "")
    with store._file.reading() as connection:
        found = [row[0] for row in connection.execute("SELECT DISTINCT key FROM states").fetchall()]
    states = store.get(key, number, found)
    return {key: told(view, state) for key, state in zip(found, states, strict=True) if state is not None}


def told(view: View, state: bytes) -> Any:
    """A state's bytes; without the number that a row of no whole event is told from others by, which is any number."""
    if not view.corrected:
        return state
    rows = unpack(view, state)
    return {name: values.tolist() for name, values in rows.columns.items() if name != "_x"}, rows.texts, rows.dawn


@settings(max_examples=20, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("view", [PROMPT, LATE, CORRECTED, STATIC], ids=["prompt", "late", "corrected", "static"])
def test_what_is_brought_up_is_what_is_made_anew(
    view: View, data: Any, engine: DuckDBEngine, store: SQLiteOnlineStore
) -> None:
    old = data.draw(ROWS)
    new = [row for row in old if data.draw(st.integers(0, 9))] + data.draw(ROWS)
    if data.draw(st.booleans()):
        new = data.draw(st.permutations(new))
    if view.static:
        old, new = (list({row[1:3]: row for row in rows}.values()) for rows in (old, new))
    came, went = relation(new), relation(old)
    materialize(view, went, engine, store, "old")
    materialize(view, came, engine, store, "whole")
    found = changed(view, came, went, engine)
    base = ("old", (store.generation("old") or (0, ""))[0])
    rematerialize(view, came, Relation(arrow=found), engine, store, "new", base)
    assert held(store, "new", view) == held(store, "whole", view)
    assert (store.generation("new") or (0, ""))[1] == (store.generation("whole") or (0, ""))[1]
    for key in ("old", "new", "whole"):
        store.drop(key)


def row(event: int, shop: str | None, at: int, amount: float | None, word: str = "x") -> tuple[Any, ...]:
    return (event, shop, 1, minute(at), minute(at), amount, word)


def test_only_what_differs_is_touched(engine: DuckDBEngine) -> None:
    old = [row(1, "a", 1, 1.0), row(2, "b", 1, 1.0), row(3, "c", 1, 1.0), row(4, "d", 1, 1.0), row(4, "d", 1, 1.0)]
    new = [row(3, "c", 1, 1.0), row(1, "a", 1, 2.0), row(4, "d", 1, 1.0), row(5, "e", 1, None), row(9, None, 1, 1.0)]
    found = changed(PROMPT, relation(new), relation(old), engine)
    rows = dict(zip(found.column("shop").to_pylist(), found.column("rows").to_pylist(), strict=True))
    assert rows == {"a": 2, "b": 1, "d": 1, "e": 1, None: 1}


def test_a_column_that_the_view_does_not_read_may_change(engine: DuckDBEngine) -> None:
    old, new = relation([row(1, "a", 1, 1.0)]), relation([row(2, "a", 1, 1.0)])
    assert len(changed(PROMPT, new, old, engine)) == 0
    assert len(changed(CORRECTED, new, old, engine)) == 2


def test_rows_of_one_instant_in_another_order_are_touched_and_count_as_none(engine: DuckDBEngine) -> None:
    x, y, other = row(1, "a", 1, 1.0, "x"), row(2, "a", 1, 1.0, "y"), row(3, "b", 1, 1.0)
    found = changed(PROMPT, relation([other, y, x]), relation([x, y, other]), engine)
    assert (found.column("shop").to_pylist(), found.column("rows").to_pylist()) == (["a"], [0])
    assert len(changed(PROMPT, relation([x, other, y]), relation([other, x, y]), engine)) == 0


def test_a_view_of_everybody_is_made_anew(engine: DuckDBEngine, store: SQLiteOnlineStore, tmp_path: Path) -> None:
    view = View("v", (), "e", "happened", "happened", AGGREGATES, ("5m",), (), None, False, ())
    rows = relation([row(1, "a", 1, 1.0)])
    assert rematerialize(view, rows, Relation(arrow=rows.arrow), engine, store, "all", ("never", 1)) == 1
    assert len(held(store, "all", view)) == 1
    store.drop("all")
