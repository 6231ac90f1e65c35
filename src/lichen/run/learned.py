"""Makes versions of feature views and models: join, train, evaluate, gate, card."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from arro3.core import Table as ArrowTable

from lichen.contract.adopt import adopt
from lichen.errors import LichenError
from lichen.evaluate.calibrated import calibrated
from lichen.evaluate.card import card
from lichen.evaluate.evaluation import Evaluation, evaluate
from lichen.evaluate.suspicion import Suspicion, suspicions
from lichen.feature.featureset import FeatureSet
from lichen.feature.join import join
from lichen.graph.build import Asset, Graph
from lichen.graph.edges import project_lineage
from lichen.graph.fingerprint import MEANING, fingerprint, meaning
from lichen.graph.leaks import leaks
from lichen.graph.version import Version, version_name
from lichen.ground.failpoint import fp
from lichen.ground.files import write_durably
from lichen.ground.quoting import identifier, sql
from lichen.ground.types import is_missing
from lichen.ports import Arrow, Engine, Relation
from lichen.run.deployed import recipe
from lichen.run.hindsight import refuse_hindsight
from lichen.run.inspect import accepted_leaks, model_features, relation_facts
from lichen.run.workshop import Workshop
from lichen.spec import Model, ProjectSpec
from lichen.train.fit import Trained, train

JOINED = "joined"

OF_THE_LABEL = frozenset({"LCH-2708", "LCH-2709", "LCH-2710", "LCH-2714", "LCH-2903", "LCH-2904", "LCH-2907"})
"""The refusals of training that are about the label's values."""


def make_view(asset: Asset, inputs: Mapping[str, Version]) -> Version:
    """A feature view's version: what it means over the versions it reads; its values are made where they are asked."""
    own = fingerprint(asset)
    named = {name: version.version for name, version in inputs.items()}
    return Version(asset.id, version_name(own, named), own, named, facts={MEANING: meaning(asset)})


def make_model(
    asset: Asset,
    graph: Graph,
    versions: Mapping[str, Version],
    project: ProjectSpec,
    workshop: Workshop,
) -> Version:
    """Train a model: the label rows joined point in time with its features, learned, judged, described.

    The version's files are its training set. Where the gate holds the model back, the version is kept as `held`.
    """
    model = asset.spec
    assert isinstance(model, Model)
    workshop.prepare_kernels()
    relations = _relations(asset, graph, versions)
    columns = {version.relation: version.columns for version in relations.values()}
    features = model_features(asset, graph, columns, project, workshop)
    accepted = [
        *_accepted(asset, graph, versions, project, workshop),
        *refuse_hindsight(asset, features, graph, versions, project, workshop),
    ]
    inputs = {version.relation: workshop.relation(version) for version in relations.values()}
    own = fingerprint(asset)
    named = {name: versions[name].version for name in asset.inputs}
    joined = join(features, inputs[model.label.from_], model.label.at, inputs, workshop.engine)
    version = _with_training_set(Version(asset.id, version_name(own, named), own, named), joined, workshop)
    del joined  # the largest thing of a run: from here on it is read from its files
    fp("feature.joined")
    rows = workshop.relation(version)
    trained = _trained(asset, model, features, rows, project, workshop)
    fp("train.trained")
    evaluation = evaluate(model, trained)
    suspected = suspicions(model, trained, evaluation.alone, features, rows, workshop.engine)
    facts = _facts(model, features, trained, evaluation, _missing(features, rows, workshop.engine))
    facts["suspicions"] = [one.as_dict() for one in suspected]
    facts["notes"] += [f"suspicion: {one.what}" for one in suspected]
    facts["notes"] += accepted
    facts |= by_name(asset, graph, versions, project)
    facts["card"] = _write_card(asset, version, model, trained, evaluation, suspected, accepted, workshop)
    return version.with_facts(**{MEANING: meaning(asset)}, **facts)


def by_name(asset: Asset, graph: Graph, versions: Mapping[str, Version], project: ProjectSpec) -> dict[str, Any]:
    """What a model's version keeps of the names of tables: where its labels are, and what its features are made of."""
    model = asset.spec
    assert isinstance(model, Model)
    facts = {v.relation: relation_facts(graph[v.asset], v.columns) for v in _relations(asset, graph, versions).values()}
    label = model.label.model_dump(mode="json", by_alias=True)
    return {"label": label, "recipe": recipe(model, project, facts)}


def _accepted(
    asset: Asset, graph: Graph, versions: Mapping[str, Version], project: ProjectSpec, workshop: Workshop
) -> list[str]:
    """The leaks of a model, and of what it reads, that a person accepted."""
    columns = {version.relation: [column.name for column in version.columns] for version in versions.values()}
    found = leaks(graph, project, project_lineage(graph, project, columns))
    others = tuple(f"leak:{name}/" for name in project.models if name != asset.name)
    return list(accepted_leaks([leak for leak in found if not leak.name.startswith(others)], workshop).values())


def _relations(asset: Asset, graph: Graph, versions: Mapping[str, Version]) -> dict[str, Version]:
    """The sources and tables that a model's label and views read."""
    found: dict[str, Version] = {}
    views = list(asset.inputs)
    for name in views:
        if graph[name].kind == "feature":
            # What it reads: its table, and the views whose features stand in for its own.
            views += [one for one in graph[name].inputs if one not in views]
        else:
            found[name] = versions[name]
    return found


def _with_training_set(version: Version, joined: Arrow, workshop: Workshop) -> Version:
    """The version with the joined rows as its files, so that what it learned from can be read again."""
    select, inputs = sql("SELECT * FROM", JOINED), {JOINED: Relation(arrow=ArrowTable.from_arrow(joined))}
    columns = workshop.engine.describe(select, inputs)
    folder = workshop.tables.staging(version.relation)
    files = workshop.engine.sql(select, inputs, folder)
    adopted = adopt(version.relation, columns, folder, files, workshop.engine, workshop.tables)
    return Version(version.asset, version.version, version.fingerprint, version.inputs, columns, adopted)


def _trained(
    asset: Asset, model: Model, features: FeatureSet, rows: Relation, project: ProjectSpec, workshop: Workshop
) -> Trained:
    try:
        return train(
            model,
            features,
            rows,
            workshop.learner(model.learner),
            workshop.engine,
            workshop.folder("artifacts"),
            clock=workshop.clock,
        )
    except LichenError as error:
        if error.where is not None:
            raise
        at = ("label", "value") if error.code in OF_THE_LABEL else ()
        raise type(error)(
            error.code, error.what, where=project.where(asset.id, *at), why=error.why, fix=error.fix
        ) from error


def _missing(features: FeatureSet, rows: Relation, engine: Engine) -> dict[str, float]:
    """The share of label rows in which each feature is missing."""
    counts = ", ".join(
        f"avg(CAST({is_missing(identifier(c.name), c.type)} AS DOUBLE)) AS {identifier(c.name)}"
        for c in features.features
    )
    table = ArrowTable.from_arrow(engine.query(sql("SELECT", counts, "FROM", JOINED), {JOINED: rows}))
    return {name: float(table.column(name).to_pylist()[0]) for name in table.schema.names}


def _facts(
    model: Model,
    features: FeatureSet,
    trained: Trained,
    evaluation: Evaluation,
    missing: Mapping[str, float],
) -> dict[str, Any]:
    rows = trained.split.rows
    return {
        "held": not evaluation.passed,
        "artifact": trained.digest,
        "prediction_time": model.prediction_time.model_dump(mode="json", by_alias=True)
        if model.prediction_time
        else None,
        "metrics": _finite(evaluation.values()),
        "intervals": {name: [one.low, one.high] for name, one in evaluation.metrics.items() if one.low is not None},
        "baseline": _baseline(evaluation),
        "rows": {**rows, "left_out": dict(trained.split.left_out)},
        "spans": _spans(trained),
        "gate": [one.as_dict() for one in evaluation.verdicts],
        "calibration": calibrated(trained),
        "importances": trained.preparation.by_feature(trained.fitted.importances()),
        "missing": {name: share for name, share in missing.items() if share > 0},
        "train_seconds": trained.seconds,
        "notes": _notes(model, features, trained, missing, evaluation),
    }


def _baseline(evaluation: Evaluation) -> dict[str, Any]:
    base = evaluation.baseline
    return {
        "constant": base.constant,
        "constant_metrics": _finite(base.constant_metrics),
        "feature": base.feature,
        "feature_metrics": _finite(base.feature_metrics),
    }


def _finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """The metrics, null where one could not be measured: a record holds no NaN."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


def _spans(trained: Trained) -> dict[str, list[int]]:
    cuts = trained.split
    return {"early_stop": [cuts.early_stop, cuts.test], "test": [cuts.test, cuts.end]}


def _notes(
    model: Model, features: FeatureSet, trained: Trained, missing: Mapping[str, float], evaluation: Evaluation
) -> list[str]:
    """What a person should hear of at once: how good it is, and entities that are not there."""
    values = evaluation.values()
    main = [
        f"{name.replace('_', ' ')} {values[name]:.3f}"
        for name in ("roc_auc", "rmse")
        if name in values and math.isfinite(values[name])
    ]
    failed = dict.fromkeys(verdict.why for verdict in evaluation.verdicts if not verdict.passed)
    unknown = []
    for view in features.views:
        if view.static and view.latest:
            share = min(missing.get(f"{view.name}.{column.name}", 0.0) for column in view.latest)
            if share >= 0.01:
                keys = ", ".join(column.name for column in view.entity)
                unknown.append(f"{share:.1%} of the rows find nothing in `{view.table}` by {keys}")
    return [*main, *failed, *unknown, *_not_finite(trained), *_cut_short(model, trained)]


def _not_finite(trained: Trained) -> list[str]:
    rows = trained.split.left_out["label_not_finite"]
    return [f"{rows:,} {'row' if rows == 1 else 'rows'} left out: the label is NaN or infinite"] if rows else []


def _cut_short(model: Model, trained: Trained) -> list[str]:
    """Says so where the budget ended learning: such a model depends on how fast the machine was."""
    if model.budget is None or trained.seconds < 0.95 * model.budget.total_seconds():
        return []
    return [f"learning was ended by its budget of {model.budget.total_seconds():.0f} s"]


def _write_card(
    asset: Asset,
    version: Version,
    model: Model,
    trained: Trained,
    evaluation: Evaluation,
    suspected: Sequence[Suspicion],
    accepted: Sequence[str],
    workshop: Workshop,
) -> str:
    """Write the model card beside the run's reports; returns its path from the project's folder."""
    made = card(
        asset.name,
        model,
        trained,
        evaluation,
        version=version.version,
        fingerprint=version.fingerprint,
        suspicions=suspected,
        accepted=accepted,
    )
    path = workshop.folder("reports") / f"{asset.name}-{version.version}.md"
    write_durably(path, made.markdown().encode())
    return path.relative_to(workshop.root).as_posix()
