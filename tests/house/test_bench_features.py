"""The benchmark of point-in-time joins measures growth, and ends where two answers differ."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import pytest

ROOT = Path(__file__).parents[2]
ANSWER = """
    SELECT i AS label_id, i % 7 AS entity, CASE WHEN i % 5 > 0 THEN i / 3 END AS "v0.x", i % 9 AS "v0.n"
    FROM range(100) AS r(i) ORDER BY i
"""


def compared(folder: Path, theirs: str) -> dict[str, Any]:
    for name, statement in (
        ("labels", f"SELECT label_id, entity FROM ({ANSWER}) ORDER BY label_id"),
        ("ours", ANSWER),
        ("theirs", theirs),
    ):
        duckdb.sql(f"COPY ({statement}) TO '{folder}/{name}.parquet' (FORMAT parquet)")
    files = [str(folder / f"{name}.parquet") for name in ("labels", "ours", "theirs")]
    done = subprocess.run(
        [sys.executable, ROOT / "bench/sides/compare.py", *files, str(folder / "scratch")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_answers_that_differ_in_rounding_and_order_are_equal(tmp_path: Path) -> None:
    found = compared(
        tmp_path, f'SELECT * REPLACE ("v0.x" * (1 + 1e-12) AS "v0.x") FROM ({ANSWER}) ORDER BY hash(label_id)'
    )

    assert (found["labels"], found["ours"], found["theirs"]) == (100, 100, 100)
    assert (found["differ"], found["lost"], found["out_of_order"]) == ({}, 0, 0)


@pytest.mark.parametrize(
    ("column", "expression", "count"),
    [
        ("v0.x", '"v0.x" * (1 + 1e-8)', 80),
        ("v0.x", 'coalesce("v0.x", 0)', 20),
        ("v0.n", '"v0.n" + (label_id = 50)::INT', 1),
        ("v0.n", 'CASE WHEN label_id <> 50 THEN "v0.n" END', 1),
        ("entity", "entity + (label_id < 3)::INT", 3),
    ],
)
def test_each_value_that_differs_is_counted(tmp_path: Path, column: str, expression: str, count: int) -> None:
    found = compared(tmp_path, f'SELECT * REPLACE ({expression} AS "{column}") FROM ({ANSWER})')

    assert found["differ"] == {column: count}


def test_a_lost_label_is_counted_and_told_apart_from_one_without_a_value(tmp_path: Path) -> None:
    found = compared(tmp_path, f"FROM ({ANSWER}) WHERE label_id NOT IN (10, 11)")

    # The view had a value for both: its `n` is never null.
    assert (found["lost"], found["lost_with_all"], found["theirs"], found["differ"]) == (2, 2, 98, {})


def test_growth_is_measured(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.features", "--growth", "--tiny", "--most", "1e5"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    growth = json.loads(done.stdout.splitlines()[-1])["growth"]
    assert {name: [point["events"] for point in points] for name, points in growth.items()} == {
        "latest": [1000],
        "windows": [1000],
    }
    assert growth["latest"][0]["seconds"] > 0
    assert growth["latest"][0]["peak_mb"] > 1


def test_a_child_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    measure = import_module("bench.measure")

    with pytest.raises(measure.Failed, match=r"took longer than 0\.2 s"):
        measure.attempted([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, limit=0.2)


def test_the_memory_of_a_child_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    measure = import_module("bench.measure")
    assert len(b"1" * (400 << 20)) == 400 << 20, "this process was large itself"

    small, large = (
        measure.attempted([sys.executable, "-c", f"print(len(b'1' * {size}))"], tmp_path) for size in (1, 400 << 20)
    )

    assert small.peak_mb < 100
    assert large.peak_mb > 400
