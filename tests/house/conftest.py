from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "lichen"


@pytest.fixture(scope="session")
def trees() -> dict[str, ast.Module]:
    """The syntax tree of each file of the package, by its path from `src/lichen`."""
    return {
        path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(SOURCE.rglob("*.py"))
    }


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
