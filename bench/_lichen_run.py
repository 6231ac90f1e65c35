"""A child of the benchmarks: `lichen run` as a user types it, whose last line says what carrying the plan out took.

That is the CPU of all threads from the first step to the release in force: statements, contract checks, digests, fsync,
manifests, the Delta face. It leaves out the process's start and the reading of the project.
"""

from __future__ import annotations

import json
import sys
import time

from lichen.cli import main
from lichen.run.execute import Execution, Run

carry_out = Execution.run
taken: list[float] = []


def timed(execution: Execution) -> Run:
    begun = time.process_time()
    try:
        return carry_out(execution)
    finally:
        taken.append(time.process_time() - begun)


Execution.run = timed  # type: ignore[method-assign, assignment]
sys.argv = ["lichen", "run"]
code: str | int | None = None
try:
    main()
except SystemExit as ended:
    code = ended.code
print(json.dumps({"builds": sum(taken)}))
sys.exit(code)
