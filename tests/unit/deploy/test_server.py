import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from lichen.deploy.reach import Reach
from lichen.deploy.segment import read
from lichen.deploy.server import listen, url_of
from lichen.errors import SystemFailed, WrongUsage


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.com", ""])
def test_only_loopback_unless_it_is_safe(host):
    with pytest.raises(WrongUsage) as refused:
        listen(Reach(host, 0))
    assert str(refused.value) == (
        f"LCH-1840: `{host}` is not a loopback address, and nothing keeps what is sent there from being read\n"
        "  fix: say --tls-cert and --tls-key; or, where a proxy in front of it speaks TLS, --behind-proxy"
    )


def test_a_port_in_use_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemFailed) as failed:
            listen(Reach(port=port))
    assert str(failed.value) == (
        f"LCH-1841: cannot listen on 127.0.0.1:{port}\n"
        "  why: another process listens there\n"
        "  fix: stop it, or serve on another port; port 0 takes any that is free"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.9"])
def test_port_zero_takes_any(host):
    with listen(Reach(host, 0)) as listening:
        assert url_of(listening).startswith("http://127.0.0.")


def ask(url, body):
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(b"POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        return line.recv(65536)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_and_loses_nothing(tmp_path, start, number):
    with start(tmp_path, "--durable-ms", "10000") as child:
        assert ask(child.url, b'{"prediction_id":"last"}').startswith(b"HTTP/1.1 200 ")
        assert json.loads((tmp_path / "told").read_text())["pid"] == child.process.pid
        os.kill(child.process.pid, number)
        assert child.process.wait(20) == 0
    assert [one.answer.prediction_id for _, one in read(tmp_path / "record")] == ["last"]


def test_it_does_not_outlive_the_process_that_started_it(tmp_path, start):
    command = start(tmp_path).command
    script = (
        "import subprocess, sys, time, pathlib\n"
        "subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE)\n"
        "told = pathlib.Path(sys.argv[1])\n"
        "while not told.exists(): time.sleep(0.01)\n"
        "import os; os._exit(0)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "told"), *command], timeout=60, capture_output=True, check=False
    )
    assert ran.returncode == 0
