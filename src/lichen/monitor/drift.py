"""Have the features moved, and does the model mind?

The effect is the Jensen-Shannon distance between a cohort's histogram and the reference's (Lin 1991; Endres and
Schindelin 2003): between 0 and 1, and the same measure for numbers and categories, where Kolmogorov-Smirnov serves
numbers alone. A number's bins are deciles of the reference and what lies outside them, a category's its frequent
values and one bin for all others; missing is a bin of its own. Whether the effect is more than chance is asked by
blocks of days (see `permutation`) and corrected by Benjamini-Hochberg over the features of one cohort: a later
cohort never changes an earlier one's answer. Severity is the effect times the feature's share of the model's
importance: what moves and does not matter is no alarm.

A vector is not compared, and each cohort says so: its elements mean nothing one by one, and together they have no bins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lichen.errors import WrongUsage
from lichen.ground.types import vector_of
from lichen.monitor.cohort import Cohorts
from lichen.monitor.finding import Unjudged
from lichen.monitor.histogram import Binning, Counts, binnings, daily_counts
from lichen.monitor.permutation import Comparison, benjamini_hochberg, compare
from lichen.monitor.sample import DAY, Sample
from lichen.ports import Engine

LEAST_ROWS = 100
"""A cohort with fewer rows is not judged."""

A_VECTOR = "it is a vector, whose elements have no meaning one by one and no bins together"
"""Why the drift of a vector is not asked."""

LEAST_BLOCKS = 5
"""A reference that holds fewer blocks of the cohort's length is not one to judge by."""


@dataclass(frozen=True)
class Drift:
    """How far one feature is from the reference in one cohort.

    `effect` is a distance from 0 to 1; `typical` and `most` are the median and the greatest such distance among the
    `blocks` of the reference itself. A `p_value` below `smallest_by_rank` is extrapolated. `drifted` says that
    `q_value` is within the false alarms allowed. The share of `bin` moved most, from `share_before` to `share_now`.
    """

    feature: str
    start: int
    end: int
    rows: int
    effect: float
    typical: float
    most: float
    p_value: float
    q_value: float
    blocks: int
    smallest_by_rank: float
    drifted: bool
    importance: float
    severity: float
    bin: str
    share_before: float
    share_now: float

    def as_dict(self) -> dict[str, Any]:
        """The drift as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Drifts:
    """The features of each cohort that has ended, and the cohorts that could not be judged."""

    judged: tuple[Drift, ...]
    unjudged: tuple[Unjudged, ...]


def drift(
    importances: Mapping[str, float],
    reference: Sample,
    live: Sample,
    engine: Engine,
    *,
    cohorts: Cohorts,
    now: int,
    false_alarms: float,
    seed: int = 0,
) -> Drifts:
    """Compare each cohort of `live` that has ended by `now` with `reference`, for the features in `importances`.

    `importances` are shares of the model's importance. Cohorts must be of whole days: within a day there is
    nothing to tell a drift from the hour.
    """
    if cohorts.length % DAY:
        raise WrongUsage(
            "LCH-2802",
            f"drift cannot be asked of cohorts of {cohorts.length / DAY:.3g} days",
            why="rows of one day are not independent, so whole days are compared with whole days",
            fix="let the monitor's `every` be a whole number of days: `every: 1d`, `every: 7d`",
        )
    held = reference.types(tuple(importances), engine)
    names = tuple(column.name for column in held if not vector_of(column.type))
    ended = max(0, min(cohorts.count, (now - cohorts.origin) // cohorts.length))
    vectors = [f"drift of `{column.name}`" for column in held if vector_of(column.type)]
    unjudged = [Unjudged(each, *cohorts.bounds(index), A_VECTOR) for each in vectors for index in range(ended)]
    if not names:
        return Drifts((), tuple(unjudged))
    live.types(names, engine)
    bins = binnings(reference.types(names, engine), reference, engine)
    _, before = daily_counts(bins, reference, engine)
    days, counts = daily_counts(bins, live, engine, within=(cohorts.origin, cohorts.origin + ended * cohorts.length))
    cohort_of = (days - cohorts.origin // DAY) // (cohorts.length // DAY)
    starts = np.searchsorted(cohort_of, np.arange(ended + 1))
    judged: list[Drift] = []
    for index in range(ended):
        span, asked = cohorts.bounds(index), counts[starts[index] : starts[index + 1]]
        reason = _reason_not_to_judge(before, asked)
        if reason is not None:
            unjudged.append(Unjudged("drift", *span, *reason))
            continue
        found = compare(before, asked, seed=[seed, abs(span[0])])
        judged += _drifts(bins, before.sum(axis=0), asked.sum(axis=0), found, span, importances, false_alarms)
    return Drifts(tuple(judged), tuple(unjudged))


def _reason_not_to_judge(before: Counts, asked: Counts) -> tuple[str, int] | None:
    """What `Unjudged` says and how many there were, or None."""
    rows = int(asked[:, :1].sum())
    if rows < LEAST_ROWS:
        return f"{{had}} predictions: at least {LEAST_ROWS} are needed", rows
    if len(before) < LEAST_BLOCKS * len(asked):
        needed = f"at least {LEAST_BLOCKS} times the cohort's {{had}} are needed"
        return f"the reference covers {len(before)} days: {needed}", len(asked)
    return None


def _drifts(
    bins: Sequence[Binning],
    before: Counts,
    asked: Counts,
    found: Comparison,
    span: tuple[int, int],
    importances: Mapping[str, float],
    false_alarms: float,
) -> list[Drift]:
    rows = int(asked[0].sum())
    shares_before, shares_now = before / before[0].sum(), asked / rows
    moved = np.abs(shares_now - shares_before).argmax(axis=-1)
    q_values: NDArray[np.float64] = benjamini_hochberg(found.p_values)
    return [
        Drift(
            feature=each.feature,
            start=span[0],
            end=span[1],
            rows=rows,
            effect=float(found.effect[i]),
            typical=float(found.typical[i]),
            most=float(found.most[i]),
            p_value=float(found.p_values[i]),
            q_value=float(q_values[i]),
            blocks=found.blocks,
            smallest_by_rank=found.smallest_by_rank,
            drifted=bool(q_values[i] <= false_alarms),
            importance=importances[each.feature],
            severity=float(found.effect[i]) * importances[each.feature],
            bin=each.label(int(moved[i])),
            share_before=float(shares_before[i, moved[i]]),
            share_now=float(shares_now[i, moved[i]]),
        )
        for i, each in enumerate(bins)
    ]
