"""DuckDB's side: ASOF JOIN for the latest row, a join on a range of time for windows."""

from __future__ import annotations

import duckdb
from turn import Job, feature, result, take

UNITS = {"h": "HOUR", "d": "DAY"}


def events(job: Job, file: str) -> str:
    key = ", ".join(job["key"])
    if not job["ties"]:
        return f"(SELECT {key}, happened, {', '.join(job['columns'])} FROM read_parquet('{file}'))"
    # ASOF takes any of the rows of one instant: the one that stands last in the file is picked before.
    last = ", ".join(f"{name} := {name}" for name in job["columns"])
    return f"""(
        SELECT {key}, happened, unnest(arg_max(struct_pack({last}), file_row_number))
        FROM read_parquet('{file}', file_row_number = true) GROUP BY {key}, happened
    )"""


def latest(job: Job) -> str:
    shown, joins = [], []
    for place, file in enumerate(job["events"]):
        fresh = job["ttl_us"] and f"e{place}.happened >= l.at - to_microseconds({job['ttl_us']})"
        for name in job["columns"]:
            value = f"e{place}.{name}"
            shown.append(f'{f"CASE WHEN {fresh} THEN {value} END" if fresh else value} AS "{feature(place, name)}"')
        same = " AND ".join(f"l.{name} = e{place}.{name}" for name in job["key"])
        joins.append(f"ASOF LEFT JOIN {events(job, file)} AS e{place} ON {same} AND l.at > e{place}.happened")
    return f"SELECT l.*, {', '.join(shown)} FROM read_parquet('{job['labels']}') AS l {' '.join(joins)}"


def windowed(job: Job) -> str:
    spans = {window: f"INTERVAL {window[:-1]} {UNITS[window[-1]]}" for window in job["windows"]}
    calls = {"count": "count(e.happened)", "sum": "sum(e.x)", "mean": "avg(e.x)", "max": "max(e.x)"}
    shown = [
        f'{calls[name]} FILTER (e.happened >= l.at - {span}) AS "{feature(0, f"{name}_{window}")}"'
        for name in job["functions"]
        for window, span in spans.items()
    ]
    same = " AND ".join(f"l.{name} = e.{name}" for name in job["key"])
    return f"""
        SELECT l.*, {", ".join(shown)}
        FROM read_parquet('{job["labels"]}') AS l LEFT JOIN read_parquet('{job["events"][0]}') AS e
        ON {same} AND e.happened < l.at AND e.happened >= l.at - {list(spans.values())[-1]}
        GROUP BY ALL
    """


def main(job: Job) -> None:
    session = duckdb.connect(
        config={"threads": job["threads"], "temp_directory": job["scratch"], "preserve_insertion_order": False}
    )
    session.execute("SET TimeZone = 'UTC'")
    statement = windowed(job) if job["windows"] else latest(job)
    session.execute(f"COPY ({statement}) TO '{result(job)}' (FORMAT parquet, COMPRESSION zstd)")
    session.close()


take(main, duckdb.__version__)
