from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lichen.errors import WrongUsage
from lichen.graph.build import build_graph
from lichen.ground.interval import Grid, Spans
from lichen.run.backfill import backfill, told
from lichen.run.workshop import connector_options
from lichen.spec import read_project


@pytest.fixture
def graph(world):
    world.write("sources/s.yaml", "path: s.csv\n")
    for name, every in (("days", "1d"), ("hours", "1h")):
        world.write(f"tables/{name}.sql", f"/* ---\nintervals: {{by: ts, every: {every}}}\n--- */\nSELECT ts FROM s\n")
    world.write("tables/whole.sql", "SELECT ts FROM s\n")
    return build_graph(read_project(world.root, {}, connector_options()))


def test_both_ends_are_in_it_and_a_day_is_a_whole_day(graph) -> None:
    wanted = backfill("2024-01-01..2024-01-02", None, graph)
    assert told(wanted, graph) == {
        "table.days": "2 intervals: 2024-01-01 .. 2024-01-02",
        "table.hours": "48 intervals: 2024-01-01T00:00 .. 2024-01-02T23:00",
    }
    wanted = backfill("2024-01-01T05:10 .. 2024-01-01T09:00+02:00", "hours", graph)
    assert told(wanted, graph) == {"table.hours": "3 intervals: 2024-01-01T05:00 .. 2024-01-01T07:00"}
    last = Grid(timedelta(days=1)).number(datetime(9999, 12, 30, tzinfo=UTC))
    assert backfill("0001-01-01..9999-12-31", "days", graph) == {"table.days": Spans(((0, last),))}


@pytest.mark.parametrize(
    ("text", "table", "code", "what"),
    [
        ("2024-01-01", None, "LCH-1061", "--backfill: `2024-01-01` is no range of time"),
        ("..", None, "LCH-1061", "--backfill: `..` is no range of time"),
        ("2024-02-30..2024-03-01", None, "LCH-1061", "is no range of time"),
        ("2024-01-02..2024-01-01", None, "LCH-1062", "--backfill: `2024-01-02..2024-01-01` ends before it begins"),
        ("2024-01-01..2024-01-02", "whole", "LCH-1063", "`whole` is no table that is built in intervals"),
    ],
)
def test_what_is_no_backfill(text, table, code, what, graph) -> None:
    with pytest.raises(WrongUsage) as refused:
        backfill(text, table, graph)
    assert refused.value.code == code
    assert what in refused.value.what
    assert refused.value.fix


def test_a_project_without_intervals(world) -> None:
    world.write("sources/s.yaml", "path: s.csv\n")
    world.write("tables/whole.sql", "SELECT ts FROM s\n")
    graph = build_graph(read_project(world.root, {}, connector_options()))
    with pytest.raises(WrongUsage, match="no table of the project is built in intervals") as refused:
        backfill("2024-01-01..2024-01-02", None, graph)
    assert refused.value.code == "LCH-1064"
