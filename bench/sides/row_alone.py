"""What Lichen does for one row and for a batch, in process: `python row_alone.py JOB.json` prints microseconds.

`request` is from a body's bytes to the reply's: read, looked up, computed, scored, framed for the record, told. The
parts are timed apart; `recorded` is the frame's way into a record with the default window, whose thread syncs beside.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from lichen import Project
from lichen.deploy.door import JSON_KIND
from lichen.deploy.predict import Predict
from lichen.deploy.record import Record
from lichen.deploy.segment import Heading, frame

job = json.loads(Path(sys.argv[1]).read_text())
bodies = [body.encode() for body in job["bodies"]]


def us(one: Callable[[int], object]) -> float:
    """The median of rounds, in microseconds a call; the first round warms."""
    rounds = []
    for _ in range(8):
        begun = time.perf_counter()
        for number in range(len(bodies)):
            one(number)
        rounds.append(1e6 * (time.perf_counter() - begun) / len(bodies))
    return round(median(rounds[1:]), 2)


with Project(job["project"]) as project:
    service = project.service("quote")
    path = service.path
    deployed, protocol = path.deployed, Predict(path)

    def request(number: int) -> bytes:
        question = protocol.read(bodies[number], JSON_KIND, "")
        answer = path.answer(question.rows[0], None, path.clock.seconds())
        frame(answer)
        return question.tell([answer]).body

    rows = [json.loads(body) for body in bodies]
    asked = [path.fields.read(row) for row in rows]
    now_us = path.now_us()
    looked_up = [deployed.look_up(one, now_us) for one in asked]
    encoded = [deployed.encode(values) for values in looked_up]
    answers = [path.answer(dict(row), None, path.clock.seconds()) for row in rows]
    record = Record(Path(job["scratch"]) / "record", Heading.of(deployed), 20)
    parts = {
        "request": us(request),
        "read": us(lambda number: protocol.read(bodies[number], JSON_KIND, "")),
        "look_up_and_expressions": us(lambda number: deployed.look_up(asked[number], now_us)),
        "encode": us(lambda number: deployed.encode(looked_up[number])),
        "score": us(lambda number: deployed.score(encoded[number])),
        "recorded": us(lambda number: record.append([answers[number]])),
    }
    record.close()
print(json.dumps(parts))
