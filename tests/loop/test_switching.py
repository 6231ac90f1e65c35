"""A service that is asked without a pause while its environment moves: no failed request, no mixed answer."""

from __future__ import annotations

import http.client
import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from arro3.core import Table
from processes import Nursery, served, until
from small_project import START, SmallProject

from lichen import Project
from lichen.ports import Relation
from lichen.train.artifact import load
from lichen.train.fit import score

CLIENTS = 4


class Client(threading.Thread):
    """Asks over one connection until it is stopped, and keeps every reply."""

    def __init__(self, address: str, number: int) -> None:
        super().__init__(daemon=True)
        self.address, self.number, self.stopped = address, number, threading.Event()
        self.answers: list[dict[str, Any]] = []
        self.failed: list[object] = []
        self.last = 0

    def run(self) -> None:
        with closing(http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=30)) as connection:
            asked = 0
            while not self.stopped.is_set():
                asked += 1
                cents = 10 * ((asked * CLIENTS + self.number) % 1000)
                shop = ["north", "south", "east", "gone"][asked % 4]
                body = {"shop": shop, "asked_at": START.isoformat(), "cents": cents}
                try:
                    connection.request("POST", "/predict", json.dumps(body), {"content-type": "application/json"})
                    reply = connection.getresponse()
                    told = json.loads(reply.read())
                except (OSError, http.client.HTTPException) as failure:
                    self.failed.append(failure)
                    continue
                if reply.status == 200:
                    self.answers.append(told)
                    self.last = told["release"]
                else:
                    self.failed.append(told)
                time.sleep(0.002)


@contextmanager
def asked_on(address: str) -> Iterator[list[Client]]:
    clients = [Client(address, number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.stopped.set()
        for client in clients:
            client.join(60)


def _ready(address: str) -> dict[str, Any]:
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)) as connection:
        connection.request("GET", "/health/ready")
        told: dict[str, Any] = json.loads(connection.getresponse().read())
        return told


def _held(pid: int) -> tuple[int, int]:
    """The memory of a process in bytes and its open files."""
    if sys.platform != "linux":
        return 0, 0
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _offline(root: Path, model_version: str) -> dict[str, float]:
    """What a model version gives, in a batch, for the features that its answers were recorded with, by their names."""
    with Project(root) as project:
        (trained,) = {
            version.version: version
            for release in project.releases.history()
            for version in project.releases.versions(release).values()
            if version.asset == "model.buys" and version.version == model_version
        }.values()
        folder = root / ".lichen/artifacts" / trained.facts["artifact"]
        preparation, fitted = load(folder, trained.facts["artifact"], project.workshop.learner)
        features = ", ".join(f'"feature.{name}" AS "{name}"' for name in preparation.names)
        rows = f"SELECT prediction_id, {features} FROM predictions_buys WHERE model_version = '{model_version}'"
        table = Table.from_arrow(project.query(rows)).combine_chunks()
        scores = score(fitted, preparation.matrix(Relation(arrow=table), project.workshop.engine))
        return dict(zip(table.column("prediction_id").to_pylist(), np.asarray(scores).tolist(), strict=True))


@pytest.mark.parametrize("switches", [5, pytest.param(50, marks=pytest.mark.soak)])
def test_switches_under_load(switches: int, tmp_path: Path, nursery: Nursery) -> None:
    small = SmallProject(tmp_path / "small", seed=61)
    small.edit("models/buys.yaml", "learner: logistic", "learner: lightgbm\nparams: {num_iterations: 40}")
    assert nursery.lichen(small.root, "run").code == 0
    small.edit("models/buys.yaml", "num_iterations: 40", "num_iterations: 60")
    assert nursery.lichen(small.root, "run", "--env", "dev").code == 0
    held = []
    with served(small.root) as (server, told):
        address = told["address"]
        with asked_on(address) as clients:
            for switch in range(switches):
                verb = ("promote", "dev", "prod") if switch == 0 else ("rollback", "--to", "1" if switch % 2 else "3")
                ended = nursery.lichen(small.root, *verb, "--json")
                assert ended.code == 0, ended
                moved = ended.facts["release"]
                until(lambda moved=moved: _ready(address)["release"] == moved, seconds=30)
                until(lambda moved=moved: any(moved == client.last for client in clients), seconds=30)
                held.append(_held(server.pid))
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    assert [failed for client in clients for failed in client.failed] == []
    answers = [answer for client in clients for answer in client.answers]
    assert nursery.lichen(small.root, "run").code in (0, 1)

    with Project(small.root) as project:
        releases = {release.number: release.versions["model.buys"] for release in project.releases.history("prod")}
    by_version = Counter(answer["model_version"] for answer in answers)
    assert {answer["release"]: answer["model_version"] for answer in answers}.items() <= releases.items()
    assert len({answer["release"] for answer in answers}) == switches + 1
    assert len(by_version) == 2
    offline = {name: value for version in by_version for name, value in _offline(small.root, version).items()}
    assert {answer["prediction_id"]: answer["score"] for answer in answers} == offline
    print(f"{switches} switches, {len(answers):,} answers, 0 failed; memory and files after each: {held}")
    if switches >= 50:
        assert held[-1][0] - held[10][0] < 16 << 20, held
        assert held[-1][1] <= held[10][1], held
