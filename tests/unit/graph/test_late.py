from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lichen.testing.leaks.shipping import LABELS, MODEL, labels, model

COMPARED = labels().replace("s.delay > 60 AS late", "s.delivered_at > s.promised_at AS late")


def shown(columns: Any) -> set[str]:
    return {str(column) for column in columns}


def test_the_label_s_source_and_the_instant_it_is_known_at_tell_it(look: Callable[..., Any]) -> None:
    late = look().late
    assert shown(late.told) == {"shipments.delay", "shipments.delivered_at"}
    assert shown(late.guards) == {"shipments.delay", "shipments.delivered_at"}
    assert shown(late.asked) == {"shipments.booked_at"}
    assert not late.horizon


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({LABELS: COMPARED}, {"shipments.delivered_at"}),
        ({LABELS: COMPARED.replace("late", "late,\n  s.promised_at + INTERVAL 9 DAY AS due", 1)}, None),
        (
            {
                LABELS: COMPARED.replace("AS late", "AS late,\n  s.booked_at + INTERVAL 9 DAY AS due"),
                MODEL: model(known="due"),
                "tables/deliveries.sql": "/* ---\ntime: d\nknown: d\n--- */\nSELECT carrier, delay, delivered_at AS d "
                "FROM shipments WHERE delivered_at IS NOT NULL",
            },
            {"shipments.delivered_at"},
        ),
    ],
)
def test_of_a_label_of_several_columns_the_late_one_shows(
    look: Callable[..., Any], files: dict[str, str], told: set[str] | None
) -> None:
    if told is not None:
        assert shown(look(files).late.told) == told


def test_a_label_known_a_while_after_it_is_asked_has_a_horizon(look: Callable[..., Any]) -> None:
    files = {LABELS: labels("s.booked_at + INTERVAL 9 DAY AS due"), MODEL: model(known="due")}
    assert look(files).late.horizon


def test_a_label_that_sums_up_other_rows_names_their_table(look: Callable[..., Any]) -> None:
    summed = "(SELECT max(o.weight) FROM shipments AS o WHERE o.booked_at > s.booked_at) > 9 AS late"
    late = look({LABELS: labels().replace("s.delay > 60 AS late", summed)}).late
    assert shown(late.rows) == {"shipments.weight"}
    assert late.tables == {"source.shipments"}
