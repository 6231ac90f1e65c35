"""Asks a monitor's questions of the release, and keeps what was found."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from arro3.core import Table

from lichen.errors import FoundWrong
from lichen.feedback.label import LABELS, PREDICTIONS, REQUEST, labelled
from lichen.graph.build import Graph
from lichen.graph.version import Version
from lichen.ground.quoting import sql
from lichen.monitor.cohort import shown
from lichen.monitor.sample import Sample
from lichen.monitor.watch import Released, watch
from lichen.ports import Append, Put, Relation
from lichen.run.recorded import land_predictions, predictions_asset
from lichen.run.release import Releases
from lichen.run.workshop import Workshop
from lichen.spec import Model, Monitor, Service

WATCHES, FINDINGS = "watches", "findings"


@dataclass(frozen=True)
class Asked:
    """One monitor asked as of one instant: how many predictions had their label by then, and what was found."""

    monitor: str
    service: str
    at: str
    predictions: int
    labelled: int
    watch: dict[str, Any]
    notes: tuple[str, ...]
    seconds: float

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What was found, worst first."""
        found: list[dict[str, Any]] = self.watch["findings"]
        return found

    def as_dict(self) -> dict[str, Any]:
        """The asking as a JSON object."""
        return {
            "monitor": self.monitor,
            "service": self.service,
            "at": self.at,
            "predictions": self.predictions,
            "labelled": self.labelled,
            "watch": self.watch,
            "notes": list(self.notes),
            "seconds": self.seconds,
        }


def ask(
    name: str, graph: Graph, releases: Releases, environment: str, workshop: Workshop, *, at: datetime | None = None
) -> Asked:
    """Ask a monitor's questions as of `at` (now, if not said), with the labels known by then."""
    begun = workshop.clock.seconds()
    monitor = graph[f"monitor.{name}"].spec
    assert isinstance(monitor, Monitor)
    service = graph[f"service.{monitor.watch}"].spec
    assert isinstance(service, Service)
    model = graph[f"model.{service.model}"].spec
    assert isinstance(model, Model)
    land_predictions(monitor.watch, releases, environment, workshop)
    versions = releases.versions(releases.current(environment))
    answered = versions.get(predictions_asset(monitor.watch))
    trained = versions.get(f"model.{service.model}")
    if answered is None or trained is None:
        raise FoundWrong(
            "LCH-3201",
            f"`{monitor.watch}` has no recorded predictions, so there is nothing to ask `{name}` about",
            fix=f"let it answer (lichen serve {monitor.watch}), or ask past rows again: lichen replay --from ...",
        )
    now = at or workshop.clock.now()
    found = _found(name, monitor, model, answered, trained, versions[_label_asset(graph, model)], workshop, now)
    for finding in found["findings"]:
        if finding["kind"] == "missing":
            _add_newest_row(finding, trained, versions, workshop)
    asked = Asked(
        name,
        monitor.watch,
        now.isoformat(),
        sum(cohort["predictions"] for cohort in found["cohorts"]),
        sum(cohort["labelled"] for cohort in found["cohorts"]),
        found,
        _notes(found, trained.facts["spans"]["test"]),
        workshop.clock.seconds() - begun,
    )
    _keep(asked, workshop)
    return asked


def _label_asset(graph: Graph, model: Model) -> str:
    asset = graph.relation(model.label.from_)
    assert asset is not None
    return asset.id


def _found(
    name: str,
    monitor: Monitor,
    model: Model,
    answered: Version,
    trained: Version,
    labels: Version,
    workshop: Workshop,
    now: datetime,
) -> dict[str, Any]:
    """The answers to the monitor's questions, with the predictions joined to their labels for as long as it takes."""
    facts = trained.facts
    metrics = {metric: value for metric, value in facts["metrics"].items() if value is not None}
    # What the model learned from is what moved is measured from; its test rows may be the very ones asked about.
    before = facts["spans"]["test"][0]
    reference = Sample("training rows", workshop.relation(trained), model.label.at, before=before)
    folder = workshop.folder("scratch") / f"watch-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        predictions = _with_labels(answered, labels, model, folder, workshop)
        return watch(
            name,
            monitor,
            Released(metrics, facts["importances"]),
            predictions,
            reference,
            workshop.engine,
            now=now,
            wait=model.label.wait,
            seed=model.seed,
        ).as_dict()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _with_labels(answered: Version, labels: Version, model: Model, folder: Any, workshop: Workshop) -> Relation:
    names = [column.name for column in answered.columns]
    request = [name.removeprefix(REQUEST) for name in names if name.startswith(REQUEST)]
    features = [name for name in names if name.startswith("feature.")]
    known = {column.name for column in labels.columns}
    select = labelled(model, [name for name in request if name in known], features)
    inputs = {PREDICTIONS: workshop.relation(answered), LABELS: workshop.relation(labels)}
    columns = workshop.engine.describe(select, inputs)
    files = workshop.engine.sql(select, inputs, folder)
    return Relation(columns, tuple(str(folder / file.path) for file in files))


def _notes(found: dict[str, Any], test: list[int]) -> tuple[str, ...]:
    """What a reader has to know to judge the figures."""
    inside = [cohort for cohort in found["cohorts"] if cohort["start"] < test[1] and cohort["end"] > test[0]]
    if not inside:
        return ()
    span = f"{shown(test[0])} to {shown(test[1])}"
    known = "their labels helped to choose this model, so this is a rehearsal and not new evidence"
    return (f"{len(inside)} of {len(found['cohorts'])} cohorts lie within {span}, the gate's test: {known}",)


def _add_newest_row(
    finding: dict[str, Any], trained: Version, versions: dict[str, Version], workshop: Workshop
) -> None:
    """Say how new the newest row is of the table whose features are missing."""
    recipe = trained.facts["recipe"]
    table = recipe["views"].get(finding["subject"], {}).get("from")
    time = recipe["relations"].get(table, {}).get("time")
    version = versions.get(f"table.{table}") or versions.get(f"source.{table}")
    if version is None or time is None:
        return
    select = sql("SELECT CAST(max(", time, ") AS VARCHAR) AS newest FROM rows")
    rows = Table.from_arrow(workshop.engine.query(select, {"rows": workshop.relation(version)}))
    newest = rows.column("newest").to_pylist()[0]
    finding["evidence"]["newest_row"] = {"table": table, "time": newest}
    finding["message"] += f" The newest row of `{table}` is of {newest}."


def _keep(asked: Asked, workshop: Workshop) -> None:
    """Keep the answers as the monitor's newest, and each finding that was not found before."""
    known = {entry["id"] for _, entry in workshop.state.entries(FINDINGS)}
    new = [Append(FINDINGS, finding) for finding in asked.findings if finding["id"] not in known]
    workshop.state.write(Put(WATCHES, asked.monitor, asked.as_dict()), *new)
