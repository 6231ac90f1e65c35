"""A small real service in a process of its own: a linear model over two request columns and one looked-up feature."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

from lichen.deploy.answer import Deployed
from lichen.deploy.door import Door
from lichen.deploy.limits import Limits
from lichen.deploy.reach import Reach
from lichen.deploy.record import Record
from lichen.deploy.served import Served
from lichen.deploy.server import listen, serve
from lichen.deploy.service import Service
from lichen.deploy.token import Keyring, Token
from lichen.ground.clock import SystemClock
from lichen.ground.instant import to_us
from lichen.ports import Column

REQUEST = (
    Column("carrier", "VARCHAR"),
    Column("distance", "DOUBLE"),
    Column("scheduled_departure", "TIMESTAMP WITH TIME ZONE"),
    Column("stops", "INTEGER"),
)
FEATURES = (Column("carrier.delay_mean_7d", "DOUBLE"), Column("trip.distance", "DOUBLE"), Column("trip.hour", "BIGINT"))
MEANS = {"UA": 3.5, "AA": -1.25}


def look_up(request, at_us):
    if request["carrier"] == "boom":
        raise ZeroDivisionError("/secret/path SELECT 1")
    departure = request["scheduled_departure"]
    return [MEANS.get(request["carrier"]), request["distance"], departure.hour if departure else None]


def encode(values):
    return [float("nan") if value is None else float(value) for value in values]


def score(row):
    return 1 / (1 + sum(value for value in row if value == value) ** 2)


def look_up_many(requests, at_us):
    return [look_up(request, at_us) for request in requests]


def score_many(rows):
    return [score(encode(values)) for values in rows]


def spinning(microseconds):
    """A score that costs so much of the processor, as a model does."""

    def slow(row):
        end = time.perf_counter_ns() + 1000 * microseconds
        while time.perf_counter_ns() < end:
            pass
        return score(row)

    return slow


def due(request):
    departure = request["scheduled_departure"]
    return None if departure is None else departure - timedelta(hours=1)


def deployed(**changes) -> Deployed:
    given = {
        "service": "late_arrival",
        "model": "late_arrival",
        "model_version": "a1b2c3",
        "release": 7,
        "request": REQUEST,
        "features": FEATURES,
        "look_up": look_up,
        "encode": encode,
        "score": score,
        "due": due,
        "tolerance_us": 300_000_000,
        "look_up_many": look_up_many,
        "score_many": score_many,
        "example": {"carrier": "UA", "distance": 719.0},
    }
    return Deployed(**{**given, **changes})


def tokens(path) -> Keyring:
    return Keyring(Token.from_dict(one) for one in json.loads(path.read_text()))


def main() -> None:
    parse = argparse.ArgumentParser()
    parse.add_argument("folder", type=Path)
    parse.add_argument("told", type=Path)
    parse.add_argument("--replay", action="store_true")
    parse.add_argument("--durable-ms", type=int, default=20)
    parse.add_argument("--limits", default="{}")
    parse.add_argument("--host", default="127.0.0.1")
    parse.add_argument("--allow-host", nargs="*", default=[])
    parse.add_argument("--tls", type=Path, nargs=2)
    parse.add_argument("--behind-proxy", action="store_true")
    parse.add_argument("--tokens", type=Path)
    parse.add_argument("--spin-us", type=int, default=0)
    parse.add_argument("--ack", action="store_true")
    said = parse.parse_args()
    release = deployed(score=spinning(said.spin_us) if said.spin_us else score)
    clock, limits = SystemClock(), Limits(**json.loads(said.limits))
    served = Served.of(release, clock, durable_ms=said.durable_ms, ack=said.ack, limits=limits)
    record = Record(said.folder, served.heading, served.durable_ms)
    reach = Reach(said.host, 0, tuple(said.tls) if said.tls else None, said.behind_proxy, tuple(said.allow_host))
    keyring = partial(tokens, said.tokens) if said.tokens else None
    door = Door(reach.hosts, keyring, lambda: to_us(clock.now()))
    service = Service(served, record, replay=said.replay, door=door)
    serve(service, listen(reach), reach=reach, told=said.told, with_parent=True)


if __name__ == "__main__":
    sys.exit(main())
