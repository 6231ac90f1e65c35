"""A new release beside the stable one, while a rollout tries it."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Literal

from lichen.deploy.answer import Answer
from lichen.deploy.rollout import STEPS, Breach, Rollout, Tried, breach, differences, seen, share_of
from lichen.deploy.served import Served

Side = Literal["stable", "candidate"]


class Trial:
    """A candidate release beside the stable one, in one process; `counts` are those of the process.

    Counts stand under the instant at which the trial began, which is the same for all workers and of no other trial.
    """

    def __init__(
        self,
        plan: Rollout,
        stable: Served,
        candidate: Served,
        began_us: int,
        counts: MutableMapping[tuple[int, str, str], Any],
    ) -> None:
        self.plan, self.stable, self.candidate, self.began_us = plan, stable, candidate, began_us
        self.stopped: Breach | None = None
        self._counts, self._turn = counts, 0.0
        self._limit_us = math.inf if plan.guards.p99_ms is None else 1000 * plan.guards.p99_ms

    @property
    def release(self) -> int:
        """The candidate's release."""
        return self.candidate.path.deployed.release

    def chooses(self, row: Mapping[str, Any]) -> bool:
        """Whether the candidate is to answer a row, or to shadow its answer.

        By entity it does so for the same ones on every worker and after a restart; else for each request in turn.
        """
        if self.stopped is not None:
            return False
        if self.plan.keys:
            return share_of([row.get(key) for key in self.plan.keys]) < self.plan.share
        self._turn += self.plan.share
        if self._turn < 1.0:
            return False
        self._turn -= 1.0
        return True

    def answered(self, side: Side, answers: Sequence[Answer]) -> None:
        """Count what a side answered."""
        counts, trial = self._counts, self.began_us
        for answer in answers:
            counts[trial, side, "answers"] += 1
            counts[trial, side, "slow"] += answer.latency_us > self._limit_us
            counts[trial, side, "score"] += answer.score
            counts[trial, side, "squares"] += answer.score**2

    def failed(self) -> None:
        """Count a request that the candidate could not answer, and the stable release could."""
        self._counts[self.began_us, "candidate", "errors"] += 1

    def shadowed(self, stable: Answer, candidate: Answer) -> None:
        """Count two answers to one request."""
        self.answered("candidate", [candidate])
        differ = abs(stable.score - candidate.score)
        self._counts[self.began_us, "candidate", "compared"] += 1
        self._counts[self.began_us, "candidate", "difference"] += differ
        for step in STEPS:
            self._counts[self.began_us, "candidate", f"beyond {step:g}"] += differ > step

    def dropped(self) -> None:
        """Count a shadow's answer that was not worked out, for too many waited."""
        self._counts[self.began_us, "candidate", "dropped"] += 1

    def breach(self, counts: Tried) -> Breach | None:
        """The guard that the candidate breaks by all workers' counts, if one."""
        return breach(self.plan.guards, seen(counts, self.began_us, "stable"), seen(counts, self.began_us, "candidate"))

    def as_dict(self, counts: Tried) -> dict[str, Any]:
        """How the trial stands, for a machine."""
        facts: dict[str, Any] = {
            "candidate": self.release,
            "stable": self.stable.path.deployed.release,
            "way": "shadow" if self.plan.shadow else "canary",
            "share": self.plan.share,
        }
        for side in ("stable", "candidate"):
            one = seen(counts, self.began_us, side)
            mean = round(one.mean, 6) if one.answers else None
            facts[f"{side}_seen"] = {"answers": one.answers, "errors": one.errors, "slow": one.slow, "mean_score": mean}
        return {**facts, **({"differences": differences(counts, self.began_us)} if self.plan.shadow else {})}
