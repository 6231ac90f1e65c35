"""Fixtures that all tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The journeys in tests/loop share a small project and the processes that run it.
sys.path.insert(0, str(Path(__file__).parent / "loop"))

from processes import Nursery


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """A process that forks children of `lichen` which need not import anything."""
    made = Nursery(tmp_path_factory.mktemp("nursery"))
    yield made
    made.close()
