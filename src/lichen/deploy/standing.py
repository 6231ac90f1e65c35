"""How what is served stands to its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lichen.ground.instant import from_us


@dataclass(frozen=True)
class NotTaken:
    """A release that a service could not load, and why; `what` names no place of the machine."""

    release: int
    code: str
    what: str


@dataclass(frozen=True)
class Standing:
    """The environment's newest release, whether it would answer in another way, and how new the features are.

    `behind`: another version of the service, its model or a feature view is released than the one served; then it is
    about to be taken up, or it was `not_taken`. `known_until` is, for each view with a time, when the last row became
    known that it was made of (microseconds since 1970, UTC).
    """

    release: int
    behind: bool
    known_until: Mapping[str, int]
    not_taken: NotTaken | None = None

    def ages(self, now_us: int) -> dict[str, float]:
        """How many seconds old each view's newest row is; a clock that is behind makes none younger than new."""
        return {view: max(now_us - known, 0) / 1e6 for view, known in self.known_until.items()}

    def as_dict(self, now_us: int) -> dict[str, Any]:
        """The standing for a machine."""
        ages = self.ages(now_us)
        return {
            "newest_release": self.release,
            "behind": self.behind,
            **({"not_taken": asdict(self.not_taken)} if self.not_taken else {}),
            "features": {
                view: {"known_until": from_us(known).isoformat(), "age_seconds": round(ages[view], 3)}
                for view, known in self.known_until.items()
            },
        }
