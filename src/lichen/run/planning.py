"""Makes the plan of a project: what its release holds, what its sources say now, and what earlier runs took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from lichen.errors import ProjectErrors
from lichen.graph.build import Graph
from lichen.graph.version import Version
from lichen.ground.interval import Spans
from lichen.plan import Cost, Known, Plan, explained, plan
from lichen.plan.breaks import accepting, meaning_of
from lichen.plan.steps import Costs
from lichen.run.acceptance import Acceptances
from lichen.run.backfill import told
from lichen.run.facts import RUNS
from lichen.run.lost import faults
from lichen.run.relations import source_token
from lichen.run.release import Releases
from lichen.run.trunk import trunk_of
from lichen.run.workshop import Workshop
from lichen.spec import ProjectSpec


def make_plan(
    graph: Graph,
    project: ProjectSpec,
    releases: Releases,
    environment: str,
    workshop: Workshop,
    known: Callable[[], Known],
    backfill: Mapping[str, Spans] = MappingProxyType({}),
) -> Plan:
    """What a run would change, why, and what that does; `known` is asked only where there is something to do."""
    release = releases.current(environment)
    released = releases.versions(release)
    trunk = trunk_of(environment, project.project.publish, releases)
    tokens = {
        asset.id: source_token(asset, released.get(asset.id), project, workshop)
        for asset in graph
        if asset.kind == "source" and not (trunk and trunk.brings(asset))
    }
    made = plan(
        graph,
        released,
        tokens,
        environment=environment,
        release=release.number if release else None,
        files=project.files,
        lost=faults(trunk.not_its_own(released) if trunk else released, workshop),
        trunk=trunk,
        costs=costs(workshop),
        backfill=told(backfill, graph),
    )
    if not made.steps:
        return made
    return with_acceptances(explained(made, graph, project, compared_with(made, released), known()), workshop)


def compared_with(made: Plan, released: Mapping[str, Version]) -> dict[str, Version]:
    """What a plan's steps are compared with: the environment's versions, and its trunk's where it has none."""
    return {**(made.trunk.versions if made.trunk else {}), **released}


def costs(workshop: Workshop) -> Costs:
    """What each asset took in the newest run that built it."""
    found: dict[str, Cost] = {}
    for run in sorted((run for _, run in workshop.state.scan(RUNS)), key=lambda run: str(run["started"])):
        for outcome in run["outcomes"]:
            if outcome["state"] in ("built", "held"):
                found[outcome["asset"]] = Cost(outcome["rows"], outcome["seconds"], run["id"])
    return found


def with_acceptances(made: Plan, workshop: Workshop) -> Plan:
    """The plan with what was accepted of the promises it breaks."""
    kept = Acceptances(workshop.state)
    contracts = dict.fromkeys(one.contract for one in made.breaks)
    accepted = {name: kept.accepted(name, meaning_of(made.breaks, name)) for name in contracts}
    return replace(made, breaks=accepting(made.breaks, accepted))


def accept(made: Plan, names: Sequence[str], why: str | None, workshop: Workshop) -> Plan:
    """Record that what these contracts lose is accepted; returns the plan as it is then."""
    refused = {one.contract: meaning_of(made.breaks, one.contract) for one in made.breaks}
    Acceptances(workshop.state).accept(names, why, refused, at=workshop.clock.now())
    return with_acceptances(made, workshop)


def refuse(made: Plan) -> None:
    """Refuse a plan that cannot be carried out: something is wrong, or else breaks a promise that nobody gave up."""
    errors = list(made.errors) or [one.refusal() for one in made.refused]
    if errors:
        raise ProjectErrors(errors)
