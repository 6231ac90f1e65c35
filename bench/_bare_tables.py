"""A child of `bench.tables`: the tables' statements in bare DuckDB, one COPY each, and what they took of CPU.

Reads a job from the file it is given: `inputs` (name to Parquet files), `statements` (name and text, in order), `into`,
`memory`, `scratch`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import duckdb


def main(job: Path) -> None:
    told = json.loads(job.read_text())
    begun = time.process_time()
    session = duckdb.connect(config={"memory_limit": told["memory"], "temp_directory": told["scratch"]})
    session.execute("SET GLOBAL TimeZone = 'UTC'")
    for name, files in told["inputs"].items():
        session.execute(f"CREATE VIEW {name} AS FROM read_parquet({files})")
    for name, text in told["statements"]:
        target = f"{told['into']}/{name}.parquet"
        session.execute(f"COPY (\n{text}\n) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        session.execute(f"CREATE VIEW {name} AS FROM read_parquet('{target}')")
    print(json.dumps({"builds": time.process_time() - begun}))


main(Path(sys.argv[1]))
