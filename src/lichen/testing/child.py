"""Processes that a conformance suite starts, to share a store with them or to see them killed."""

from __future__ import annotations

import importlib.util
import inspect
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from lichen.ground.failpoint import VARIABLE

KILLED = -signal.SIGKILL


def start(suite: object, folder: Path, task: str, *arguments: str, failpoints: str = "") -> subprocess.Popen[str]:
    """Start a process that makes the suite's store in `folder` and calls the suite's method `task(store, *arguments)`.

    The method's result is printed. `failpoints` arms failpoints in that process only.
    """
    kind = type(suite)
    command = [sys.executable, "-m", __name__, inspect.getfile(kind), kind.__qualname__, str(folder), task]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), VARIABLE: failpoints}
    return subprocess.Popen(
        [*command, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(child: subprocess.Popen[str], *, code: int = 0, seconds: float = 60) -> str:
    """Wait for a process, see that it ended with `code`, and return what it printed."""
    try:
        printed, complaint = child.communicate(timeout=seconds)
    finally:
        child.kill()
    assert child.returncode == code, f"the process ended with {child.returncode}, not {code}:\n{complaint}"
    return printed.strip()


def run_to_death(suite: object, folder: Path, task: str, *arguments: str, point: str) -> None:
    """Run a process that is killed at a failpoint: `name`, or `name@n` for its n-th passage."""
    name, _, nth = point.partition("@")
    run(suite, folder, task, *arguments, failpoints=f"{name}=kill@{nth or 1}", code=KILLED)


def kill(child: subprocess.Popen[str]) -> None:
    """End a process by SIGKILL, and see that it was still running."""
    child.kill()
    finish(child, code=KILLED)


def run(suite: object, folder: Path, task: str, *arguments: str, failpoints: str = "", code: int = 0) -> str:
    """Start a process and finish it."""
    return finish(start(suite, folder, task, *arguments, failpoints=failpoints), code=code)


def main(file: str, kind: str, folder: str, task: str, *arguments: str) -> None:
    """Carry out one task of a suite, in this process."""
    spec = importlib.util.spec_from_file_location("suite", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["suite"] = module
    spec.loader.exec_module(module)
    suite: Any = getattr(module, kind)()
    sys.stdout.write(f"{getattr(suite, task)(suite.make(Path(folder)), *arguments)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
