import sys

import pytest

from lichen.deploy.child import Child
from lichen.errors import SystemFailed


def test_it_is_ready_inside_and_gone_after(tmp_path, start):
    with start(tmp_path) as child:
        assert child.url.startswith("http://127.0.0.1:")
        assert child.process.poll() is None
    assert child.process.returncode == 0


def test_a_child_that_ends_tells_its_last_lines(tmp_path):
    command = [sys.executable, "-c", "print('no model here'); raise SystemExit(3)"]
    with pytest.raises(SystemFailed) as failed, Child(command, told=tmp_path / "told", log=tmp_path / "log"):
        pass
    assert str(failed.value) == (
        f"LCH-1842: the service did not start\n  at {tmp_path / 'log'}\n"
        "  why: it ended with exit code 3\n    no model here\n  fix: the log tells the cause"
    )


def test_a_child_that_never_is_ready_is_stopped(tmp_path):
    command = [
        sys.executable,
        "-c",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
    ]
    child = Child(command, told=tmp_path / "told", log=tmp_path / "log", start_seconds=1, stop_seconds=0.2)
    with pytest.raises(SystemFailed, match="the service did not start") as failed, child:
        pass
    assert failed.value.why == "it was not ready within 1 s"
    assert child.process.returncode == -9
