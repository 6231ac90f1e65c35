"""What the benchmarks share: the CPU of whole child processes, two sides in turn, and the last line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, Any

_SPENT = Path(__file__).with_name("_spent.py")


@dataclass(frozen=True)
class Spent:
    """What a child process took, in seconds and at its most in MB of memory, and the last line it printed."""

    cpu: float
    wall: float
    last_line: str
    peak_mb: float


class Failed(Exception):
    """A child process did not end well; its text is all that the child said, the reason last."""


def child(argv: Sequence[str | Path], folder: Path) -> Spent:
    """Run a process to its end, and end the benchmark where it fails."""
    try:
        return attempted(argv, folder)
    except Failed as failure:
        sys.exit(str(failure))


def attempted(argv: Sequence[str | Path], folder: Path, limit: float | None = None) -> Spent:
    """Run a process to its end; raises `Failed` where it fails or takes longer than `limit` seconds.

    `cpu` is user and system time of all its threads and the children it waited for.
    """
    with TemporaryFile() as out, TemporaryFile() as said, NamedTemporaryFile() as account:
        started = [sys.executable, "-I", "-S", _SPENT, account.name, str(limit or 0)]
        subprocess.run([*started, *map(str, argv)], cwd=folder, stdout=out, stderr=said, check=False)
        told = account.read()
        lines, complaints = (_lines(file) for file in (out, said))
    if not told:
        raise Failed("\n".join([*lines, *complaints, f"{argv} could not be started"]))
    spent = json.loads(told)
    if spent["code"] != 0:
        late = limit is not None and spent["wall"] >= limit
        why = f"took longer than {limit:g} s" if late else f"ended with {spent['code']}"
        raise Failed("\n".join([*lines, *complaints, f"{argv} {why}"]))
    return Spent(spent["cpu"], spent["wall"], lines[-1] if lines else "", spent["peak_mb"])


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
