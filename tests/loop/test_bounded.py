"""More runs of a small project than are kept: what state and lake hold stops growing, and the audit is whole."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from facts import audit_is_whole

from lichen import Project
from lichen.run.keeping import KEPT

RUNS = KEPT + 15
FILES = {
    "lichen.yaml": "name: p\nmemory: 512MB\n",
    "sources/s.yaml": "path: s.csv\n",
    "tables/t.sql": "SELECT n + 1 AS n FROM s\n",
    "features/f.yaml": "entity: {n: bigint}\nfrom: t\nstatic: true\nlatest: [n]\n",
}


def _rows(root: Path) -> Counter[str]:
    with closing(sqlite3.connect(root / ".lichen/state.db")) as state:
        found = state.execute("SELECT collection, count(*) FROM documents GROUP BY 1").fetchall()
    return Counter(dict(found))


def test_more_runs_than_are_kept(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    seen = []
    for number in range(1, RUNS + 1):
        (tmp_path / "s.csv").write_text(f"n\n{number}\n")
        with Project(tmp_path) as project:
            run = project.run()
        assert run.release is not None
        assert run.release.number == number
        rows = _rows(tmp_path)
        assert rows.pop("releases") == number
        seen.append(rows)
    # What is forgotten is forgotten as the next run begins, which then adds its own.
    assert seen[KEPT:] == [seen[KEPT]] * (RUNS - KEPT)
    assert {name: seen[-1][name] for name in ("versions", "runs", "collected")} == {
        "versions": 3 * (KEPT + 1),
        "runs": KEPT + 1,
        "collected": KEPT + 1,
    }
    assert len(list((tmp_path / ".lichen/lake/s").glob("*.parquet"))) <= KEPT + 1
    audit_is_whole(tmp_path)
