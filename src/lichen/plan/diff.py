"""Compares what the project means with what an environment's release holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from lichen.graph.build import STAGES, Asset, Graph
from lichen.graph.fingerprint import MEANING, fingerprint, meaning
from lichen.graph.version import Version
from lichen.plan.explain import changed_places
from lichen.plan.steps import Plan, Step


def plan(
    graph: Graph,
    released: Mapping[str, Version],
    tokens: Mapping[str, str],
    *,
    environment: str,
    release: int | None,
    files: Mapping[str, str],
    lost: Mapping[str, str] = MappingProxyType({}),
) -> Plan:
    """The steps that would make `environment` hold what the project means.

    `released` holds the environment's versions by asset, `tokens` each source's token as of now, `files` each
    asset's file, to say where a change was made, and `lost` what is wrong with the files of versions that are not as
    they were written.
    """
    steps: list[Step] = []
    unchanged: list[str] = []
    stepped: set[str] = set()
    for asset in graph:
        step = _step(asset, released.get(asset.id), tokens, stepped, files.get(asset.id), lost.get(asset.id))
        if step is None:
            unchanged.append(asset.id)
        else:
            steps.append(step)
            stepped.add(asset.id)
    steps.extend(_drops(graph, released))
    return Plan(environment, release, tuple(steps), tuple(unchanged))


def _step(
    asset: Asset,
    old: Version | None,
    tokens: Mapping[str, str],
    stepped: set[str],
    file: str | None,
    lost: str | None,
) -> Step | None:
    if old is None:
        return Step(asset.id, asset.stage, "build", "it is new", file)
    if old.fingerprint != fingerprint(asset):
        changed = changed_places(old.facts.get(MEANING, {}), meaning(asset))
        return Step(asset.id, asset.stage, "build", f"{changed} changed", file)
    if lost is not None:
        return Step(asset.id, asset.stage, "build", lost)
    if asset.kind == "source" and old.facts.get("token") != tokens.get(asset.id):
        return Step(asset.id, asset.stage, "refresh", "what it reads changed")
    if set(old.inputs) != set(asset.inputs):
        return Step(asset.id, asset.stage, "build", "what it reads by that name is another asset")
    moved = [name for name in asset.inputs if name in stepped]
    if moved:
        return Step(asset.id, asset.stage, "refresh", f"{', '.join(moved)} may change")
    return None


def _drops(graph: Graph, released: Mapping[str, Version]) -> Iterable[Step]:
    for name in sorted(set(released) - set(graph.assets)):
        kind = name.partition(".")[0]
        if kind in STAGES:
            yield Step(name, STAGES[kind], "drop", "the project no longer has it")
