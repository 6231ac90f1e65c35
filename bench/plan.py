"""Lineage and plan of a large project, against sqlglot's own lineage of the same SQL: `make bench NAME=plan`.

A project of `--tables` tables with 11 columns each is generated: a fifth each of GROUP BY, window in a CTE, join of two
tables, star with a replaced column, union. `cold_s` is the CPU of what `lichen plan` does: reading its files, parsing,
fingerprints, columns and types of every statement, lineage of every column, and all that `check` looks for, in a new
process without anything remembered; `warm_s` the same once more, what was learned of each statement being on disk.
`sqlglot_lineage_s` is the CPU of `sqlglot.lineage.lineage` for every column of the same statements, each parsed,
qualified with a MappingSchema and made a scope once; the project's files, the way through the graph and the plan are
not in it. Each is a process of its own, in turn; medians.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from bench.measure import child, finish, middle, rounded

KEYS = ("cold_s", "warm_s", "sqlglot_lineage_s", "times_sqlglot", "columns", "machine")
HERE = Path(__file__).parent
COLUMNS = [f"c{place}" for place in range(11)]
TABLE = "/* ---\ndescription: A table of the benchmark.\ngrain: [c0]\n--- */\n{}\n"


def statement(number: int) -> str:
    """The SQL of table `t<number>`, which reads the one before it or the two before it."""
    one, two = f"t{number - 1}", f"t{max(number - 2, 0)}"
    rest = f"SELECT {', '.join(COLUMNS)} FROM w"
    ranked = "row_number() OVER (PARTITION BY c0 ORDER BY c1)"
    mixed, plain = "a.c3 + b.c3 AS c3, coalesce(a.c4, b.c4) AS c4", ", ".join(f"a.{name}" for name in COLUMNS[5:])
    return [
        f"SELECT {', '.join(COLUMNS[:8])}, count(*) AS c8, sum(c9) AS c9, max(c10) AS c10\nFROM {one}\nGROUP BY ALL",
        f"WITH w AS (\n  SELECT *, {ranked} AS r FROM {one}\n)\n{rest}\nWHERE r = 1",
        f"SELECT a.c0, a.c1, b.c2, {mixed}, {plain}\nFROM {one} AS a\nLEFT JOIN {two} AS b ON a.c0 = b.c0",
        f"SELECT * REPLACE (CASE WHEN c1 > 0 THEN c2 ELSE c3 END AS c2)\nFROM {one}\nWHERE c5 IS NOT NULL",
        f"SELECT * FROM {one}\nUNION ALL\nSELECT * FROM {two}",
    ][number % 5]


def generate(root: Path, tables: int) -> None:
    for folder in ("sources", "tables"):
        (root / folder).mkdir(parents=True)
    (root / "lichen.yaml").write_text("name: large\n")
    (root / "sources" / "t0.yaml").write_text("path: t0.csv\n")
    (root / "t0.csv").write_text(f"{','.join(COLUMNS)}\n{','.join('1' * len(COLUMNS))}\n")
    for number in range(1, tables + 1):
        (root / "tables" / f"t{number}.sql").write_text(TABLE.format(statement(number)))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench.plan", description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="on few tables, once: whether it works")
    asked = parser.parse_args(arguments)
    tables, rounds = (20, 1) if asked.tiny else (asked.tables, asked.rounds)
    found: dict[str, list[dict[str, float]]] = {"cold": [], "warm": [], "sqlglot": []}
    with TemporaryDirectory(prefix="lichen-bench-") as folder:
        root = Path(folder, "large")
        generate(root, tables)
        ours = (sys.executable, HERE / "_plan_once.py", root)
        theirs = (sys.executable, HERE / "_sqlglot_lineage.py", root, json.dumps(COLUMNS))
        for _ in range(rounds):
            rmtree(root / ".lichen", ignore_errors=True)
            for name, argv in (("cold", ours), ("warm", ours), ("sqlglot", theirs)):
                found[name].append(json.loads(child(argv, root).last_line))
    columns = {one["columns"] for several in found.values() for one in several}
    if columns != {tables * len(COLUMNS)}:
        sys.exit(f"not every column was traced: {columns}")
    cold, warm, sqlglot = (middle([one["whole"] for one in found[name]]) for name in found)
    print(f"{tables:,} tables: {cold:.2f} s cold, {warm:.2f} s warm; sqlglot's lineage {sqlglot:.2f} s", flush=True)
    finish(
        {
            "cold_s": cold,
            "warm_s": warm,
            "sqlglot_lineage_s": sqlglot,
            "times_sqlglot": round(sqlglot / cold, 2),
            "columns": columns.pop(),
            "raw_s": {name: rounded([one["whole"] for one in several]) for name, several in found.items()},
            "parts": {name: found[name][-1] for name in ("cold", "warm")},
        }
    )


if __name__ == "__main__":
    main()
