"""Fixtures that all tests share."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The journeys in tests/loop share a small project and the processes that run it; rooms share what tests/fixtures holds.
sys.path.insert(0, str(Path(__file__).parent / "loop"))
sys.path.insert(0, str(Path(__file__).parent / "fixtures"))

from processes import Nursery

pytest_plugins = ["one_of_each", "read_only", "staged_rows"]

# A shell starts what it puts in the background deaf to Ctrl-C, and children inherit that; some tests send it to theirs.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """A process that forks children of `lichen` which need not import anything."""
    made = Nursery(tmp_path_factory.mktemp("nursery"))
    yield made
    made.close()
