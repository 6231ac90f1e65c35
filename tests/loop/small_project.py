"""A small shop that asks who will buy: a project of two sources, and a plain model of what was sent to it."""

from __future__ import annotations

import csv
import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2024, 1, 1, tzinfo=UTC)
LATENESS = timedelta(hours=3)
ROWS = 2000

FILES = {
    "lichen.yaml": "name: small\npublish: prod\nmemory: 512MB\n",
    "sources/visits.yaml": """\
description: Each visit, told again when what it came to changes.
path: data/visits-*.csv
cursor: sent_at
lateness: 3h
time: asked_at
known: sent_at
contract:
  key: [visit_id]
  columns:
    visit_id: {type: bigint}
    shop: {type: varchar}
    asked_at: {type: timestamptz, null_share: 0}
    sent_at: {type: timestamptz, null_share: 0}
    cents: {type: bigint, range: [0, 100000]}
    bought: {type: boolean, null_share: 0}
""",
    "sources/shops.yaml": """\
description: The shops; some lines are bad and go to quarantine.
path: data/shops.csv
contract:
  key: [shop]
  columns:
    shop: {type: varchar}
    size: {type: bigint, range: [1, 1000]}
    city: {type: varchar, accepted: [Ulm, Bonn]}
""",
    "tables/purchases.sql": """\
/* ---
grain: [visit_id]
time: asked_at
known: sent_at
--- */
SELECT v.visit_id, v.shop, v.asked_at, v.sent_at, v.cents, v.bought, s.size, s.city
FROM visits AS v LEFT JOIN shops AS s ON s.shop = v.shop
""",
    "tables/daily.sql": """\
/* ---
grain: [shop, day]
intervals: {by: day, every: 1d, lateness: 52w}
--- */
SELECT shop, date_trunc('day', asked_at) AS day, count(*) AS visits, sum(cents)::BIGINT AS cents
FROM purchases GROUP BY ALL
""",
    "tables/totals.sql": """\
/* ---
grain: [shop]
--- */
SELECT shop, sum(visits)::BIGINT AS visits, sum(cents)::BIGINT AS cents FROM daily GROUP BY ALL
""",
    "features/shop_visits.yaml": """\
entity: {shop: varchar}
from: purchases
aggregates:
  bought: avg(bought::int)
  visits: count(*)
  spent: sum(cents)
windows: [1d, 7d]
""",
    "features/shop.yaml": """\
entity: {shop: varchar}
from: shops
static: true
latest: [size, city]
""",
    "features/asking.yaml": """\
on: request
columns: {shop: varchar, asked_at: timestamptz, cents: bigint}
expressions:
  hour: date_part('hour', asked_at)
  dear: cents > 5000
  crowd: coalesce(shop_visits.visits_1d, 0) / greatest(shop.size, 1)
""",
    "models/buys.yaml": """\
task: classification
label: {from: purchases, value: bought, at: asked_at, known: sent_at, wait: 2d}
features: [shop_visits, shop, asking]
exclude: [asking.asked_at]
learner: logistic
seed: 7
validate: {by: time, early_stop: 3d, test: 6d}
gate: {roc_auc: {min: 0.55}}
""",
    "services/buys.yaml": "model: buys\nrecord: {durable: 5ms}\n",
    "monitors/buys.yaml": """\
watch: buys
every: 1d
ask:
  roc_auc: {drop: 0.2}
  missing: {rise: 0.5}
""",
}

SHOPS = """\
shop,size,city
north,120,Ulm
south,80,Bonn
east,200,Ulm
west,40,Bonn
tiny,0,Ulm
lost,30,Paris
odd,many,Bonn
north,7,Bonn
"""
SHOPS_KEPT, SHOPS_ASIDE = 4, 4
"""Of the eight lines of SHOPS four are bad: a size out of range, an unknown city, a word for a number, a key again."""

COLUMNS = ("visit_id", "shop", "asked_at", "sent_at", "cents", "bought")


@dataclass(frozen=True)
class Visit:
    visit_id: int
    shop: str
    asked_at: datetime
    sent_at: datetime
    cents: int
    bought: bool

    def line(self) -> list[object]:
        return [self.visit_id, self.shop, self.asked_at.isoformat(), self.sent_at.isoformat(), self.cents, self.bought]


class SmallProject:
    """The project's files in a folder, and in memory what its sources were sent."""

    def __init__(self, root: Path, *, seed: int = 0, rows: int = ROWS, start: datetime = START) -> None:
        self.root, self.random = root, random.Random(seed)
        self.now = start
        self.sent: list[Visit] = []
        for name, text in FILES.items():
            self.write(name, text)
        self.write("data/shops.csv", SHOPS)
        self.batches = 0
        self.send(self.visits(rows))

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text(encoding="utf-8")
        assert old in text, f"`{old}` is not in {name}"
        self.write(name, text.replace(old, new, 1))

    def visits(self, count: int) -> list[Visit]:
        """New visits: they come a quarter of an hour apart, and each is sent half an hour to two hours later."""
        made = []
        first = max((visit.visit_id for visit in self.sent), default=0) + 1
        for visit_id in range(first, first + count):
            self.now += timedelta(minutes=15)
            cents = self.random.randrange(10_000)
            shop = self.random.choice(["north", "south", "east", "west", "gone"])
            slope = (cents - 5000) / 2000 + (self.now.hour - 12) / 6 + (1 if shop == "north" else 0)
            bought = self.random.random() < 1 / (1 + math.exp(-slope))
            sent_at = self.now + timedelta(minutes=self.random.randrange(30, 120))
            made.append(Visit(visit_id, shop, self.now, sent_at, cents, bought))
        return made

    def grow(self, count: int) -> None:
        """Send new visits, a few old ones again as they were, and a few corrected."""
        newest = max(visit.sent_at for visit in self.sent)
        recent = [visit for visit in self.expected() if visit.sent_at > newest - LATENESS / 2]
        again = self.random.sample(recent, min(3, len(recent)))
        corrected = [
            replace(visit, cents=visit.cents + 1, sent_at=visit.sent_at + timedelta(seconds=1))
            for visit in self.random.sample(recent, min(2, len(recent)))
        ]
        self.send([*self.visits(count), *again, *corrected])

    def send(self, visits: Sequence[Visit]) -> None:
        visits = list(visits)
        self.random.shuffle(visits)
        path = self.root / f"data/visits-{self.batches:04}.csv"
        staged = path.with_suffix(".part")
        with open(staged, "w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(COLUMNS)
            writer.writerows(visit.line() for visit in visits)
        staged.rename(path)
        self.batches += 1
        self.sent += visits

    def expected(self) -> list[Visit]:
        """What the source holds once all was read: of rows with one key the newest."""
        newest: dict[int, Visit] = {}
        for visit in self.sent:
            old = newest.get(visit.visit_id)
            if old is None or visit.sent_at >= old.sent_at:
                newest[visit.visit_id] = visit
        return sorted(newest.values(), key=lambda visit: visit.visit_id)

    def totals(self) -> list[list[object]]:
        """What the table `totals` holds."""
        visits: Counter[str] = Counter()
        cents: Counter[str] = Counter()
        for visit in self.expected():
            visits[visit.shop] += 1
            cents[visit.shop] += visit.cents
        return [[shop, visits[shop], cents[shop]] for shop in sorted(visits)]
