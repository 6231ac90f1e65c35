"""An oracle of lineage that reads no SQL: a source column is perturbed, DuckDB runs the query, outputs are compared.

What moves when a column is perturbed depends on it, whatever a parser thinks. The reverse does not hold: that nothing
moved on these rows proves nothing, so that edges which no perturbation showed are counted, and not refused.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from lichen.errors import Where
from lichen.graph.origin import ROWS, How, merged
from lichen.graph.statement import Statement, parse_statement
from lichen.graph.statement_lineage import StatementLineage, statement_lineage

TABLES: Mapping[str, Mapping[str, str]] = {
    "t": {"a": "int", "b": "int", "c": "int", "g": "word", "s": "struct", "l": "list", "j": "json", "d": "day"},
    "u": {"k": "int", "x": "int", "y": "int", "g": "word"},
    "v": {"a": "int", "k": "int", "z": "int"},
}
TYPES = {
    "int": "INTEGER",
    "word": "VARCHAR",
    "struct": "STRUCT(f INTEGER, h VARCHAR)",
    "list": "INTEGER[]",
    "json": "JSON",
    "day": "DATE",
}

Content = dict[str, dict[str, list[str]]]
"""For each relation and column the values as SQL."""


def value(kind: str, chance: random.Random) -> str:
    """A value of a kind as SQL: few different ones, so that keys meet; sometimes none."""
    if chance.random() < 0.12:
        return "NULL"
    number = chance.randrange(-2, 5)
    word = chance.choice(["p", "q", "r"])
    items = ", ".join(str(chance.randrange(0, 4)) for _ in range(chance.randrange(0, 4)))
    return {
        "int": str(number),
        "word": f"'{word}'",
        "struct": f"{{'f': {number}, 'h': '{word}'}}",
        "list": f"[{items}]::INTEGER[]",
        "json": f"""'{{"a": {number}, "b": {{"c": "{word}"}}}}'""",
        "day": f"DATE '2020-01-0{number + 3}'",
    }[kind]


def content(seed: int, rows: int = 9) -> Content:
    chance = random.Random(seed)
    return {
        name: {column: [value(kind, chance) for _ in range(rows)] for column, kind in columns.items()}
        for name, columns in TABLES.items()
    }


def perturbations(kind: str, values: Sequence[str], seed: int, rounds: int) -> Iterator[list[str]]:
    """Other values for a column: one row other, all other, in reverse, all null, all alike."""
    chance = random.Random(seed)
    for _ in range(rounds):
        changed = list(values)
        changed[chance.randrange(len(changed))] = value(kind, chance)
        yield changed
        yield [value(kind, chance) for _ in values]
    yield list(values)[::-1]
    yield ["NULL"] * len(values)
    yield [value(kind, chance)] * len(values)


@dataclass(frozen=True)
class Verdict:
    """What the oracle saw of one query: edges that lineage lacks, those it has, and those of them that mattered."""

    missing: set[tuple[str, str]]
    claimed: Mapping[tuple[str, int], How]
    shown: set[tuple[str, int]]
    opaque: bool


class Oracle:
    """A DuckDB on one thread, so that rows come in one order, with the tables and every perturbation of them."""

    def __init__(self, seeds: Sequence[int], rounds: int) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("SET threads = 1")
        self.verdicts: dict[str, Verdict] = {}
        self.variants: dict[int, dict[str, dict[str, int]]] = {}
        for seed in seeds:
            filled = content(seed)
            self.variants[seed] = {name: {} for name in filled}
            for name, columns in filled.items():
                self._fill(f"{name}_{seed}", name, columns)
                for column, values in columns.items():
                    every = list(perturbations(TABLES[name][column], values, seed, rounds))
                    self.variants[seed][name][column] = len(every)
                    for at, changed in enumerate(every):
                        self._fill(f"{name}_{seed}_{column}_{at}", name, {**columns, column: changed})

    def _fill(self, into: str, name: str, columns: Mapping[str, Sequence[str]]) -> None:
        typed = ", ".join(f"{column} {TYPES[TABLES[name][column]]}" for column in columns)
        rows = ", ".join(f"({', '.join(row)})" for row in zip(*columns.values(), strict=True))
        self.connection.execute(f"CREATE TABLE {into} ({typed})")
        self.connection.execute(f"INSERT INTO {into} VALUES {rows}")

    def _show(self, name: str, content: str) -> None:
        self.connection.execute(f"CREATE OR REPLACE VIEW {name} AS FROM {content}")

    def outputs(self, query: str) -> tuple[list[str], list[list[str]]]:
        """The names of a query's columns, and of each the values without their order."""
        made = self.connection.execute(query)
        names = [column[0] for column in made.description or ()]
        rows: list[tuple[Any, ...]] = made.fetchall()
        return names, [sorted(map(repr, column)) for column in zip(*rows, strict=True)] or [[] for _ in names]

    def moved(self, query: str, reads: Sequence[str]) -> tuple[list[str], set[tuple[str, int]]]:
        """The names of a query's columns, and which of them, by place, changed with which source column."""
        names: list[str] = []
        moved: set[tuple[str, int]] = set()
        for seed, variants in self.variants.items():
            for name in variants:
                self._show(name, f"{name}_{seed}")
            names, before = self.outputs(query)
            for name in reads:
                for column, count in variants[name].items():
                    for at in range(count):
                        if all((f"{name}.{column}", place) in moved for place in range(len(names))):
                            break
                        self._show(name, f"{name}_{seed}_{column}_{at}")
                        try:
                            _, after = self.outputs(query)
                        except duckdb.Error:
                            continue  # these values cannot be computed with
                        moved |= {(f"{name}.{column}", at) for at in range(len(names)) if before[at] != after[at]}
                self._show(name, f"{name}_{seed}")
        return names, moved

    def judge(self, query: str) -> Verdict:
        """Perturb every column that the query may read, and compare with its lineage."""
        if query not in self.verdicts:
            self.verdicts[query] = self._judge(query)
        return self.verdicts[query]

    def _judge(self, query: str) -> Verdict:
        names, moved = self.moved(query, parsed(query).reads)
        lineage = lineage_of(query, names)
        assert [one.name for one in lineage.columns] == names
        claimed = {
            (str(origin), place): how
            for place, column in enumerate(lineage.columns)
            for origin, how in merged([column.origins, lineage.rows]).items()
            if origin.column != ROWS
        }
        missing = {(source, names[place]) for source, place in moved - set(claimed)}
        return Verdict(missing, claimed, moved & set(claimed), lineage.opaque)


def parsed(query: str) -> Statement:
    return parse_statement(query, lambda line, column: Where("t.sql", line, column))


def lineage_of(query: str, described: Sequence[str] | None = None) -> StatementLineage:
    return statement_lineage(parsed(query), {name: list(columns) for name, columns in TABLES.items()}, described)
