"""A service in a process of its own, for a replay: started, waited for, and stopped."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from lichen.errors import SystemFailed, Where
from lichen.ground.clock import SystemClock

_POLL_SECONDS = 0.02
_LOG_LINES = 5
_CLOCK = SystemClock()


class Child:
    """A serving process while the `with` lasts; it stops too where this process dies.

    `command` must call `serve(..., told=told, with_parent=True)`; what it prints goes to `log`.
    """

    def __init__(
        self, command: Sequence[str], *, told: Path, log: Path, start_seconds: float = 60, stop_seconds: float = 10
    ) -> None:
        self.command, self.told, self.log = list(command), told, log
        self.url = ""
        self._start_seconds, self._stop_seconds = start_seconds, stop_seconds

    def __enter__(self) -> Self:
        self.told.unlink(missing_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> int:
        """Ask the process to stop, kill it where it does not, and give its exit code."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def _wait_until_ready(self) -> None:
        until = _CLOCK.seconds() + self._start_seconds
        while _CLOCK.seconds() < until:
            if self.process.poll() is not None:
                raise self._not_started(f"it ended with exit code {self.process.returncode}")
            if not self.url and self.told.exists():
                self.url = json.loads(self.told.read_bytes())["url"]
            if self.url and _is_ready(self.url):
                return
            time.sleep(_POLL_SECONDS)
        raise self._not_started(f"it was not ready within {self._start_seconds:g} s")

    def _not_started(self, why: str) -> SystemFailed:
        last = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
        return SystemFailed(
            "LCH-1842",
            "the service did not start",
            where=Where(self.log),
            why="\n    ".join([why, *last]),
            fix="the log tells the cause",
        )


def _is_ready(url: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
