"""What a request is answered with, from its first byte to its last: one release, compiled."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from lichen.deploy.answer import Deployed, RowPath
from lichen.deploy.inference import Inference
from lichen.deploy.invocations import Invocations
from lichen.deploy.limits import Limits
from lichen.deploy.predict import Predict
from lichen.deploy.rollout import Rollout
from lichen.deploy.segment import Heading
from lichen.ground.clock import Clock


@dataclass(frozen=True, eq=False)
class Served:
    """One release's row path, the heading its answers are recorded under, its limits, and the ways it is asked in.

    With `ack` an answer waits for the disk, else it is there `durable_ms` later. A request fetches all this once and
    keeps to it, so that no answer mixes two releases.
    """

    path: RowPath
    heading: Heading
    durable_ms: int = 20
    ack: bool = False
    limits: Limits = field(default_factory=Limits)
    rollout: Rollout | None = None
    """How it asks to be tried before it takes the place of another; None is at once."""

    @classmethod
    def of(
        cls,
        deployed: Deployed,
        clock: Clock,
        *,
        durable_ms: int = 20,
        ack: bool = False,
        limits: Limits | None = None,
        rollout: Rollout | None = None,
    ) -> Self:
        """A release, made ready to answer."""
        return cls(RowPath(deployed, clock), Heading.of(deployed), durable_ms, ack, limits or Limits(), rollout)

    @cached_property
    def views(self) -> tuple[str, ...]:
        """The feature view of each value of an answer."""
        return tuple(column.name.partition(".")[0] for column in self.path.deployed.features)

    @cached_property
    def predict(self) -> Predict:
        """Lichen's own way to ask."""
        return Predict(self.path)

    @cached_property
    def invocations(self) -> Invocations:
        """The way that SageMaker and MLflow's clients ask."""
        return Invocations(self.path)

    @cached_property
    def inference(self) -> Inference:
        """The Open Inference Protocol's."""
        return Inference(self.path)
