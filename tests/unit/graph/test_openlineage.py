from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lichen.graph.build import build_graph
from lichen.graph.edges import project_lineage
from lichen.graph.openlineage import job_events
from lichen.spec import read_project

FILES = {
    "lichen.yaml": "name: p\n",
    "sources/flights.yaml": "path: x.csv\n",
    "tables/legs.sql": "/* ---\ntime: at\nknown: at\n--- */\n"
    "SELECT a, b + 1 AS e, sum(c) OVER (ORDER BY a) AS s, at, e > 0 AS y FROM flights WHERE c > 0 -- why\n",
    "features/v.yaml": "entity: {a: varchar}\nfrom: legs\naggregates: {m: avg(e)}\nwindows: [1h]\n",
    "models/m.yaml": "task: classification\nlabel: {from: legs, value: y, at: at, known: at}\n"
    "features: [v]\nvalidate: {early_stop: 30d, test: 92d}\n",
    "services/s.yaml": "model: m\n",
    "monitors/w.yaml": "watch: s\nevery: 7d\nask: {roc_auc: {drop: 0.03}}\n",
}
NAMESPACE = "lichen://p"


@pytest.fixture
def events(tmp_path: Path) -> dict[str, dict[str, Any]]:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    spec = read_project(tmp_path, {}, {"files": {"path": "where"}})
    graph = build_graph(spec)
    lineage = project_lineage(graph, spec, {"flights": ["a", "b", "c", "at"]})
    made = job_events(graph, lineage, project="p", version="1.2.3", at=datetime(2026, 1, 1, tzinfo=UTC))
    return {event["job"]["name"]: event for event in made}


def fields(event: dict[str, Any], name: str) -> dict[str, list[tuple[str, str]]]:
    facet = event["outputs"][0]["facets"]["columnLineage"]
    given = facet["dataset"] if name == "*" else facet["fields"][name]["inputFields"]
    return {
        f"{one['name']}.{one['field']}": [(how["type"], how["subtype"]) for how in one["transformations"]]
        for one in given
    }


def test_each_asset_but_a_monitor_is_a_job_that_makes_what_is_called_like_it(events: dict[str, Any]) -> None:
    assert list(events) == ["source.flights", "table.legs", "feature.v", "model.m", "service.s"]
    legs = events["table.legs"]
    assert (legs["eventTime"], legs["producer"]) == ("2026-01-01T00:00:00+00:00", "urn:lichen:1.2.3")
    assert legs["schemaURL"] == "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/JobEvent"
    assert legs["inputs"] == [{"namespace": NAMESPACE, "name": "source.flights"}]
    assert [one["name"] for one in legs["outputs"]] == ["table.legs"]
    assert events["source.flights"]["inputs"] == []
    assert [one["name"] for one in events["model.m"]["inputs"]] == ["table.legs", "feature.v"]


def test_columns_have_their_inputs_and_rows_theirs_once(events: dict[str, Any]) -> None:
    legs = events["table.legs"]
    assert fields(legs, "a") == {"source.flights.a": [("DIRECT", "IDENTITY")]}
    assert fields(legs, "e") == {"source.flights.b": [("DIRECT", "TRANSFORMATION")]}
    assert fields(legs, "s") == {
        "source.flights.c": [("DIRECT", "AGGREGATION")],
        "source.flights.a": [("INDIRECT", "WINDOW")],
    }
    assert fields(legs, "*") == {
        "source.flights.c": [("INDIRECT", "FILTER")],
        "source.flights.a": [("INDIRECT", "SORT")],
    }
    assert [one["name"] for one in legs["outputs"][0]["facets"]["schema"]["fields"]] == ["a", "e", "s", "at", "y"]
    assert "columnLineage" not in events["source.flights"]["outputs"][0]["facets"]


def test_lineage_goes_on_through_the_model(events: dict[str, Any]) -> None:
    assert fields(events["feature.v"], "m_1h") == {"table.legs.e": [("DIRECT", "AGGREGATION")]}
    score = fields(events["model.m"], "score")
    assert score["feature.v.m_1h"] == [("DIRECT", "TRANSFORMATION")]
    assert score["table.legs.y"] == [("INDIRECT", "LABEL")]
    assert fields(events["service.s"], "score") == {"model.m.score": [("DIRECT", "IDENTITY")]}


def test_what_has_no_facet_of_theirs_has_one_of_ours(events: dict[str, Any]) -> None:
    model = events["model.m"]["job"]["facets"]["lichen_model"]
    assert (model["task"], model["learner"], model["features"]) == ("classification", "lightgbm", ["v"])
    assert model["label"]["value"] == "y"
    assert events["feature.v"]["job"]["facets"]["lichen_view"]["entity"] == {"a": "varchar"}
    assert events["table.legs"]["job"]["facets"]["sql"]["query"].startswith("SELECT a, b + 1")
    assert events["service.s"]["job"]["facets"]["jobType"]["processingType"] == "SERVICE"


def _facets(value: Any) -> list[dict[str, Any]]:
    found = list(value.get("facets", {}).values()) if isinstance(value, dict) else []
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return found + [facet for one in inside for facet in _facets(one)]


def test_every_facet_says_who_made_it_and_by_which_specification(events: dict[str, Any]) -> None:
    every = [facet for event in events.values() for facet in _facets(event)]
    assert len(every) > 10
    assert all(facet["_producer"] == "urn:lichen:1.2.3" and facet["_schemaURL"] for facet in every)
