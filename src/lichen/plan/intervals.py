"""Which intervals a step will fill, as far as that is known before a row is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lichen.graph.build import Asset
from lichen.plan.steps import Step
from lichen.spec import Table


def has_intervals(asset: Asset) -> bool:
    """Whether an asset is a table that is built in intervals."""
    return isinstance(asset.spec, Table) and asset.spec.intervals is not None


def with_intervals(step: Step | None, asset: Asset, backfill: Mapping[str, str]) -> Step | None:
    """A step with its intervals named, for a table that has some; `backfill` says which are built whatever changed.

    Which intervals changed rows reach is known once the rows were read: the outcome of the step names those.
    """
    if not has_intervals(asset):
        return step
    wanted = backfill.get(asset.id)
    if wanted and (step is None or step.action in ("share", "carry", "rename")):
        return Step(asset.id, asset.stage, "refresh", "a backfill asks for it", intervals=wanted, filled=True)
    if step is None or step.action not in ("build", "refresh"):
        return step
    if step.action == "build":
        return replace(step, intervals="all intervals")
    reached = "the intervals that changed rows reach"
    return replace(step, intervals=f"{wanted}, and {reached}" if wanted else reached, filled=bool(wanted))
