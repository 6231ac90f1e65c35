"""A plan as data: ordered steps, each with its reason, and what they do to columns, models and contracts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lichen.errors import LichenError
from lichen.plan.breaks import Break
from lichen.plan.columns import ColumnChange
from lichen.plan.explain import Edit
from lichen.plan.trunk import Trunk

Action = Literal["build", "refresh", "share", "rename", "carry", "drop"]


@dataclass(frozen=True)
class Cost:
    """What an asset took when it was last built: rows (None: it has none), seconds, and in which run."""

    rows: int | None
    seconds: float
    run: str


Costs = Mapping[str, Cost]
"""What each asset took when it was last built."""


@dataclass(frozen=True)
class Step:
    """One asset that a run would make true.

    `build`: it is new, or what it means changed. `refresh`: only what it reads may have changed; where that turns out
    to be the same, its released version stays. `share`: the environment that this one branches from holds what would be
    built. `rename`: it had another name. `carry`: only a name that it reads changed. `drop`: the project no longer has
    it.

    `version` is what is shared, or whose rows go on under the new name; `was` is the asset that it is a version of.
    `edits` are the changes in the asset's own file, `where` the place of the first. `reached` says whether its rows can
    change, by what is known of columns: what is not reached is made again and comes out the same.
    `intervals` says which are filled of a table that is built in intervals, `filled` whether some of them are whatever
    changed.
    """

    asset: str
    stage: str
    action: Action
    reason: str
    where: str | None = None
    version: str | None = None
    was: str | None = None
    edits: tuple[Edit, ...] = ()
    reached: bool = True
    cost: Cost | None = None
    intervals: str | None = None
    filled: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The step for a machine."""
        return {
            "asset": self.asset,
            "stage": self.stage,
            "action": self.action,
            "reason": self.reason,
            "where": self.where,
            "version": self.version,
            "was": self.was,
            "edits": [edit.as_dict() for edit in self.edits],
            "reached": self.reached,
            "cost": asdict(self.cost) if self.cost else None,
            "intervals": self.intervals,
            "filled": self.filled,
        }


@dataclass(frozen=True)
class Plan:
    """Ordered steps against one environment's release, and the assets that stay as they are.

    `trunk` is what the environment branches from; where it moved, a run takes note of that, even without a step.
    `columns` are the columns that change, those that matter most to models first; `breaks` the promises that would be
    broken; `errors` what is wrong with the project, so that no run would begin; `notes` what else a run would meet.
    """

    environment: str
    release: int | None
    steps: tuple[Step, ...]
    unchanged: tuple[str, ...]
    trunk: Trunk | None = None
    columns: tuple[ColumnChange, ...] = ()
    breaks: tuple[Break, ...] = ()
    errors: tuple[LichenError, ...] = ()
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps) or (self.trunk is not None and self.trunk.moved)

    @property
    def refused(self) -> tuple[Break, ...]:
        """The breaks that nobody accepted."""
        return tuple(one for one in self.breaks if not one.accepted)

    @property
    def cost(self) -> dict[str, Any]:
        """What the steps that compute took when their assets were last built, and how many of them never were."""
        computed = [step for step in self.steps if step.action in ("build", "refresh")]
        known = [step.cost for step in computed if step.cost is not None]
        return {
            "seconds": round(sum(cost.seconds for cost in known), 3),
            "rows": sum(cost.rows or 0 for cost in known),
            "without_history": len(computed) - len(known),
        }

    def recorded(self) -> dict[str, Any]:
        """The plan as the record of a run keeps it: its steps."""
        trunk = self.trunk
        return {
            "environment": self.environment,
            "release": self.release,
            "branches_from": trunk
            and {"environment": trunk.environment, "release": trunk.release, "moved": trunk.moved},
            "steps": [step.as_dict() for step in self.steps],
            "unchanged": list(self.unchanged),
        }

    def as_dict(self) -> dict[str, Any]:
        """The plan for a machine."""
        return {
            **self.recorded(),
            "columns": [change.as_dict() for change in self.columns],
            "breaks": [one.as_dict() for one in self.breaks],
            "errors": [error.as_dict() for error in self.errors],
            "notes": list(self.notes),
            "cost": self.cost,
        }
