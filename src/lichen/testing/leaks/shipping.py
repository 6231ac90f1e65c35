"""The honest project that all pairs are variants of: will a shipment be late? Its files, its rows, and a pair."""

from __future__ import annotations

import csv
import io
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

Files = Mapping[str, str]

Seen = Literal["lineage", "time", "statistics"]

START = datetime(2026, 1, 1, tzinfo=UTC)
SHIPMENTS, DAYS = 900, 150

LABELS = "tables/labels.sql"
PARCEL = "features/parcel.yaml"
HISTORY = "features/carrier_history.yaml"
DELIVERIES = "tables/deliveries.sql"
MODEL = "models/late.yaml"


def labels(columns: str = "", joins: str = "", *, front: str = "grain: [shipment]", where: str = "") -> str:
    """The label table, with more columns and joins."""
    more = f",\n  {columns}" if columns else ""
    return (
        f"/* ---\n{front}\n--- */\n"
        f"SELECT\n  s.shipment, s.carrier, s.hub, s.weight, s.booked_at, s.promised_at, s.delivered_at,\n"
        f"  s.delay > 60 AS late{more}\nFROM shipments AS s\n{joins}{'' if not joins else chr(10)}"
        f"WHERE s.delay IS NOT NULL{where}\n"
    )


def parcel(columns: str = "", expressions: str = "") -> str:
    """The view of the request, with more columns and expressions."""
    more = f", {columns}" if columns else ""
    text = f"on: request\ncolumns: {{weight: double{more}}}\n"
    return text + (f"expressions: {{{expressions}}}\n" if expressions else "")


def model(features: str = "carrier_history, parcel", *, at: str = "booked_at", known: str = "delivered_at") -> str:
    """The model, with these feature views."""
    return (
        "task: classification\n"
        f"label: {{from: labels, value: late, at: {at}, known: {known}}}\n"
        f"features: [{features}]\n"
        "learner: logistic\nvalidate: {test: 30d}\n"
    )


def table(sql: str, front: str = "") -> str:
    """A table with its front matter."""
    return f"/* ---\n{front}\n--- */\n{sql}\n" if front else f"{sql}\n"


BASE: Files = {
    "lichen.yaml": "name: shipping\nmemory: 512MB\n",
    "sources/shipments.yaml": "path: data/shipments.csv\n"
    "contract:\n  key: [shipment]\n  columns:\n    booked_at: {type: timestamptz}\n"
    "    promised_at: {type: timestamptz}\n    delivered_at: {type: timestamptz}\n    delay: {type: double}\n",
    "sources/wind.yaml": "path: data/wind.csv\ntime: hour_at\nknown: hour_at + INTERVAL 3 HOUR\n"
    "contract:\n  key: [hub, hour_at]\n  columns: {hour_at: {type: timestamptz}}\n",
    "sources/carriers.yaml": "path: data/carriers.csv\ncontract: {key: [carrier]}\n",
    DELIVERIES: table(
        "SELECT shipment, carrier, hub, delay, delivered_at FROM shipments WHERE delivered_at IS NOT NULL",
        "grain: [shipment]\ntime: delivered_at\nknown: delivered_at",
    ),
    LABELS: labels(),
    HISTORY: "entity: {carrier: varchar}\nfrom: deliveries\naggregates: {delay: avg(delay)}\nwindows: [14d, all]\n",
    PARCEL: parcel(),
    MODEL: model(),
    "services/late.yaml": "model: late\n",
}
"""The honest project that all are variants of."""


# --------------------------------------------------------------------------------------------------- rows


def shipments(seed: int = 7, *, cases: bool = False, scanner: bool = False, rebooked: float = 0.0) -> str:
    """The shipments as CSV.

    With `cases` a case number grows with delivery instead of booking; with `scanner` the scanner is missing on many
    late ones and on no other; a share of `rebooked` rows comes again two months later with the same answer.
    """
    draw = random.Random(seed)
    rows = [_shipment(draw, number) for number in range(SHIPMENTS)]
    if rebooked:
        for row in draw.sample(rows[:600], int(rebooked * SHIPMENTS)):
            moved = timedelta(days=60)
            rows.append({**row, **{key: row[key] + moved for key in ("booked_at", "promised_at", "delivered_at")}})
            rows[-1]["shipment"] = len(rows) - 1
    order = "delivered_at" if cases else "booked_at"
    for number, row in enumerate(sorted(rows, key=lambda row: row[order])):
        row["case_number"] = 50_000 + number
    for row in rows:
        late = row["delay"] > 60
        row["scanner"] = "" if draw.random() < (0.6 * late if scanner else 0.2) else draw.choice("ABCD")
        row["refund"] = round(row["delay"] / 10 + draw.gauss(0, 0.2), 2) if late else 0.0
    return _csv(rows)


def _shipment(draw: random.Random, number: int) -> dict[str, Any]:
    booked = START + timedelta(minutes=number * DAYS * 1440 / SHIPMENTS + draw.random() * 60)
    carrier, hub = draw.choice(["red", "blue", "green", "grey"]), draw.choice(["north", "south", "west"])
    weight = round(draw.lognormvariate(1, 0.7), 4)
    promised = booked + timedelta(hours=36 + draw.randrange(24))
    slow = {"red": 30, "blue": 0, "green": 60, "grey": 90}[carrier]
    delay = round(draw.gauss(slow - 20 + 3 * weight, 70))
    delivered = promised + timedelta(minutes=delay)
    shipment = {"shipment": number, "carrier": carrier, "hub": hub, "weight": weight, "delay": delay}
    return {**shipment, "booked_at": booked, "promised_at": promised, "delivered_at": delivered}


def _wind(seed: int = 7) -> str:
    draw, rows = random.Random(seed), []
    for step in range((DAYS + 6) * 4):
        at = START - timedelta(days=2) + timedelta(hours=6 * step)
        for place, hub in enumerate(("north", "south", "west")):
            speed = round(8 + 5 * math.sin(step / 9 + place) + draw.random() * 3, 2)
            rows.append({"hub": hub, "hour_at": at, "speed": speed})
    return _csv(rows)


def _csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()})
    return out.getvalue()


def _reports(given: str) -> str:
    draw, rows = random.Random(3), []
    for row in csv.DictReader(io.StringIO(given)):
        one = {"shipment": row["shipment"], "delivered_at": row["delivered_at"], "minutes": row["delay"]}
        rows.append({**one, "signature": draw.randrange(3, 12)})
    return _csv(rows)


def shipping_rows() -> dict[str, str]:
    """The rows of every source, as the files that hold them."""
    given = shipments()
    return {
        "data/shipments.csv": given,
        "data/reports.csv": _reports(given),
        "data/wind.csv": _wind(),
        "data/carriers.csv": "carrier,trucks\nred,40\nblue,220\ngreen,75\ngrey,12\n",
    }


@dataclass(frozen=True)
class Pair:
    """A leak and its clean twin: what both change in the honest project, who can see the leak, and as what.

    `code` is the error's, or for `statistics` the kind of the suspicion; `says` stands in its text. `leak` and `twin`
    hold files.
    """

    name: str
    what: str
    seen: Seen
    code: str
    says: str
    leak: Files
    twin: Files = field(default_factory=dict)


def plant(files: Files, folder: Path) -> Path:
    """Write a project into a folder: the honest one with these files in the place of its own, and its rows."""
    made = {**BASE, **shipping_rows(), **files}
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    return folder


ROUTE = "features/hub.yaml"
PAST = "tables/past.sql"
PAST_VIEW = "features/past.yaml"


def latest_of(key: str = "carrier: varchar", source: str = "past", column: str = "delay", *, more: str = "") -> str:
    """A view of the last row, with more keys."""
    return f"entity: {{{key}}}\nfrom: {source}\nlatest: [{column}]\n{more}"


REPORTS = (
    "path: data/reports.csv\ntime: delivered_at\nknown: delivered_at\n"
    "contract: {key: [shipment], columns: {delivered_at: {type: timestamptz}}}\n"
)
