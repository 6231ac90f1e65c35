"""A backend of another package works: it passes its port's suite, and a project finds it by its entry point."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from lichen.ports import Connector
from lichen.testing.connector import ConnectorSuite

PACKAGE = Path(__file__).parent / "own_backend"


def make_source(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE records (n INTEGER, t TEXT)")
        file.executemany("INSERT INTO records VALUES (?, ?)", [(1, "a"), (2, "b"), ("x", "c"), (4, None), (5, "e")])
        file.commit()


class TestSQLiteConnector(ConnectorSuite):
    def make(self) -> Connector:
        spec = importlib.util.spec_from_file_location("lichen_sqlite", PACKAGE / "lichen_sqlite.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        connector: Connector = module.SQLiteConnector()
        return connector

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        if not (tmp_path / "source.db").exists():
            make_source(tmp_path / "source.db")
        return {"path": str(tmp_path / "source.db"), "table": "records"}


def install(package: Path, site: Path) -> None:
    """Put a package's module and its entry points where Python finds them, as pip would."""
    about = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    facts = site / f"{about['name'].replace('-', '_')}-{about['version']}.dist-info"
    facts.mkdir(parents=True)
    shutil.copy(package / "lichen_sqlite.py", site)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
        for group, points in about["entry-points"].items()
    ]
    (facts / "entry_points.txt").write_text("\n".join(lines))


def test_a_project_reads_through_a_connector_of_another_package(tmp_path: Path) -> None:
    install(PACKAGE, tmp_path / "site")
    make_source(tmp_path / "source.db")
    (tmp_path / "sources").mkdir()
    (tmp_path / "lichen.yaml").write_text("name: own\n")
    source = (
        "connector: sqlite\npath: source.db\ntable: records\ncontract: {columns: {n: {type: bigint, range: [1, 4]}}}\n"
    )
    (tmp_path / "sources/records.yaml").write_text(source)
    path = os.pathsep.join([str(tmp_path / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])

    def lichen(*words: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "lichen", *words, "--json"]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        facts: dict[str, Any] = json.loads(done.stdout)
        return facts

    lichen("run")
    assert lichen("query", "SELECT n, t FROM records ORDER BY n")["rows"] == [[1, "a"], [2, "b"], [4, None]]
    aside = lichen("query", 'SELECT row, "column", reason FROM quarantine ORDER BY row')["rows"]
    assert [row[:2] for row in aside] == [[3, "n"], [5, "n"]]
    assert aside[0][2] == "it is not BIGINT: 'x'"
