"""What a plan would do to the models' predictions: the changed part is built and scored beside what is released."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from arro3.core import Array, ChunkedArray, Table

from lichen.errors import ProjectErrors
from lichen.evaluate.metrics import MAIN
from lichen.evaluate.movement import Movement, Rows, movement
from lichen.graph.build import Asset, Graph
from lichen.graph.version import Version
from lichen.ground.quoting import identifier, identifiers, literal, sql
from lichen.plan import Plan
from lichen.ports import Relation
from lichen.run.deployed import artifact_folder, has_artifact
from lichen.run.execute import Execution, Watcher, settle
from lichen.run.planning import compared_with
from lichen.run.release import Releases
from lichen.run.workshop import Workshop
from lichen.spec import Label, Model, ProjectSpec, Source
from lichen.spec import Table as TableSpec
from lichen.train.artifact import load
from lichen.train.fit import score
from lichen.train.split import Labelled, labelled


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
    new = made[asset.id]
    held = tuple(str(one["why"]) for one in new.facts.get("gate", ()) if not one["passed"])
    if old is None:
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in new.facts["metrics"].items() if value is not None)
        return ModelPreview(asset.name, None, f"it is new: {metrics}", held=held)
    if not has_artifact(old, workshop):
        return ModelPreview(asset.name, None, "the files of the released model are gone", held=held)
    model = asset.spec
    assert isinstance(model, Model)
    key = _key(model, asset, graph, {column.name for column in (*old.columns, *new.columns)})
    moved = _moved(model, key, old, new, workshop)
    if moved is None:
        said = "the label rows of the two versions have no common key"
        return ModelPreview(asset.name, None, said, key, held)
    return ModelPreview(asset.name, moved, "", key, held)


def _key(model: Model, asset: Asset, graph: Graph, there: set[str]) -> tuple[str, ...]:
    """The columns that name a label row: its table's grain or key; else what its entities go by, and when."""
    label = graph.relation(model.label.from_)
    spec = label.spec if label is not None else None
    named: Sequence[str] = ()
    if isinstance(spec, TableSpec):
        named = spec.grain or spec.contract.key
    elif isinstance(spec, Source):
        named = spec.contract.key
    if named and there.issuperset(named):
        return tuple(named)
    views = [graph[name].spec for name in asset.inputs if name.startswith("feature.")]
    entities = [key for view in views for key in (getattr(view, "entity", None) or ())]
    return tuple(dict.fromkeys([*(key for key in entities if key in there), model.label.at]))


BEFORE, AFTER = "before", "after"


def _moved(model: Model, key: Sequence[str], old: Version, new: Version, workshop: Workshop) -> Movement | None:
    """Both versions on their own held-out rows, matched by their key; each names its label as it did then."""
    common = {column.name for column in old.columns} & {column.name for column in new.columns}
    # When it was asked has one name on both sides, whatever the columns are called.
    key = ["_at" if name == model.label.at and name not in common else name for name in key]
    if not common.issuperset(set(key) - {"_at"}):
        return None
    # Rows that neither version learned from, nor stopped on.
    start = max(version.facts["spans"]["test"][0] for version in (old, new))
    engine = workshop.engine
    sides = {}
    for name, version in ((BEFORE, old), (AFTER, new)):
        rows = workshop.relation(version)
        sides[name] = Relation(arrow=_scored(model, key, version, rows, start, workshop))
    found = Table.from_arrow(engine.query(_matching(key), sides))
    both = found.column("both").to_numpy().astype(bool)
    went, came = (int(found.column(name).to_numpy()[~both].sum()) for name in ("there_before", "there_after"))

    def values(name: str) -> Any:
        return np.asarray(found.column(name).to_numpy(), dtype=np.float64)[both]

    rows_of_both = Rows(
        values("label"), values("before_score"), values("after_score"), values("asked").astype(np.int64)
    )
    relabelled = int((values("before_label") != values("label")).sum())
    only = dict.fromkeys([MAIN[model.task], *model.gate])
    return movement(
        model.task,
        rows_of_both,
        came=came,
        went=went,
        relabelled=relabelled,
        only=tuple(only),
        seed=model.seed,
    )


def _scored(
    model: Model, key: Sequence[str], version: Version, rows: Relation, start: int, workshop: Workshop
) -> Table:
    """A version's held-out rows: their key, label, instant, and the version's own score."""
    engine = workshop.engine
    preparation, fitted = load(artifact_folder(version, workshop), version.facts["artifact"], workshop.learner)
    meant = model.model_copy(update={"label": Label.model_validate(version.facts["label"])})
    columns = labelled(meant, rows, engine)
    where = _held_out(columns, start)
    matrix = preparation.matrix(rows, engine, where=where, label=columns.label)
    own = [identifier(name) for name in key if name != "_at"]
    wanted = [*own, f"{columns.label} AS _label", f"{columns.at} AS _at"]
    select = sql("SELECT", ", ".join(wanted), "FROM rows WHERE", where)
    asked = Table.from_arrow(engine.query(select, {"rows": rows}))
    scores = score(fitted, matrix) if asked.num_rows else np.empty(0)
    return asked.append_column("_score", ChunkedArray([Array.from_numpy(scores)]))


def _held_out(columns: Labelled, start: int) -> str:
    return f"{columns.label} IS NOT NULL AND {columns.known} IS NOT NULL AND {columns.at} >= {literal(start)}"


_VALUES = {
    "label": "a._label",
    "asked": "a._at",
    "after_score": "a._score",
    "before_label": "b._label",
    "before_score": "b._score",
}
"""What is read of rows that both sides have; a row of one side has no values on the other."""


def _matching(key: Sequence[str]) -> str:
    """Both sides in one row each; of rows with the same key the first meets the first."""
    numbered = "*, row_number() OVER (PARTITION BY " + identifiers(key) + " ORDER BY _at) AS _number"
    on = [*(identifier(name) for name in key), "_number"]
    pairs = " AND ".join(f"b.{name} IS NOT DISTINCT FROM a.{name}" for name in on)
    wanted = (
        *(f"coalesce({of}, 0) AS {name}" for name, of in _VALUES.items()),
        "b._number IS NOT NULL AND a._number IS NOT NULL AS both",
        "b._number IS NOT NULL AS there_before, a._number IS NOT NULL AS there_after",
    )
    sides = [sql("(SELECT", numbered, "FROM", name, ")") for name in (BEFORE, AFTER)]
    return sql(
        "SELECT", ", ".join(wanted), "FROM", sides[0], "AS b FULL JOIN", sides[1], "AS a ON", pairs, "ORDER BY asked"
    )
