"""Compares two answers label by label: doubles to 1e-9 of their size, everything else exactly.

A label that the other side lost counts in `lost`; in `lost_with_all` too, where each of our views had a value for it.
"""

from __future__ import annotations

import json
import sys

import duckdb


def differs(name: str, type_: str) -> str:
    ours, theirs = f'o."{name}"', f't."{name}"'
    if type_ != "DOUBLE":
        return f"{ours} IS DISTINCT FROM {theirs}"
    return (
        f"CASE WHEN {ours} IS NULL OR {theirs} IS NULL THEN ({ours} IS NULL) <> ({theirs} IS NULL) "
        f"ELSE NOT abs({ours} - {theirs}) <= 1e-9 * greatest(abs({ours}), abs({theirs})) END"
    )


def main(labels: str, ours: str, theirs: str, scratch: str) -> None:
    session = duckdb.connect(config={"temp_directory": scratch})
    session.execute("SET TimeZone = 'UTC'")
    for name, file in (("labels", labels), ("o", ours), ("t", theirs)):
        session.execute(f"CREATE VIEW {name} AS FROM read_parquet('{file}')")
    columns = [(name, kind) for name, kind, *_ in session.execute("DESCRIBE o").fetchall()]
    there = {name for name, *_ in session.execute("DESCRIBE t").fetchall()}
    if missing := sorted({name for name, _ in columns} - there):
        sys.exit(f"{theirs} has no column {missing}")
    found = ", ".join(f"count(*) FILTER (t.label_id IS NOT NULL AND {differs(*column)})" for column in columns)
    views: dict[str, list[str]] = {}
    for name, _ in columns:
        if "." in name:
            views.setdefault(name.partition(".")[0], []).append(f'o."{name}"')
    each = " AND ".join(
        f"coalesce({', '.join(f'{name}::VARCHAR' for name in names)}) IS NOT NULL" for names in views.values()
    )
    counts, lost, lost_with_all, *different = session.execute(
        f"SELECT count(*), count(*) - count(t.label_id), count(*) FILTER (t.label_id IS NULL AND {each}), {found}"
        " FROM o LEFT JOIN t USING (label_id)"
    ).fetchall()[0]
    ordered = session.execute(
        f"SELECT (SELECT count(*) FROM labels), (SELECT count(*) FROM t), count(*) FILTER (label_id <> file_row_number)"
        f" FROM read_parquet('{ours}', file_row_number = true)"
    ).fetchall()[0]
    told = {
        "labels": ordered[0],
        "ours": counts,
        "theirs": ordered[1],
        "lost": lost,
        "lost_with_all": lost_with_all,
        "out_of_order": ordered[2],
        "differ": {name: count for (name, _), count in zip(columns, different, strict=True) if count},
    }
    print(json.dumps(told))


main(*sys.argv[1:])
