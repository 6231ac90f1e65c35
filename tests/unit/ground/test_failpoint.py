from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lichen.ground.failpoint import TRACE, VARIABLE

SCRIPT = """
import sys, pathlib
from lichen.ground.failpoint import fp
file = pathlib.Path(sys.argv[1])
for _ in range(4):
    try:
        fp("a.b", file=file)
        fp("c.d")
        print("passed")
    except (OSError, ValueError) as error:
        print(type(error).__name__, getattr(error, "errno", None), error)
"""


def passages(tmp_path: Path, armed: str, **environment: str) -> tuple[int, list[str]]:
    file = tmp_path / "file"
    file.write_bytes(b"12345678")
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), VARIABLE: armed, **environment}
    command = [sys.executable, "-c", SCRIPT, str(file)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.splitlines()


def test_nothing_happens_unless_armed(tmp_path: Path) -> None:
    assert passages(tmp_path, "") == (0, ["passed"] * 4)
    assert passages(tmp_path, "x.y=kill") == (0, ["passed"] * 4)


def test_kill_at_the_nth_passage(tmp_path: Path) -> None:
    assert passages(tmp_path, "a.b=kill") == (-signal.SIGKILL, [])
    assert passages(tmp_path, "a.b=enospc; c.d=kill@2")[0] == -signal.SIGKILL


@pytest.mark.parametrize(("action", "number"), [("enospc", errno.ENOSPC), ("eio", errno.EIO), ("short", errno.EIO)])
def test_failures_of_the_system_happen_once(tmp_path: Path, action: str, number: int) -> None:
    code, printed = passages(tmp_path, f"a.b={action}@3")
    assert (code, printed[:2], printed[3:]) == (0, ["passed"] * 2, ["passed"])
    assert printed[2].startswith(f"OSError {number} ")
    assert (tmp_path / "file").stat().st_size == (4 if action == "short" else 8)


def test_an_unknown_action_is_said(tmp_path: Path) -> None:
    assert passages(tmp_path, "a.b=explode")[1][0] == (
        "ValueError None LICHEN_FAILPOINTS: unknown action 'explode' at 'a.b'"
    )


def test_sleep_only_delays(tmp_path: Path) -> None:
    assert passages(tmp_path, "a.b=sleep") == (0, ["passed"] * 4)


def test_a_trace_names_every_passage(tmp_path: Path) -> None:
    passages(tmp_path, "", **{TRACE: str(tmp_path / "trace")})
    assert (tmp_path / "trace").read_text().split() == ["a.b", "c.d"] * 4
