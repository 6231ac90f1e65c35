"""Polars' side: `join_asof` for the latest row; for windows a streamed join, or `rolling` where that is faster."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
from turn import Job, feature, result, take

MANY = 500_000_000
"""Above so many pairs of a label and a row of its entity, rolling is the faster."""


def latest(job: Job) -> pl.DataFrame:
    labels = pl.read_parquet(job["labels"])
    asked = labels.filter(pl.all_horizontal(pl.col(*job["key"], "at").is_not_null())) if job["nulls"] else labels
    joined = asked if job["sorted"] else asked.sort("at")
    for place, file in enumerate(job["events"]):
        events = pl.read_parquet(file, columns=[*job["key"], "happened", *job["columns"]])
        if job["nulls"]:
            events = events.filter(pl.all_horizontal(pl.col(*job["key"], "happened").is_not_null()))
        if not job["sorted"]:
            events = events.sort("happened", maintain_order=True)
        joined = joined.join_asof(
            events.rename({name: feature(place, name) for name in job["columns"]}),
            left_on="at",
            right_on="happened",
            by=job["key"],
            tolerance=job["ttl_us"] and timedelta(microseconds=job["ttl_us"]),
            allow_exact_matches=False,
            check_sortedness=False,
        ).drop("happened", strict=False)
    if job["nulls"]:
        left_out = labels.join(asked.select("label_id"), on="label_id", how="anti")
        joined = pl.concat([joined, left_out], how="diagonal")
    return joined


def joined_windows(job: Job) -> pl.DataFrame:
    """Each label with each row of its longest window, streamed into groups: fastest where entities are light."""
    labels = pl.scan_parquet(job["labels"])
    events = pl.scan_parquet(job["events"][0]).select(*job["key"], "happened", "x")
    longest, age = span(job["windows"][-1]), pl.col("at") - pl.col("happened")
    held = labels.join(events, on=job["key"]).filter(pl.col("happened") < pl.col("at"), age <= longest)
    values = {window: pl.col("x").filter(age <= span(window)) for window in job["windows"]}
    calls = {"count": pl.Expr.len, "sum": pl.Expr.sum, "mean": pl.Expr.mean, "max": pl.Expr.max}
    shown = [
        calls[name](value).cast(pl.Int64 if name == "count" else pl.Float64).alias(feature(0, f"{name}_{window}"))
        for name in job["functions"]
        for window, value in values.items()
    ]
    found = labels.join(held.group_by("label_id").agg(shown), on="label_id", how="left")
    counts = [feature(0, f"count_{window}") for window in job["windows"]]
    return found.with_columns(pl.col(counts).fill_null(0)).collect(engine="streaming")


def rolling_windows(job: Job) -> pl.DataFrame:
    """Rolling groups over events and labels together: the work does not grow with the events of an entity."""
    labels = pl.read_parquet(job["labels"])
    events = pl.read_parquet(job["events"][0], columns=[*job["key"], "happened", "x"])
    found = pl.concat(
        [events.with_columns(one=pl.lit(1, pl.Int64)), labels.rename({"at": "happened"})], how="diagonal"
    ).sort(*job["key"], "happened")
    calls = {
        "count": pl.col("one").sum(),
        "sum": pl.col("x").sum(),
        "mean": pl.col("x").mean(),
        "max": pl.col("x").max(),
    }
    parts = [found]
    for window in job["windows"]:
        shown = [calls[name].alias(feature(0, f"{name}_{window}")) for name in job["functions"]]
        rolled = found.rolling("happened", period=window, closed="left", group_by=job["key"]).agg(shown)
        parts.append(rolled.drop(*job["key"], "happened"))
    together = pl.concat(parts, how="horizontal").filter(pl.col("label_id").is_not_null())
    return together.drop("x", "one").rename({"happened": "at"})


def span(window: str) -> timedelta:
    return timedelta(**{{"h": "hours", "d": "days"}[window[-1]]: int(window[:-1])})


def windowed(job: Job) -> pl.DataFrame:
    found = joined_windows(job) if job["pairs"] <= MANY else rolling_windows(job)
    # Polars' sum of nothing is 0.
    names = [(feature(0, f"count_{window}"), feature(0, f"sum_{window}")) for window in job["windows"]]
    return found.with_columns(pl.when(pl.col(count) > 0).then(pl.col(total)).alias(total) for count, total in names)


def main(job: Job) -> None:
    (windowed(job) if job["windows"] else latest(job)).write_parquet(result(job), compression="zstd")


take(main, pl.__version__)
