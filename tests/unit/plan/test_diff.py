from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.graph.build import Graph
from lichen.graph.fingerprint import MEANING, fingerprint, meaning
from lichen.graph.version import Version, version_name
from lichen.plan import Plan, Step, plan

SQL = "SELECT a AS b, 7 AS c FROM flights"
TOKENS = {"source.flights": "t1"}


def released(graph: Graph, tokens: dict[str, str] = TOKENS) -> dict[str, Version]:
    """What a release holds after a run of the graph, as it comes back from the state store."""
    versions: dict[str, Version] = {}
    for asset in graph:
        own, inputs = fingerprint(asset), {name: versions[name].version for name in asset.inputs}
        facts = {MEANING: meaning(asset), "token": tokens.get(asset.id)}
        version = Version(asset.id, version_name(own, inputs), own, inputs, facts=facts)
        versions[asset.id] = Version.from_dict(json.loads(json.dumps(version.as_dict(), sort_keys=True)))
    return versions


def planned(graph: Graph, versions: dict[str, Version], tokens: dict[str, str] = TOKENS) -> Plan:
    files = {asset.id: f"{asset.name}.file" for asset in graph}
    return plan(graph, versions, tokens, environment="prod", release=1, files=files)


def steps(made: Plan) -> list[tuple[str, str, str]]:
    return [(step.asset, step.action, step.reason) for step in made.steps]


ON_LEGS = [
    ("feature.carrier", "refresh", "table.legs may change"),
    ("model.late", "refresh", "table.legs, feature.carrier may change"),
    ("service.late", "refresh", "model.late may change"),
    ("monitor.late", "refresh", "service.late may change"),
]


def test_a_first_plan_builds_everything_in_order(build) -> None:
    graph = build()
    made = planned(graph, {})
    assert [step.asset for step in made.steps] == [asset.id for asset in graph]
    assert {(step.action, step.reason) for step in made.steps} == {("build", "it is new")}
    assert made.steps[0] == Step("source.flights", "collect", "build", "it is new", "flights.file")
    assert made.unchanged == ()


def test_a_second_plan_is_empty(build) -> None:
    graph = build()
    made = planned(graph, released(graph))
    assert not made
    assert made.unchanged == tuple(asset.id for asset in graph)


def test_a_changed_table_is_built_and_what_stands_on_it_refreshed(build) -> None:
    made = planned(build({"tables/legs.sql": SQL.replace("7", "8")}), released(build({"tables/legs.sql": SQL})))
    assert steps(made) == [("table.legs", "build", "sql changed"), *ON_LEGS]
    assert [step.where for step in made.steps] == ["legs.file", None, None, None, None]
    assert made.unchanged == ("source.flights", "feature.trip")


def test_a_reason_names_the_key_that_changed(build) -> None:
    graph = build({"monitors/late.yaml": "watch: late\nevery: 7d\nask: {roc_auc: {drop: 0.05}}\n"})
    assert steps(planned(graph, released(build()))) == [
        ("monitor.late", "build", "ask.roc_auc.drop (0.03 -> 0.05) changed")
    ]


def test_comments_and_descriptions_change_nothing(build) -> None:
    graph = build({"tables/legs.sql": f"/* ---\ndescription: new\ntime: arrived\n--- */\n-- new\n{SQL}"})
    assert not planned(graph, released(build()))


def test_new_rows_refresh(build) -> None:
    graph = build()
    made = planned(graph, released(graph), {"source.flights": "t2"})
    assert steps(made) == [
        ("source.flights", "refresh", "what it reads changed"),
        ("table.legs", "refresh", "source.flights may change"),
        *ON_LEGS,
    ]


def test_what_the_project_no_longer_has_is_dropped(build) -> None:
    graph = build({"monitors/late.yaml": None})
    versions = released(build())
    versions["predictions.late"] = replace(versions["service.late"], asset="predictions.late")
    made = planned(graph, versions)
    assert made.steps == (Step("monitor.late", "monitor", "drop", "the project no longer has it"),)


def test_a_renamed_table_is_built_under_its_new_name_and_dropped_under_the_old(build) -> None:
    graph = build({"tables/other.sql": SQL})
    made = planned(graph, released(build({"tables/another.sql": SQL})))
    assert steps(made) == [
        ("table.other", "build", "it is new"),
        ("table.another", "drop", "the project no longer has it"),
    ]


def test_a_name_that_is_now_another_asset(build) -> None:
    graph = build({"sources/flights.yaml": None, "tables/flights.sql": "SELECT 1 AS a"})
    made = planned(graph, released(build()))
    assert steps(made)[:2] == [
        ("table.flights", "build", "it is new"),
        ("table.legs", "build", "what it reads by that name is another asset"),
    ]
    assert steps(made)[-1] == ("source.flights", "drop", "the project no longer has it")


def test_a_version_that_does_not_say_what_it_meant(build) -> None:
    graph = build()
    versions = released(graph)
    versions["table.legs"] = replace(versions["table.legs"], fingerprint="older", facts={})
    assert steps(planned(graph, versions))[0] == ("table.legs", "build", "sql, time (added) changed")


CHANGES = {
    "tables/legs.sql": SQL.replace("7", "8"),
    "sources/flights.yaml": "path: y.csv\n",
    "features/trip.yaml": "on: request\ncolumns: {distance: bigint}\n",
    "services/late.yaml": "model: late\nrecord: {durable: 30ms}\n",
    "monitors/late.yaml": None,
}


@pytest.mark.parametrize("tokens", [TOKENS, {"source.flights": "t2"}])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sets(st.sampled_from(sorted(CHANGES))))
def test_whatever_changed_a_plan_carried_out_leaves_nothing_to_do(
    build, tokens: dict[str, str], chosen: set[str]
) -> None:
    old, new = build(), build({name: CHANGES[name] for name in chosen})
    versions, after = released(old), released(new, tokens)
    made = planned(new, versions, tokens)
    for step in made.steps:
        versions.pop(step.asset, None)
        if step.action != "drop":
            versions[step.asset] = after[step.asset]
    assert not planned(new, versions, tokens)
    assert {step.asset for step in made.steps}.isdisjoint(made.unchanged)
    assert bool(made) == bool(chosen or tokens != TOKENS)


def test_a_lost_file_is_a_reason_to_build(build) -> None:
    graph = build()
    lost = {
        "source.flights": "a file of table `flights` is not what was written: it is missing",
        "predictions.late": "x",
    }
    made = plan(graph, released(graph), TOKENS, environment="prod", release=1, files={}, lost=lost)
    assert steps(made)[0] == ("source.flights", "build", lost["source.flights"])
    assert steps(made)[1] == ("table.legs", "refresh", "source.flights may change")
    assert not planned(graph, released(graph))
