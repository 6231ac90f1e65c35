"""What several workers count, told as one: each leaves its counts in a file that the others read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lichen.deploy.metrics import Metrics

_encode = msgspec.msgpack.Encoder().encode


class Counts(msgspec.Struct):
    """A worker's counts since the service started, and how its record stands."""

    metrics: dict[str, Any]
    waiting_bytes: int
    waiting_answers: int
    in_flight: int
    failing: bool


class Shared:
    """The files in which workers leave their counts; a worker that is started again goes on from its own.

    All are told as their files have them, this one's too: so no worker ever tells of fewer than another told before.
    """

    def __init__(self, own: Path, every: Sequence[Path]) -> None:
        self._own, self._every = own, tuple(every)

    def before(self, views: Sequence[str] = ()) -> Metrics:
        """What this worker had counted before it was started again, these feature views among it."""
        found, metrics = _read(self._own), Metrics(views)
        if found:
            metrics.add(Metrics.of(found.metrics))
        return metrics

    def leave(self, counts: Counts) -> None:
        """Leave this worker's counts for the others."""
        fresh = self._own.with_suffix(".new")
        fresh.write_bytes(_encode(counts))
        os.replace(fresh, self._own)

    def all(self) -> Counts:
        """What all workers count together, what waits to be synced, and whether a record fails."""
        found = list(self._found())
        total = Metrics()
        for one in found:
            total.add(Metrics.of(one.metrics))
        return Counts(
            vars(total),
            sum(one.waiting_bytes for one in found),
            sum(one.waiting_answers for one in found),
            sum(one.in_flight for one in found),
            any(one.failing for one in found),
        )

    def _found(self) -> Iterator[Counts]:
        for path in self._every:
            found = _read(path)
            if found is not None:
                yield found


def _read(path: Path) -> Counts | None:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Counts, strict=True)
    except FileNotFoundError:
        return None
