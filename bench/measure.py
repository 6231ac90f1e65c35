"""What the benchmarks share: the CPU of whole child processes, two sides in turn, and the last line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from typing import IO, Any


@dataclass(frozen=True)
class Spent:
    """What a child process took, in seconds, and the last line it printed."""

    cpu: float
    wall: float
    last_line: str


def child(argv: Sequence[str | Path], folder: Path) -> Spent:
    """Run a process to its end; `cpu` is user and system time of all its threads and the children it waited for."""
    with TemporaryFile() as out, TemporaryFile() as said:
        begun = time.perf_counter()
        process = subprocess.Popen([str(word) for word in argv], cwd=folder, stdout=out, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        lines, complaints = (_lines(file) for file in (out, said))
    if process.returncode != 0:
        sys.exit("\n".join([*lines, *complaints, f"{argv} ended with {process.returncode}"]))
    return Spent(usage.ru_utime + usage.ru_stime, wall, lines[-1] if lines else "")


def _lines(file: IO[bytes]) -> list[str]:
    file.seek(0)
    return file.read().decode().splitlines()


def in_turn(pairs: int, one: Callable[[], Spent], other: Callable[[], Spent]) -> tuple[list[Spent], list[Spent]]:
    """Both sides `pairs` times, A B A B: whatever else the machine does meets both alike."""
    ones, others = [], []
    for _ in range(pairs):
        ones.append(one())
        others.append(other())
    return ones, others


def middle(values: Sequence[float]) -> float:
    """The median, to a tenth of a millisecond."""
    return round(median(values), 4)


def rounded(values: Sequence[float]) -> list[float]:
    """Raw seconds as they are reported."""
    return [round(value, 4) for value in values]


def finish(figures: Mapping[str, Any]) -> None:
    """Print a benchmark's figures as its last line, with how loaded the machine was."""
    machine = {"cores": os.cpu_count(), "load": [round(load, 2) for load in os.getloadavg()]}
    print(json.dumps({**figures, "machine": machine}))
