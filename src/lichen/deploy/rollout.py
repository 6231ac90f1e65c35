"""How a release asks to be tried, and when what it did takes it back."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self

FEWEST = 50
"""Fewer answers of a side are too few to judge it by."""

SURE = 1.96
"""How many standard errors an observation must lie beyond what is allowed: by chance alone one in forty does."""

_SLOWEST_SHARE = 0.01
Outcome = Literal["running", "completed", "rolled_back"]
"""How a trial stands, or how it ended."""

Tried = Mapping[tuple[int, str, str], Any]
"""What the sides of rollouts did, by the instant at which the trial began, side and what."""

SIDES = ("stable", "candidate")

FIGURES = {
    "answers": "Answers since the trial of a release began.",
    "errors": "Requests since then that it failed to answer.",
    "slow": "Answers since then that took longer than `p99_ms`.",
    "score": "The sum of the scores since then.",
    "compared": "Answers of a shadow that were compared with the one given.",
    "difference": "The sum of the differences between their scores.",
}
"""What is counted of a rollout, for Prometheus: gauges, for each trial begins anew."""

STEPS = (1e-9, 0.001, 0.01, 0.1)
"""Beyond each of these differences between a shadow's score and the one that was given are counted."""


@dataclass(frozen=True)
class Guards:
    """What the candidate may do at most before it is taken back; None is not judged."""

    error_rate: float | None = None
    p99_ms: float | None = None
    score_shift: float | None = None


@dataclass(frozen=True)
class Rollout:
    """How a release asks to be tried: as a canary that answers a share of requests, or as a shadow beside the other.

    `keys` are the fields that name a request's entities; a canary that goes by them answers the same entities always.
    """

    share: float
    shadow: bool
    seconds: float
    keys: tuple[str, ...] = ()
    guards: Guards = field(default_factory=Guards)

    @classmethod
    def of(cls, kept: Mapping[str, Any] | None, keys: Sequence[str]) -> Self | None:
        """The rollout as a release keeps it, if it has one.

        >>> kept = {"canary": 0.1, "shadow": None, "by": "request", "for_ms": 60_000, "roll_back_on": {}}
        >>> Rollout.of(kept, ["carrier"]).seconds
        60.0
        """
        if not kept:
            return None
        canary = kept["canary"]
        by_keys = tuple(keys) if kept["by"] == "entity" else ()
        return cls(
            kept["shadow"] if canary is None else canary,
            canary is None,
            kept["for_ms"] / 1000,
            by_keys,
            Guards(**kept["roll_back_on"]),
        )


class Seen(NamedTuple):
    """What one side did: answers, failures, answers slower than is allowed, and the sums of its scores."""

    answers: int = 0
    errors: int = 0
    slow: int = 0
    score: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """The mean score."""
        return self.score / self.answers

    @property
    def variance(self) -> float:
        """The variance of the scores' mean."""
        spread = max(self.squares / self.answers - self.mean**2, 0.0)
        return spread / self.answers


class Breach(NamedTuple):
    """What the candidate did that is not allowed: which guard, what was seen, and the limit."""

    guard: str
    seen: float
    limit: float

    def __str__(self) -> str:
        return f"{self.guard} is {self.seen:.4g}, and {self.limit:g} is the most"


def at_least(hits: int, of: int) -> float:
    """The share that is surely reached: the lower end of Wilson's interval.

    >>> round(at_least(5, 100), 4), at_least(0, 100)
    (0.0215, 0.0)
    """
    if not hits:
        return 0.0
    share, square = hits / of, SURE * SURE
    middle = share + square / (2 * of)
    return (middle - SURE * math.sqrt(share * (1 - share) / of + square / (4 * of * of))) / (1 + square / of)


def breach(guards: Guards, stable: Seen, candidate: Seen) -> Breach | None:
    """The guard that the candidate surely breaks, or None.

    A share is judged by the lower end of its interval, a shift of the mean score by its standard error, both once
    there are `FEWEST` answers: so neither one slow request nor a few odd rows take a release back.
    """
    asked = candidate.answers + candidate.errors
    if asked < FEWEST:
        return None
    if guards.error_rate is not None and at_least(candidate.errors, asked) > guards.error_rate:
        return Breach("error_rate", candidate.errors / asked, guards.error_rate)
    if candidate.answers < FEWEST:
        return None
    if guards.p99_ms is not None and at_least(candidate.slow, candidate.answers) > _SLOWEST_SHARE:
        return Breach("share of answers above p99_ms", candidate.slow / candidate.answers, _SLOWEST_SHARE)
    if guards.score_shift is not None and stable.answers >= FEWEST:
        shift = abs(candidate.mean - stable.mean)
        if shift - SURE * math.sqrt(candidate.variance + stable.variance) > guards.score_shift:
            return Breach("score_shift", shift, guards.score_shift)
    return None


def seen(counts: Tried, began_us: int, side: str) -> Seen:
    """What a side did in a trial."""
    return Seen(*(counts.get((began_us, side, what), 0) for what in Seen._fields))


def differences(counts: Tried, began_us: int) -> dict[str, Any]:
    """How a shadow's scores differ from those that were given: of how many, on average, and in how many beyond what."""
    compared, total, dropped = (
        counts.get((began_us, "candidate", what), 0) for what in ("compared", "difference", "dropped")
    )
    beyond = {f"{step:g}": counts.get((began_us, "candidate", f"beyond {step:g}"), 0) for step in STEPS}
    return {"compared": compared, "dropped": dropped, "mean": total / compared if compared else 0.0, "beyond": beyond}


def share_of(key: Sequence[Any]) -> float:
    """Where an entity stands between 0 and 1: the same in every process, at every time.

    >>> share_of(["UA"]) == share_of(["UA"]), 0 <= share_of([17, None]) < 1
    (True, True)
    """
    plain = [int(part) if isinstance(part, float) and part.is_integer() else part for part in key]
    return zlib.crc32(repr(plain).encode()) / 2**32
