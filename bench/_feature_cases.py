"""What `bench.features` asks and whom: worlds of generated rows, cases in them, sides, what a side cannot answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DAY = 24 * 3600 * 1_000_000
LABELS, EVENTS, ENTITIES = 1_000_000, 10_000_000, 100_000
KEYS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "int": (("entity", "BIGINT"),),
    "string": (("entity", "VARCHAR"),),
    "composite": (("region", "VARCHAR"), ("customer", "BIGINT")),
}


@dataclass(frozen=True)
class World:
    """Rows to generate: files of events with these columns, and one of labels."""

    labels: int = LABELS
    events: int = EVENTS
    entities: int = ENTITIES
    files: int = 1
    key: str = "int"
    sorted: bool = True
    nulls: bool = False
    ties: bool = False
    flag: bool = False
    columns: tuple[str, ...] = ("x", "n")

    def scaled(self, share: float) -> World:
        """The same world with this share of its rows and entities."""
        return replace(
            self,
            labels=max(int(self.labels * share), 1),
            events=max(int(self.events * share), 1),
            entities=max(int(self.entities * share), 2),
        )

    @property
    def pairs(self) -> int:
        """How many rows a join on the key alone has."""
        return self.labels * self.events // self.entities

    @property
    def event_columns(self) -> tuple[tuple[str, str], ...]:
        """Their columns with DuckDB's types."""
        values = ((name, "BIGINT" if name == "n" else "DOUBLE") for name in self.columns)
        return (*KEYS[self.key], *values, ("happened", "TIMESTAMP WITH TIME ZONE"))

    @property
    def label_columns(self) -> tuple[tuple[str, str], ...]:
        """The labels' columns with DuckDB's types."""
        flag = (("flag", "BOOLEAN"),) if self.flag else ()
        return (("label_id", "BIGINT"), *KEYS[self.key], *flag, ("at", "TIMESTAMP WITH TIME ZONE"))


@dataclass(frozen=True)
class Case:
    """One question to all sides: the latest row of each view, or windows of one view."""

    name: str
    world: World
    views: int = 1
    ttl_us: int | None = None
    windows: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()

    def job(self, files: Path) -> dict[str, Any]:
        """The case as a side reads it."""
        world = self.world
        return {
            "labels": str(files / "labels.parquet"),
            "events": [str(files / f"events_{place}.parquet") for place in range(self.views)],
            "key": [name for name, _ in KEYS[world.key]],
            "columns": ["x"] if self.windows else world.columns,
            "event_columns": world.event_columns,
            "label_columns": world.label_columns,
            "ttl_us": self.ttl_us,
            "windows": self.windows,
            "functions": self.functions,
            "pairs": world.pairs,
            **{name: getattr(world, name) for name in ("sorted", "nulls", "ties")},
        }

    @property
    def sizes(self) -> dict[str, int]:
        """Rows, entities and views."""
        return {**{name: getattr(self.world, name) for name in ("labels", "events", "entities")}, "views": self.views}


WIDE = World(17_000, 17_000, 1_700, 10, "string", flag=True, columns=tuple(f"f{place:02}" for place in range(100)))
"""The size of feast-dev/feast#3003: 17,000 labels with a text, an instant and a boolean, 1,000 features in ten views.

It does not say how many entities there are: here each of 1,700 has ten rows in each file.
"""

THREE = World(files=3)
WINDOWS = {"windows": ("1h", "1d", "7d", "30d"), "functions": ("count", "sum", "mean", "max")}
HEAVY = World(entities=1_000)
CASES = (
    Case("latest_1", THREE),
    Case("latest_1_ttl", THREE, ttl_us=2 * DAY),
    Case("latest_3", THREE, 3),
    Case("latest_3_ttl", THREE, 3, 2 * DAY),
    Case("windows", THREE, **WINDOWS),
    Case("unsorted", World(sorted=False)),
    Case("string_keys", World(key="string")),
    Case("composite_keys", World(key="composite")),
    Case("nulls", World(nulls=True)),
    Case("ties", World(ties=True)),
    Case("heavy", HEAVY),
    Case("windows_heavy", HEAVY, **WINDOWS),
    Case("heavy_tenth", World(LABELS // 10, EVENTS // 10, 1_000)),
    Case("many_labels", World(labels=EVENTS)),
    Case("feast_3003", WIDE, 10),
)


def growth(sizes: tuple[int, ...]) -> tuple[Case, ...]:
    """The same two questions of ever more events, 100 an entity, with a tenth as many labels up to a million."""
    worlds = {events: World(min(events // 10, LABELS), events, events // 100) for events in sizes}
    return tuple(
        Case(f"{name}_{events:.0e}".replace("+0", ""), world, **kinds)
        for events, world in worlds.items()
        for name, kinds in (("latest", {}), ("windows", WINDOWS))
    )


@dataclass(frozen=True)
class Side:
    """Someone who answers: the script, and the environment outside the project that it runs in, if any."""

    name: str
    environment: str | None = None

    @cached_property
    def python(self) -> Path | None:
        """The interpreter, or None where `make peers` has not made it."""
        if self.environment is None:
            return Path(sys.executable)
        peers = Path(os.environ.get("LICHEN_PEERS") or HERE.parent / ".peers")
        python = peers.absolute() / self.environment / "bin" / "python"
        return python if (python.parent.parent / ".made").exists() else None

    @property
    def script(self) -> Path:
        """What it runs."""
        return HERE / "sides" / f"by_{self.name}.py"

    def cannot(self, case: Case) -> str | None:
        """Why it has no answer to a case, if so."""
        if self.name == "pandas" and case.windows:
            return "merge_asof finds the latest row; pandas has no windows of one table as of the rows of another"
        if self.name != "feast":
            return None
        if case.windows:
            return "its file store computes no windows: they are features made elsewhere"
        if case.world.ties:
            return "it takes a row of the very instant that is asked about"
        if case.world.nulls:
            return "its merge matches null keys with each other"
        needed = case.world.pairs * (BYTES_A_PAIR + BYTES_A_VIEW * (case.views - 1))
        if needed > 0.8 * _memory():
            return f"its merge holds each label with each row of its entity: {case.world.pairs:.0e}, {needed:.0e} bytes"
        return None


BYTES_A_PAIR, BYTES_A_VIEW = 150, 33
"""What one row of Feast's merge was measured to take at its peak (Feast 0.67, 1e7 pairs), and each view more."""


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


LICHEN = Side("lichen")
FLOOR = Side("floor")
SIDES = (LICHEN, FLOOR, Side("duckdb"), Side("polars", "polars"), Side("pandas", "pandas"), Side("feast", "feast"))
ENGINES = ("duckdb", "polars", "pandas")
"""The general engines, among which the fastest is the one to beat."""

LOSING = ("feast",)
"""Who leaves out a label for whose entity a view has rows, but none that the label may see."""


def world_facts(world: World) -> dict[str, Any]:
    """A world as `make_world` reads it."""
    return asdict(world)
