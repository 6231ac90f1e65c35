from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from lichen.backends.sqlite_state import SQLiteStateStore
from lichen.errors import SystemFailed
from lichen.ports import Conflict
from lichen.run import lease
from lichen.run.lease import fence, held, owner_name


@pytest.fixture
def state(tmp_path):
    store = SQLiteStateStore(tmp_path / "state.db")
    yield store
    store.close()


HOLD = """
import sys, time
from pathlib import Path
from lichen.backends.sqlite_state import SQLiteStateStore
from lichen.run.lease import held
with held(SQLiteStateStore(Path(sys.argv[1])), "run") as owner:
    print(owner, flush=True)
    time.sleep(float(sys.argv[2]))
"""


def _holder(tmp_path, seconds):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "state.db"), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    return child, child.stdout.readline().strip()


def test_a_second_run_is_refused_with_who_holds_it(state):
    with held(state, "run"), pytest.raises(SystemFailed) as caught, held(state, "run"):
        pass
    assert str(caught.value) == (
        f"LCH-3912: another run works on this: process {os.getpid()} on {socket.gethostname()}\n"
        "  why: it holds run\n"
        "  fix: wait until it is done, or let this one wait for it: --wait 10m (a dead run's hold ends after 10 s)"
    )
    with held(state, "run"), held(state, "another"):
        pass


def test_a_failed_run_gives_its_lease_back(state):
    with pytest.raises(KeyboardInterrupt), held(state, "run"):
        raise KeyboardInterrupt
    with held(state, "run"):
        pass


def test_one_that_waits_gets_it_when_the_other_is_done(state):
    begun = threading.Event()
    order = []

    def first():
        with held(state, "run"):
            begun.set()
            time.sleep(0.5)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    begun.wait()
    with held(state, "run", wait=30):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_dead_holders_lease_is_taken_at_once(state, tmp_path):
    child, owner = _holder(tmp_path, 60)
    with pytest.raises(SystemFailed, match=f"process {child.pid} on"), held(state, "run"):
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with held(state, "run") as mine:
        assert mine != owner


@pytest.mark.parametrize("place", ["elsewhere:{pid}:{space}:00", "{host}:{pid}:other:00"])
def test_a_holder_elsewhere_may_be_alive(state, tmp_path, place):
    host, _, space, _ = owner_name().split(":")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert state.lease("run", place.format(pid=gone.pid, host=host, space=space), 60) is None
    with pytest.raises(SystemFailed, match="another run works on this"), held(state, "run"):
        pass


def test_the_heartbeat_keeps_a_lease_past_its_lapse(state, monkeypatch):
    monkeypatch.setattr(lease, "LAPSE", 1.0)
    monkeypatch.setattr(lease, "HEARTBEAT", 0.1)
    with held(state, "run") as owner:
        time.sleep(2.5)
        assert state.lease("run", "host:1:x:y", 1) == owner


def test_one_who_lost_the_lease_cannot_commit(state, monkeypatch):
    monkeypatch.setattr(lease, "LAPSE", 0.2)
    monkeypatch.setattr(lease, "HEARTBEAT", 60.0)  # as if the process slept
    with held(state, "run") as slept:
        state.write(fence("run", slept))
        time.sleep(0.5)
        with held(state, "run") as woke:
            with pytest.raises(Conflict):
                state.write(fence("run", slept))
            state.write(fence("run", woke))
        with pytest.raises(Conflict):
            state.write(fence("run", slept))


def test_a_lost_lease_is_not_given_back_for_another(state, monkeypatch):
    monkeypatch.setattr(lease, "LAPSE", 0.2)
    monkeypatch.setattr(lease, "HEARTBEAT", 60.0)
    with held(state, "run"):
        time.sleep(0.5)
        other = f"elsewhere:{os.getpid()}:x:y"
        assert state.lease("run", other, 60) is None
    assert state.lease("run", "third", 60) == other
