"""Features that are not there: how much of each cohort lacks them, beside how much ever did before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lichen.ground.quoting import identifier, sql
from lichen.ground.types import is_missing
from lichen.monitor.cohort import Cohorts
from lichen.monitor.sample import Sample, fetch
from lichen.ports import Engine

LEAST_ROWS = 200
"""A span with fewer rows tells too little of a share."""


@dataclass(frozen=True)
class Missing:
    """The share of a cohort's rows in which a feature is missing.

    `usual` is the share over the whole reference, `most` the greatest in any of its spans as long as the cohort.
    """

    feature: str
    start: int
    end: int
    rows: int
    share: float
    usual: float
    most: float


def missing(
    features: Sequence[str], reference: Sample, live: Sample, engine: Engine, *, cohorts: Cohorts, now: int
) -> tuple[Missing, ...]:
    """How much of each cohort that has begun lacks each feature; cohorts of few rows are passed over."""
    if not features:
        return ()
    before = _shares(features, reference, engine, cohorts)
    usual = [_mean([(rows, shares[place]) for rows, shares in before.values()]) for place in range(len(features))]
    full = [shares for rows, shares in before.values() if rows >= LEAST_ROWS]
    most = [max((shares[place] for shares in full), default=usual[place]) for place in range(len(features))]
    found = []
    for index, (rows, shares) in sorted(_shares(features, live, engine, cohorts).items()):
        start, end = cohorts.bounds(index)
        if rows >= LEAST_ROWS and 0 <= index < cohorts.count and start < now:
            found += [
                Missing(feature, start, end, rows, shares[place], usual[place], most[place])
                for place, feature in enumerate(features)
            ]
    return tuple(found)


def _shares(
    features: Sequence[str], sample: Sample, engine: Engine, cohorts: Cohorts
) -> dict[int, tuple[int, list[float]]]:
    """For each span of the cohorts' length, its rows and the share of each feature that is missing."""
    index = f"CAST(floor(({sample.micros} - {cohorts.origin}) / {cohorts.length}) AS BIGINT)"
    nulls = ", ".join(
        f"avg(CAST({is_missing(identifier(sample.column(one.name)), one.type)} AS DOUBLE))"
        for one in sample.types(tuple(features), engine)
    )
    select = sql(
        "SELECT", index, "AS span, count(*),", nulls, "FROM", sample.source,
        f"WHERE {sample.micros} IS NOT NULL GROUP BY span",
    )  # fmt: skip
    spans, rows, *shares = fetch(engine, select, sample.rows)
    return {
        int(span): (int(rows[place]), [float(share[place]) for share in shares]) for place, span in enumerate(spans)
    }


def _mean(weighted: Sequence[tuple[int, float]]) -> float:
    rows = sum(count for count, _ in weighted)
    return sum(count * share for count, share in weighted) / rows if rows else 0.0
