"""Small worlds of events and labels, and what features mean, said once more in plain Python."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from statistics import variance
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from hypothesis import strategies as st

from lichen.backends.duckdb import DuckDBEngine
from lichen.backends.sqlite_online import SQLiteOnlineStore
from lichen.feature.featureset import FeatureSet
from lichen.feature.lookup import Lookup
from lichen.feature.value import value_kind
from lichen.feature.view import View, WindowAggregate
from lichen.ports import Column, Relation

EPOCH = datetime(2013, 6, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
US = 60_000_000
CODE, NUMBER = Column("code", "VARCHAR"), Column("number", "BIGINT")
HALF, DAY = Column("half", "DOUBLE"), Column("day", "DATE")
MOMENT, HUGE = Column("moment", "TIMESTAMP"), Column("huge", "UBIGINT")
ENTITIES = ((), (CODE,), (NUMBER,), (CODE, NUMBER), (HALF,), (DAY,), (MOMENT,), (HUGE,), (DAY, CODE, HALF))
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
    ("spread", "std", "amount", None, "DOUBLE"),
    ("size_spread", "var", "size", None, "INTEGER"),
    ("first_word", "first", "word", None, "VARCHAR"),
    ("last_word", "last", "word", None, "VARCHAR"),
    ("last_size", "last", "size", (-1.0, 3.0), "INTEGER"),
    ("size_before", "last", "size", None, "INTEGER", 0, 0.5, 1),
    ("amount_before", "last", "amount", None, "DOUBLE", 0, 0.5, 2),
    ("first_odd", "first", "odd", None, "DOUBLE"),
    ("usual", "mode", "word", None, "VARCHAR"),
    ("usual_odd", "mode", "odd", None, "DOUBLE"),
    ("different", "count_distinct", "odd", None, "DOUBLE"),
    ("different_words", "count_distinct", "word", None, "VARCHAR"),
    ("median", "quantile", "amount", None, "DOUBLE"),
    ("high_size", "quantile", "size", None, "INTEGER", 0, 0.9),
    ("slope", "rate", "amount", None, "DOUBLE"),
    ("quiet", "since", "*", None, ""),
    ("quiet_word", "since", "word", None, "VARCHAR"),
    ("rows_then", "count", "*", None, "", 2 * US),
    ("mean_then", "avg", "amount", None, "DOUBLE", 3 * US),
    ("last_then", "last", "word", None, "VARCHAR", 2 * US),
    ("usual_then", "mode", "size", None, "INTEGER", 2 * US),
    ("median_then", "quantile", "amount", None, "DOUBLE", 3 * US, 0.25),
)
EVENT = (
    "code VARCHAR, number BIGINT, happened TIMESTAMPTZ, learned TIMESTAMPTZ, amount DOUBLE, size INTEGER, word VARCHAR"
)
WIDE = f"{EVENT}, odd DOUBLE, event BIGINT, half DOUBLE, day DATE, moment TIMESTAMP, huge UBIGINT"
LABEL = (
    "code VARCHAR, number BIGINT, half DOUBLE, day DATE, moment TIMESTAMP, huge UBIGINT, asked TIMESTAMPTZ, "
    "note VARCHAR"
)
LATEST = (
    Column("word", "VARCHAR"), Column("size", "INTEGER"), Column("learned", "TIMESTAMP WITH TIME ZONE"),
    Column("odd", "DOUBLE"),
)  # fmt: skip

Row = dict[str, Any]


@dataclass(frozen=True)
class World:
    """Events, labels and a view."""

    view: View
    events: tuple[Row, ...]
    labels: tuple[Row, ...]

    @property
    def features(self) -> FeatureSet:
        columns = tuple(Column(f"{self.view.name}.{c.name}", c.type) for c in self.view.features)
        return FeatureSet((self.view,), (), self.view.entity, columns)

    @property
    def source(self) -> Relation:
        return table_of(self.events)

    @property
    def asked(self) -> Relation:
        names = [part.split()[0] for part in LABEL.split(", ")]
        rows = [{**label, "note": f"note {n}"} for n, label in enumerate(self.labels)]
        return relation(LABEL, [[row.get(name) for name in names] for row in rows])

    @property
    def wanted(self) -> list[list[Any]]:
        return [expected(self, label) for label in self.labels]


def table_of(events: Any) -> Relation:
    """Events as a relation; what one does not say is null."""
    names = [part.split()[0] for part in WIDE.split(", ")]
    return relation(WIDE, [[event.get(name) for name in names] for event in events])


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
        # Column by column: a statement for each row would take most of the tests' time.
        shown = ", ".join(["unnest(?)"] * len(rows[0]))
        con.execute(f"INSERT INTO t SELECT {shown}", [list(column) for column in zip(*rows, strict=True)])
    from arro3.core import Table

    return Relation(arrow=Table.from_arrow(con.sql("FROM t")))


def make_view(
    entity: tuple[Column, ...] = (CODE,),
    windows: tuple[str, ...] = ("2m", "5m", "all"),
    ttl: int | None = None,
    functions: Any = AGGREGATES[:10],
    **other: Any,
) -> View:
    aggregates = tuple(WindowAggregate(*a) for a in functions)
    latest = other.pop("latest", LATEST[:3])
    windowed = tuple(Column(f"{a.name}_{w}", type_of(a)) for a in other.get("aggregates", aggregates) for w in windows)
    view = View(
        "v", entity, "events", "happened", "learned", aggregates, windows, latest,
        None if ttl is None else ttl * US, False, (*windowed, *latest),
    )  # fmt: skip
    return replace(view, **other)


def type_of(aggregate: WindowAggregate) -> str:
    """The type of an aggregate's features."""
    if aggregate.function in ("count", "count_distinct"):
        return "BIGINT"
    if aggregate.function in ("min", "max", "first", "last", "mode"):
        return aggregate.type
    return "BIGINT" if aggregate.function == "sum" and value_kind(aggregate.type) == "int" else "DOUBLE"


def keyed(number: int | None) -> Row:
    """An entity's key in every form; 0 and 4 differ in the sign of a zero alone, where it is a double."""
    if number is None:
        return dict.fromkeys(("half", "day", "moment", "huge"))
    return {
        "half": (0.0, 1.5, math.nan, -2.5, -0.0)[number], "day": date(1969, 12, 31) + timedelta(days=number),
        "moment": datetime.fromisoformat(f"1969-12-31T23:59:59.99999{number}"), "huge": 2**64 - 1 - number * 2**61,
    }  # fmt: skip


KEYS = st.one_of(st.none(), *[st.integers(0, 4)] * 5)
CODES = ("a", "ä", "日本", "a:1", "")
NUMBERS = (1, 2, -(2**62), 0, -1)


@st.composite
def views(draw: Any, *, grains: tuple[str, ...] = ("none", "one", "corrected")) -> View:
    windows = draw(st.lists(st.sampled_from(["1m", "2m", "7m", "1h", "all"]), min_size=1, max_size=3, unique=True))
    functions = draw(st.lists(st.sampled_from(AGGREGATES), min_size=1, max_size=9, unique=True))
    latest = draw(st.sampled_from([LATEST, LATEST[:1], ()]))
    ttl = draw(st.sampled_from([None, 2, 6])) if latest else None
    grain = draw(st.sampled_from(grains))
    return make_view(
        draw(st.sampled_from(ENTITIES)), tuple(windows), ttl, functions, latest=latest,
        grain=() if grain == "none" else ("event",), corrected=grain == "corrected",
    )  # fmt: skip


@st.composite
def events_of(draw: Any, *, most: int = 40, settled: bool = False) -> tuple[Row, ...]:
    """Rows of events; where they are `settled` each event has an entity, a time and a known-time of its own."""
    mode = draw(st.sampled_from(["prompt", "lag", "early", "free"]))
    known = {
        "prompt": lambda t, _: t, "lag": lambda t, _: t + 3, "early": lambda t, _: t - 2, "free": lambda _, k: k,
    }[mode]  # fmt: skip
    whens = st.integers(0, 20) if settled else st.one_of(st.none(), *[st.integers(0, 20)] * 6)
    keys = st.integers(0, 4) if settled else KEYS
    row = st.tuples(
        st.one_of(st.none(), *[st.integers(0, 12)] * 9), keys, keys, whens, whens,
        st.one_of(st.none(), st.integers(-8, 8).map(lambda n: n / 2), st.floats(-1e6, 1e6)),
        st.one_of(st.none(), st.integers(-4, 4)), st.one_of(st.none(), st.sampled_from(["x", "y", "été"])),
        st.sampled_from([None, math.nan, math.inf, -math.inf, 0.0, -0.0, 1.5]),
    )  # fmt: skip
    made, homes = [], {}
    for event, *home, t, k, amount, size, word, odd in draw(st.lists(row, max_size=most)):
        one, other = homes.setdefault(event, home) if settled and event is not None else home
        learned = None if t is None or k is None else known(t, k)
        made.append(
            {
                "code": None if one is None else CODES[one], "number": None if other is None else NUMBERS[other],
                "happened": minute(t), "learned": minute(learned), "amount": amount, "size": size, "word": word,
                "odd": odd, "event": event, **keyed(one),
            }
        )  # fmt: skip
    return tuple(made)


@st.composite
def asked_of(draw: Any, *, most: int = 40) -> tuple[Row, ...]:
    row = st.tuples(KEYS, KEYS, st.one_of(st.none(), *[st.integers(-1, 24)] * 8).map(minute), st.integers(0, 9))
    return tuple(
        {
            "code": "unseen" if not rare else None if one is None else CODES[one],
            "number": None if other is None else NUMBERS[other], **keyed(one), "asked": asked,
        }
        for one, other, asked, rare in draw(st.lists(row, max_size=most))
    )  # fmt: skip


@st.composite
def worlds(draw: Any, *, most: int = 40) -> World:
    return World(draw(views()), draw(events_of(most=most)), draw(asked_of(most=most)))


# ------------------------------------------------------------------------------------------ the definition


def clip(value: Any, bounds: tuple[float, float] | None) -> Any:
    return value if bounds is None else type(value)(max(bounds[0], min(bounds[1], value)))


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, as SQL says: NaN is NaN."""
    return one == other or (one != one and other != other)


def is_of(view: View, row: Row, key: list[Any]) -> bool:
    return all(row.get(c.name) is not None and same(row[c.name], k) for c, k in zip(view.entity, key, strict=True))


def visible(view: View, events: tuple[Row, ...], t: datetime) -> list[tuple[int, Row]]:
    """The rows that count at t, of all entities, with their landing."""
    known = [(at, event) for at, event in enumerate(events) if event["learned"] is not None and event["learned"] < t]
    if view.corrected:
        last: dict[Any, tuple[int, Row]] = {}
        for at, event in sorted(known, key=lambda one: (one[1]["learned"], one[0])):
            grain = tuple(event.get(name) for name in view.grain)
            last[("own", at) if None in grain else grain] = (at, event)
        known = list(last.values())
    return [(at, event) for at, event in known if event["happened"] is not None and event["happened"] < t]


def expected(world: World, label: Row) -> list[Any]:
    """The features of one label row, by reading the definition aloud."""
    view, t, key = world.view, label["asked"], [label[c.name] for c in world.view.entity]
    if t is None or None in key:
        return [None] * len(view.features)
    seen = [(at, row) for at, row in visible(view, world.events, t) if is_of(view, row, key)]
    seen.sort(key=lambda one: (one[1]["happened"], one[1]["learned"], one[0]))
    answers: list[Any] = []
    for aggregate in view.aggregates:
        stop = t - timedelta(microseconds=aggregate.lag_us)
        for span in view.spans:
            rows = [
                row for _, row in seen
                if row["happened"] < stop and (span < 0 or row["happened"] >= stop - timedelta(microseconds=span))
            ]  # fmt: skip
            answers.append(aggregated(aggregate, rows, t))
    oldest = None if view.ttl_us is None else t - timedelta(microseconds=view.ttl_us)
    latest = seen[-1][1] if seen and (oldest is None or seen[-1][1]["happened"] >= oldest) else None
    return [*answers, *(None if latest is None else latest.get(c.name) for c in view.latest)]


def aggregated(aggregate: WindowAggregate, rows: list[Row], t: datetime) -> Any:
    """One value over the rows of a window, which are in the order of (event time, known-time, landing)."""
    function, every = aggregate.function, aggregate.value == "*"
    rows = [row for row in rows if every or row.get(aggregate.value) is not None]
    values = [1 if every else clip(row[aggregate.value], aggregate.clip) for row in rows]
    if function == "count":
        return len(values)
    if function == "count_distinct":
        return len(distinct(values))
    if not values:
        return None
    if function == "since":
        return (t - rows[-1]["happened"]).total_seconds()
    if function == "rate":
        seconds = (rows[-1]["happened"] - rows[0]["happened"]).total_seconds()
        return (values[-1] - values[0]) / seconds if seconds else None
    return folded(function, values, aggregate)


def distinct(values: list[Any]) -> list[list[Any]]:
    """Equal values together, in the order of their last appearance."""
    groups: list[list[Any]] = []
    for value in values:
        found = next((group for group in groups if same(group[0], value)), [])
        groups = [*(group for group in groups if group is not found), [*found, value]]
    return groups


def folded(function: str, values: list[Any], aggregate: WindowAggregate) -> Any:
    if function in ("min", "max"):
        return min(values) if function == "min" else max(values)
    if function == "first":
        return values[0]
    if function == "last":
        return values[-1 - aggregate.back] if len(values) > aggregate.back else None
    if function == "mode":
        return max(reversed(distinct(values)), key=len)[-1]
    if function in ("std", "var"):
        if len(values) < 2:
            return None
        # Exact: `statistics` adds fractions.
        spread = float(variance(values))
        return math.sqrt(spread) if function == "std" else spread
    if function == "quantile":
        ranked, place = sorted(map(float, values)), aggregate.at * (len(values) - 1)
        low = math.floor(place)
        return ranked[low] + (ranked[min(low + 1, len(ranked) - 1)] - ranked[low]) * (place - low)
    total = math.fsum(values) if isinstance(values[0], float) else sum(values)
    return total if function == "sum" else total / len(values)


def close(found: list[list[Any]], wanted: list[list[Any]]) -> None:
    """Whether two tables of answers agree: everything exactly, doubles to 1e-12 of their column's mean magnitude."""
    assert len(found) == len(wanted)
    for place, column in enumerate(zip(*wanted, strict=True)):
        sizes = [abs(value) for value in column if isinstance(value, float) and math.isfinite(value)]
        allowed = 1e-12 * math.fsum(sizes) / len(sizes) if sizes else 0.0
        for row, value in enumerate(column):
            other = found[row][place]
            if isinstance(value, float) and isinstance(other, float):
                near = abs(other - value) <= allowed if math.isfinite(value) else same(other, value)
                assert near, (row, place, other, value)
            else:
                assert other == value, (row, place, other, value)
                assert type(other) is type(value), (row, place, other, value)


def look_up(world: World, store: Any, key: str, memory: int = 2**20) -> list[list[Any]]:
    """What a store answers to a world's labels, of which all have an instant."""
    lookup = Lookup(world.features, store, {"v": key}, memory=memory)
    return [
        lookup.row({c.name: label[c.name] for c in world.view.entity}, microsecond(label["asked"]))
        for label in world.labels
    ]


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> DuckDBEngine:
    return DuckDBEngine(scratch=tmp_path_factory.mktemp("scratch"), threads=2)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = SQLiteOnlineStore(tmp_path_factory.mktemp("online") / "online.db")
    yield made
    made.close()


@pytest.fixture(scope="session")
def tiny() -> SimpleNamespace:
    """The small worlds' words."""
    return SimpleNamespace(
        close=close, expected=expected, make_view=make_view, microsecond=microsecond, minute=minute, relation=relation,
        World=World, EVENT=EVENT, ENTITIES=ENTITIES, AGGREGATES=AGGREGATES, LATEST=LATEST, look_up=look_up,
        table_of=table_of, worlds=worlds, views=views, events_of=events_of, asked_of=asked_of, type_of=type_of,
        visible=visible,
    )  # fmt: skip
