from __future__ import annotations

from datetime import timedelta

import pytest

from lichen.errors import FoundWrong
from lichen.graph.build import build_graph
from lichen.ground.interval import Grid, Spans
from lichen.ports import Column
from lichen.spec import read_project
from lichen.transform.build import describe
from lichen.transform.intervals import Cut, count_within, cut, differing, held, repeated_elsewhere, rest_of

EVENTS = (Column("id", "BIGINT"), Column("ts", "TIMESTAMP WITH TIME ZONE"), Column("kind", "VARCHAR"))
DAYS = "SELECT * FROM (VALUES (1, DATE '2024-01-01'), (2, DATE '2024-01-02'), (3, NULL)) AS x(id, day)"
CUT = Cut("day", Grid(timedelta(days=1), "DATE"), timedelta(days=2), {})


@pytest.fixture
def made(tmp_path, engine):
    """How a table `t` of one source `events` is cut, by what its front matter says and its statement."""

    def make(intervals, statement):
        for folder in ("sources", "tables"):
            (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / "lichen.yaml").write_text("name: p\n")
        (tmp_path / "sources/events.yaml").write_text("path: e.csv\n")
        (tmp_path / "tables/t.sql").write_text(f"/* ---\nintervals: {intervals}\n--- */\n{statement}")
        project = read_project(tmp_path, {}, {"files": {"path": ""}})
        asset = build_graph(project)["table.t"]
        columns = describe(asset, {"events": EVENTS}, engine.describe, project)
        return cut(asset, columns, {"events": EVENTS}, engine, project)

    return make


def test_a_table_is_cut_by_a_column_of_its_own(made) -> None:
    found = made("{by: day, every: 1w, lateness: 3d}", "SELECT ts::DATE AS day, count(*) AS n FROM events GROUP BY ALL")
    assert found == Cut("day", Grid(timedelta(days=7), "DATE"), timedelta(days=3), {"events": ('CAST("ts" AS DATE)',)})


def test_a_table_without_intervals_is_not_cut(made) -> None:
    assert made("null", "SELECT id FROM events") is None


def test_an_interval_is_closed_by_the_newest_and_the_lateness() -> None:
    assert [CUT.closed(number, 10) for number in (6, 7, 8, 10, 11, None)] == [True, True, False, False, False, False]
    assert not CUT.closed(7, None)


@pytest.mark.parametrize(
    ("intervals", "statement", "said"),
    [
        (
            "{by: tz, every: 1d}",
            "SELECT ts FROM events",
            "LCH-2241: the intervals go by a column `tz` that the table does not have\n  at tables/t.sql:2:17",
        ),
        (
            "{by: kind, every: 1d}",
            "SELECT kind FROM events",
            "LCH-2242: the intervals go by `kind`, which is VARCHAR, and not a time\n  at tables/t.sql:2:17",
        ),
        (
            "{by: day, every: 6h}",
            "SELECT ts::DATE AS day FROM events",
            "LCH-2244: `day` is a day, and intervals of it cannot be shorter, or end within one\n@:2:29",
        ),
        (
            "{by: ts, every: 1d}",
            "SELECT ts,\n  row_number() OVER (ORDER BY id) AS n\nFROM events",
            "LCH-2243: `t` cannot be built in intervals of `ts`: a window compares rows of several@:5:",
        ),
        (
            "{by: ts, every: 1d}",
            "SELECT max_by(ts, id) AS ts FROM events",
            "LCH-2243: `t` cannot be built in intervals of `ts`: `ts` is not computed of one row\n@:4:15",
        ),
    ],
)
def test_what_cannot_be_cut_is_refused_at_its_place(intervals, statement, said, made) -> None:
    with pytest.raises(FoundWrong) as refused:
        made(intervals, statement)
    begin, _, place = said.partition("@")
    assert str(refused.value).startswith(begin)
    assert f"at tables/t.sql{place}" in str(refused.value)


def test_rows_that_came_went_or_changed_are_told_by_interval(stage, engine) -> None:
    old = stage(DAYS).relation
    new = stage(DAYS.replace("(1, DATE", "(7, DATE").replace("(3, NULL)", "(3, NULL), (3, NULL), (2, '2024-01-02')"))
    found = differing(CUT.grid, ("day",), old, new.relation, engine)
    first = min(number for number in found if number is not None)
    assert found == {first: 1, first + 1: 1, None: 1}
    assert differing(CUT.grid, ("day",), old, old, engine) == {}
    assert differing(CUT.grid, ("day",), old, new.relation, engine, CUT.within(Spans.of([first]))) == {first: 1}
    assert differing(CUT.grid, ("CAST('no day' AS DATE)",), old, new.relation, engine) == {None: 3}


def test_rows_by_interval(stage, engine, tmp_path) -> None:
    rows = stage(DAYS).relation
    spans = held(CUT, rows, engine)
    ((first, last),) = spans.ranges
    assert (last - first, spans.timeless) == (1, True)
    assert count_within(CUT.within(Spans.of([first, None])), rows, engine) == 2
    new = stage("SELECT 2 AS id, DATE '2024-01-01' AS day").relation
    assert repeated_elsewhere(CUT, [("id",)], Spans.of([first]), rows, new, engine)
    assert not repeated_elsewhere(CUT, [("id",)], Spans.of([first, last]), rows, new, engine)
    (file,) = rest_of(CUT, Spans.of([last, None]), rows, engine, tmp_path)
    assert file.rows == 2
