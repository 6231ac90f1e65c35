"""A service of several processes: killed under load, landed once, stopped as one; and what a server imports."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from arro3.core import Table
from processes import Nursery, ask, until
from small_project import START, SmallProject

from lichen import Project

BODY = {"shop": "north", "asked_at": START.isoformat(), "cents": 1000}
DURABLE = 0.005
"""The span of `services/buys.yaml` in seconds; the death of a process loses nothing even within it."""


@pytest.fixture
def small(tmp_path: Path, nursery: Nursery) -> SmallProject:
    made = SmallProject(tmp_path / "small", seed=71)
    made.edit("models/buys.yaml", "learner: logistic", "learner: lightgbm\nparams: {num_iterations: 20}")
    assert nursery.lichen(made.root, "run").code == 0
    return made


@contextmanager
def serving(root: Path, *more: str, variables: dict[str, str] | None = None) -> Any:
    """`lichen serve` in a process of its own; what it writes to its standard error goes to a file."""
    command = [sys.executable, "-m", "lichen", "serve", "--port", "0", "--json", *more]
    with (
        open(root / "server.err", "wb") as err,
        subprocess.Popen(
            command, cwd=root, env={**os.environ, **(variables or {})}, stdout=subprocess.PIPE, stderr=err, text=True
        ) as server,
    ):
        assert server.stdout is not None
        try:
            yield server, json.loads(server.stdout.readline())
        finally:
            server.kill()


def children(pid: int) -> list[int]:
    out = subprocess.run(["ps", "-o", "pid=", "--ppid", f"{pid}"], capture_output=True, text=True, check=False).stdout
    return [int(line) for line in out.split()]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Client(threading.Thread):
    """Asks under names of its own until it is stopped, connecting anew where it must; keeps what was acknowledged."""

    def __init__(self, address: str, series: str) -> None:
        super().__init__(daemon=True)
        self.address, self.series, self.stopped = address, series, threading.Event()
        self.acknowledged: list[str] = []
        self.refused: list[object] = []
        self.cut = 0

    def run(self) -> None:
        asked = 0
        while not self.stopped.is_set():
            connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=10)
            with closing(connection):
                try:
                    while not self.stopped.is_set():
                        asked += 1
                        name = f"{self.series}-{asked}"
                        body = json.dumps({**BODY, "prediction_id": name})
                        connection.request("POST", "/predict", body, {"content-type": "application/json"})
                        reply = connection.getresponse()
                        told = reply.read()
                        self.acknowledged.append(name) if reply.status == 200 else self.refused.append(told)
                except (OSError, http.client.HTTPException):
                    self.cut += 1
                    time.sleep(0.02)


def landed(small: SmallProject, nursery: Nursery) -> list[str]:
    assert nursery.lichen(small.root, "run").code in (0, 1)
    with Project(small.root) as project:
        rows = Table.from_arrow(project.query("SELECT prediction_id FROM predictions_buys"))
        names: list[str] = rows.column("prediction_id").to_pylist()
        return names


@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=pytest.mark.soak)])
def test_killed_under_load_every_acknowledged_answer_lands_once(
    kills: int, small: SmallProject, nursery: Nursery
) -> None:
    chance = random.Random(71)
    clients: list[Client] = []
    served = 0
    while served < kills:
        with serving(small.root, "--workers", "2") as (server, told):
            assert told["workers"] == 2
            those = [Client(told["address"], f"{served}-{number}") for number in range(3)]
            for client in those:
                client.start()
            for _ in range(min(3, kills - served)):
                time.sleep(0.2 + chance.random() / 2)
                victim = chance.choice(children(server.pid))
                os.kill(victim, signal.SIGKILL)
                served += 1
                until(lambda victim=victim, server=server: len(set(children(server.pid)) - {victim}) == 2, seconds=30)
            last = children(server.pid)
            if chance.random() < 0.5:
                server.kill()
                server.wait()
                until(lambda last=last: not any(map(alive, last)), seconds=30)
            else:
                server.send_signal(signal.SIGTERM)
                assert server.wait(40) == 0
                assert not any(map(alive, last))
            for client in those:
                client.stopped.set()
            for client in those:
                client.join(30)
            clients += those
    names = landed(small, nursery)
    acknowledged = [name for client in clients for name in client.acknowledged]
    assert [refused for client in clients for refused in client.refused] == []
    assert len(set(names)) == len(names)
    assert set(acknowledged) - set(names) == set()
    assert len(acknowledged) > 10 * kills
    cut = sum(client.cut for client in clients)
    assert len(names) - len(acknowledged) <= cut, "what was recorded and not acknowledged was being answered at a kill"
    print(f"{kills} kills: {len(acknowledged):,} acknowledged, 0 lost, 0 doubled, {cut} connections cut")


def test_metrics_tell_of_all_workers(small: SmallProject) -> None:
    with serving(small.root, "--workers", "2") as (server, told):
        for _ in range(20):
            assert ask(told["address"], BODY)[0] == 200

        def rows() -> int:
            with closing(http.client.HTTPConnection(urlsplit(told["address"]).netloc, timeout=10)) as connection:
                connection.request("GET", "/metrics")
                text = connection.getresponse().read().decode()
            return int(re.findall(r'lichen_rows_total{service="buys"} (\d+)', text)[0])

        until(lambda: rows() == 20, seconds=10)
        assert {rows() for _ in range(20)} == {20}
        before = set(children(server.pid))
        os.kill(min(before), signal.SIGKILL)
        until(lambda: len(set(children(server.pid)) - before) == 1, seconds=10)
        assert {rows() for _ in range(20)} == {20}, "one that is started again goes on counting"
        server.send_signal(signal.SIGTERM)
        assert server.wait(40) == 0


def test_an_answer_that_waits_for_the_disk(small: SmallProject, nursery: Nursery) -> None:
    small.edit("services/buys.yaml", "{durable: 5ms}", "{ack: true}")
    assert nursery.lichen(small.root, "run").code == 0
    with serving(small.root) as (server, told):
        answers = [ask(told["address"], BODY) for _ in range(10)]
        assert {status for status, _ in answers} == {200}
        server.kill()
    assert set(landed(small, nursery)) == {answer["prediction_id"] for _, answer in answers}


def imported(told: str) -> set[str]:
    """What a process imported, or tried to, as it told in its own words."""
    return {line.rpartition("|")[2].strip() for line in told.splitlines()}


def test_a_boosted_tree_is_served_without_the_libraries_that_train(small: SmallProject) -> None:
    telling = {"PYTHONPROFILEIMPORTTIME": "1"}
    with serving(small.root, variables=telling) as (server, told):
        assert ask(told["address"], BODY)[0] == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    there = imported((small.root / "server.err").read_text())
    assert {"lichen.backends.lightgbm_library", "uvloop", "httptools", "numba"} <= there
    heavy = ("sklearn", "pandas", "scipy", "lightgbm", "pyarrow", "deltalake", "skops", "optuna")
    found = {name for name in there if name.partition(".")[0] in heavy}
    assert {name.partition(".")[0] for name in found} <= {"scipy"}
    # The loops of a look-up come by numba, which takes its linear algebra from scipy: no more of it than that.
    loop = [sys.executable, "-c", "import numba; numba.njit(lambda a: a)(1)"]
    by_numba = subprocess.run(loop, env={**os.environ, **telling}, capture_output=True, text=True, check=True).stderr
    assert sorted(found - imported(by_numba)) == []
