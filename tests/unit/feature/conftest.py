"""Small worlds of events and labels, and what features mean, said once more in plain Python."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from hypothesis import strategies as st

from lichen.backends.duckdb import DuckDBEngine
from lichen.feature.featureset import FeatureSet
from lichen.feature.view import View, WindowAggregate
from lichen.ports import Column, Relation

EPOCH = datetime(2013, 6, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ENTITIES = ((), (Column("code", "VARCHAR"),), (Column("code", "VARCHAR"), Column("number", "BIGINT")))
AGGREGATES = (
    ("rows", "count", "*", None, ""),
    ("some", "count", "amount", None, "DOUBLE"),
    ("total", "sum", "amount", None, "DOUBLE"),
    ("mean", "avg", "amount", (-3.0, 4.5), "DOUBLE"),
    ("least", "min", "amount", None, "DOUBLE"),
    ("pieces", "sum", "size", None, "INTEGER"),
    ("mean_size", "avg", "size", (-2.0, 2.0), "INTEGER"),
    ("largest", "max", "size", None, "INTEGER"),
    ("last_seen", "max", "happened", None, "TIMESTAMP WITH TIME ZONE"),
    ("words", "count", "word", None, "VARCHAR"),
)
EVENT = (
    "code VARCHAR, number BIGINT, happened TIMESTAMPTZ, learned TIMESTAMPTZ, amount DOUBLE, size INTEGER, word VARCHAR"
)
LABEL = "code VARCHAR, number BIGINT, asked TIMESTAMPTZ, note VARCHAR"


@dataclass(frozen=True)
class World:
    """Events (code, number, happened, learned, amount, size, word), labels (code, number, asked), and a view."""

    view: View
    events: tuple[tuple[Any, ...], ...]
    labels: tuple[tuple[Any, ...], ...]

    @property
    def features(self) -> FeatureSet:
        columns = tuple(Column(f"{self.view.name}.{c.name}", c.type) for c in self.view.features)
        return FeatureSet((self.view,), (), self.view.entity, columns)

    @property
    def source(self) -> Relation:
        return relation(EVENT, self.events)

    @property
    def asked(self) -> Relation:
        return relation(LABEL, [(*label, f"note {n}") for n, label in enumerate(self.labels)])


def minute(number: int | None) -> datetime | None:
    return None if number is None else EPOCH + number * MINUTE


def microsecond(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@cache
def session() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    return con


def relation(columns: str, rows: Any) -> Relation:
    """Rows as an Arrow relation with these SQL columns."""
    con = session()
    con.execute(f"CREATE OR REPLACE TABLE t ({columns})")
    if rows:
        con.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(rows[0]))})", [list(row) for row in rows])
    from arro3.core import Table

    return Relation(arrow=Table.from_arrow(con.sql("FROM t")))


def make_view(
    entity: tuple[Column, ...] = ENTITIES[1],
    windows: tuple[str, ...] = ("2m", "5m", "all"),
    ttl: int | None = None,
    **other: Any,
) -> View:
    aggregates = tuple(WindowAggregate(*a) for a in AGGREGATES)
    latest = (Column("word", "VARCHAR"), Column("size", "INTEGER"), Column("learned", "TIMESTAMP WITH TIME ZONE"))

    def type_of(a: WindowAggregate) -> str:
        if a.function in ("count", "avg"):
            return "BIGINT" if a.function == "count" else "DOUBLE"
        return {"INTEGER": "BIGINT"}.get(a.type, a.type) if a.function == "sum" else a.type

    windowed = tuple(Column(f"{a.name}_{w}", type_of(a)) for a in aggregates for w in windows)
    view = View(
        "v", entity, "events", "happened", "learned", aggregates, windows, latest,
        None if ttl is None else ttl * 60_000_000, False, (*windowed, *latest),
    )  # fmt: skip
    return replace(view, **other)


@st.composite
def worlds(draw: Any, *, most: int = 40) -> World:
    mode = draw(st.sampled_from(["prompt", "lag", "early", "free"]))
    known = {
        "prompt": lambda t, _: t, "lag": lambda t, _: t + 3, "early": lambda t, _: t - 2, "free": lambda _, k: k,
    }[mode]  # fmt: skip
    whens = st.one_of(st.none(), *[st.integers(0, 20)] * 6)
    event = st.tuples(
        st.sampled_from(["a", "ä", "日本", "a:1", "", None]), st.sampled_from([1, 2, -(2**62), None]), whens, whens,
        st.one_of(st.none(), st.integers(-8, 8).map(lambda n: n / 2), st.floats(-1e6, 1e6)),
        st.one_of(st.none(), st.integers(-4, 4)), st.one_of(st.none(), st.sampled_from(["x", "y", "été"])),
    )  # fmt: skip
    events = []
    for code, number, t, k, *rest in draw(st.lists(event, max_size=most)):
        learned = None if t is None or k is None else known(t, k)
        events.append((code, number, minute(t), minute(learned), *rest))
    label = st.tuples(
        st.sampled_from(["a", "ä", "日本", "a:1", "", "unseen", None]), st.sampled_from([1, 2, -(2**62), 9, None]),
        st.one_of(st.none(), *[st.integers(-1, 24)] * 8).map(minute),
    )  # fmt: skip
    windows = draw(st.lists(st.sampled_from(["1m", "2m", "7m", "1h", "all"]), min_size=1, max_size=3, unique=True))
    view = make_view(draw(st.sampled_from(ENTITIES)), tuple(windows), draw(st.sampled_from([None, 2, 6])))
    return World(view, tuple(events), tuple(draw(st.lists(label, max_size=most))))


def clip(value: float, bounds: tuple[float, float] | None) -> float:
    return value if bounds is None else max(bounds[0], min(bounds[1], value))


def expected(world: World, label: tuple[Any, ...]) -> list[Any]:
    """The features of one label row, by reading the definition aloud."""
    view, (code, number, t) = world.view, label
    width = len(view.entity)
    if t is None or None in (code, number)[:width]:
        return [None] * len(view.features)
    seen = [
        (happened, learned, landing, event)
        for landing, event in enumerate(world.events)
        for happened, learned in [event[2:4]]
        if None not in (happened, learned) and learned < t and happened < t and event[:width] == (code, number)[:width]
    ]
    seen.sort(key=lambda row: row[:3])
    columns = {"amount": 4, "size": 5, "word": 6, "happened": 2}
    answers: list[Any] = []
    for aggregate in view.aggregates:
        for span in view.spans:
            rows = [r[3] for r in seen if span < 0 or r[0] >= t - timedelta(microseconds=span)]
            if aggregate.value == "*":
                answers.append(len(rows))
                continue
            values = [r[columns[aggregate.value]] for r in rows]
            values = [clip(value, aggregate.clip) for value in values if value is not None]
            answers.append(_aggregate(aggregate.function, values))
    oldest = None if view.ttl_us is None else t - timedelta(microseconds=view.ttl_us)
    latest = seen[-1] if seen and (oldest is None or seen[-1][0] >= oldest) else None
    return [*answers, *((latest[3][6], latest[3][5], latest[3][3]) if latest else (None, None, None))]


def _aggregate(function: str, values: list[Any]) -> Any:
    if function == "count":
        return len(values)
    if not values:
        return None
    if function in ("min", "max"):
        return min(values) if function == "min" else max(values)
    total = math.fsum(values) if isinstance(values[0], float) else sum(values)
    return total if function == "sum" else total / len(values)


def close(found: list[list[Any]], wanted: list[list[Any]]) -> None:
    """Whether two tables of answers agree: everything exactly, doubles to 1e-12 of their column's mean magnitude."""
    assert len(found) == len(wanted)
    for place, column in enumerate(zip(*wanted, strict=True)):
        sizes = [abs(value) for value in column if isinstance(value, float)]
        allowed = 1e-12 * math.fsum(sizes) / len(sizes) if sizes else 0.0
        for row, value in enumerate(column):
            other = found[row][place]
            if isinstance(value, float) and isinstance(other, float):
                assert abs(other - value) <= allowed, (row, place, other, value)
            else:
                assert other == value, (row, place, other, value)
                assert type(other) is type(value), (row, place, other, value)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> DuckDBEngine:
    return DuckDBEngine(scratch=tmp_path_factory.mktemp("scratch"), threads=2)


@pytest.fixture(scope="session")
def tiny() -> SimpleNamespace:
    """The small worlds' words."""
    return SimpleNamespace(
        close=close, expected=expected, make_view=make_view, microsecond=microsecond, minute=minute, relation=relation,
        World=World, EVENT=EVENT, ENTITIES=ENTITIES,
    )  # fmt: skip


@pytest.fixture(scope="session")
def small_worlds() -> Any:
    return worlds
