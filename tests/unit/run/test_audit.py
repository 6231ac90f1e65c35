from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from lichen.backends.sqlite_state import SQLiteStateStore
from lichen.ports import Append, Conflict, Put
from lichen.run.audit import AUDIT, HEADS, broken_at, chained, record


@pytest.fixture
def state(tmp_path):
    store = SQLiteStateStore(tmp_path / "state.db")
    for number in range(4):
        entry = {"act": "release", "number": number, "é": [1, (2.5, None)], "at": datetime(2020, 1, 1, tzinfo=UTC)}
        store.write(Append("audit", chained(store, "audit", entry)))
    yield store
    store.close()


def _tamper(tmp_path, statement):
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_whole_chain_is_not_broken(state):
    assert broken_at(state, "audit") is None
    assert broken_at(state, "another") is None


@pytest.mark.parametrize(
    ("statement", "at"),
    [
        ("UPDATE entries SET value = replace(value, '\"number\":1', '\"number\":7') WHERE number = 2", 2),
        ("UPDATE entries SET value = json_remove(value, '$.hash') WHERE number = 3", 3),
        ("UPDATE entries SET value = json_remove(value, '$.before') WHERE number = 3", 3),
        ("UPDATE entries SET value = json_set(value, '$.more', 1) WHERE number = 1", 1),
        ("DELETE FROM entries WHERE number = 1", 2),
        ("DELETE FROM entries WHERE number = 3", 4),
        ("UPDATE entries SET value = (SELECT value FROM entries WHERE number = 2) WHERE number = 3", 3),
    ],
)
def test_an_edit_is_found_where_it_was_made(state, tmp_path, statement, at):
    _tamper(tmp_path, statement)
    assert broken_at(state, "audit") == at


def test_what_is_told_and_its_entry_are_one_write(state):
    record(state, {"act": "made"}, Put("things", "a", {"n": 1}, expect=None))
    with pytest.raises(Conflict):
        record(state, {"act": "made"}, Put("things", "a", {"n": 2}, expect=None))
    assert state.get("things", "a") == {"n": 1}
    assert [entry["act"] for _, entry in state.entries(AUDIT)][4:] == ["made"]
    assert state.get(HEADS, AUDIT) == {"hash": state.entries(AUDIT, last=1)[0][1]["hash"]}
    assert broken_at(state, AUDIT) is None
