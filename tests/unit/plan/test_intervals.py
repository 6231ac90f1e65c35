from __future__ import annotations

from dataclasses import replace

from lichen.graph.build import Asset
from lichen.plan.intervals import has_intervals, with_intervals
from lichen.plan.steps import Step
from lichen.spec import Table

CUT = Asset("table", "t", Table(intervals={"by": "ts", "every": "1d"}, sql="SELECT 1"))
WHOLE = Asset("table", "t", Table(sql="SELECT 1"))
REFRESH = Step("table.t", "transform", "refresh", "source.s may change")
WANTED = {"table.t": "2 intervals: 2024-01-01 .. 2024-01-02"}


def test_a_step_names_its_intervals() -> None:
    assert (has_intervals(CUT), has_intervals(WHOLE)) == (True, False)
    assert with_intervals(REFRESH, WHOLE, {}) == REFRESH
    assert with_intervals(None, CUT, {}) is None
    reached = "the intervals that changed rows reach"
    assert with_intervals(REFRESH, CUT, {}) == replace(REFRESH, intervals=reached)
    assert with_intervals(REFRESH, CUT, WANTED) == replace(
        REFRESH, intervals=f"{WANTED['table.t']}, and {reached}", filled=True
    )
    built = replace(REFRESH, action="build")
    assert with_intervals(built, CUT, WANTED) == replace(built, intervals="all intervals")


def test_a_backfill_makes_a_step_of_what_would_stay_or_be_shared() -> None:
    wanted = Step("table.t", "transform", "refresh", "a backfill asks for it", intervals=WANTED["table.t"], filled=True)
    assert with_intervals(None, CUT, WANTED) == wanted
    assert with_intervals(replace(REFRESH, action="share"), CUT, WANTED) == wanted
    drop = replace(REFRESH, action="drop")
    assert with_intervals(drop, CUT, WANTED) == drop
