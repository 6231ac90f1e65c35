"""Time enters at one seam: nothing but `ground/clock.py` reads a clock, so that what happened can be told again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CLOCK = re.compile(r"\b(?:time\.(?:time|monotonic|perf_counter|process_time)(?:_ns)?|datetime\.(?:now|utcnow|today))\(")
IMPORTED = re.compile(r"^from time import (?!sleep$)", re.MULTILINE)
SEAM = {"ground/clock.py"}


def test_nothing_else_reads_a_clock(root: Path) -> None:
    source = root / "src" / "lichen"
    found = [
        path.relative_to(source).as_posix()
        for path in sorted(source.rglob("*.py"))
        if "testing" not in path.parts
        and (CLOCK.search(text := path.read_text(encoding="utf-8")) or IMPORTED.search(text))
    ]
    assert set(found) == SEAM


@pytest.mark.parametrize("line", ["x = time.monotonic()", "datetime.now(UTC)", "time.time_ns()"])
def test_what_would_be_found(line: str) -> None:
    assert CLOCK.search(line)
