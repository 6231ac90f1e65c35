from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from arro3.core import Table

from lichen.errors import WrongUsage
from lichen.monitor.cohort import Cohorts, instant
from lichen.monitor.drift import drift
from lichen.monitor.sample import DAY, Sample, as_is, recorded
from lichen.ports import Relation

START = instant(datetime(2026, 1, 5, tzinfo=UTC))
WEEKS, ROWS = 26, 40  # weeks in all, rows a day


def dealt(random, weeks: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Instants and values of weeks that differ from one another and days that do too, with no change over time."""
    days = weeks * 7
    level = np.repeat(random.normal(0, 0.3, (weeks, features)), 7, axis=0) + random.normal(0, 0.2, (days, features))
    # Half of every week's mood is shared by all features, as weather or a holiday is.
    level += np.repeat(random.normal(0, 0.2, (weeks, 1)), 7, axis=0)
    values = np.repeat(level, ROWS, axis=0) + random.normal(0, 1, (days * ROWS, features))
    values = random.permutation(values.reshape(weeks, 7 * ROWS, features)).reshape(-1, features)
    return START + np.repeat(np.arange(days), ROWS) * DAY + 3_600_000_000, values


def ask(engine, store, at, values, *, live_weeks: int, false_alarms: float = 0.05, **changes):
    cut = START + (WEEKS - live_weeks) * 7 * DAY
    names = [f"a.f{i}" for i in range(values.shape[1])]
    before = {"at": at[at < cut]} | {name: values[at < cut, i] for i, name in enumerate(names)}
    after = {"at": at[at >= cut]} | {recorded(name): values[at >= cut, i] for i, name in enumerate(names)}
    end = START + WEEKS * 7 * DAY
    options = {"cohorts": Cohorts.between(cut, end, timedelta(days=7)), "now": end, "false_alarms": false_alarms}
    return drift(
        dict.fromkeys(names, 1 / len(names)),
        Sample("training rows", store(before), "at"),
        Sample("predictions", store(after), "at", recorded),
        engine,
        **options | changes,
    )


def test_whole_weeks_dealt_at_random_raise_no_more_than_the_stated_false_alarms(engine, store):
    flagged, askings = [], []
    for deal in range(8):
        at, values = dealt(np.random.default_rng(deal), WEEKS, 30)
        found = ask(engine, store, at, values, live_weeks=4).judged
        for start in sorted({each.start for each in found}):
            drifted = [each.drifted for each in found if each.start == start]
            flagged.append(np.mean(drifted))
            askings.append(any(drifted))
    print(f"features flagged {np.mean(flagged):.2%}, askings with any {np.mean(askings):.0%} of {len(askings)}")
    assert len(askings) == 32
    assert np.mean(flagged) <= 0.01
    assert np.mean(askings) <= 0.1


def test_a_column_that_really_shifted_is_found_and_no_other(engine, store):
    at, values = dealt(np.random.default_rng(100), WEEKS, 30)
    last = at >= START + (WEEKS - 1) * 7 * DAY
    values[last, 3] += 3
    values[last, 4] = np.nan
    found = ask(engine, store, at, values, live_weeks=2).judged
    assert {(each.feature, each.start) for each in found if each.drifted} == {
        (name, START + (WEEKS - 1) * 7 * DAY) for name in ("a.f3", "a.f4")
    }
    gone = next(each for each in found if each.drifted and each.feature == "a.f4")
    assert (gone.bin, gone.share_before, gone.share_now) == ("missing", 0.0, 1.0)
    assert gone.effect == pytest.approx(1, abs=0.01)
    assert gone.severity == pytest.approx(gone.effect / 30)
    assert gone.blocks == WEEKS - 2
    assert gone.typical < gone.most < 0.5


def test_an_earlier_cohort_is_answered_alike_when_later_ones_come(engine, store):
    at, values = dealt(np.random.default_rng(5), WEEKS, 5)
    both = ask(engine, store, at, values, live_weeks=2)
    first = ask(engine, store, at, values, live_weeks=2, now=START + (WEEKS - 1) * 7 * DAY)
    assert len(both.judged) == 10
    assert first.judged == both.judged[:5]


def test_few_rows_and_short_references_are_said_and_not_judged(engine, store):
    at, values = dealt(np.random.default_rng(5), WEEKS, 2)
    thin = (at < START + (WEEKS - 1) * 7 * DAY) | (np.arange(len(at)) % 70 == 0)
    few = ask(engine, store, at[thin], values[thin], live_weeks=1)
    assert not few.judged
    assert [each.reason for each in few.unjudged] == ["4 predictions: at least 100 are needed"]
    short = ask(engine, store, at, values, live_weeks=WEEKS - 4)
    assert short.unjudged[0].reason == "the reference covers 28 days: at least 5 times the cohort's 7 are needed"


def test_cohorts_of_part_days_are_refused(engine, store):
    at, values = dealt(np.random.default_rng(5), WEEKS, 2)
    with pytest.raises(WrongUsage) as caught:
        ask(engine, store, at, values, live_weeks=1, cohorts=Cohorts(START, DAY // 4, 3))
    assert str(caught.value) == (
        "LCH-2802: drift cannot be asked of cohorts of 0.25 days\n"
        "  why: rows of one day are not independent, so whole days are compared with whole days\n"
        "  fix: let the monitor's `every` be a whole number of days: `every: 1d`, `every: 7d`"
    )


def test_a_model_without_importances_has_nothing_to_watch(engine, store):
    rows = Sample("rows", store({"at": np.array([START])}), "at")
    found = drift({}, rows, rows, engine, cohorts=Cohorts(START, DAY, 1), now=START + DAY, false_alarms=0.05)
    assert found.judged == found.unjudged == ()


def test_a_vector_is_not_compared_and_says_why(engine, store):
    at, values = dealt(np.random.default_rng(5), WEEKS, 2)
    cut, end = START + (WEEKS - 2) * 7 * DAY, START + WEEKS * 7 * DAY

    def sample(name, which, column):
        rows = store({"at": at[which]} | {f"f{i}": values[which, i] for i in (0, 1)})
        vector = 'SELECT "at", f0 AS "{}", [f0, f1]::FLOAT[2] AS "{}" FROM rows'
        select = vector.format(column("a.f0"), column("a.v"))
        arrow = Table.from_arrow(engine.query(select, {"rows": rows}))
        return Sample(name, Relation(engine.describe(select, {"rows": rows}), arrow=arrow), "at", column)

    reference, live = sample("training rows", at < cut, as_is), sample("predictions", at >= cut, recorded)
    options = {"cohorts": Cohorts.between(cut, end, timedelta(days=7)), "now": end, "false_alarms": 0.05}
    found = drift({"a.f0": 0.5, "a.v": 0.5}, reference, live, engine, **options)
    assert [each.feature for each in found.judged] == ["a.f0", "a.f0"]
    assert [(each.question, each.start, each.reason) for each in found.unjudged] == [
        ("drift of `a.v`", start, "it is a vector, whose elements have no meaning one by one and no bins together")
        for start in (cut, cut + 7 * DAY)
    ]
    alone = drift({"a.v": 1.0}, reference, live, engine, **options)
    assert (alone.judged, alone.unjudged) == ((), found.unjudged)
