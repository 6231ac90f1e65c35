"""Many rows at once: each is looked up by the row path, and all are scored together.

The answers are those that the row path gives for each row, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lichen.deploy.answer import Answer, RowPath, Taken

FEWEST = 16
"""Fewer rows than this are answered one by one: it takes less time."""

TURN = 100
"""Rows looked up before other requests get a turn."""


class Batch:
    """The rows of one request, all asked at one instant: taken in by turns, scored together, told together."""

    def __init__(self, path: RowPath, rows: Sequence[dict[str, Any]], at_us: int | None, started: float) -> None:
        self._path, self._rows, self._started = path, rows, started
        self._now_us = path.now_us()
        self._at_us = self._now_us if at_us is None else at_us
        self._taken: list[Taken] = []

    def take_in(self) -> Iterator[None]:
        """Read and look up all rows; gives others a turn now and then. Raises `Refused`, which names the row."""
        for first in range(0, len(self._rows), TURN):
            yield
            self._taken += self._path.take_many(self._rows[first : first + TURN], first, self._at_us)

    def scores(self) -> Sequence[float]:
        """The rows' scores; another thread may work them out."""
        score = self._path.deployed.score_many
        assert score is not None
        return score([taken.features for taken in self._taken])

    def answers(self, scores: Sequence[float]) -> list[Answer]:
        """The rows' answers, in their order."""
        return self._path.finish_many(self._taken, scores, self._at_us, self._now_us, self._started)
