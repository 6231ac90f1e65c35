"""How often each feature falls in each bin, by day: one scan of a table, whatever the number of features.

Everything that drift asks is computed from these counts, so a million rows cost one pass and the
permutations cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from arro3.core import Table
from numpy.typing import NDArray

from lichen.ground.quoting import identifier, literal, sql
from lichen.monitor.sample import DAY, Sample, fetch, numbers
from lichen.ports import Column, Engine

WIDTH = 24
"""The places kept for the bins of one feature; the last ones may stay empty."""

_QUANTILES = tuple(tenth / 10 for tenth in range(11))
_CATEGORIES = 20
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
            "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL")  # fmt: skip

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Binning:
    """How a feature's values are put in bins.

    Bin 0 is missing (null or NaN). A number has `edges`, the reference's deciles with its least and greatest
    value: bin 1 lies below them, the last above, and between them a bin ends at its edge. A category has its
    most frequent `values` in the reference, one bin each, then one for all others, seen or new.
    """

    feature: str
    numeric: bool
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    def place(self, column: str) -> str:
        """SQL for the number of the bin in which a column's value falls."""
        name = identifier(column)
        if not self.numeric:
            text = f"CAST({name} AS VARCHAR)"
            cases = [f"WHEN {text} = {literal(value)} THEN {place}" for place, value in enumerate(self.values, 1)]
            return sql("CASE WHEN", name, "IS NULL THEN 0", *cases, f"ELSE {len(self.values) + 1} END")
        number = f"CAST({name} AS DOUBLE)"
        cases = [f"WHEN {number} <= {literal(edge)} THEN {place}" for place, edge in enumerate(self.edges, 2)]
        if self.edges:
            cases.insert(0, f"WHEN {number} < {literal(self.edges[0])} THEN 1")
        missing = f"CASE WHEN {name} IS NULL OR isnan({number}) THEN 0"
        return sql(missing, *cases, f"ELSE {len(self.edges) + 2} END")

    def label(self, place: int) -> str:
        """A bin for people.

        >>> Binning("plane.year", True, edges=(1990.0, 2000.0)).label(3)
        'above 1990 up to 2000'
        """
        if place == 0:
            return "missing"
        if not self.numeric:
            return f"`{self.values[place - 1]}`" if place <= len(self.values) else "any other value"
        if place > len(self.edges) + 1:
            return f"above {self.edges[-1]:g}" if self.edges else "present"
        if place <= 2:
            return f"{'below' if place == 1 else 'at'} {self.edges[0]:g}"
        return f"above {self.edges[place - 3]:g} up to {self.edges[place - 2]:g}"


def binnings(features: Sequence[Column], reference: Sample, engine: Engine) -> tuple[Binning, ...]:
    """The bins of each feature, taken from the reference alone; one scan for numbers, one for categories."""
    numeric = [feature.name for feature in features if feature.type.split("(")[0] in _NUMBERS]
    others = [feature.name for feature in features if feature.name not in set(numeric)]
    edges = _edges(numeric, reference, engine) if numeric else {}
    values = _values(others, reference, engine) if others else {}
    return tuple(
        Binning(feature.name, True, edges=edges[feature.name])
        if feature.name in edges
        else Binning(feature.name, False, values=values[feature.name])
        for feature in features
    )


def _edges(features: Sequence[str], reference: Sample, engine: Engine) -> dict[str, tuple[float, ...]]:
    shares = ", ".join(map(literal, _QUANTILES))
    asked = []
    for feature in features:
        number = f"CAST({identifier(reference.column(feature))} AS DOUBLE)"
        asked.append(f"quantile_disc({number}, [{shares}]) FILTER (WHERE NOT isnan({number}))")
    answer = fetch(engine, sql("SELECT", ", ".join(asked), "FROM", reference.source), reference.rows)
    # A value that many rows share is several deciles at once: as one edge it has a bin of its own.
    return {feature: tuple(sorted(set(column[0] or ()))) for feature, column in zip(features, answer, strict=True)}


def _values(features: Sequence[str], reference: Sample, engine: Engine) -> dict[str, tuple[str, ...]]:
    texts = ", ".join(f"CAST({identifier(reference.column(feature))} AS VARCHAR)" for feature in features)
    places = ", ".join(map(str, range(len(features))))
    long = sql("(SELECT unnest([", places, "]) AS feature, unnest([", texts, "]) AS value FROM", reference.source, ")")
    ranked = f"row_number() OVER (PARTITION BY feature ORDER BY n DESC, value) <= {_CATEGORIES}"
    seen = sql("(SELECT feature, value, count(*) AS n FROM", long, "WHERE value IS NOT NULL GROUP BY feature, value)")
    select = sql("SELECT feature, value FROM", seen, "QUALIFY", ranked, "ORDER BY feature, n DESC, value")
    found: dict[str, list[str]] = {feature: [] for feature in features}
    for place, value in zip(*fetch(engine, select, reference.rows), strict=True):
        found[features[place]].append(value)
    return {feature: tuple(values) for feature, values in found.items()}


def daily_counts(
    bins: Sequence[Binning], sample: Sample, engine: Engine, *, within: tuple[int, int] | None = None
) -> tuple[NDArray[np.int64], Counts]:
    """The days that have rows, ascending (numbered from 1970), and the counts, shaped (days, features, WIDTH).

    `within` keeps the rows of one span (microseconds). Rows without an instant are no day's and not counted.
    """
    cells = ", ".join(f"{place * WIDTH} + {each.place(sample.column(each.feature))}" for place, each in enumerate(bins))
    day = f"CAST(floor({sample.micros} / {DAY}) AS BIGINT)"
    kept = f"{sample.micros} IS NOT NULL"
    if within is not None:
        kept += f" AND {sample.micros} >= {within[0]} AND {sample.micros} < {within[1]}"
    inner = sql("(SELECT", day, "AS day, unnest([", cells, "]) AS cell FROM", sample.source, "WHERE", kept, ")")
    select = sql("SELECT day, CAST(cell AS BIGINT) AS cell, count(*) AS n FROM", inner, "GROUP BY day, cell")
    table = Table.from_arrow(engine.query(select, {"sample": sample.rows}))
    day_of, cell_of, n = numbers(table, np.int64, "day", "cell", "n")
    days, row_of = np.unique(day_of, return_inverse=True)
    counts = np.zeros((len(days), len(bins) * WIDTH), dtype=np.int64)
    counts[row_of, cell_of] = n
    return days, counts.reshape(len(days), len(bins), WIDTH)
