"""Generates a world's files row by row, in bounded memory; the same world is the same rows each time.

Events happen at even microseconds and labels ask at odd ones, so that whether an instant sees itself matters only where
a world has `ties`: there both are on whole days. One label in a hundred asks for an entity that has no events.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import duckdb

YEAR = 365 * 24 * 3600 * 1_000_000
START = 1_704_067_200_000_000
"""2024-01-01 in UTC, in microseconds."""

SHUFFLE = 982_451_653
"""A prime: `i * SHUFFLE % n` goes through all of 0 .. n - 1, in no order."""


def share(seed: int, row: str = "j") -> str:
    """A number in (0, 1) that depends on the row."""
    return f"((hash({row}, {seed}) >> 11) + 0.5) / {2**53}.0"


def key_of(number: str, kind: str) -> list[tuple[str, str]]:
    return {
        "int": [(number, "entity")],
        "string": [(f"'customer-' || lpad(({number})::VARCHAR, 9, '0')", "entity")],
        "composite": [(f"'region-' || ({number}) % 50", "region"), (f"({number}) // 50", "customer")],
    }[kind]


def value_of(name: str, place: int) -> str:
    if name == "n":
        return f"(hash(j, {place}) % 1000)::BIGINT"
    if name == "x":
        return f"-20 * ln({share(place)})"
    return f"round(100 * {share(place)}, 1)"


def holed(expression: str, world: dict[str, Any], seed: int, one_in: int) -> str:
    return f"CASE WHEN hash(j, {seed}) % {one_in} <> 0 THEN {expression} END" if world["nulls"] else expression


def rows(world: dict[str, Any], count: int, shown: list[tuple[str, str]], offset: int, time: str) -> str:
    step = YEAR // count // 2 * 2
    assert step > 0
    place = "i" if world["sorted"] else f"i * {SHUFFLE} % {count}"
    moment = f"{START} + j * {step} + {offset}"
    if world["ties"]:
        moment = f"({moment}) // 86400000000 * 86400000000"
    columns = [*shown, (holed(f"make_timestamptz({moment})", world, 7, 50), time)]
    # One level for the row's place, so that each expression reads it by name.
    return (
        f"SELECT {', '.join(f'{sql} AS {name}' for sql, name in columns)} "
        f"FROM (SELECT i, {place} AS j FROM range({count}) AS r(i))"
    )


def main(world: dict[str, Any], into: Path) -> None:
    session = duckdb.connect(config={"threads": 2, "memory_limit": "1GB", "temp_directory": str(into / "spilled")})
    session.execute("SET TimeZone = 'UTC'")

    def write(statement: str, name: str) -> None:
        session.execute(f"COPY ({statement}) TO '{into / name}.parquet' (FORMAT parquet, COMPRESSION zstd)")

    entities = world["entities"]
    for file in range(world["files"]):
        number = f"(hash(j, {file + 500}) % {entities})::BIGINT"
        key = [(holed(sql, world, 8, 50), name) for sql, name in key_of(number, world["key"])]
        values = [
            (holed(value_of(name, 100 * (file + 20) + place), world, 9 + place, 20), name)
            for place, name in enumerate(world["columns"])
        ]
        write(rows(world, world["events"], [*key, *values], 0, "happened"), f"events_{file}")
    number = f"(hash(j, 600) % {entities + max(entities // 100, 1)})::BIGINT"
    key = [(holed(sql, world, 8, 50), name) for sql, name in key_of(number, world["key"])]
    flag = [("hash(j, 601) % 2 = 0", "flag")] if world["flag"] else []
    write(rows(world, world["labels"], [("i", "label_id"), *key, *flag], 1, "at"), "labels")


main(json.loads(sys.argv[1]), Path(sys.argv[2]))
