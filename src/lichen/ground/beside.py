"""Work in threads side by side that ends soon after whoever waits for it is interrupted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event, local
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")
_INSIST = 0.05
_BEHIND = 2
_own = local()


def side_by_side(work: Callable[[T], U], items: Iterable[T], threads: int) -> Iterator[U]:
    """What `work` gives of each item, in their order, `threads` at a time.

    Where one of them fails, or the caller does or is interrupted, those under way are stopped and the others never
    begin.

    >>> list(side_by_side(lambda number: number * 2, [1, 2, 3], 2))
    [2, 4, 6]
    """
    stops: set[Callable[[], None]] = set()
    ended = Event()

    def stoppable(item: T) -> U:
        if ended.is_set():
            raise CancelledError
        _own.stops = stops
        try:
            return work(item)
        except BaseException:
            ended.set()
            raise

    with ThreadPoolExecutor(threads, "lichen-beside") as pool:
        started = [pool.submit(stoppable, item) for item in items]
        try:
            for one in started:
                yield one.result()
        except BaseException:
            ended.set()
            # Again and again: a stop that comes before what it stops has begun is lost.
            while wait(started, timeout=_INSIST).not_done:
                for stop in list(stops):
                    stop()
            raise


def one_behind(work: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """What `work` gives of each item, in their order, done in a thread of its own while the next items are got.

    >>> list(one_behind(lambda number: number * 2, [1, 2, 3]))
    [2, 4, 6]
    """
    with ThreadPoolExecutor(1, "lichen-behind") as pool:
        waiting: deque[Future[U]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > _BEHIND:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()


@contextmanager
def stopped_by(stop: Callable[[], None]) -> Iterator[None]:
    """Let `stop` be called, in another thread, when what runs in the block side by side with others is to end."""
    stops: set[Callable[[], None]] = getattr(_own, "stops", set())
    stops.add(stop)
    try:
        yield
    finally:
        stops.discard(stop)
