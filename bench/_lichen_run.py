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


class Watch:
    """Notes the CPU that each carrying out of a plan takes."""

    def __init__(self) -> None:
        self.cpu, self.carry_out = 0.0, Execution.run

    def run(self, execution: Execution) -> Run:
        begun = time.process_time()
        try:
            return self.carry_out(execution)
        finally:
            self.cpu += time.process_time() - begun


watch = Watch()
Execution.run = lambda self: watch.run(self)  # type: ignore[method-assign]
sys.argv = ["lichen", "run"]
try:
    code = main()
except SystemExit as ended:
    code = ended.code  # type: ignore[assignment]
print(json.dumps({"builds": watch.cpu}))
sys.exit(code)
