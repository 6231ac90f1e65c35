"""What a request is answered with, from its first byte to its last: one release, compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import msgspec

from lichen.deploy.answer import Deployed, RowPath
from lichen.deploy.openapi import openapi
from lichen.deploy.segment import Heading
from lichen.ground.clock import Clock

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, eq=False)
class Served:
    """One release's row path, the heading its answers are recorded under, and its description for clients.

    With `ack` an answer waits for the disk, else it is there `durable_ms` later. A request fetches all this once and
    keeps to it, so that no answer mixes two releases.
    """

    path: RowPath
    heading: Heading
    openapi: bytes
    durable_ms: int = 20
    ack: bool = False

    @classmethod
    def of(
        cls, deployed: Deployed, clock: Clock, *, replay: bool = False, durable_ms: int = 20, ack: bool = False
    ) -> Self:
        """A release, made ready to answer."""
        path = RowPath(deployed, clock)
        described = _encode(openapi(deployed, path.fields, replay=replay))
        return cls(path, Heading.of(deployed), described, durable_ms, ack)
