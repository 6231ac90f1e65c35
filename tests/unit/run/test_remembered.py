from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from lichen.backends.duckdb import DuckDBEngine
from lichen.errors import FoundWrong, Where
from lichen.graph.statement import Statement, parse_statement
from lichen.graph.statement_lineage import statement_lineage
from lichen.ports import Column, Relation
from lichen.run import remembered
from lichen.run.remembered import Remembered

TEXT = "  /* --- */\nSELECT a, sum(b) OVER (ORDER BY c) AS s FROM t JOIN (SELECT k FROM u) AS v ON k = a -- all\n"
INPUTS = {"t": ["a", "b", "c"], "u": ["k"]}


def place(line: int, column: int) -> Where:
    return Where("t.sql", line, column)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "statements.json"


def read(file: Path, text: str = TEXT) -> Statement:
    memory = Remembered(file)
    made = memory.statement(text, place)
    memory.lineage(made, INPUTS)
    memory.keep()
    return made


def test_what_is_remembered_is_what_was_parsed_and_the_tree_is_there_when_it_is_asked_for(file: Path) -> None:
    first, again = read(file), read(file)
    assert again == first == parse_statement(TEXT, place)
    assert (again.canonical, again.places, again.text) == (first.canonical, first.places, first.text)
    assert again.volatile == first.volatile == ()
    assert "tree" not in again.__dict__
    assert again.tree == first.tree
    assert Remembered(file).lineage(again, INPUTS) == statement_lineage(first, INPUTS)


def test_what_is_remembered_is_not_found_out_again(file: Path) -> None:
    read(file)
    written = json.loads(file.read_text())
    (entry,) = written["entries"].values()
    entry["statement"]["canonical"] = "remembered"
    (made,) = entry["lineages"].values()
    made["opaque"] = True
    file.write_text(json.dumps(written))
    memory = Remembered(file)
    statement = memory.statement(TEXT, place)
    assert statement.canonical == "remembered"
    assert memory.lineage(statement, INPUTS).opaque


def test_what_has_another_answer_each_time_is_remembered(file: Path) -> None:
    text = "SELECT a, now() AS n FROM t"
    assert read(file, text).volatile == read(file, text).volatile == (("now", 10),)


def test_inputs_with_other_columns_have_another_lineage(file: Path) -> None:
    statement = read(file, "SELECT * FROM t")
    memory = Remembered(file)
    for columns in (["a"], ["a", "b"], ["a", "b", "c", "d"], ["b"], ["c"], ["e"]):
        assert [one.name for one in memory.lineage(statement, {"t": columns}).columns] == columns
    assert memory.lineage(statement, {"t": ["a"]}, ["other"]).opaque
    memory.keep()
    (entry,) = json.loads(file.read_text())["entries"].values()
    assert len(entry["lineages"]) == 4


def test_what_was_not_read_lately_is_forgotten(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST", 2)
    for text in ("SELECT 1 AS a", "SELECT 2 AS a", "SELECT 1 AS a", "SELECT 3 AS a"):
        read(file, text)
    told = [entry["statement"]["canonical"] for entry in json.loads(file.read_text())["entries"].values()]
    assert told == ["SELECT 2 AS a", "SELECT 3 AS a"]


def test_nothing_is_written_where_nothing_is_new(file: Path) -> None:
    read(file)
    before = file.stat().st_ino
    read(file)
    assert file.stat().st_ino == before
    assert [one.name for one in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"maker": 3}', '{"maker": "other", "entries": {}}'])
def test_a_file_that_cannot_be_read_is_as_good_as_none(file: Path, damage: str) -> None:
    first = read(file)
    file.write_text(damage)
    assert read(file) == first
    assert json.loads(file.read_text())["entries"]


def test_an_entry_of_another_shape_is_read_anew(file: Path) -> None:
    first = read(file)
    written = json.loads(file.read_text())
    for entry in written["entries"].values():
        entry["statement"] = {"canonical": 1}
        entry["lineages"] = {key: {"columns": 3} for key in entry["lineages"]}
    file.write_text(json.dumps(written))
    again = Remembered(file)
    made = again.statement(TEXT, place)
    assert made == first
    assert again.lineage(made, INPUTS) == statement_lineage(first, INPUTS)


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, and no folder")
    assert read(tmp_path / "cache" / "statements.json") == parse_statement(TEXT, place)


def test_what_is_wrong_is_never_remembered(file: Path) -> None:
    for _ in range(2):
        with pytest.raises(FoundWrong, match="a table is one SELECT statement"):
            Remembered(file).statement("DELETE FROM t", place)
    assert not file.exists()


def test_a_description_is_asked_for_once_for_the_same_columns_and_engine(file: Path, tmp_path: Path) -> None:
    class Counting(DuckDBEngine):
        asked = 0

        def describe(self, select: str, inputs: Mapping[str, Relation]) -> tuple[Column, ...]:
            self.asked += 1
            return super().describe(select, inputs)

    engine, over = Counting(scratch=tmp_path), {"t": Relation((Column("a", "DECIMAL(9,2)"),))}
    found = []
    for _ in range(2):
        memory = Remembered(file)
        found.append(memory.described_by(engine)("SELECT sum(a) AS s, now() AS n FROM t", over))
        memory.keep()
    assert found == [(Column("s", "DECIMAL(38,2)"), Column("n", "TIMESTAMP WITH TIME ZONE"))] * 2
    assert engine.asked == 1
    other = {"t": Relation((Column("a", "INTEGER"),))}
    assert Remembered(file).described_by(engine)("SELECT sum(a) AS s FROM t", other)[0].type != "DECIMAL(38,2)"
    engine.version = "duckdb 99.0"
    Remembered(file).described_by(engine)("SELECT sum(a) AS s, now() AS n FROM t", over)
    assert engine.asked == 3
