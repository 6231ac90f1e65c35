"""Several processes that answer on one listening socket, and the process that starts, watches and stops them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from lichen.errors import SystemFailed
from lichen.ground.clock import SystemClock

_logger = logging.getLogger(__name__)
_LOOK_SECONDS = 0.05
_SHORT_LIFE = 5.0
_LONGEST_PAUSE = 30.0
_CLOCK = SystemClock()


class Worker:
    """One process: what it is told on its standard input ends with its first line, and it ends where the input does."""

    def __init__(self, number: int, command: Sequence[str], words: Mapping[str, Any], listening: socket.socket) -> None:
        self.number, self._command, self._words, self._listening = number, list(command), dict(words), listening
        self.told = Path(self._words["told"])
        self.pause = self.begun = self.again_at = 0.0
        self.start()

    def start(self) -> None:
        """Start the process. It is no part of this one's terminal: a Ctrl-C there is for this one to pass on."""
        self.told.unlink(missing_ok=True)
        self.begun = _CLOCK.seconds()
        descriptor = self._listening.fileno()
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, pass_fds=[descriptor], start_new_session=True
        )
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({**self._words, "socket": descriptor}).encode() + b"\n")
            self.process.stdin.flush()

    def revive(self) -> None:
        """Start it again where it died: at once, and ever later where it keeps dying young."""
        code, now = self.process.poll(), _CLOCK.seconds()
        if code is None:
            return
        if not self.again_at:
            young = now - self.begun < _SHORT_LIFE
            self.pause = min(max(1.0, 2 * self.pause), _LONGEST_PAUSE) if young else 0.0
            self.again_at = now + self.pause
            _logger.error("worker %d ended with code %d; it is started again in %g s", self.number, code, self.pause)
        if now >= self.again_at:
            self.again_at = 0.0
            self.let_go()
            self.start()

    def stop(self, until: float) -> int | None:
        """Wait for its end, after it was asked to stop; its exit code, or None where it had to be killed."""
        try:
            code: int | None = self.process.wait(max(0.0, until - _CLOCK.seconds()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = None
        self.let_go()
        return code

    def let_go(self) -> None:
        """Close what leads to the process."""
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()


def serve_with(
    workers: int,
    command: Sequence[str],
    words_of: Callable[[int], Mapping[str, Any]],
    listening: socket.socket,
    *,
    started: Callable[[], None],
    start_seconds: float = 60.0,
    stop_seconds: float = 20.0,
) -> None:
    """Answer with so many processes until SIGTERM or SIGINT, then stop them all.

    Each finishes what it has begun and flushes its record. `words_of` gives what the worker of a number (from 1) is
    told; the file that it names `told` it writes once it answers. Raises `SystemFailed` where one does not start, or
    does not stop as it should.
    """
    stopping = threading.Event()

    def stop(_signal: int = 0, _frame: FrameType | None = None) -> None:
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    all_of_them: list[Worker] = []
    failure: SystemFailed | None = None
    try:
        all_of_them.extend(Worker(number, command, words_of(number), listening) for number in range(1, workers + 1))
        if _all_answer(all_of_them, stopping, start_seconds):
            started()
        while not stopping.is_set():
            for worker in all_of_them:
                worker.revive()
            time.sleep(_LOOK_SECONDS)
    finally:
        listening.close()
        failure = _stop(all_of_them, stop_seconds)
        for number, handler in before.items():
            signal.signal(number, handler)
    if failure is not None:
        raise failure


def _all_answer(workers: Sequence[Worker], stopping: threading.Event, seconds: float) -> bool:
    until = _CLOCK.seconds() + seconds
    while not all(worker.told.exists() for worker in workers):
        if stopping.is_set():
            return False
        ended = next((worker for worker in workers if worker.process.poll() is not None), None)
        late = next((worker for worker in workers if not worker.told.exists()), None)
        wrong = ended or (late if _CLOCK.seconds() >= until else None)
        if wrong is not None:
            code = wrong.process.returncode
            raise SystemFailed(
                "LCH-1850",
                f"worker {wrong.number} of the service did not start",
                why=f"it did not answer within {seconds:g} s" if code is None else f"it ended with code {code}",
                fix="what it wrote above tells the cause",
            )
        time.sleep(_LOOK_SECONDS)
    return True


def _stop(workers: Sequence[Worker], seconds: float) -> SystemFailed | None:
    """Stop them all, and tell of the first that did not end as it should; one that did not answer yet may do so."""
    answering = {worker.number for worker in workers if worker.told.exists()}
    for worker in workers:
        if worker.process.poll() is None:
            worker.process.terminate()
    until = _CLOCK.seconds() + seconds
    codes = {worker.number: worker.stop(until) for worker in workers}
    wrong = {number: code for number, code in codes.items() if code != 0 and number in answering}
    if not wrong:
        return None
    number, code = next(iter(wrong.items()))
    return SystemFailed(
        "LCH-1851",
        f"worker {number} of the service did not stop as it should",
        why=f"it was killed: it had not ended {seconds:g} s after it was asked to"
        if code is None
        else f"it ended with code {code}",
        fix="no answer that was given is lost beyond the span that `record` states: the next run lands them",
    )


def told_by_parent() -> dict[str, Any]:
    """What the process that started this worker tells it; it keeps the standard input open for as long as it lives."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(sys.stdin.fileno(), 1)
        if not piece:
            raise SystemExit(0)
        line += piece
    words: dict[str, Any] = json.loads(line)
    return words
