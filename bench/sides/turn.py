"""What every side has in common: it reads its job, does its work once and once more, and tells what each call took."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Job = dict[str, Any]


def take(work: Callable[[Job], None], version: str) -> None:
    """Call `work` on the job in the file that is named on the command line, `1 + warm` times.

    What is imported before is not counted. A call that takes longer than `patience` seconds is the last.
    """
    job = json.loads(Path(sys.argv[1]).read_text())
    _be_first_to_go()
    into, taken, cpu = Path(job["into"]), list[float](), list[float]()
    while len(taken) <= job["warm"] and (not taken or taken[-1] <= job["patience"]):
        for old in into.glob("*.parquet"):
            old.unlink()
        gc.collect()
        begun, used = time.perf_counter(), time.process_time()
        work(job)
        taken.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - used)
    print(json.dumps({"calls": taken, "cpu": cpu, "version": version}))


def result(job: Job) -> str:
    """Where a side writes its answer."""
    return str(Path(job["into"], "result.parquet"))


def _be_first_to_go() -> None:
    # Whoever asks for more memory than there is shall end, and nothing else on the machine.
    score = Path("/proc/self/oom_score_adj")
    if score.exists():
        score.write_text("1000")


def feature(view: int, column: str) -> str:
    """What the answer calls a column of a view."""
    return f"v{view}.{column}"
