"""DESIGN section 5: a package imports only what stands below it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path


def test_the_layers_hold(root: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "COLUMNS": "200"}
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_is_in_the_layers_or_said_to_be_outside(root: Path) -> None:
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(contract for contract in settings["contracts"] if contract["type"] == "layers")
    assert layers["exhaustive"] is True
    told = {*layers["layers"], *layers["exhaustive_ignores"]}
    package = root / "src/lichen"
    there = {path.stem for path in package.glob("*.py")} | {path.parent.name for path in package.glob("*/*.py")}
    assert there - told == {"__init__"}
