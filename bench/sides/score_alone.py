"""What a batch takes LightGBM alone, in process: `python score_alone.py JOB.json` prints microseconds.

It does so for each line it reads. The rows are there as an array of doubles; they are predicted with one thread and
with all there are.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import median

import lightgbm
import numpy as np

job = json.loads(Path(sys.argv[1]).read_text())
booster = lightgbm.Booster(model_file=job["model"])
rows = np.array(job["rows"], dtype=np.float64)


def taken(threads: int, seconds: float) -> float:
    """The median of the calls in so many seconds, in microseconds."""
    calls: list[float] = []
    until = time.perf_counter() + seconds
    while len(calls) < 3 or time.perf_counter() < until:
        begun = time.perf_counter()
        booster.predict(rows, num_threads=threads)
        calls.append(time.perf_counter() - begun)
    return 1e6 * median(calls)


for line in sys.stdin:
    seconds = json.loads(line)["seconds"]
    print(json.dumps({"one_thread": taken(1, seconds), "all_threads": taken(0, seconds)}), flush=True)
