from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from arro3.core import Table
from hypothesis import given
from hypothesis import strategies as st

from lichen.ground.interval import END, FIRST, Grid, Spans

NUMBERS = st.frozensets(st.one_of(st.none(), st.integers(0, 12)))


def members(spans: Spans) -> set[int | None]:
    return {one for one in (*range(14), None) if one in spans}


@given(left=NUMBERS, right=NUMBERS)
def test_spans_are_sets(left, right) -> None:
    one, other = Spans.of(left), Spans.of(right)
    assert members(one) == set(left)
    assert members(one | other) == left | right
    assert members(one - other) == left - right
    assert one.meets(other) == bool(left & right)
    assert len(one) == len(left - {None})
    assert bool(one) == bool(left)
    assert set().union(*map(members, one.pieces())) == set(left)


def test_weeks_begin_on_mondays_and_days_at_midnight() -> None:
    at = datetime(2013, 12, 31, 17, 5, tzinfo=UTC)
    for every, name in ((7, "2013-12-30"), (1, "2013-12-31"), (1 / 24, "2013-12-31T17:00")):
        grid = Grid(timedelta(days=every))
        assert grid.name(grid.number(at)) == name
    assert Grid(timedelta(milliseconds=500)).name(1) == "0001-01-01T00:00:00.500000"


def test_a_set_in_words() -> None:
    grid = Grid(timedelta(days=1))
    days = [grid.number(datetime(2013, 12, day, tzinfo=UTC)) for day in (1, 3, 4, 9, 20)]
    assert grid.told(Spans.of([*days, None])) == (
        "5 intervals: 2013-12-01, 2013-12-03 .. 2013-12-04, 2013-12-09 and 1 more spans and the rows without a time"
    )
    assert grid.told(Spans(timeless=True)) == "the rows without a time"
    assert grid.told(Spans()) == "no interval"


@pytest.mark.parametrize("kind", ["TIMESTAMP WITH TIME ZONE", "TIMESTAMP", "DATE"])
def test_sql_and_python_agree_on_the_interval_of_a_value(kind, engine) -> None:
    grid = Grid(timedelta(days=7), kind)
    days = [FIRST, datetime(1969, 12, 28, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC), END - timedelta(days=1), END]
    values = ", ".join(f"(CAST('{day.isoformat(sep=' ')}' AS {kind}))" for day in days)
    rows = f"(VALUES {values}, (NULL), (CAST('infinity' AS {kind})), (CAST('0044-03-15 (BC)' AS {kind}))) AS x(v)"

    def ask(select: str) -> list[object]:
        return Table.from_arrow(engine.query(f"SELECT {select} AS got FROM {rows}", {})).column("got").to_pylist()

    numbers = [grid.number(day) for day in days[:-1]]
    assert ask(grid.number_sql("v")) == [*numbers, None, None, None, None]
    for spans in (Spans.of(numbers[1:3]), Spans.of([numbers[-1], None]), Spans.of([numbers[0], numbers[2]]), Spans()):
        assert [one is True for one in ask(grid.within_sql("v", spans))] == [
            one in spans for one in [*numbers, None, None, None, None]
        ]
