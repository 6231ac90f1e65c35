"""Asks a monitor's questions of the release, and keeps what was found."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from arro3.core import Table

from lichen.errors import FoundWrong, LichenError
from lichen.feedback.label import LABELS, PREDICTIONS, labelled
from lichen.graph.build import Graph
from lichen.graph.fingerprint import MEANING
from lichen.graph.version import Version
from lichen.ground.counted import count, few
from lichen.ground.duration import microseconds
from lichen.ground.quoting import sql
from lichen.monitor.cohort import shown
from lichen.monitor.sample import DAY, Sample
from lichen.monitor.watch import Released, watch
from lichen.ports import Append, Relation
from lichen.run.carried import WAS
from lichen.run.deployed import features_of, released_service, released_table
from lichen.run.facts import WATCHES, kept
from lichen.run.personal import EverTreated, ever_treated, forms
from lichen.run.pseudonym import project_key
from lichen.run.rechecked import Rechecked, recheck
from lichen.run.recorded import land_predictions, predictions_asset
from lichen.run.release import Releases
from lichen.run.workshop import Workshop
from lichen.spec import Label, Model, Monitor, PredictionTime, ProjectSpec

FINDINGS = "findings"


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
    name: str,
    graph: Graph,
    project: ProjectSpec,
    releases: Releases,
    environment: str,
    workshop: Workshop,
    *,
    at: datetime | None = None,
) -> Asked:
    """Ask a monitor's questions as of `at` (now, if not said), with the labels known by then."""
    begun = workshop.clock.seconds()
    monitor = graph[f"monitor.{name}"].spec
    assert isinstance(monitor, Monitor)
    land_predictions(monitor.watch, releases, environment, workshop)
    release = releases.current(environment)
    versions = releases.versions(release)
    _, trained = released_service(monitor.watch, release, versions)
    answered = versions.get(predictions_asset(monitor.watch))
    counts = _answers(answered, workshop) if answered is not None else {}
    forms = _forms(trained, releases)
    alike = [one for one in counts if any(_reads_alike(releases.version(form.asset, one), form) for form in forms)]
    if answered is None or not alike:
        raise FoundWrong(
            "LCH-3201",
            f"`{monitor.watch}` has no recorded predictions, so there is nothing to ask `{name}` about",
            why="those it has are of models that read other features than the released one" if counts else None,
            fix=f"let it answer (lichen serve {monitor.watch}), or ask past rows again: lichen replay --from ...",
        )
    now = at or workshop.clock.now()
    labels = released_table(trained.facts["label"]["from"], versions)
    model = _as_released(graph, trained)
    ever = ever_treated(monitor.watch, releases, environment)
    try:
        found = _found(name, monitor, model, _Answers(answered, tuple(alike), ever), trained, labels, workshop, now)
    except LichenError as error:
        raise _placed(error, name, project) from error
    for finding in found["findings"]:
        if finding["kind"] == "missing":
            _add_newest_row(finding, trained, versions, workshop)
    rechecked = recheck(name, answered, alike, trained.facts["importances"], found, releases, workshop)
    _add_skew(found, rechecked)
    asked = Asked(
        name,
        monitor.watch,
        now.isoformat(),
        sum(cohort["predictions"] for cohort in found["cohorts"]),
        sum(cohort["labelled"] for cohort in found["cohorts"]),
        found,
        (
            *_notes(found, trained.facts["spans"]["test"], model.label.wait),
            *_left_out(counts, alike),
            *_unlike_training(trained.facts["importances"], ever, monitor),
            *rechecked.notes,
        ),
        workshop.clock.seconds() - begun,
    )
    _keep(asked, environment, workshop)
    return asked


def _placed(error: LichenError, name: str, project: ProjectSpec) -> LichenError:
    """An error about the length of a monitor's cohorts with the place where its file says it."""
    if error.code not in ("LCH-2802", "LCH-2805"):
        return error
    where = project.where(f"monitor.{name}", "every")
    return type(error)(error.code, error.what, where=where, why=error.why, fix=error.fix)


@dataclass(frozen=True)
class _Answers:
    """A service's recorded answers, the model versions of which they are asked about, what was made of their values."""

    version: Version
    by: tuple[str, ...]
    ever: EverTreated


def _answers(answered: Version, workshop: Workshop) -> dict[str, int]:
    """How many answers each model version gave."""
    select = "SELECT model_version, count(*) AS answers FROM rows GROUP BY 1 ORDER BY 1"
    rows = Table.from_arrow(workshop.engine.query(select, {"rows": workshop.relation(answered)}))
    names, counts = (rows.column(name).to_pylist() for name in ("model_version", "answers"))
    return dict(zip(names, counts, strict=True))


def _forms(trained: Version, releases: Releases) -> list[Version]:
    """A model version, and those it was before something was renamed: one model under several names."""
    forms: list[Version] = []
    form: Version | None = trained
    while form is not None and form not in forms:
        forms.append(form)
        form = releases.version(*form.facts[WAS]) if WAS in form.facts else None
    return forms


def _reads_alike(one: Version | None, trained: Version) -> bool:
    """Whether a model version reads the same features, made in the same way, as the released one."""
    if one is None:
        return False
    was, now = one.facts["recipe"], trained.facts["recipe"]
    return bool(was["features"] == now["features"] and was["views"] == now["views"])


def _left_out(counts: dict[str, int], alike: list[str]) -> tuple[str, ...]:
    others = sum(answers for one, answers in counts.items() if one not in alike)
    if not others:
        return ()
    return (f"{count(others, 'prediction')} left out: models gave them that read other features than the released one",)


def _as_released(graph: Graph, trained: Version) -> Model:
    """The model with its label and time as they were released, whatever its file says by now."""
    model = graph[trained.asset].spec
    assert isinstance(model, Model)
    when = trained.facts["prediction_time"]
    return model.model_copy(
        update={
            "task": trained.facts[MEANING]["task"],
            "label": Label.model_validate(trained.facts["label"]),
            "prediction_time": None if when is None else PredictionTime.model_validate(when),
        }
    )


def _found(
    name: str,
    monitor: Monitor,
    model: Model,
    answered: _Answers,
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
        predictions = _with_labels(answered, trained, labels, model, folder, workshop)
        return watch(
            name,
            monitor,
            Released(metrics, _comparable(facts["importances"], answered.ever), model.task),
            predictions,
            reference,
            workshop.engine,
            now=now,
            wait=model.label.wait,
            seed=model.seed,
        ).as_dict()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _with_labels(
    answered: _Answers, trained: Version, labels: Version, model: Model, folder: Path, workshop: Workshop
) -> Relation:
    read, ever, engine = features_of(trained.facts["recipe"], workshop), answered.ever, workshop.engine
    request = [column.name for column in read.request]
    features = [f"feature.{column.name}" for column in read.features]
    inputs = {PREDICTIONS: workshop.relation(answered.version), LABELS: workshop.relation(labels)}
    recorded = {}
    if ever.request:
        recorded = forms(read.request, ever, answered.version, inputs[LABELS], project_key(workshop), engine)
    named = {column: f"form_{place}" for place, column in enumerate(recorded)}
    select = labelled(model, request, features, answered.by, forms=named, masked=ever.masked)
    inputs |= {named[column]: relation for column, relation in recorded.items()}
    columns = workshop.engine.describe(select, inputs)
    files = workshop.engine.sql(select, inputs, folder)
    return Relation(columns, tuple(str(folder / file.path) for file in files))


def _notes(found: dict[str, Any], test: list[int], wait: timedelta | None) -> tuple[str, ...]:
    """What a reader has to know to judge the figures: what was not judged, and which labels are not new."""
    cohorts = [cohort for cohort in found["cohorts"] if cohort["predictions"]]
    if not cohorts:
        return (f"no prediction was asked for before {shown(found['now'])}, so there is nothing to judge",)
    notes = [*_not_judged(found, cohorts)]
    overlapping = [cohort for cohort in cohorts if cohort["start"] < test[1] and cohort["end"] > test[0]]
    if overlapping:
        notes.append(
            f"{len(overlapping):,} of {len(cohorts):,} cohorts overlap{'s' if len(overlapping) == 1 else ''} "
            f"{shown(test[0])} to {shown(test[1])}, the gate's test: labels of then helped to choose "
            "this model, so this is a rehearsal and not new evidence"
        )
    return (*notes, *_long_ago(found, cohorts, wait))


def _not_judged(found: dict[str, Any], cohorts: list[dict[str, Any]]) -> Iterator[str]:
    """For each question the cohorts that it was not judged in, those that lack the same told together."""
    asked_in = {cohort["start"] for cohort in cohorts}
    alike: dict[tuple[str, str], list[int]] = {}
    for one in found["unjudged"]:
        if one["start"] in asked_in:
            alike.setdefault((one["question"], one["said"]), []).append(one["had"])
    for (question, said), had in alike.items():
        few = "" if None in had else f"{min(had):,}" + (f" to {max(had):,}" if min(had) < max(had) else "")
        yield f"{question} was not judged in {len(had):,} of {len(cohorts):,} cohorts: {said.format(had=few)}"


def _long_ago(found: dict[str, Any], cohorts: list[dict[str, Any]], wait: timedelta | None) -> tuple[str, ...]:
    """Where nothing was asked of late, the instant as of which the monitor can still be asked about what was."""
    if not cohorts or cohorts[-1] in found["cohorts"][-2:]:
        return ()
    last = cohorts[-1]["end"]
    settled = -(-(last + microseconds(wait or timedelta())) // DAY) * DAY
    if settled >= found["now"]:
        return ()
    return (
        f"no prediction was asked for since {shown(last)}: `--at {shown(settled)}` asks as of when those were judged",
    )


def _comparable(importances: dict[str, float], ever: EverTreated) -> dict[str, float]:
    """The features whose recorded values are of the kind that training had: those that hold no personal data."""
    return {name: importance for name, importance in importances.items() if name not in ever.features}


def _unlike_training(importances: dict[str, float], ever: EverTreated, monitor: Monitor) -> tuple[str, ...]:
    asked = [name for name in ("drift", "missing") if getattr(monitor.ask, name) is not None]
    hidden = [name for name in importances if name in ever.features]
    if not (asked and hidden):
        return ()
    why = "the record does not hold their values, for they are personal data"
    return (f"{' and '.join(asked)} not asked of {few(hidden)}: {why}",)


def _add_skew(found: dict[str, Any], rechecked: Rechecked) -> None:
    """Add what was computed again, and its findings where their severity puts them."""
    found["skew"] = rechecked.as_dict()
    found["findings"] += [finding.as_dict() for finding in rechecked.findings]
    found["findings"].sort(key=lambda finding: -finding["severity"])


def _add_newest_row(
    finding: dict[str, Any], trained: Version, versions: dict[str, Version], workshop: Workshop
) -> None:
    """Say how new the newest row is of the table whose features are missing."""
    recipe = trained.facts["recipe"]
    table = recipe["views"].get(finding["subject"], {}).get("from")
    time = recipe["relations"].get(table, {}).get("time")
    if time is None:
        return
    version = released_table(table, versions)
    select = sql("SELECT CAST(max(", time, ") AS VARCHAR) AS newest FROM rows")
    rows = Table.from_arrow(workshop.engine.query(select, {"rows": workshop.relation(version)}))
    newest = rows.column("newest").to_pylist()[0]
    finding["evidence"]["newest_row"] = {"table": table, "time": newest}
    finding["message"] += f" The newest row of `{table}` is of {newest}."


def _keep(asked: Asked, environment: str, workshop: Workshop) -> None:
    """Keep the answers as the monitor's newest, and each finding that was not found before."""
    known = {(entry["environment"], entry["id"]) for _, entry in workshop.state.entries(FINDINGS)}
    new = [
        Append(FINDINGS, {**finding, "environment": environment})
        for finding in asked.findings
        if (environment, finding["id"]) not in known
    ]
    workshop.state.write(kept(WATCHES, environment, asked.monitor, asked.as_dict()), *new)
