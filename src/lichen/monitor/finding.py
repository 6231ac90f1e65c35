"""What a monitor found, and what it could not judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from lichen.ground.digest import digest


@dataclass(frozen=True)
class Finding:
    """An observation with its evidence: one monitor, one subject, one cohort.

    `kind` is `metric_drop` or `metric_rise` (whichever is worse for the metric), `drift`, `missing` (features that are
    not there), `skew` (values that the tables do not give) or `unanswered` (labels that never came). `severity` lies
    between 0 and 1. `start`, `end` (the cohort) and `found_at` are microseconds since 1970 UTC. `id` is the same
    whenever the same thing is found again.
    """

    id: str
    monitor: str
    kind: str
    subject: str
    start: int
    end: int
    severity: float
    message: str
    found_at: int
    evidence: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        monitor: str,
        kind: str,
        subject: str,
        cohort: tuple[int, int],
        *,
        severity: float,
        message: str,
        found_at: int,
        evidence: Mapping[str, Any],
    ) -> Self:
        """A finding whose `id` says what was found, where, and in which cohort.

        >>> one, other = (
        ...     Finding.of("m", "drift", "trip.hour", (0, 9), severity=0.2, message="", found_at=at, evidence={})
        ...     for at in (10, 11)
        ... )
        >>> one.id == other.id
        True
        """
        start, end = cohort
        name = digest({"monitor": monitor, "kind": kind, "subject": subject, "start": start, "end": end})[:16]
        return cls(name, monitor, kind, subject, start, end, severity, message, found_at, evidence)

    def as_dict(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Unjudged:
    """A question about one cohort that its rows could not answer, and why.

    `said` is the reason, with `{had}` where it tells how many the cohort had: what is alike for several cohorts.
    """

    question: str
    start: int
    end: int
    said: str
    had: int | None = None

    @property
    def reason(self) -> str:
        """The reason in words.

        >>> Unjudged("drift", 0, 7, "{had} predictions: at least 100 are needed", 1200).reason
        '1,200 predictions: at least 100 are needed'
        """
        return self.said if self.had is None else self.said.format(had=f"{self.had:,}")

    def as_dict(self) -> dict[str, Any]:
        """The same as a JSON object."""
        return {**asdict(self), "reason": self.reason}
