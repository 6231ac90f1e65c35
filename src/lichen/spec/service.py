"""What answers requests."""

from __future__ import annotations

from pydantic import Field

from lichen.spec.words import Name, Spec


class Record(Spec):
    """How soon an answer is on disk."""

    durable_ms: int = Field(
        20, ge=1, le=10_000, description="The span, in milliseconds, in which a power cut may lose answers."
    )


class Service(Spec):
    """What answers requests, and with which model."""

    description: str | None = Field(None, description="Who asks, and what for.")
    model: Name = Field(description="The model that answers.")
    record: Record = Field(default_factory=Record, description="How soon an answer is on disk.")
