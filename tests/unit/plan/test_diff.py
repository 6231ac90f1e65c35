from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.graph.build import Graph
from lichen.graph.fingerprint import MEANING, fingerprint, meaning
from lichen.graph.version import Version, version_name
from lichen.plan import Plan, Step, Trunk, plan
from lichen.spec.files import SpecFile

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
    files = {asset.id: SpecFile(Path(), f"{asset.name}.file", {}, "") for asset in graph}
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
    assert steps(made) == [("table.legs", "build", "c changed"), *ON_LEGS]
    assert [step.where for step in made.steps] == ["legs.file:1", None, None, None, None]
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


OTHER_NAME = {
    "tables/legs.sql": None,
    "tables/hops.sql": "/* ---\ntime: arrived\n--- */\n" + SQL,
    "features/carrier.yaml": "entity: {carrier: varchar, origin: varchar}\nfrom: hops\n"
    "aggregates: {delay: avg(x), number: count(*)}\nwindows: [1h]\n",
    "models/late.yaml": "task: classification\nlabel: {from: hops, value: late, at: asked, known: arrived}\n"
    "features: [carrier, trip]\nvalidate: {early_stop: 30d, test: 92d}\n",
}
"""The project with the table `legs` called `hops`, by its file and by all that reads it."""


def test_a_renamed_table_is_seen_as_one_and_what_reads_it_is_carried_over(build) -> None:
    versions = released(build())
    made = planned(build(OTHER_NAME), versions)
    assert [(step.asset, step.action, step.was) for step in made.steps] == [
        ("table.hops", "rename", "table.legs"),
        ("feature.carrier", "carry", "feature.carrier"),
        ("model.late", "carry", "model.late"),
        ("service.late", "refresh", None),
        ("monitor.late", "refresh", None),
    ]
    assert [step.reason for step in made.steps][:3] == [
        "it was called legs",
        "what it reads is the same under another name, so its values stay",
        "what it reads is the same under another name, so its training stands",
    ]
    assert [step.version for step in made.steps[:3]] == [versions[str(step.was)].version for step in made.steps[:3]]


def test_a_copy_is_no_renaming(build) -> None:
    made = planned(build({"tables/hops.sql": OTHER_NAME["tables/hops.sql"]}), released(build()))
    assert steps(made) == [("table.hops", "build", "it is new")]


@pytest.mark.parametrize(
    ("changed", "tokens"),
    [({"tables/hops.sql": SQL.replace("7", "8")}, TOKENS), ({}, {"source.flights": "t2"})],
)
def test_a_renamed_table_that_would_come_out_otherwise_is_built(build, changed, tokens) -> None:
    made = planned(build({**OTHER_NAME, **changed}), released(build()), tokens)
    assert ("table.hops", "build", "it is new") in steps(made)
    assert ("table.legs", "drop", "the project no longer has it") in steps(made)
    assert not {step.action for step in made.steps} & {"rename", "carry"}


def test_a_version_of_another_format_is_not_carried_over(build) -> None:
    versions = released(build())
    versions["table.legs"] = replace(versions["table.legs"], fingerprint="of another format")
    assert ("table.hops", "build", "it is new") in steps(planned(build(OTHER_NAME), versions))
    assert steps(planned(build(), versions))[0] == ("table.legs", "build", "its meaning changed")


def test_a_renamed_source_goes_on_from_its_rows_even_where_new_ones_came(build) -> None:
    graph = build({"sources/flights.yaml": None, "sources/trips.yaml": "path: x.csv\n",
                   "tables/legs.sql": "/* ---\ntime: arrived\n--- */\n" + SQL.replace("flights", "trips")})  # fmt: skip
    assert steps(planned(graph, released(build()), {"source.trips": "t1"}))[:2] == [
        ("source.trips", "rename", "it was called flights"),
        ("table.legs", "carry", "what it reads is the same under another name, so its rows stay"),
    ]
    assert steps(planned(graph, released(build()), {"source.trips": "t2"}))[:2] == [
        ("source.trips", "rename", "it was called flights; what it reads changed"),
        ("table.legs", "build", "FROM changed"),
    ]


def on(trunk: dict[str, Version], moved: bool = False) -> Trunk:
    return Trunk("prod", 7, trunk, moved)


def branched(graph: Graph, own: dict[str, Version], trunk: Trunk, tokens: dict[str, str] | None = None) -> Plan:
    """A plan of an environment that asks no source for what the trunk brings."""
    return plan(graph, own, tokens or {}, environment="dev", release=2 if own else None, files={}, trunk=trunk)


def test_what_the_trunk_holds_is_shared_and_the_rest_is_built(build) -> None:
    trunk = released(build())
    made = branched(build(), {}, on(trunk))
    assert {(step.action, step.reason) for step in made.steps} == {("share", "release 7 of `prod` holds it")}
    assert {step.asset: step.version for step in made.steps} == {name: one.version for name, one in trunk.items()}
    graph = build({"tables/legs.sql": SQL.replace("7", "8")})
    made = branched(graph, {}, on(trunk))
    assert [(step.asset, step.action) for step in made.steps] == [
        *(("source.flights", "share"), ("table.legs", "build"), ("feature.carrier", "build")),
        *(("feature.trip", "share"), ("model.late", "build"), ("service.late", "build"), ("monitor.late", "build")),
    ]
    assert [step.reason for step in made.steps if step.action == "build"][:2] == [
        "sql, time (removed) changed",
        "table.legs may differ from `prod`'s",
    ]
    assert not branched(graph, released(graph), on(trunk))


def test_fresh_rows_come_by_the_trunk(build) -> None:
    graph, fresh = build(), released(build())
    fresh["source.flights"] = replace(fresh["source.flights"], version="fresh")
    own = released(graph)
    made = branched(graph, own, on(fresh))
    assert [(step.asset, step.action) for step in made.steps][:2] == [
        ("source.flights", "share"),
        ("table.legs", "refresh"),
    ]


def test_a_source_that_means_something_else_is_collected_here(build) -> None:
    graph = build({"sources/flights.yaml": "path: y.csv\n"})
    assert branched(graph, {}, on(released(build())), {"source.flights": "t1"}).steps[0].action == "build"
    own = released(graph)
    assert not branched(graph, own, on(released(build())), {"source.flights": "t1"})
    assert steps(branched(graph, own, on(released(build())), {"source.flights": "t2"}))[0] == (
        *("source.flights", "refresh", "what it reads changed"),
    )


def test_a_renaming_that_the_trunk_does_not_know_carries_its_rows_over(build) -> None:
    graph = build(OTHER_NAME)
    made = branched(graph, {}, on(released(build())))
    assert [(step.asset, step.action) for step in made.steps] == [
        *(("source.flights", "share"), ("table.hops", "rename"), ("feature.carrier", "carry")),
        *(("feature.trip", "share"), ("model.late", "carry"), ("service.late", "build"), ("monitor.late", "build")),
    ]
    assert not branched(graph, released(graph), on(released(build())))


def test_a_trunk_that_moved_is_something_to_do(build) -> None:
    graph, there = build(), released(build())
    assert branched(graph, there, on(there, moved=True))
    assert branched(graph, there, on(there, moved=True)).steps == ()


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


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sets(st.sampled_from(sorted(CHANGES))), st.sets(st.sampled_from(sorted(CHANGES))), st.booleans())
def test_a_branch_carried_out_leaves_nothing_to_do_and_promoted_no_more(
    build, in_trunk: set[str], chosen: set[str], renamed: bool
) -> None:
    there = released(build({name: CHANGES[name] for name in in_trunk}))
    files = {**(OTHER_NAME if renamed else {}), **{name: CHANGES[name] for name in chosen if not renamed}}
    graph = build(files)
    after, own = released(graph), {}
    made = branched(graph, {}, on(there), TOKENS)
    for step in made.steps:
        own[step.asset] = there[step.asset] if step.action == "share" else after[step.asset]
    assert own == after
    assert not branched(graph, own, on(there), TOKENS)
    assert not planned(graph, own)
