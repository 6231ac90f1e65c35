"""The answers of a release that is tried as a shadow: worked out after the ones that were given, and compared."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from lichen.deploy.answer import Answer
from lichen.deploy.refused import traced
from lichen.deploy.trial import Trial

MOST = 256
"""So many answers may wait for their shadow; beyond them it is left out, and counted."""

_logger = logging.getLogger(__name__)


class Shadow:
    """Follows the answers that were given, one at a time, each when the event loop has nothing else to do."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Trial, Callable[[], dict[str, Any]], Answer]] = deque()
        self._task: asyncio.Task[None] | None = None

    def follow(self, trial: Trial, row: Callable[[], dict[str, Any]], given: Answer) -> None:
        """Have the candidate answer a row, too, at the instant of the answer that was given."""
        if len(self._waiting) >= MOST:
            trial.dropped()
            return
        self._waiting.append((trial, row, given))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    def stop(self) -> None:
        """Leave out what still waits."""
        self._waiting.clear()

    async def _work(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # those whose answer was given, and those who wait for one, first
            if not self._waiting:
                return
            trial, row, given = self._waiting.popleft()
            try:
                path = trial.candidate.path
                trial.shadowed(given, path.answer(row(), given.at_us, path.clock.seconds()))
            except Exception as failure:  # noqa: BLE001 - nobody waits for it; it is counted
                _logger.error("the candidate release %d failed: %s", trial.release, traced(failure))
                trial.failed()
