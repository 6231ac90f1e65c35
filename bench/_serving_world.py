"""What `bench.serving` serves: a generated project whose answers are known without Lichen.

Events happened twelve hours, give or take a few, before or after each whole day before the benchmark: none leaves a
window while it runs, so that features of its beginning hold to its end, for peers that keep them as rows as well.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

SERVICE = "quote"
WINDOWS = {"7d": 7, "30d": 30, "60d": 60, "90d": 90}
AGGREGATES = {
    "n": "count(*)",
    "spent": "sum(amount)",
    "mean": "avg(amount)",
    "low": "min(amount)",
    "high": "max(amount)",
}
FIELDS = {"price": "double", "distance": "double", "items": "bigint", "hour": "bigint", "coupon": "double"}
EXPRESSIONS = {
    "per_item": "price / greatest(items, 1)",
    "per_km": "price / (distance + 1)",
    "log_price": "ln(price + 1)",
    "log_distance": "ln(distance + 1)",
    "night": "hour < 6 OR hour > 22",
    "discounted": "price - coalesce(coupon, 0)",
    "against_mean": "price - coalesce(customer.mean_30d, 0)",
    "share_of_high": "price / (coalesce(customer.high_90d, 0) + 1)",
    "busy": "coalesce(customer.n_7d, 0) / (coalesce(customer.n_90d, 0) + 1)",
    "rush": "abs(hour - 17)",
}

FILES = {
    "lichen.yaml": "name: bench_serving\n",
    "sources/events.yaml": "path: events.parquet\ntime: happened\nknown: happened\n",
    "sources/asks.yaml": "path: asks.parquet\ntime: asked_at\nknown: known_at\n",
    "features/customer.yaml": "entity: {customer: bigint}\nfrom: events\naggregates:\n"
    + "".join(f"  {name}: {value}\n" for name, value in AGGREGATES.items())
    + f"windows: [{', '.join(WINDOWS)}]\n",
    "features/quote.yaml": "on: request\ncolumns: {"
    + ", ".join(f"{name}: {kind}" for name, kind in FIELDS.items())
    + "}\nexpressions:\n"
    + "".join(f'  {name}: "{text}"\n' for name, text in EXPRESSIONS.items()),
    "models/quote.yaml": "task: classification\n"
    "label: {from: asks, value: bought, at: asked_at, known: known_at}\n"
    "features: [customer, quote]\nlearner: lightgbm\n"
    "params: {num_iterations: TREES, num_leaves: 31, learning_rate: 0.05, early_stopping_round: 0}\n"
    "validate: {by: time, test: 5d}\n",
    "services/quote.yaml": "model: quote\n",
    "services/quote_on_disk.yaml": "model: quote\nrecord: {ack: true}\n",
}


@dataclass(frozen=True)
class Sizes:
    """How many customers there are, events of each, labelled rows to learn from, trees, and rows of a batch."""

    customers: int = 10_000
    events: int = 20
    asks: int = 20_000
    trees: int = 500
    batch: int = 1_000

    @property
    def known(self) -> range:
        """The customers that are asked about again and again: a state that was asked for once stays in memory."""
        return range(self.customers // 2)

    @property
    def unasked(self) -> range:
        """The customers that are asked about once."""
        return range(self.customers // 2, self.customers)


TINY = Sizes(customers=200, asks=2_000, trees=20, batch=40)


def make(folder: Path, sizes: Sizes, seed: int = 1) -> None:
    """Write the project and its data, and build and release it with `lichen run`."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace("TREES", str(sizes.trees)))
    _write_rows(folder, sizes, seed)
    run = [sys.executable, "-m", "lichen", "run"]
    ended = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"lichen run ended with {ended.returncode}\n{ended.stdout}\n{ended.stderr}")


def _write_rows(folder: Path, sizes: Sizes, seed: int) -> None:
    """The rows of the sources, and what each customer's features are by DuckDB alone, as of now."""
    begun = f"TIMESTAMPTZ '{datetime.now(UTC).isoformat()}'"
    with duckdb.connect() as session:
        session.execute("SET TimeZone = 'UTC'; SET threads = 1")
        session.execute("SELECT setseed(?)", [seed / 1000])
        session.execute(f"""
            CREATE TABLE events AS
            SELECT (i % {sizes.customers})::BIGINT AS customer,
                   {begun} - to_days(floor(random() * 100)::INT) - INTERVAL 12 HOUR
                     + to_seconds(floor((random() - 0.5) * 18000)) AS happened,
                   (floor(random() * 10000) / 4)::DOUBLE AS amount
            FROM range({sizes.customers * sizes.events}) AS rows(i)""")
        session.execute(f"COPY (SELECT * FROM events ORDER BY happened) TO '{folder}/events.parquet' (FORMAT parquet)")
        session.execute(f"""
            CREATE TABLE rows AS
            SELECT i AS ask_id, floor(random() * {sizes.customers})::BIGINT AS customer,
                   {begun} - to_days((2 + floor(random() * 40))::INT)
                     - to_seconds(floor(random() * 3600)) AS asked_at,
                   floor(random() * 50000) / 4 AS price, floor(random() * 4000) / 4 AS distance,
                   floor(random() * 20)::BIGINT AS items, floor(random() * 24)::BIGINT AS hour,
                   CASE WHEN random() < 0.3 THEN floor(random() * 100) / 4 END AS coupon, random() AS chance
            FROM range({sizes.asks}) AS rows(i)""")
        session.execute("""
            CREATE TABLE asks AS
            SELECT * EXCLUDE (chance), asked_at + INTERVAL 1 HOUR AS known_at,
                   chance < 1 / (1 + exp(-(price - 6000) / 3000 + distance / 700 - items / 15.0)) AS bought
            FROM rows""")
        session.execute(f"COPY (SELECT * FROM asks ORDER BY asked_at) TO '{folder}/asks.parquet' (FORMAT parquet)")
        of_windows = ", ".join(
            f"{value} FILTER (happened >= {begun} - INTERVAL {days} DAY) AS {name}_{window}"
            for name, value in AGGREGATES.items()
            for window, days in WINDOWS.items()
        )
        session.execute(
            f"COPY (SELECT customer, {of_windows} FROM events GROUP BY customer ORDER BY customer) "
            f"TO '{folder}/features.parquet' (FORMAT parquet)"
        )


def questions(customers: range, count: int, seed: int) -> list[dict[str, Any]]:
    """Requests to the service; of as many customers as there are requests each is asked about once."""
    chance = random.Random(seed)
    asked = chance.sample(customers, count) if count <= len(customers) else chance.choices(customers, k=count)
    return [
        {
            "customer": customer,
            "price": chance.randrange(50_000) / 4,
            "distance": chance.randrange(4_000) / 4,
            "items": chance.randrange(20),
            "hour": chance.randrange(24),
            "coupon": chance.choice([None, chance.randrange(100) / 4]),
        }
        for customer in asked
    ]


def released(folder: Path) -> tuple[Path, list[str]]:
    """The released model's file, and the names of its features in order."""
    (manifest,) = (folder / ".lichen/artifacts").glob("*/manifest.json")
    names = [feature["name"] for feature in json.loads(manifest.read_text())["preparation"]["features"]]
    (model,) = manifest.parent.glob("model/*.txt")
    return model, names
