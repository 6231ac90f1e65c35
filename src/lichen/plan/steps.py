"""A plan as data: ordered steps, each with its reason."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Action = Literal["build", "refresh", "drop"]


@dataclass(frozen=True)
class Step:
    """One asset that a run would make true.

    `build`: it is new, or what it means changed. `refresh`: only what it reads may have changed; where that turns out
    to be the same, its released version stays. `drop`: the project no longer has it.
    """

    asset: str
    stage: str
    action: Action
    reason: str
    where: str | None = None


@dataclass(frozen=True)
class Plan:
    """Ordered steps against one environment's release, and the assets that stay as they are."""

    environment: str
    release: int | None
    steps: tuple[Step, ...]
    unchanged: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.steps)

    def as_dict(self) -> dict[str, Any]:
        """The plan for a machine."""
        return {
            "environment": self.environment,
            "release": self.release,
            "steps": [asdict(step) for step in self.steps],
            "unchanged": list(self.unchanged),
        }
