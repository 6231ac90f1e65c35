"""What answers requests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from lichen.spec.words import Name, Span, Spec


class Record(Spec):
    """How soon an answer is on disk."""

    durable: Span = Field(
        timedelta(milliseconds=20),
        le=timedelta(seconds=10),
        description="The span in which a power cut may lose answers, such as `20ms`.",
    )
    ack: bool = Field(
        False,
        description="Whether an answer waits until it is on the disk: a power cut then loses none that was given.",
    )

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        if self.ack and "durable" in self.model_fields_set:
            raise ValueError("with `ack` no answer is given before it is on the disk: leave `durable` out")
        return self


class Limits(Spec):
    """How much the service takes on; the rest is refused before it is parsed."""

    body_bytes: int = Field(1 << 20, ge=1, le=1 << 30, description="The longest body of a request.")
    rows: int = Field(10_000, ge=1, le=10_000, description="The most rows in one request.")
    depth: int = Field(16, ge=2, le=128, description="How many objects and arrays may stand in each other.")
    headers: int = Field(64, ge=4, le=1000, description="The most headers of a request.")
    header_bytes: int = Field(16_384, ge=512, le=1 << 20, description="The most bytes of a request's headers together.")
    arrival: Span = Field(
        timedelta(seconds=10), description="How long a request's headers may take to come, and then its body."
    )
    answer: Span = Field(timedelta(seconds=30), description="How long the answer to many rows may take.")
    requests: int = Field(64, ge=1, le=100_000, description="The most requests let in at a time; more are an overload.")
    wait: Span = Field(
        timedelta(milliseconds=1),
        description="In an overload only as many requests are let in as are answered within this span.",
    )
    connections: int = Field(1024, ge=1, le=100_000, description="The most open connections.")

    def kept(self) -> dict[str, Any]:
        """The limits as a release keeps them, spans in milliseconds."""
        return {
            f"{name}_ms" if isinstance(value, timedelta) else name: value // timedelta(milliseconds=1)
            if isinstance(value, timedelta)
            else value
            for name, value in self
        }


class Guards(Spec):
    """What takes a new release back while it is tried; each is judged once it is sure, and not before 50 answers."""

    error_rate: float | None = Field(
        None, gt=0, lt=1, description="The largest share of requests that the new release may fail to answer."
    )
    p99_ms: float | None = Field(
        None, gt=0, description="What at most one in a hundred answers may take longer than, in milliseconds."
    )
    score_shift: float | None = Field(
        None, gt=0, description="How far its mean score may be from that of the release before."
    )

    def kept(self) -> dict[str, float | None]:
        """The guards as a release keeps them."""
        return dict(self)


class Rollout(Spec):
    """How a running service goes over to a new release: it is tried beside the one before, then takes its place."""

    canary: float | None = Field(
        None, gt=0, lt=1, description="The share of requests that the new release answers while it is tried."
    )
    shadow: float | None = Field(
        None,
        gt=0,
        le=1,
        description="The share of requests that it answers, too, without being heard; differences are reported.",
    )
    by: Literal["request", "entity"] = Field(
        "request", description="What the share is of; by `entity` an entity is always answered by the same release."
    )
    for_: Span = Field(alias="for", description="How long it is tried.")
    roll_back_on: Guards = Field(default_factory=Guards, description="What takes it back.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.canary is None) == (self.shadow is None):
            raise ValueError("a rollout is either a `canary: 0.1` or a `shadow: 1`")
        return self

    def kept(self) -> dict[str, Any]:
        """The rollout as a release keeps it, its span in milliseconds."""
        return {
            "canary": self.canary,
            "shadow": self.shadow,
            "by": self.by,
            "for_ms": self.for_ // timedelta(milliseconds=1),
            "roll_back_on": self.roll_back_on.kept(),
        }


class Service(Spec):
    """What answers requests, and with which model."""

    description: str | None = Field(None, description="Who asks, and what for.")
    model: Name = Field(description="The model that answers.")
    record: Record = Field(default_factory=Record, description="How soon an answer is on disk.")
    limits: Limits = Field(default_factory=Limits, description="How much it takes on.")
    rollout: Rollout | None = Field(
        None, description="How a running service goes over to a new release; without it, at once."
    )
    unknown: Literal["refuse", "ignore"] = Field(
        "refuse", description="What happens to a request with a field the service does not have: `ignore` answers it."
    )
