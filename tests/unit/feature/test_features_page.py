"""The page docs/features.md says what the code takes: each of its views is read, and its worked table is right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pytest
from arro3.core import Table

from lichen.backends.duckdb import DuckDBEngine
from lichen.backends.sqlite_online import SQLiteOnlineStore
from lichen.errors import Where
from lichen.feature.featureset import FeatureSet, RelationFacts, feature_set
from lichen.feature.join import join
from lichen.feature.lookup import Lookup
from lichen.feature.materialize import materialize
from lichen.graph.build import build_graph
from lichen.ports import Column, Relation
from lichen.spec import FeatureView, read_project
from lichen.spec.aggregate import FUNCTIONS, Aggregate

PAGE = Path(__file__).parents[3] / "docs/features.md"
TEXT = PAGE.read_text(encoding="utf-8")


def tables() -> list[list[list[str]]]:
    """The page's tables, each a list of lines of cells; heads first."""
    found = re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE)
    return [
        [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines.splitlines()]
        for lines in (re.sub(r"^\|[ -|]*---.*\n", "", each, flags=re.MULTILINE) for each in found)
    ]


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, FeatureView]:
    """The page's views, read as a project's files are."""
    root = tmp_path_factory.mktemp("page")
    blocks = re.findall(r"```yaml\n# (features/\w+\.yaml)\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == TEXT.count("```yaml")
    source = "path: x.csv\ntime: arrived_at\nknown: arrived_at\n"
    for name, text in [("lichen.yaml", "name: page\n"), ("sources/flight_legs.yaml", source), *blocks]:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    project = read_project(root, {}, {"files": {"path": "where"}})
    assert len(build_graph(project).assets) == len(blocks) + 1
    return project.features


@pytest.fixture(scope="module")
def understood(views: Mapping[str, FeatureView], tmp_path_factory: pytest.TempPathFactory) -> FeatureSet:
    columns = tuple(Column(*line) for line in tables()[0][1:])
    return feature_set(
        list(views),
        views,
        {"flight_legs": RelationFacts(columns, "arrived_at", "arrived_at", ("flight_id",))},
        where=lambda *_, **__: Where(PAGE),
        engine=DuckDBEngine(scratch=tmp_path_factory.mktemp("scratch")),
    )


def test_each_view_of_the_page_is_one(views: Mapping[str, FeatureView], understood: FeatureSet) -> None:
    assert {"route", "plane", "carrier", "plane_history", "corrected", "plane_delay", "trip"} <= set(views)
    types = {column.name: column.type for column in understood.features}
    assert types["carrier.usual_origin_7d"] == "VARCHAR"
    assert types["plane_delay.worst_7d"] == types["trip.against_all"] == "DOUBLE"
    assert [view.name for view in understood.views if view.corrected] == ["corrected"]


def test_the_page_has_every_function_once(views: Mapping[str, FeatureView]) -> None:
    listed = [name.strip("` ") for line in tables()[1][1:] for name in line[0].split(",")]
    assert sorted(listed) == sorted(FUNCTIONS)
    written = {aggregate.function for view in views.values() for aggregate in view.aggregates.values()}
    assert written == set(FUNCTIONS)
    assert "reference/functions.md" in TEXT


def test_the_types_that_the_page_says_are_those_that_are_given(
    views: Mapping[str, FeatureView], understood: FeatureSet
) -> None:
    said = {name.strip("` "): line[2] for line in tables()[1][1:] for name in line[0].split(",")}
    types = {column.name: column.type for column in understood.features}
    for name, aggregate in views["carrier"].aggregates.items():
        gives = said[aggregate.function]
        assert gives == "as the value" or types[f"carrier.{name}_7d"] in gives.split(" or "), name


SQL = {
    "std": "stddev_samp({})",
    "var": "var_samp({})",
    "first": "first({0} ORDER BY t) FILTER ({0} IS NOT NULL)",
    "last": "last({0} ORDER BY t) FILTER ({0} IS NOT NULL)",
    "count_distinct": "count(DISTINCT {})",
    "quantile": "quantile_cont({}, 0.9)",
    "mode": "(SELECT {0} FROM seen GROUP BY {0} ORDER BY count(*) DESC, max(t) DESC LIMIT 1)",
    "share": "avg(({})::INTEGER)",
    "rate": "(arg_max({0}, t) - arg_min({0}, t)) / epoch(max(t) FILTER ({0} IS NOT NULL) "
    "- min(t) FILTER ({0} IS NOT NULL))",
    "since": "epoch(TIMESTAMP '2013-06-01 12:00' - max(t))",
}
"""What each function means, in DuckDB's words."""


def test_the_worked_table_is_right() -> None:
    _, _, (_, *rows), (_, *answers) = tables()
    connection = duckdb.connect()
    values = ", ".join(
        f"(TIMESTAMP '2013-06-01 {at}', '{tail}', '{origin}', {delay}::DOUBLE)" for at, tail, origin, delay in rows
    )
    seen = (
        f"WITH seen AS (SELECT * FROM (VALUES {values}) AS r(t, tailnum, origin, arr_delay) "
        "WHERE t >= TIMESTAMP '2013-06-01 08:00' AND t < TIMESTAMP '2013-06-01 12:00')"
    )
    assert len(answers) == len(FUNCTIONS) - 2 + 1
    for text, said, _ in answers:
        aggregate = Aggregate.model_validate(text)
        sql = SQL.get(aggregate.function, f"{aggregate.function}({{}})").format(aggregate.value)
        found = connection.execute(f"{seen} SELECT {sql} FROM seen").fetchall()[0][0]
        assert found == (said if isinstance(found, str) else pytest.approx(float(said), rel=1e-15)), text


def test_the_worked_table_is_what_is_joined_and_looked_up(tmp_path: Path) -> None:
    _, _, (_, *rows), (_, *answers) = tables()
    engine = DuckDBEngine(scratch=tmp_path)
    values = ", ".join(f"('2013-06-01 {at}+00', '{tail}', '{origin}', {delay})" for at, tail, origin, delay in rows)
    legs = relation(
        engine,
        "SELECT 'UA' AS carrier, moment::TIMESTAMPTZ AS arrived_at, tailnum, origin, arr_delay::DOUBLE AS arr_delay "
        f"FROM (VALUES {values}) AS r(moment, tailnum, origin, arr_delay)",
    )
    labels = relation(engine, "SELECT 'UA' AS carrier, TIMESTAMPTZ '2013-06-01 12:00+00' AS asked")
    aggregates = {f"a{place}": text for place, (text, *_) in enumerate(answers)}
    view = {"entity": {"carrier": "varchar"}, "from": "legs", "aggregates": aggregates, "windows": ["4h"]}
    features = feature_set(
        ["page"],
        {"page": FeatureView.model_validate(view)},
        {"legs": RelationFacts(legs.columns, "arrived_at", "arrived_at")},
        where=lambda *_, **__: Where(PAGE),
        engine=engine,
    )
    joined = Table.from_arrow(join(features, labels, "asked", {"legs": legs}, engine))
    store = SQLiteOnlineStore(tmp_path / "online.db")
    materialize(features.views[0], legs, engine, store, "page")
    looked_up = Lookup(features, store, {"page": "page"}).row({"carrier": "UA"}, 1_370_088_000 * 1_000_000)
    for place, (text, said, _) in enumerate(answers):
        for found in (joined.column(f"page.a{place}_4h").to_pylist()[0], looked_up[place]):
            assert found == (said if isinstance(found, str) else pytest.approx(float(said), rel=1e-12)), text
    store.close()


def relation(engine: DuckDBEngine, select: str) -> Relation:
    return Relation(engine.describe(select, {}), arrow=Table.from_arrow(engine.query(select, {})))
