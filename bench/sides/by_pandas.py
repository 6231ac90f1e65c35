"""pandas' side: `merge_asof` for the latest row."""

from __future__ import annotations

import pandas as pd
from turn import Job, feature, result, take


def latest(job: Job) -> pd.DataFrame:
    labels = pd.read_parquet(job["labels"])
    asked = labels.dropna(subset=[*job["key"], "at"]) if job["nulls"] else labels
    joined = asked if job["sorted"] else asked.sort_values("at")
    for place, file in enumerate(job["events"]):
        events = pd.read_parquet(file, columns=[*job["key"], "happened", *job["columns"]])
        if job["nulls"]:
            events = events.dropna(subset=[*job["key"], "happened"])
        if not job["sorted"]:
            events = events.sort_values("happened", kind="stable")
        joined = pd.merge_asof(
            joined,
            events.rename(columns={name: feature(place, name) for name in job["columns"]}),
            left_on="at",
            right_on="happened",
            by=job["key"],
            tolerance=job["ttl_us"] and pd.Timedelta(job["ttl_us"], "us"),
            allow_exact_matches=False,
        ).drop(columns="happened")
    if job["nulls"]:
        joined = pd.concat([joined, labels[~labels["label_id"].isin(asked["label_id"])]])
    return joined


def main(job: Job) -> None:
    latest(job).to_parquet(result(job), compression="zstd", index=False)


take(main, pd.__version__)
