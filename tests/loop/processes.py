"""Real processes of `lichen`, as tests start, kill and wait for them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LIMIT = 120.0
"""Seconds after which a command counts as hung."""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, Any]:
        """What `--json` printed."""
        lines = self.out.splitlines()
        assert len(lines) == 1, f"`--json` printed {len(lines)} lines:\n{self.out}\n{self.err}"
        facts: dict[str, Any] = json.loads(lines[0])
        assert facts["lichen"] == 1
        return facts

    @property
    def error(self) -> dict[str, Any]:
        """The one error that `--json` told."""
        (error,) = self.facts["errors"]
        assert set(error) == {"code", "what", "where", "why", "fix"}
        return dict(error)


class Nursery:
    """A process that forks children of `lichen` which need not import anything."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.born = folder, 0
        folder.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "NUMBA_CACHE_DIR": str(folder / "numba"),
            "PYTHONWARNINGS": "default",
            # Threads of its libraries would be lost in its children, and many children share few cores.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("nursery.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def ask(self, **task: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def start(
        self,
        root: Path,
        *args: str,
        failpoints: str = "",
        trace: Path | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Born:
        """Start `lichen <args>` in a folder, with these environment variables beside the nursery's."""
        traced = str(trace) if trace else None
        return self._born("start", root, args=args, failpoints=failpoints, trace=traced, variables=variables)

    def reader(self, root: Path, *, pause: float = 0.2) -> Born:
        """Start a process that reads the release over and over."""
        return self._born("read", root, pause=pause)

    def _born(self, do: str, root: Path, **more: Any) -> Born:
        self.born += 1
        out = self.folder / f"child-{self.born}"
        for ending in ("out", "err"):  # a child may be killed before it has opened them
            Path(f"{out}.{ending}").touch()
        return Born(self, self.ask(do=do, cwd=str(root), out=str(out), **more)["pid"], out)

    def lichen(
        self,
        root: Path,
        *args: str,
        failpoints: str = "",
        trace: Path | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run `lichen <args>` in a folder to its end."""
        return self.start(root, *args, failpoints=failpoints, trace=trace, variables=variables).end()


@dataclass
class Born:
    """A child of the nursery."""

    nursery: Nursery
    pid: int
    out: Path

    def wait(self, seconds: float) -> int | None:
        """The exit code, or None where the child still runs after this long."""
        code: int | None = self.nursery.ask(do="wait", pid=self.pid, seconds=seconds)["code"]
        return code

    def kill(self) -> Ended:
        """`kill -9`, if it still runs: the code tells."""
        self.nursery.ask(do="kill", pid=self.pid)
        return self.end()

    def end(self) -> Ended:
        """Wait for the end; a command that takes longer than LIMIT is stuck."""
        code = self.wait(LIMIT)
        if code is None:
            self.nursery.ask(do="kill", pid=self.pid)
        out, err = (Path(f"{self.out}.{ending}") for ending in ("out", "err"))
        ended = Ended(-9 if code is None else code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))
        for path in (out, err):
            path.unlink()
        assert code is not None, f"stuck for {LIMIT:g} s: {ended}"
        return ended


KILLED = -signal.SIGKILL


def until(true: Any, *, seconds: float = LIMIT) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"did not happen within {seconds:g} s"
        time.sleep(0.01)


@contextmanager
def served(
    root: Path, *more: str, variables: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """`lichen serve` in a process of its own, and what it told once requests could come."""
    command = [sys.executable, "-m", "lichen", "serve", "--port", "0", "--json", *more]
    environment = {**os.environ, **(variables or {})}
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield server, json.loads(server.stdout.readline())
        finally:
            server.kill()


def ask(address: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """What a service answers to one request, and with which status."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    try:
        connection.request("POST", "/predict", json.dumps(body), {"content-type": "application/json"})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()
