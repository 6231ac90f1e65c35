from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lichen.graph.build import Asset, Graph, build_graph
from lichen.graph.edges import project_lineage
from lichen.graph.lineage import AssetColumn, Lineage
from lichen.spec import ProjectSpec, Table, read_project

FILES = {
    "lichen.yaml": "name: p\n",
    "sources/flights.yaml": "path: x.csv\n",
    "tables/legs.sql": "/* ---\ntime: arrived\nknown: arrived + INTERVAL 1 HOUR\n--- */\n"
    "SELECT carrier, delay,\n  arrived, delay > 15 AS late, asked FROM flights WHERE cancelled IS NULL\n",
    "features/carrier.yaml": "entity: {carrier: varchar}\nfrom: legs\n"
    "aggregates: {delay: avg(delay + 1), number: count(*)}\nwindows: [1h]\nlatest: [late]\n",
    "features/plane.yaml": "entity: {plane: varchar}\nfrom: flights\nstatic: true\nlatest: [seats]\n",
    "features/trip.yaml": "on: request\ncolumns: {delay: double}\n"
    "expressions: {ratio: delay / carrier.number_1h, left: prediction_time, who: carrier}\n",
    "models/late.yaml": "task: classification\nlabel: {from: legs, value: late, at: asked, known: arrived}\n"
    "features: [carrier, trip]\nexclude: [carrier.late]\nvalidate: {early_stop: 30d, test: 92d}\n",
    "services/late.yaml": "model: late\n",
    "monitors/late.yaml": "watch: late\nevery: 7d\nask: {roc_auc: {drop: 0.03}}\n",
}
COLUMNS = {"flights": ["carrier", "Delay", "arrived", "asked", "cancelled", "plane", "seats"]}

Make = Callable[..., Lineage]


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., ProjectSpec]:
    def of(files: Mapping[str, str] = {}) -> ProjectSpec:
        for name, content in {**FILES, **files}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return read_project(tmp_path, {}, {"files": {"path": "where"}})

    return of


@pytest.fixture
def make(project: Callable[..., ProjectSpec]) -> Make:
    def of(files: Mapping[str, str] = {}, columns: Mapping[str, list[str]] = COLUMNS) -> Lineage:
        spec = project(files)
        return project_lineage(build_graph(spec), spec, columns)

    return of


def into(lineage: Lineage, name: str) -> dict[str, str]:
    return {str(edge.source): " ".join(edge.how.words) for edge in lineage.into(lineage.find(name))}


def test_a_table_s_columns_are_made_of_its_inputs_and_stand_in_its_rows(make: Make) -> None:
    made = make()
    assert made.columns["table.legs"] == ("carrier", "delay", "arrived", "late", "asked")
    assert into(made, "legs.late") == {"flights.Delay": "value computed", "legs.*": "count"}
    assert into(made, "legs.*") == {"flights.*": "count", "flights.cancelled": "filter"}
    assert not made.opaque


def test_a_view_s_features_are_made_of_values_and_its_rows_chosen_by_times_and_keys(make: Make) -> None:
    made = make()
    assert into(made, "carrier.delay_1h") == {"legs.delay": "value computed aggregated", "carrier.*": "count"}
    assert into(made, "carrier.number_1h") == {"carrier.*": "count"}
    assert into(made, "carrier.late") == {"legs.late": "value", "carrier.*": "count"}
    edges = [edge for edge in made.into(made.find("carrier.*")) if edge.within is None]
    assert {(str(edge.source), edge.how.words) for edge in edges} == {
        ("legs.arrived", ("window",)),
        ("legs.arrived", ("filter",)),
        ("legs.carrier", ("group",)),
        ("legs.*", ("count",)),
    }
    assert {str(edge.source) for edge in made.into(made.find("plane.*"))} == {"flights.plane", "flights.*"}


PRIOR = (
    "entity: {carrier: varchar}\nfrom: legs\ngrain: [asked]\nwindows: [1h, 7d]\naggregates:\n"
    "  late: {share: delay > 15, where: asked IS NOT NULL, lag: 7d, prior: {mean: airspace.mean, weight: 10}}\n"
    "  quiet: since(*)\n  change: rate(delay)\n  top: {mode: carrier, where: delay > 0}\n"
    "  met: {count: '*', where: late}\n"
)
AIRSPACE = "entity: {}\nfrom: legs\naggregates: {mean: avg(delay)}\nwindows: [1h, 7d]\n"


def test_all_that_an_aggregate_says_reaches_its_features(make: Make) -> None:
    made = make({"features/odd.yaml": PRIOR, "features/airspace.yaml": AIRSPACE})
    mixed = "value computed aggregated"
    assert into(made, "odd.late_1h") == {
        "legs.delay": mixed, "legs.asked": f"{mixed} filter", "airspace.mean_1h": "value computed", "odd.*": "count",
    }  # fmt: skip
    assert "airspace.mean_7d" in into(made, "odd.late_7d")
    assert into(made, "odd.quiet_1h") == {"legs.arrived": mixed, "odd.*": "count"}
    assert into(made, "odd.change_1h") == {"legs.delay": mixed, "legs.arrived": mixed, "odd.*": "count"}
    assert into(made, "odd.top_1h") == {"legs.carrier": mixed, "legs.delay": f"{mixed} filter", "odd.*": "count"}
    assert into(made, "odd.met_1h") == {"legs.late": f"{mixed} filter", "odd.*": "count"}
    assert into(made, "odd.*")["legs.asked"] == "filter"


def test_a_model_reaches_the_parents_of_its_views_and_brings_their_keys(make: Make) -> None:
    parent = AIRSPACE.replace("{}", "{asked: timestamptz}", 1)
    model = FILES["models/late.yaml"].replace("[carrier, trip]", "[odd]").replace("exclude: [carrier.late]\n", "")
    made = make({"features/odd.yaml": PRIOR, "features/airspace.yaml": parent, "models/late.yaml": model})
    reached = {str(one.column): one.kind for one in made.up(made.find("model.late.score"))}
    assert reached["airspace.mean_1h"] == "value"
    assert "airspace.mean_1h" not in into(made, "model.late.score")
    asked = {(str(e.source), e.how.words) for e in made.into(made.find("airspace.*")) if e.within == "model.late"}
    assert asked == {("legs.asked", ("join",)), ("legs.asked", ("window",))}


def test_what_a_request_brings_comes_from_the_model_s_label_table(make: Make) -> None:
    made = make()
    (edge,) = made.into(made.find("trip.delay"))
    assert (str(edge.source), edge.how.words, edge.within) == ("legs.delay", ("value",), "model.late")
    assert into(made, "trip.ratio") == {"trip.delay": "value computed", "carrier.number_1h": "value computed"}
    assert into(made, "trip.left") == {"legs.asked": "value"}
    assert into(made, "trip.who") == {"legs.carrier": "value"}
    asked = {(str(e.source), e.how.words) for e in made.into(made.find("carrier.*")) if e.within == "model.late"}
    assert asked == {("legs.carrier", ("join",)), ("legs.asked", ("window",))}


def test_a_model_s_score_is_made_of_its_features_and_learned_from_its_label(make: Make) -> None:
    made = make()
    assert into(made, "model.late.score") == {
        **dict.fromkeys(
            ["carrier.delay_1h", "carrier.number_1h", "trip.delay", "trip.ratio", "trip.left", "trip.who"],
            "value computed",
        ),
        "legs.late": "label",
        "legs.asked": "filter",
        "legs.arrived": "filter",
        "legs.*": "count",
    }
    assert into(made, "service.late.score") == {"late.score": "value"}
    assert into(made, "late.feature.trip.delay") == {"trip.delay": "value"}
    reached = {str(one.column): one.kind for one in made.up(made.find("service.late.score"))}
    assert reached["flights.Delay"] == "value"
    assert (
        reached["flights.cancelled"] == reached["flights.asked"] == "influence" or reached["flights.asked"] == "value"
    )
    assert "flights.seats" not in reached


def test_each_column_has_its_place(make: Make) -> None:
    made = make()
    places = {name: str(made.where(made.find(name))) for name in (
        "legs.late", "legs.*", "flights.Delay", "carrier.delay_1h", "carrier.late", "trip.ratio", "model.late.score",
    )}  # fmt: skip
    assert places == {
        "legs.late": "tables/legs.sql:6:12",
        "legs.*": "tables/legs.sql",
        "flights.Delay": "sources/flights.yaml",
        "carrier.delay_1h": "features/carrier.yaml:3:14",
        "carrier.late": "features/carrier.yaml:5:10",
        "trip.ratio": "features/trip.yaml:3:15",
        "model.late.score": "models/late.yaml:3:1",
    }


def test_a_source_whose_columns_are_not_known_is_read_by_name(make: Make) -> None:
    made = make(columns={})
    assert into(made, "legs.late") == {"flights.delay": "value computed", "legs.*": "count"}
    assert str(made.up(made.find("model.late.score"))[-1].column).startswith("flights.")


def test_an_expression_that_cannot_be_read_reads_everything(make: Make) -> None:
    made = make({"features/trip.yaml": "on: request\ncolumns: {delay: double}\nexpressions: {odd: '1 +* 2'}\n"})
    assert set(into(made, "trip.odd")) >= {"carrier.delay_1h", "plane.seats", "legs.asked"}


def test_a_table_that_is_no_statement_is_opaque(project: Callable[..., ProjectSpec]) -> None:
    spec = project()
    graph = build_graph(spec)
    python = Asset("table", "made", Table(), ("table.legs",))
    made = project_lineage(Graph({**graph.assets, python.id: python}), spec, {**COLUMNS, "made": ["m"]})
    assert made.opaque == {"table.made"}
    assert {edge.source for edge in made.into(AssetColumn("table.made", "m"))} >= {
        AssetColumn("table.legs", column) for column in (*made.columns["table.legs"], "*")
    }


def test_a_table_that_the_engine_describes_otherwise_is_opaque(make: Make) -> None:
    made = make(columns={**COLUMNS, "legs": ["carrier", "delay", "arrived", "late", "asked", "more"]})
    assert made.opaque == {"table.legs"}
    assert "flights.cancelled" in into(made, "legs.more")


SCORED = {
    "tables/scored.sql": "/* ---\nscore: {model: late, at: asked}\n--- */\n"
    "SELECT carrier, delay, asked, late FROM legs WHERE carrier <> 'XX'\n",
    "tables/above.sql": "SELECT carrier, avg(score) AS mean FROM scored GROUP BY ALL\n",
}


def test_a_score_comes_from_the_model_and_from_what_the_row_asks(make: Make) -> None:
    made = make(SCORED)
    assert made.columns["table.scored"] == ("carrier", "delay", "asked", "late", "score", "model_version")
    assert into(made, "scored.score") == {
        "late.score": "value",
        "scored.carrier": "join",
        "scored.delay": "value computed",
        "scored.asked": "window",
        "scored.*": "count",
    }
    assert into(made, "table.scored.model_version") == {"late.score": "value computed", "scored.*": "count"}
    above = {str(one.column): one.kind for one in made.up(made.find("above.mean"))}
    assert above["scored.score"] == above["late.score"] == above["flights.Delay"] == "value"
    assert above["flights.cancelled"] == above["legs.late"] == "influence"
    down = [str(one.column) for one in made.down(made.find("flights.cancelled"))]
    assert {"scored.score", "scored.model_version", "above.mean"} <= {*down}
    assert str(made.where(made.find("scored.score"))) == "tables/scored.sql:2:9"


def test_the_engine_tells_of_a_scored_table_s_columns_those_of_scoring_too(make: Make) -> None:
    told = {**COLUMNS, "scored": ["carrier", "delay", "asked", "late", "score", "model_version"]}
    assert make(SCORED, told) == make(SCORED)
