"""How good were the predictions, cohort by cohort, now that labels have come?

Early labels lie: of flights that have landed within four hours of asking 15 % are late, of all flights 24 %. So a
cohort has a metric only once it is *mature*: it has ended, and each of its predictions either has its label or
has waited long enough for one. A label that comes after the wait changes nothing, so a mature cohort's numbers
are final.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from arro3.core import Table
from numpy.typing import NDArray

from lichen.evaluate.metrics import BOUNDS, MAIN, METRICS
from lichen.ground.duration import microseconds
from lichen.ground.quoting import sql
from lichen.monitor.cohort import Cohorts, instant
from lichen.monitor.sample import DAY, fetch, numbers
from lichen.ports import Engine, Relation

LEAST_DAYS = 5
"""With labels on fewer days there is no confidence interval: a few days tell little of the days between them."""

LARGEST = 1e100
"""Beyond this, labels and scores may have sums and squares that are no finite numbers."""

_ROUNDS = 200

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """The metrics of a mature cohort's labelled predictions.

    `metrics` are the task's, None where these labels cannot tell one (all alike). `intervals` (95 %, by resampling
    whole days) are of the metrics asked for; there is none with labels on fewer than `LEAST_DAYS` days. `positives` is
    None but for classification, where `mean_score` against `mean_label` is the calibration in the large.
    """

    positives: int | None
    days: int
    mean_label: float
    mean_score: float
    metrics: Mapping[str, float | None]
    intervals: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Cohort:
    """The predictions asked in `[start, end)` (microseconds since 1970 UTC) and what became of them.

    Each prediction is `labelled`, `closed` (the wait is over, no label came) or `pending`. `state` is `open` while more
    predictions may come, `immature` while some are pending, then `mature`; `scores` is None until then and where no
    label came. `unscored` counts recorded rows without a score; they are no predictions.
    """

    start: int
    end: int
    state: str
    predictions: int
    labelled: int
    closed: int
    pending: int
    unscored: int
    scores: Scores | None

    def as_dict(self) -> dict[str, Any]:
        """The cohort as a JSON object."""
        return asdict(self)


def cohorts_of(
    predictions: Relation,
    engine: Engine,
    *,
    now: int | datetime,
    length: timedelta,
    since: int | datetime | None = None,
) -> Cohorts:
    """The cohorts from the UTC day of `since`, by default of the first prediction, up to `now`."""
    until = instant(now)
    first: int | None = None if since is None else instant(since)
    if first is None:
        first = fetch(engine, 'SELECT min(epoch_us("at")) FROM sample', predictions)[0][0]
    return Cohorts.between(until if first is None else first, until, length)


def outcome(
    predictions: Relation,
    engine: Engine,
    *,
    cohorts: Cohorts,
    now: int | datetime,
    wait: timedelta | None,
    task: str = "classification",
    asked: Sequence[str] = (),
    seed: int = 0,
) -> tuple[Cohort, ...]:
    """What became of each cohort's predictions, as known at `now`.

    `predictions` has the columns `at`, `score`, `label` (0/1 or boolean for classification, else a number) and `known`
    (when the label became known; a label without it is not known). It is read more than once. Without a `wait` a
    prediction is pending until its label comes. `asked` are the metrics that get an interval: the task's main one, if
    none is named.
    """
    rows = _rows(cohorts, instant(now), None if wait is None else microseconds(wait))
    counted = dict(_counts(rows, predictions, engine))
    labelled = dict(_labelled(rows, predictions, engine))
    intervals = tuple(asked) or (MAIN[task],)
    found = []
    for index in range(cohorts.count):
        start, end = cohorts.bounds(index)
        counts = counted.get(index, {"predictions": 0, "labelled": 0, "closed": 0, "pending": 0, "unscored": 0})
        state = "open" if end > instant(now) else "immature" if counts["pending"] else "mature"
        scores = None
        if state == "mature" and index in labelled:
            scores = _scores(*labelled[index], task=task, asked=intervals, seed=[seed, abs(start)])
        found.append(Cohort(start, end, state, **counts, scores=scores))
    return tuple(found)


def _rows(cohorts: Cohorts, now: int, wait: int | None) -> str:
    """SQL for the predictions asked before `now`, each with its cohort, its day and its state."""
    due = "NULL" if wait is None else f"us + {wait}"
    typed = sql(
        'SELECT epoch_us("at") AS us, epoch_us(known) AS known, CAST(label AS DOUBLE) AS label,',
        "CAST(score AS DOUBLE) AS score FROM sample",
    )
    return sql(
        f"SELECT CAST(floor((us - {cohorts.origin}) / {cohorts.length}) AS BIGINT) AS cohort,",
        f"CAST(floor(us / {DAY}) AS BIGINT) AS day, label, score,",
        "CASE WHEN score IS NULL OR NOT isfinite(score) THEN 'unscored'",
        f"WHEN label IS NOT NULL AND isfinite(label) AND known <= least({now}, {due}) THEN 'labelled'",
        f"WHEN {due} <= {now} THEN 'closed' ELSE 'pending' END AS state",
        f"FROM ({typed}) WHERE us >= {cohorts.origin} AND us < {now}",
    )


def _counts(rows: str, predictions: Relation, engine: Engine) -> Iterator[tuple[int, dict[str, int]]]:
    states = ("labelled", "closed", "pending", "unscored")
    shown = ", ".join(f"count(*) FILTER (WHERE state = '{state}')" for state in states)
    select = sql("SELECT cohort,", shown, "FROM (", rows, ") GROUP BY cohort")
    for index, *counts in zip(*fetch(engine, select, predictions), strict=True):
        yield index, {"predictions": sum(counts[:3]), **dict(zip(states, counts, strict=True))}


def _labelled(
    rows: str, predictions: Relation, engine: Engine
) -> Iterator[tuple[int, tuple[Floats, Floats, NDArray[np.int64]]]]:
    kept = "WHERE state = 'labelled' ORDER BY cohort, day, score, label"
    select = sql("SELECT cohort, day, label, score FROM (", rows, ")", kept)
    table = Table.from_arrow(engine.query(select, {"sample": predictions}))
    cohort, day = numbers(table, np.int64, "cohort", "day")
    label, score = numbers(table, np.float64, "label", "score")
    indexes, starts = np.unique(cohort, return_index=True)
    ends = np.append(starts, len(cohort))[1:]
    for index, start, end in zip(indexes, starts, ends, strict=True):
        yield int(index), (label[start:end], score[start:end], day[start:end])


def _scores(
    labels: Floats, scores: Floats, days: NDArray[np.int64], *, task: str, asked: Sequence[str], seed: list[int]
) -> Scores:
    # Labels near the largest number there is have squares that are none: their metrics are null.
    with np.errstate(over="ignore", invalid="ignore"):
        values = {name: metric(labels, scores, None) for name, metric in METRICS[task].items()}
        found = {name: _interval(name, task, values[name], labels, scores, days, seed) for name in asked}
    return Scores(
        positives=int(labels.sum()) if task == "classification" else None,
        days=len(np.unique(days)),
        mean_label=_mean(labels),
        mean_score=_mean(scores),
        metrics={name: value if math.isfinite(value) else None for name, value in values.items()},
        intervals={name: interval for name, interval in found.items() if interval is not None},
    )


def _mean(values: Floats) -> float:
    largest = float(np.abs(values).max())
    return float((values / largest).mean() * largest) if largest > LARGEST else float(values.mean())


def _interval(
    name: str,
    task: str,
    value: float,
    labels: Floats,
    scores: Floats,
    days: NDArray[np.int64],
    seed: list[int],
) -> tuple[float, float] | None:
    """The estimate and its bootstrap standard error over whole days, widened for their small number.

    Percentiles of the bootstrap are too narrow with a week's days: in 400 simulated weeks (100 rows a day) they held
    the truth in 86 % of a ROC AUC's, this interval in 95 %.
    """
    starts = np.unique(days, return_index=True)[1]
    blocks = np.split(np.arange(len(days)), starts[1:])
    count, metric = len(blocks), METRICS[task][name]
    if count < LEAST_DAYS or not math.isfinite(value):
        return None
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(_ROUNDS):
        rows = np.concatenate([blocks[place] for place in random.integers(count, size=count)])
        drawn.append(metric(labels[rows], scores[rows], None))
    usable = [one for one in drawn if math.isfinite(one)]
    half = _student(count - 1) * float(np.std(usable, ddof=1)) * math.sqrt(count / (count - 1))
    if not math.isfinite(half):
        return None
    low, high = BOUNDS.get(name, (0.0, 1.0))
    return max(low, value - half), min(high, value + half)


def _student(freedom: int) -> float:
    """The 97.5 % point of Student's t, within 0.01 from 4 degrees of freedom on (Cornish and Fisher 1938)."""
    z = 1.959964
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))
