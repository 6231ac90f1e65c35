"""The floor: the needed columns are read, and a result is written that is Lichen's answer, column for column."""

from __future__ import annotations

import duckdb
from turn import Job, result, take

held: dict[str, duckdb.DuckDBPyConnection] = {}


def main(job: Job) -> None:
    session = held["session"]
    needed = [*job["key"], "happened", *job["columns"]]
    for file in job["events"]:
        session.execute(f"CREATE OR REPLACE TEMP TABLE seen AS SELECT {', '.join(needed)} FROM read_parquet('{file}')")
    session.execute(f"CREATE OR REPLACE TEMP TABLE asked AS FROM read_parquet('{job['labels']}')")
    session.execute(f"COPY answer TO '{result(job)}' (FORMAT parquet, COMPRESSION zstd)")


def prepared(job: Job) -> None:
    if "session" not in held:
        held["session"] = duckdb.connect(config={"threads": job["threads"], "temp_directory": job["scratch"]})
        held["session"].execute(f"CREATE TEMP TABLE answer AS FROM read_parquet('{job['answer']}')")
    main(job)


take(prepared, duckdb.__version__)
