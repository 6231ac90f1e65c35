"""How much one service takes on: what it refuses before it is parsed, and when it sends requests away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Limits:
    """The limits of a service; the defaults are those of a service that declares none.

    `requests` are taken on at a time whatever they cost; beyond them, until a calm second passed, only as many as are
    answered within `wait_seconds`. Headers must come within `arrival_seconds`, and then the body; the rows of a batch
    are answered within `answer_seconds`. What the server follows is looked at every `refresh_seconds`.
    """

    body_bytes: int = 1 << 20
    rows: int = 10_000
    depth: int = 16
    headers: int = 64
    header_bytes: int = 16_384
    arrival_seconds: float = 10.0
    answer_seconds: float = 30.0
    requests: int = 64
    wait_seconds: float = 0.001
    connections: int = 1024
    refresh_seconds: float = 1.0

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        """The limits as a release keeps them; spans are in milliseconds there.

        >>> Limits.of({"rows": 10, "wait_ms": 5}).wait_seconds
        0.005
        """
        found = {
            name.replace("_ms", "_seconds"): value / 1000 if name.endswith("_ms") else value
            for name, value in kept.items()
        }
        return cls(**found)
