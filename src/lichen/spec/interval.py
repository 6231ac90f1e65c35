"""How a table is cut into intervals of time, so that only those that change are built again."""

from __future__ import annotations

from pydantic import Field

from lichen.spec.words import Span, Spec


class Intervals(Spec):
    """How a table is cut into intervals of time: only those that are missing or changed are built again."""

    by: str = Field(description="The table's own column, a day or an instant, that says which interval a row is in.")
    every: Span = Field(description="How long an interval is; days begin at midnight in UTC, weeks on Mondays.")
    lateness: Span | None = Field(
        None,
        description="How far before the newest interval a changed row still has its interval built again; "
        "a later one waits for `lichen run --backfill`.",
    )
