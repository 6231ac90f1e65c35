from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.errors import LichenError
from lichen.ground.interval import Grid, Spans
from lichen.run.intervals import FACT, Before, late_rows, make_intervals
from lichen.run.relations import make_table

DAY = timedelta(days=1)
FIRST = datetime(2019, 12, 28, tzinfo=UTC)
EVERYTHING = Spans(((0, 3_000_000),), timeless=True)

Rows = dict[int, tuple[int | None, int]]
"""What the source holds: by id the day, none for a row without a time, and a value."""

STATEMENTS = {
    "rows": "SELECT id, ts, v * 2 AS v FROM s WHERE v < 4",
    "joined": "SELECT s.id, s.ts, d.name FROM s LEFT JOIN d ON d.k = s.v",
    "days": "SELECT min(id) AS id, ts::DATE AS ts, count(*) AS n, sum(v)::BIGINT AS v FROM s GROUP BY ALL",
    "newest of a day": "SELECT id, ts, v FROM s QUALIFY row_number() OVER (PARTITION BY ts ORDER BY v, id) = 1",
    "named": "WITH b AS (SELECT id, ts + INTERVAL 1 DAY AS later, v FROM s) SELECT id, later AS ts, v FROM b",
    "twice": "SELECT id, ts, v FROM s UNION ALL SELECT id + 100 * (v // 3), ts + INTERVAL 2 DAY, v FROM s WHERE v > 1",
    "distinct": "SELECT DISTINCT id, ts, v FROM s",
    "asof": "SELECT s.id, s.ts, s.v + d.k AS v FROM s ASOF LEFT JOIN d ON s.v >= d.k",
    "semi": "SELECT id, ts, v FROM s SEMI JOIN d ON d.k = s.v",
    "anti": "SELECT id, ts, v FROM s ANTI JOIN d ON d.k = s.v",
    "right": "SELECT s.id, s.ts, s.v, d.name FROM d RIGHT JOIN s ON d.k = s.v",
    "first on": "SELECT DISTINCT ON (ts) id, ts, v FROM s ORDER BY ts, v, id",
    "first on an alias": "SELECT DISTINCT ON (ts) id, ts + INTERVAL 1 DAY AS ts, v FROM s ORDER BY ALL",
    "newest of an alias": """SELECT id, was + INTERVAL 1 DAY AS ts, v FROM (SELECT id, ts AS was, v FROM s)
        QUALIFY row_number() OVER (PARTITION BY ts ORDER BY v, id) = 1""",
    "window": "SELECT id, ts, v, (sum(v) OVER (PARTITION BY ts ORDER BY v, id))::BIGINT AS so_far FROM s",
    "except": "SELECT id, ts, v FROM s EXCEPT SELECT id + 1, ts + INTERVAL 1 DAY, v FROM s",
    "intersect": "SELECT id, ts, v FROM s INTERSECT SELECT id + 1, ts, v FROM s",
    "correlated": """SELECT id, ts, v, (SELECT max(d.name) FROM d WHERE d.k = s.v) AS name FROM s
        WHERE EXISTS (SELECT 1 FROM d WHERE d.k <> s.v)""",
    "lateral": "SELECT s.id, s.ts, s.v, l.n FROM s, LATERAL (SELECT count(*) AS n FROM d WHERE d.k <= s.v) AS l",
    "lateral that drives": """SELECT l.id, l.ts, l.v FROM d, (
        SELECT id, ts, v FROM s WHERE v = d.k QUALIFY row_number() OVER (PARTITION BY ts ORDER BY id) = 1) AS l""",
    "having": "SELECT min(id) AS id, ts, sum(v)::BIGINT AS v FROM s GROUP BY ts HAVING count(*) > 1",
}
CONTRACTS = ("", "grain: [id]\n", "grain: [id]\ncontract: {columns: {v: {range: [0, 6]}}, on_breach: quarantine}\n")


class Table:
    """A table in intervals over a source and a dimension that a test fills."""

    def __init__(self, world: Any, statement: str, *, lateness: str = "", matter: str = "") -> None:
        self.world = world
        late = f", lateness: {lateness}" if lateness else ""
        world.write("sources/s.yaml", "path: s.csv\n")
        world.write("sources/d.yaml", "path: d.csv\n")
        world.write(
            "tables/t.sql", f"/* ---\n{matter}intervals: {{by: ts, every: 1d{late}}}\n--- */\n{STATEMENTS[statement]}\n"
        )
        self.asset, self.project = world._asset("table.t")
        self.before: Before | None = None

    def hold(self, rows: Rows, names: str = "abc") -> dict[str, Any]:
        """Make the source hold these rows."""
        values = ", ".join(
            f"({one}, {'NULL' if day is None else repr(str(FIRST + day * DAY))}, {v})"
            for one, (day, v) in sorted(rows.items())
        )
        cells = "id::BIGINT AS id, ts::TIMESTAMPTZ AS ts, v::BIGINT AS v"
        source = (
            f"SELECT {cells} FROM (VALUES {values or '(0, NULL, 0)'}) AS x(id, ts, v){'' if values else ' LIMIT 0'}"
        )
        self.world.put("source.s", source)
        names_of = ", ".join(f"({k}, '{name}')" for k, name in enumerate(names))
        self.world.put("source.d", f"SELECT k::BIGINT AS k, name FROM (VALUES {names_of}) AS x(k, name)")
        return {name: self.world.versions[name] for name in self.asset.inputs}

    def build(self, inputs: dict[str, Any], backfill: Spans = Spans()) -> Any:  # noqa: B008 - it is frozen
        made = make_intervals(self.asset, inputs, self.before, backfill, self.project, self.world.workshop)
        self.before = Before(made, inputs)
        balance = made.facts["balance"]
        assert balance["read"] == balance["kept"] + balance["quarantined"]
        assert balance["kept"] == made.rows == len(self.world.rows(made))
        assert balance["quarantined"] == len(self.world.aside(made))
        assert set(made.facts[FACT]["files"]) == {file.path for file in made.files}
        return made

    def full(self, inputs: dict[str, Any]) -> Any:
        return make_table(self.asset, inputs, self.project, self.world.workshop)

    def bag(self, version: Any, without: frozenset[int] = frozenset()) -> Counter[Any]:
        grid = Grid(DAY)
        rows = self.world.rows(version)
        at = [column.name for column in version.columns].index("ts")

        def number(value: Any) -> int | None:
            if value is None:
                return None
            moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
            return grid.number(moment if moment.tzinfo else moment.replace(tzinfo=UTC))

        return Counter(row for row in rows if number(row[at]) not in without)


def rows_of(days: int = 9) -> st.SearchStrategy[Rows]:
    day = st.one_of(st.none(), st.integers(0, days))
    return st.dictionaries(st.integers(0, 6), st.tuples(day, st.integers(0, 4)), max_size=7)


HISTORY = st.lists(st.tuples(rows_of(), st.sampled_from(["abc", "abd"])), min_size=2, max_size=5)
LAW = settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.parametrize("statement", STATEMENTS)
@LAW
@given(history=HISTORY, matter=st.sampled_from(CONTRACTS))
def test_incremental_equals_full(world, statement, history, matter) -> None:
    if "range" in matter and statement == "joined":
        matter = CONTRACTS[1]
    table = Table(world, statement, lateness="1000d", matter=matter)
    for rows, names in history:
        inputs = table.hold(rows, names)
        try:
            full = table.full(inputs)
        except LichenError as refused:
            with pytest.raises(type(refused)):
                table.build(inputs)
            continue
        made = table.build(inputs)
        assert table.bag(made) == table.bag(full)
        assert made.facts["balance"]["quarantined"] == full.facts["balance"]["quarantined"]
        assert not late_rows(made)


@pytest.mark.parametrize("statement", ["rows", "days", "newest of an alias", "named", "twice", "asof", "except"])
@LAW
@given(history=HISTORY)
def test_what_is_left_out_is_in_closed_intervals_alone_and_a_backfill_brings_it_in(world, statement, history) -> None:
    table = Table(world, statement, lateness="1d")
    for rows, _ in history:
        inputs = table.hold(rows)
        newest = table.before and table.before.version.facts[FACT]["newest"]
        made, full = table.build(inputs), table.full(inputs)
        left = frozenset(one["number"] for one in made.facts[FACT]["left"])
        assert table.bag(made, left) == table.bag(full, left)
        if left:
            assert max(Grid(DAY).start(one) for one in left) + 2 * DAY <= datetime.fromisoformat(newest + "T00:00Z")
    filled = table.build(inputs, EVERYTHING)
    assert table.bag(filled) == table.bag(table.full(inputs))
    assert not late_rows(filled)
