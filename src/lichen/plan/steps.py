"""A plan as data: ordered steps, each with its reason."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from lichen.plan.trunk import Trunk

Action = Literal["build", "refresh", "share", "rename", "carry", "drop"]


@dataclass(frozen=True)
class Step:
    """One asset that a run would make true.

    `build`: it is new, or what it means changed. `refresh`: only what it reads may have changed; where that turns out
    to be the same, its released version stays. `share`: the environment that this one branches from holds what would be
    built. `rename`: it had another name. `carry`: only a name that it reads changed. `drop`: the project no longer has
    it.

    `version` is what is shared, or whose rows go on under the new name; `was` is the asset that it is a version of.
    `intervals` says which are filled of a table that is built in intervals.
    """

    asset: str
    stage: str
    action: Action
    reason: str
    where: str | None = None
    version: str | None = None
    was: str | None = None
    intervals: str | None = None


@dataclass(frozen=True)
class Plan:
    """Ordered steps against one environment's release, and the assets that stay as they are.

    `trunk` is what the environment branches from; where it moved, a run takes note of that, even without a step.
    """

    environment: str
    release: int | None
    steps: tuple[Step, ...]
    unchanged: tuple[str, ...]
    trunk: Trunk | None = None

    def __bool__(self) -> bool:
        return bool(self.steps) or (self.trunk is not None and self.trunk.moved)

    def as_dict(self) -> dict[str, Any]:
        """The plan for a machine."""
        trunk = self.trunk
        return {
            "environment": self.environment,
            "release": self.release,
            "branches_from": trunk
            and {"environment": trunk.environment, "release": trunk.release, "moved": trunk.moved},
            "steps": [asdict(step) for step in self.steps],
            "unchanged": list(self.unchanged),
        }
