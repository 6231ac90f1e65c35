"""What answers requests."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

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


class Service(Spec):
    """What answers requests, and with which model."""

    description: str | None = Field(None, description="Who asks, and what for.")
    model: Name = Field(description="The model that answers.")
    record: Record = Field(default_factory=Record, description="How soon an answer is on disk.")
