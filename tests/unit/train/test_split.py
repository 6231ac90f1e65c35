from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from arro3.core import Table

from lichen.errors import FoundWrong, SystemFailed
from lichen.ports import Engine, Relation
from lichen.train.split import _counts, labelled, split

from .conftest import model, rows

Held = Callable[..., Relation]


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def test_the_parts_are_whole_days_and_the_newest_day_is_in_the_test(engine: Engine, held: Held) -> None:
    rows = held()
    made = split(model(), rows, labelled(model(), rows, engine), engine)
    assert made.end == instant("2013-04-11")
    assert made.test == instant("2013-03-22")
    assert made.early_stop == instant("2013-03-12")
    assert sum(made.rows.values()) + sum(made.left_out.values()) == 2400


def test_a_late_label_neither_trains_nor_stops(engine: Engine, held: Held) -> None:
    rows = held()
    made = split(model(), rows, labelled(model(), rows, engine), engine)
    # Labels are known three hours after `at`, strictly before the cut: of each part's last day three rows are too late.
    assert made.left_out == {
        "no_label": 60,
        "label_not_finite": 0,
        "no_time": 0,
        "train_known_late": 3,
        "early_stop_known_late": 3,
    }
    assert made.rows["test"] == 20 * 24 - 12


def test_no_row_in_training_was_known_at_the_cut(engine: Engine, held: Held) -> None:
    rows = held()
    columns = labelled(model(), rows, engine)
    made = split(model(), rows, columns, engine)
    found = Table.from_arrow(
        engine.query(
            f"SELECT {columns.part(made.early_stop, made.test)} AS part, max({columns.known}) AS known "
            "FROM rows GROUP BY part",
            {"rows": rows},
        )
    )
    latest = dict(zip(found.column("part").to_pylist(), found.column("known").to_pylist(), strict=True))
    assert latest["train"] < made.early_stop
    assert latest["early_stop"] < made.test


def test_spans_of_hours_go_by_whole_hours(engine: Engine, held: Held) -> None:
    rows = held(100, "SELECT * FROM rows WHERE i <= 97")
    short = model(validate={"by": "time", "early_stop": "12h", "test": "6h"})
    made = split(short, rows, labelled(short, rows, engine), engine)
    assert (made.end - made.test, made.test - made.early_stop) == (6 * 3_600_000_000, 12 * 3_600_000_000)
    assert made.end == instant("2013-01-05T02:00:00")


def test_rows_without_a_time_are_counted(engine: Engine, held: Held) -> None:
    rows = held(2400, "SELECT * REPLACE (CASE WHEN i % 100 = 0 THEN NULL ELSE known END AS known) FROM rows")
    made = split(model(), rows, labelled(model(), rows, engine), engine)
    assert made.left_out["no_time"] == 24


def test_labels_of_zero_and_one_are_two_classes(engine: Engine, held: Held) -> None:
    rows = held(2400, "SELECT * REPLACE (late::INTEGER AS late) FROM rows")
    assert split(model(), rows, labelled(model(), rows, engine), engine).rows["test"] == 468


def test_labels_that_are_not_finite_are_left_out_and_counted_apart(engine: Engine, held: Held) -> None:
    numbers = model(task="regression", label={"from": "labels", "value": "delay", "at": "at", "known": "known"})
    rows = held(2400, "SELECT * REPLACE (CASE WHEN i % 100 = 0 THEN 'nan'::DOUBLE ELSE delay END AS delay) FROM rows")
    left_out = split(numbers, rows, labelled(numbers, rows, engine), engine).left_out
    assert (left_out["no_label"], left_out["label_not_finite"]) == (0, 24)


def test_a_label_that_no_metric_can_be_told_of_is_refused(engine: Engine, held: Held) -> None:
    numbers = model(task="regression", label={"from": "labels", "value": "delay", "at": "at", "known": "known"})
    rows = held(2400, "SELECT * REPLACE (CASE WHEN i = 50 THEN -1e300 ELSE delay END AS delay) FROM rows")
    with pytest.raises(FoundWrong) as refused:
        split(numbers, rows, labelled(numbers, rows, engine), engine)
    assert str(refused.value) == (
        "LCH-2907: the label `delay` of `labels` goes as far from zero as 1e+300\n"
        "  why: beyond 1e+100 the squares that rmse and r2 sum up are no finite numbers\n"
        "  fix: give `delay` a `range` in a contract, so that they are set aside, or let the model learn its "
        "logarithm"
    )


def test_a_label_that_is_nowhere_finite_is_refused(engine: Engine, held: Held) -> None:
    numbers = model(task="regression", label={"from": "labels", "value": "delay", "at": "at", "known": "known"})
    rows = held(2400, "SELECT * REPLACE ('inf'::DOUBLE AS delay) FROM rows")
    with pytest.raises(FoundWrong, match="LCH-2904") as refused:
        split(numbers, rows, labelled(numbers, rows, engine), engine)
    assert str(refused.value.why) == "`delay`, `at` or `known` is null in every row, or the label is NaN or infinite"


@pytest.mark.parametrize(
    ("task", "wrap", "said"),
    [
        (
            "regression",
            "FROM rows",
            (
                "LCH-2901: the label `late` is BOOLEAN, and regression learns numbers\n"
                "  fix: make `late` a number in the label table, or set `task: classification`"
            ),
        ),
        (
            "classification",
            "SELECT * REPLACE (late::VARCHAR AS late) FROM rows",
            (
                "LCH-2902: the label `late` is VARCHAR, and classification learns true or false\n"
                "  fix: compute a boolean in the label table, as in `late = 'yes' AS late`"
            ),
        ),
        (
            "classification",
            "SELECT * REPLACE ((i % 4)::INTEGER AS late) FROM rows",
            (
                "LCH-2903: the label `late` has values other than 0 and 1\n"
                "  why: classification learns two classes; there are also: 2, 3\n"
                "  fix: make the label a boolean, or set `task: regression`"
            ),
        ),
        (
            "classification",
            "SELECT * REPLACE (NULL::BOOLEAN AS late) FROM rows",
            (
                "LCH-2904: no row of `labels` has a label and its times\n"
                "  why: `late`, `at` or `known` is null in every row\n"
                "  fix: look at the label table and at the sources it reads"
            ),
        ),
        (
            "classification",
            "FROM rows WHERE i < 30 * 24",
            (
                "LCH-2906: the split leaves no rows for `train`\n"
                "  why: the labelled rows of `labels` reach over 30.0 days; left out: 18 rows without a label, "
                "3 rows of early stopping whose label was not known by the start of the test\n"
                "  fix: shorten `validate.test` and `validate.early_stop`, or collect a longer span"
            ),
        ),
    ],
)
def test_labels_that_do_not_fit_are_refused(engine: Engine, held: Held, task: str, wrap: str, said: str) -> None:
    rows = held(2400, wrap)
    asked = model(task=task)
    with pytest.raises(FoundWrong) as refusal:
        split(asked, rows, labelled(asked, rows, engine), engine)
    assert str(refusal.value) == said


class _Changing:
    """Rows that are others each time they are read."""

    def __init__(self) -> None:
        self.read = 0

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        self.read += 1
        return Table.from_arrow(rows(10 + self.read)).__arrow_c_stream__(requested_schema)


def test_rows_that_change_between_two_readings_are_told(engine: Engine) -> None:
    with pytest.raises(SystemFailed) as found:
        _counts(Relation(arrow=_Changing()), "'train'", engine)
    assert found.value.code == "LCH-2905"
    assert found.value.what.endswith("were split")
    assert found.value.fix == "report this: every row must be in one part or be counted as left out"


def test_without_an_early_stop_training_goes_up_to_the_test(engine: Engine, held: Held) -> None:
    rows, asked = held(), model(validate={"test": "20d"})
    made = split(asked, rows, labelled(asked, rows, engine), engine)
    assert made.early_stop == made.test == instant("2013-03-22")
    assert made.rows["early_stop"] == made.left_out["early_stop_known_late"] == 0
    assert made.rows["train"] > split(model(), rows, labelled(model(), rows, engine), engine).rows["train"]
    short = held(2400, "FROM rows WHERE i < 15 * 24")
    with pytest.raises(FoundWrong) as refusal:
        split(asked, short, labelled(asked, short, engine), engine)
    assert refusal.value.fix == "shorten `validate.test`, or collect a longer span"
