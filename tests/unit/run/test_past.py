from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lichen.errors import FoundWrong
from lichen.run.past import PastRows
from lichen.spec import Label

LABEL = Label.model_validate({"from": "t", "value": "v", "at": "asked at", "known": "k"})
ROWS = "SELECT CAST('2026-01-0' || d AS TIMESTAMPTZ) AS \"asked at\", d AS x FROM (VALUES (3), (1), (2)) AS t(d)"


def past(world: Any, start: int, end: int | None = None) -> PastRows:
    version = world.put("table.t", ROWS)
    until = None if end is None else datetime(2026, 1, end, tzinfo=UTC)
    engine = world.workshop.engine
    return PastRows(LABEL, world.workshop.relation(version), datetime(2026, 1, start, tzinfo=UTC), until, engine)


def test_a_span_holds_its_start_and_not_its_end(world: Any) -> None:
    assert past(world, 1).span()[0] == 3
    assert past(world, 1, 3).span() == (2, "2026-01-01 00:00:00+00", "2026-01-02 00:00:00+00")


def test_rows_come_in_the_order_in_which_they_were_asked(world: Any) -> None:
    rows = list(past(world, 1, 3).read(["x"]))
    assert [row["x"] for row in rows] == [1, 2]
    assert rows[0]["asked at"] == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_span_without_rows_names_the_span_there_is(world: Any) -> None:
    with pytest.raises(FoundWrong) as refused:
        past(world, 4, 5).span()
    assert str(refused.value) == (
        "LCH-3202: `t` has no rows asked for from 2026-01-04T00:00:00+00:00 on before 2026-01-05T00:00:00+00:00\n"
        "  fix: its rows are asked for from 2026-01-01 00:00:00+00 to 2026-01-03 00:00:00+00: choose a span in it"
    )
