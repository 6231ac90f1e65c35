"""What `import lichen` and the help bring with them: nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "duckdb",
    "pyarrow",
    "numpy",
    "sklearn",
    "lightgbm",
    "pandas",
    "pydantic",
    "numba",
    "scipy",
    "deltalake",
    "polars",
}


def loaded_by(script: str, root: Path) -> set[str]:
    """The packages that a script loads, in a process of its own."""
    tail = "\nimport json, sys\nprint(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    command = [sys.executable, "-c", script + tail]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_lichen_is_light(root: Path) -> None:
    assert loaded_by("import lichen", root) & (HEAVY | {"sqlglot", "yaml", "click", "rich"}) == set()


HELP = """
import contextlib, io, sys
import lichen.cli
sys.argv = ["lichen", "--help"]
with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
    lichen.cli.main()
assert "Usage" in shown.getvalue(), shown.getvalue()
"""


def test_the_help_is_light(root: Path) -> None:
    assert loaded_by(HELP, root) & (HEAVY | {"sqlglot", "yaml"}) == set()


@pytest.mark.parametrize("module", ["errors", "ground.files", "ground.quoting", "ground.plugins", "ports"])
def test_what_stands_at_the_bottom_is_light(module: str, root: Path) -> None:
    assert loaded_by(f"import lichen.{module}", root) & (HEAVY | {"sqlglot", "yaml"}) == set()


@pytest.mark.parametrize("module", ["spec", "graph.build", "plan"])
def test_checking_and_planning_need_no_machine_learning(module: str, root: Path) -> None:
    assert loaded_by(f"import lichen.{module}", root) & (HEAVY - {"pydantic"}) == set()
