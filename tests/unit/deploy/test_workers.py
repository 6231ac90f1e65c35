import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lichen.deploy.reach import Reach
from lichen.deploy.server import listen
from lichen.deploy.workers import serve_with
from lichen.errors import SystemFailed

PLAIN = """
import pathlib, signal, socket, sys, time
from lichen.deploy.workers import told_by_parent
words = told_by_parent()
listening = socket.socket(fileno=words["socket"])
pathlib.Path(words["told"]).write_text("{}")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(words["code"]))
while True:
    connection, _ = listening.accept()
    connection.sendall(str(words["worker"]).encode())
    connection.close()
"""
"""A worker that answers each connection with its number, and ends with the code it was told."""

PARENT = """
import sys, pathlib
sys.path.insert(0, {here!r})
from test_workers import PLAIN
from lichen.deploy.reach import Reach
from lichen.deploy.server import listen
from lichen.deploy.workers import serve_with
listening = listen(Reach(port=0))
folder = pathlib.Path(sys.argv[1])
def words(number):
    return {{"worker": number, "told": str(folder / str(number)), "code": int(sys.argv[2])}}
def started():
    print(listening.getsockname()[1], flush=True)
try:
    serve_with(2, [sys.executable, "-c", PLAIN], words, listening, started=started, stop_seconds=5)
except Exception as failed:
    print(failed, flush=True)
    sys.exit(3)
"""


@pytest.fixture
def parent(tmp_path):
    made = []

    def start(code=0):
        command = [sys.executable, "-c", PARENT.format(here=str(Path(__file__).parent)), str(tmp_path), str(code)]
        made.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return made[-1], int(made[-1].stdout.readline())

    yield start
    for process in made:
        process.kill()
        process.wait()
        process.stdout.close()


def ask(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        return connection.recv(10).decode()


def workers_of(pid):
    out = subprocess.run(["ps", "-o", "pid=", "--ppid", f"{pid}"], capture_output=True, text=True, check=False).stdout
    return [int(line) for line in out.split()]


def until(true, seconds=15):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_both_answer_one_that_dies_is_started_again_and_all_stop(parent):
    process, port = parent()
    until(lambda: {ask(port) for _ in range(20)} == {"1", "2"})
    first, second = workers_of(process.pid)
    os.kill(first, signal.SIGKILL)
    until(lambda: len(set(workers_of(process.pid)) - {first, second}) == 1)
    assert ask(port) in "12"
    process.terminate()
    assert process.wait(20) == 0
    assert not alive(second)


def test_one_that_stops_with_another_code_is_told(parent):
    process, _ = parent(code=4)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 3
    told = process.stdout.read()
    assert told.startswith("LCH-1851: worker 1 of the service did not stop as it should\n  why: it ended with code 4")


def test_one_that_does_not_start_is_told_and_the_others_stop(tmp_path):
    listening = listen(Reach(port=0))
    words = {"told": str(tmp_path / "told")}
    with pytest.raises(SystemFailed) as failed:
        serve_with(
            2,
            [sys.executable, "-c", "import sys; sys.exit(3)"],
            lambda number: {**words, "worker": number},
            listening,
            started=lambda: None,
        )
    assert failed.value.code == "LCH-1850"
    assert "did not start" in failed.value.what
    assert "it ended with code 3" in failed.value.why
