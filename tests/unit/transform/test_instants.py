from __future__ import annotations

import pytest

from lichen.errors import FoundWrong
from lichen.graph.build import build_graph
from lichen.ports import Column
from lichen.spec import read_project
from lichen.transform.instants import check_instants

COLUMNS = (
    Column("seen_at", "TIMESTAMP WITH TIME ZONE"),
    Column("clock", "TIMESTAMP"),
    Column("day", "DATE"),
    Column("order", "TIMESTAMP WITH TIME ZONE"),
)


@pytest.fixture
def check(tmp_path, engine):
    def run(matter):
        (tmp_path / "sources").mkdir()
        (tmp_path / "lichen.yaml").write_text("name: p\n")
        (tmp_path / "sources/s.yaml").write_text(f"path: s.csv\n{matter}")
        project = read_project(tmp_path, {}, {"files": {"path": ""}})
        check_instants(build_graph(project)["source.s"], COLUMNS, engine, project)

    return run


@pytest.fixture
def refused(check):
    def run(matter):
        with pytest.raises(FoundWrong) as caught:
            check(matter)
        return str(caught.value)

    return run


@pytest.mark.parametrize(
    "matter",
    [
        "",
        "time: seen_at\nknown: seen_at",
        "time: seen_at\nknown: seen_at + INTERVAL 1 HOUR",
        'known: greatest(seen_at, "order")',
        "time: timezone('Europe/Berlin', clock)\nknown: '\"order\" -- when it was asked'",
    ],
)
def test_instants_are_let_through(check, matter):
    check(matter)


def test_a_time_without_known_is_refused(refused):
    assert refused("time: seen_at + INTERVAL 1 HOUR\n") == (
        "LCH-2232: `s` has a `time` and does not say when its rows became known\n"
        "  at sources/s.yaml:2:1\n"
        "    time: seen_at + INTERVAL 1 HOUR\n"
        "    ^\n"
        "  fix: add `known:`; it is `known: seen_at + INTERVAL 1 HOUR` if a row is known the moment it happens"
    )


@pytest.mark.parametrize(("text", "kind"), [("clock", "TIMESTAMP"), ("day", "DATE")])
def test_what_is_no_instant_is_refused(refused, text, kind):
    assert refused(f"time: seen_at\nknown: {text}\n") == (
        f"LCH-2234: `known: {text}` is {kind}, and has to be an instant (TIMESTAMP WITH TIME ZONE)\n"
        "  at sources/s.yaml:3:8\n"
        f"    known: {text}\n"
        "           ^\n"
        "  why: a clock's reading without its zone is no instant\n"
        f"  fix: convert it: timezone('Europe/Berlin', {text}) for a local clock, timezone('UTC', {text}) for UTC"
    )


def test_an_expression_that_cannot_be_computed_is_refused_with_near_names(refused):
    shown = refused("time: seen_a\nknown: seen_at\n")
    assert shown.startswith("LCH-2233: `time: seen_a` cannot be computed: the SQL is wrong\n  at sources/s.yaml:2:7\n")
    assert 'did you mean "seen_at"' in shown


def test_a_column_named_by_a_word_of_sql_is_told_how_to_write(refused):
    assert refused("known: order").endswith(
        """fix: `order` is a word of SQL too: write it as a name, known: '"order"'"""
    )


def test_a_time_that_asks_the_clock_is_refused(refused):
    assert refused("time: seen_at\nknown: least(seen_at, now())\n") == (
        "LCH-2007: `now` gives another answer each time it is asked\n"
        "  at sources/s.yaml:3:23\n"
        "    known: least(seen_at, now())\n"
        "                          ^\n"
        "  why: a version is named by what it is made of, and this would give other rows of the same inputs\n"
        "  fix: use an instant that the rows hold, such as when they arrived: a column of the source"
    )
