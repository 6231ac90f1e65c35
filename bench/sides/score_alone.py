"""What 1,000 rows take LightGBM alone, in process: `python score_alone.py JOB.json` prints seconds, by threads."""

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


def taken(threads: int) -> float:
    def one() -> float:
        begun = time.perf_counter()
        booster.predict(rows, num_threads=threads)
        return time.perf_counter() - begun

    one()
    return median(one() for _ in range(30))


print(json.dumps({"one_thread": taken(1), "all_threads": taken(0)}))
