"""What answers requests."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from lichen.spec.words import Name, Span, Spec


class Record(Spec):
    """How soon an answer is on disk."""

    durable: Span = Field(
        timedelta(milliseconds=20),
        le=timedelta(seconds=10),
        description="The span in which a power cut may lose answers, such as `20ms`.",
    )


class Service(Spec):
    """What answers requests, and with which model."""

    description: str | None = Field(None, description="Who asks, and what for.")
    model: Name = Field(description="The model that answers.")
    record: Record = Field(default_factory=Record, description="How soon an answer is on disk.")
