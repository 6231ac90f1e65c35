"""A request's body as it comes, within a time: a body that is there already is taken without a timer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


async def first_of(receive: Receive, seconds: float) -> Mapping[str, Any]:
    """The first message of a request; raises TimeoutError where it does not come within so many seconds.

    It nearly always came with the headers. Then nothing is waited for, and no timer is set, which would cost a tenth
    of the whole answer.
    """
    steps = receive().__await__()
    try:
        waits_for = next(steps)
    except StopIteration as at_once:
        message: Mapping[str, Any] = at_once.value
        return message
    async with asyncio.timeout(seconds):
        return await _Begun(steps, waits_for)


class _Begun:
    """What is left of an awaitable whose first step waits for something."""

    def __init__(self, steps: Generator[Any, Any, Mapping[str, Any]], waits_for: Any) -> None:
        self._steps, self._waits_for = steps, waits_for

    def __await__(self) -> Generator[Any, Any, Mapping[str, Any]]:
        try:
            yield self._waits_for
        except BaseException:
            self._steps.close()
            raise
        return (yield from self._steps)
