"""Many rows at once: each is looked up by the row path, and all are scored together.

The answers are those that the row path gives for each row, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from lichen.deploy.answer import Answer, RowPath, Taken
from lichen.deploy.refused import Refused

FEWEST = 16
"""Fewer rows than this are answered one by one: it takes less time."""

TURN = 250
"""Rows looked up before other requests get a turn."""


def one_by_one(path: RowPath, rows: Sequence[dict[str, Any]], at_us: int | None, started: float) -> Iterator[Answer]:
    """The answers to rows, in their order; a `Refused` names the row."""
    for number, row in enumerate(rows):
        try:
            answer = path.answer(row, at_us, started)
        except Refused as refused:
            refused.row = number
            raise
        yield answer


def is_worth_a_batch(path: RowPath, rows: Sequence[Any]) -> bool:
    """Whether rows are worth a batch, with this release."""
    return len(rows) >= FEWEST and path.deployed.score_many is not None


class Batch:
    """The rows of one request, all asked at one instant: taken in part by part, each scored as a whole, told together.

    While one part is scored, in another thread, the next can be taken in.
    """

    def __init__(self, path: RowPath, rows: Sequence[dict[str, Any]], at_us: int | None, started: float) -> None:
        self._path, self._rows, self._started = path, rows, started
        self._now_us = path.now_us()
        self._at_us = self._now_us if at_us is None else at_us
        self._taken: list[Taken] = []

    def parts(self) -> Iterator[Sequence[Sequence[Any]]]:
        """Read and look up the rows, and give each part's features. Raises `Refused`, which names the row."""
        for first in range(0, len(self._rows), TURN):
            part = self._path.take_many(self._rows[first : first + TURN], first, self._at_us)
            self._taken += part
            yield [taken.features for taken in part]

    def score(self, part: Sequence[Sequence[Any]]) -> Sequence[float]:
        """A part's scores; another thread may work them out."""
        score = self._path.deployed.score_many
        assert score is not None
        return score(part)

    def answers(self, scores: Iterable[Sequence[float]]) -> list[Answer]:
        """The rows' answers, in their order, of the scores of all parts."""
        flat = list(chain.from_iterable(scores))
        return self._path.finish_many(self._taken, flat, self._at_us, self._now_us, self._started)
