"""A service under a steady load of seven tenths of what it can answer: no error, no growth, no answer lost."""

from __future__ import annotations

import http.client
import re
import signal
import threading
from contextlib import closing
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import pytest
from arro3.core import Table
from generator import generator
from processes import Nursery, served
from small_project import START, SmallProject

from lichen import Project
from lichen.deploy.segment import read

BODY = {"shop": "north", "asked_at": START.isoformat(), "cents": 1000}
SHARE = 0.7
GROWTH_MB = 8.0
"""What the memory of a service may differ by between two moments: caches fill, the allocator keeps what was freed."""


class Memory(threading.Thread):
    """Looks every half second how much memory a process holds, in MB."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.status, self.ended, self.seen = Path(f"/proc/{pid}/status"), threading.Event(), list[float]()

    def run(self) -> None:
        while not self.ended.wait(0.5):
            self.seen.append(int(re.findall(r"VmRSS:\s+(\d+)", self.status.read_text())[0]) / 1024)


def counted(address: str) -> int:
    """The rows that a service says it answered."""
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    return int(re.findall(r'lichen_rows_total{service="buys"} (\d+)', text)[0])


def lies_in(folder: Path) -> int:
    """The answers in the logs of a record, whole frames alone."""
    return sum(1 for log in sorted(folder.glob("live*")) for _ in read(log))


@pytest.mark.parametrize(
    "seconds", [pytest.param(60, marks=pytest.mark.alone), pytest.param(1800, marks=pytest.mark.soak)]
)
def test_at_seven_tenths_of_its_most(seconds: int, tmp_path: Path, nursery: Nursery) -> None:
    small = SmallProject(tmp_path / "small", seed=72)
    small.edit("models/buys.yaml", "learner: logistic", "learner: lightgbm\nparams: {num_iterations: 20}")
    assert nursery.lichen(small.root, "run").code == 0
    with served(small.root) as (server, told), generator(told["address"], BODY) as load:
        warmed = load(seconds=1, connections=16)["200"]
        full = load(seconds=5, connections=16)["200"]
        memory = Memory(server.pid)
        memory.start()
        steady = load(rate=SHARE * full["rate"], seconds=seconds, connections=64)
        memory.ended.set()
        memory.join()
        answered = int(warmed["count"] + full["count"] + steady["200"]["count"])
        assert set(steady) == {"200"}
        assert counted(told["address"]) == answered
        server.send_signal(signal.SIGTERM)
        assert server.wait(40) == 0
    assert lies_in(small.root / ".lichen/records/prod/buys") == answered
    assert nursery.lichen(small.root, "run").code in (0, 1)
    with Project(small.root) as project:
        found = Table.from_arrow(
            project.query("SELECT count(*) AS rows, count(DISTINCT prediction_id) AS names FROM predictions_buys")
        )
    assert (found.column("rows").to_pylist(), found.column("names").to_pylist()) == ([answered], [answered])
    fifth = len(memory.seen) // 5
    early, late = median(memory.seen[fifth : 2 * fifth]), median(memory.seen[-fifth:])
    print(
        f"\n{seconds} s at {steady['200']['rate']:.0f} a second, of {full['rate']:.0f} at most: {answered:,} "
        f"answered, none lost; p50 {steady['200']['p50_ms']:.2f} ms, p99 {steady['200']['p99_ms']:.2f} ms; "
        f"{early:.1f} MB, and {late:.1f} MB in the last fifth"
    )
    assert late < early + GROWTH_MB
