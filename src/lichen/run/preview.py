"""What a plan would do to the models' predictions: the changed part is built and scored beside what is released."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lichen.errors import ProjectErrors
from lichen.evaluate.gate import judged_alone
from lichen.evaluate.metrics import MAIN
from lichen.evaluate.movement import Movement, movement
from lichen.graph.build import Asset, Graph
from lichen.graph.version import Version
from lichen.plan import Plan
from lichen.run.beside import beside, verdicts
from lichen.run.execute import Execution, Watcher, settle
from lichen.run.planning import compared_with
from lichen.run.release import Releases
from lichen.run.workshop import Workshop
from lichen.spec import Model, ProjectSpec


@dataclass(frozen=True)
class ModelPreview:
    """What becomes of one model: its movement, or in words why there is none to show.

    `key` are the columns by which label rows of both versions were matched; `held` are the rules of its gate that the
    new version fails.
    """

    model: str
    movement: Movement | None
    said: str = ""
    key: tuple[str, ...] = ()
    held: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The preview for a machine."""
        return {
            "model": self.model,
            "movement": self.movement.as_dict() if self.movement else None,
            "said": self.said,
            "key": list(self.key),
            "held": list(self.held),
        }


@dataclass(frozen=True)
class Preview:
    """A plan with what it does to each model; what was built for it waits for the run to use it."""

    plan: Plan
    models: tuple[ModelPreview, ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The plan and its preview for a machine."""
        models = [model.as_dict() for model in self.models]
        return {**self.plan.as_dict(), "preview": {"models": models, "seconds": round(self.seconds, 3)}}


def preview(
    plan: Plan,
    graph: Graph,
    project: ProjectSpec,
    releases: Releases,
    workshop: Workshop,
    commit: str | None,
    watcher: Watcher | None,
) -> Preview:
    """Build what a plan changes for the models, under the caller's lease, and compare; no environment moves.

    What is built is named by what it is made of, so that the run that follows takes it as it is.
    """
    if plan.errors:
        raise ProjectErrors(plan.errors)
    begun = workshop.clock.seconds()
    settle(releases, workshop)
    released = compared_with(plan, releases.versions(releases.current(plan.environment)))
    models = [asset for asset in graph if asset.kind == "model"]
    moving = {step.asset for step in plan.steps if step.reached}
    needed = set(graph.upstream(*(asset.id for asset in models if asset.id in moving)))
    part = replace(plan, steps=tuple(step for step in plan.steps if step.asset in needed and step.action != "drop"))
    made = dict(released)
    if part:
        made = Execution(part, graph, project, releases, workshop, commit, watcher or Watcher()).build()
    found = [_one(asset, released.get(asset.id), made, asset.id in moving, graph, workshop) for asset in models]
    return Preview(plan, tuple(found), workshop.clock.seconds() - begun)


def _one(
    asset: Asset, old: Version | None, made: Mapping[str, Version], moving: bool, graph: Graph, workshop: Workshop
) -> ModelPreview:
    if not moving:
        return ModelPreview(asset.name, None, "nothing that reaches it changes: no prediction moves")
    model, new = asset.spec, made[asset.id]
    assert isinstance(model, Model)
    found = None if old is None else beside(asset, old, new, graph, workshop)
    alone = (str(one["why"]) for one in judged_alone(new) if not one["passed"])
    held = (*alone, *(verdict.why for verdict in verdicts(model, new, found) if not verdict.passed))
    if found is None:
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in new.facts["metrics"].items() if value is not None)
        return ModelPreview(asset.name, None, f"it is new: {metrics}", held=held)
    if found.rows is None:
        return ModelPreview(asset.name, None, found.why, found.key, held)
    moved = movement(
        model.task,
        found.rows,
        came=found.came,
        went=found.went,
        relabelled=found.relabelled,
        only=tuple(dict.fromkeys([MAIN[model.task], *model.gate])),
        seed=model.seed,
    )
    return ModelPreview(asset.name, moved, "", found.key, held)
