"""Rows that were made with hindsight; the whole way of one stands in tests/loop/test_leaks.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lichen import Project
from lichen.errors import LichenError
from lichen.run.hindsight import hindsights
from lichen.testing.leaks import PAIRS, plant


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[str], LichenError]:
    def of(name: str) -> LichenError:
        pair = next(pair for pair in PAIRS if pair.name == name)
        with Project(plant(pair.leak, tmp_path)) as project, pytest.raises(LichenError) as caught:
            project.run()
        return caught.value

    return of


def test_rows_that_were_not_there_are_counted_with_the_instant_and_what_they_are_made_of(
    refused: Callable[[str], LichenError],
) -> None:
    assert str(refused("carried_back")) == (
        "LCH-2528: `past` shows 3 of 381 rows to `past` at 2026-01-30 20:56 that could not be known then\n"
        "  at tables/past.sql:4:8\n"
        "    known: hour_at + INTERVAL 3 HOUR\n"
        "           ^\n"
        "  why: built again of what was known by then, other rows come of `wind`, or none\n"
        "  fix: let `known` be no earlier than that of any row that a row is made of, and no sum or window reach rows "
        "beyond it; or, where it is none, `--accept leak:late/past.* --why TEXT`"
    )


def test_requests_that_would_have_been_others_are_counted(refused: Callable[[str], LichenError]) -> None:
    assert str(refused("later_weather")) == (
        "LCH-2529: a request of `late` would bring `speed` as it was known only later, in 12 of 180 label rows asked "
        "before 2026-01-30 20:56\n"
        "  at tables/labels.sql:2:1\n"
        "    grain: [shipment]\n"
        "    ^\n"
        "  why: built again of what was known by then, another `speed` comes of `wind`\n"
        "  fix: join what was known before `booked_at`, or read it through a feature view; or, where it is none, "
        "`--accept leak:late/request.speed --why TEXT`"
    )


def test_what_a_run_may_refuse_can_be_named_before_it_and_means_how_it_is_made(tmp_path: Path) -> None:
    with Project(plant({}, tmp_path)) as project:
        before = hindsights(project.graph, project.spec)
    assert set(before) == {"leak:late/carrier_history.*", "leak:late/request.carrier", "leak:late/request.weight"}
    sql = (tmp_path / "tables/deliveries.sql").read_text()
    (tmp_path / "tables/deliveries.sql").write_text(sql.replace("hub, ", ""))
    with Project(tmp_path) as project:
        after = hindsights(project.graph, project.spec)
    assert [name for name in before if before[name] != after[name]] == ["leak:late/carrier_history.*"]
