"""What a service answers with: a model version, the features it was trained on, and their state for look-up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from arro3.core import Table

from lichen.deploy.answer import Deployed
from lichen.deploy.parity import PARITY, told
from lichen.deploy.personal import PERSONAL, Personal
from lichen.errors import SystemFailed, Where, WrongUsage
from lichen.feature.featureset import FeatureSet, RelationFacts, feature_set
from lichen.feature.lookup import Lookup
from lichen.feature.request import compile_expression
from lichen.graph.build import Asset, Graph
from lichen.graph.fingerprint import MEANING, fingerprint, meaning
from lichen.graph.prior import with_parents
from lichen.graph.version import Version, version_name
from lichen.ground.instant import to_us
from lichen.ports import Column, Fitted, OnlineStore, Relation
from lichen.run.contributed import SOURCES, contributing, why_not
from lichen.run.example import EXAMPLE, example
from lichen.run.lost import artifact
from lichen.run.online import FILLED, fill, view_key
from lichen.run.proven import prove, prove_state
from lichen.run.pseudonym import make_key, project_key
from lichen.run.release import Release, Releases
from lichen.run.workshop import Workshop
from lichen.spec import FeatureView, Model, PredictionTime, ProjectSpec, Service
from lichen.train.artifact import described, fault, load
from lichen.train.calibrate import from_dict
from lichen.train.prepare import Preparation
from lichen.train.rowwise import agrees, batch_of_one

SINGLE_ROW = "single_row"
"""The fact under which a service's version keeps whether its learner scores one row as it scores many."""

KEPT_RELEASES = 8
"""How many sets of views back a running service may still answer with."""

CLOCKS_DIFFER = timedelta(hours=1)
"""How far the clocks of the machines that build and serve may be apart."""


def recipe(model: Model, project: ProjectSpec, relations: Mapping[str, RelationFacts]) -> dict[str, Any]:
    """All that a model's features are made of, as a release keeps it: definitions, and what they read."""
    return {
        "features": list(model.features),
        "views": {name: project.features[name].meaning() for name in with_parents(model.features, project.features)},
        "relations": {
            name: {
                "columns": [[c.name, c.type] for c in facts.columns],
                "time": facts.time,
                "known": facts.known,
                "key": list(facts.key),
            }
            for name, facts in relations.items()
        },
    }


def features_of(kept: Mapping[str, Any], workshop: Workshop) -> FeatureSet:
    """The features that a release's recipe describes, whatever the project's files say by now."""
    return feature_set(
        kept["features"],
        {name: FeatureView.model_validate(spec) for name, spec in kept["views"].items()},
        {
            name: RelationFacts(
                tuple(Column(*column) for column in facts["columns"]),
                facts["time"],
                facts["known"],
                tuple(facts.get("key", ())),
            )
            for name, facts in kept["relations"].items()
        },
        where=lambda asset, *_, **__: Where(asset),
        engine=workshop.engine,
    )


def released_table(name: str, versions: Mapping[str, Version]) -> Version:
    """The table or source of a release that SQL calls by this name."""
    return versions.get(f"table.{name}") or versions[f"source.{name}"]


def view_keys(features: FeatureSet, versions: Mapping[str, Version]) -> dict[str, str]:
    """The name under which the online store keeps each view, at the release's version."""
    return {view.name: view_key(view.name, versions[f"feature.{view.name}"].version) for view in features.views}


def fill_online(
    features: FeatureSet,
    versions: Mapping[str, Version],
    store: OnlineStore,
    workshop: Workshop,
    *,
    since: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, str]:
    """Materialise the views that the store does not hold at this release's versions; returns their names there.

    `tell` is told of each of which only a part was written anew.
    """
    keys = view_keys(features, versions)
    for view in features.views:
        if store.generation(keys[view.name]) is None:
            made, source = versions[f"feature.{view.name}"], released_table(view.table, versions)
            note = fill(view, made, source, store, workshop, since)
            if note is not None:
                tell(note)
    return keys


def live_since(workshop: Workshop) -> int:
    """The instant from which a live service may ask, in microseconds: now, less what clocks may differ by."""
    return to_us(workshop.clock.now() - CLOCKS_DIFFER)


def forget_features(releases: Releases, workshop: Workshop) -> None:
    """Drop from the online store what no service of any environment can still answer with.

    Kept are each environment's newest `KEPT_RELEASES` sets of views: releases that moved something else do not count.
    """
    kept: set[str] = set()
    for environment in releases.environments():
        sets = [_views_of(release) for release in releases.history(environment)]
        for views in list(dict.fromkeys(sets))[:KEPT_RELEASES]:
            kept |= views
    for view in workshop.online.views():
        if view not in kept:
            workshop.online.drop(view)


def _views_of(release: Release) -> frozenset[str]:
    """The names under which the online store keeps a release's views."""
    named = ((*asset.partition(".")[::2], version) for asset, version in release.versions.items())
    return frozenset(view_key(name, version) for kind, name, version in named if kind == "feature")


def make_service(
    asset: Asset, graph: Graph, versions: Mapping[str, Version], project: ProjectSpec, workshop: Workshop
) -> Version:
    """Make a service ready to answer: its model is there, its features can be looked up, personal data is known."""
    from lichen.run.service_columns import lineage_of, source_columns, treated  # a server does not load it

    service = asset.spec
    assert isinstance(service, Service)
    trained = versions[f"model.{service.model}"]
    own = fingerprint(asset)
    named = {name: versions[name].version for name in asset.inputs}
    notes: tuple[str, ...] = ()
    proof: dict[str, Any] = {}
    filled: list[str] = []
    shown: dict[str, Any] = {}
    lineage = lineage_of(graph, versions, project)
    personal = treated(asset, lineage, project)
    if personal:
        make_key(workshop)
    if not trained.facts.get("held"):
        features, since = features_of(trained.facts["recipe"], workshop), live_since(workshop)
        keys = fill_online(features, versions, workshop.online, workshop, since=since, tell=filled.append)
        proof = {PARITY: prove(asset.name, features, trained, _sources(features, versions, workshop), keys, workshop)}
        hidden = personal.get("request", {})
        shown = example(trained, [column for column in features.request if column.name not in hidden], workshop)
        single = agrees(*_loaded(trained, workshop), workshop.relation(trained), workshop.engine)
        proof[SINGLE_ROW] = single
        proof[SOURCES] = source_columns(features, lineage, project)
        notes = (f"answers with model version {trained.version[:8]}", told(proof[PARITY]))
        if not single:
            notes += ("scores a row as a batch of one: the learner's single-row entry gives another answer",)
    return Version(
        asset=asset.id,
        version=version_name(own, named),
        fingerprint=own,
        inputs=named,
        facts={
            MEANING: meaning(asset),
            "model": service.model,
            "durable_ms": service.record.durable // timedelta(milliseconds=1),
            "ack": service.record.ack,
            "limits": service.limits.kept(),
            "unknown": service.unknown,
            "rollout": service.rollout.kept() if service.rollout else None,
            "notes": notes,
            EXAMPLE: shown,
            **proof,
            **({PERSONAL: personal} if personal else {}),
            FILLED: filled,
        },
    )


def prove_services(services: Iterable[Version], versions: Mapping[str, Version], workshop: Workshop) -> None:
    """Prove services that were made before, and are to be released now: their online state, and what was never proven.

    A service whose model is held back answers nothing.
    """
    for service in services:
        trained = versions[f"model.{service.facts['model']}"]
        if trained.facts.get("held"):
            continue
        features = features_of(trained.facts["recipe"], workshop)
        keys = fill_online(features, versions, workshop.online, workshop, since=live_since(workshop))
        proving = prove_state if PARITY in service.facts else prove
        name = service.asset.partition(".")[2]
        proving(name, features, trained, _sources(features, versions, workshop), keys, workshop)


def _sources(features: FeatureSet, versions: Mapping[str, Version], workshop: Workshop) -> dict[str, Relation]:
    """Each view's table, by the view's name."""
    return {view.name: workshop.relation(released_table(view.table, versions)) for view in features.views}


def released_service(service: str, release: Release | None, versions: Mapping[str, Version]) -> tuple[Version, Version]:
    """A service and its model as they are in a release."""
    answering = versions.get(f"service.{service}")
    if release is None or answering is None:
        raise WrongUsage("LCH-1018", f"no release holds the service `{service}` yet", fix="build one: lichen run")
    return answering, versions[f"model.{answering.facts['model']}"]


def deployed(
    service: str,
    release: Release,
    versions: Mapping[str, Version],
    features: FeatureSet,
    workshop: Workshop,
    store: OnlineStore,
    keys: Mapping[str, str],
) -> Deployed:
    """The compiled row path of a service in a release; `features` are its model's."""
    answering, trained = released_service(service, release, versions)
    preparation, fitted = _loaded(trained, workshop)
    lookup = Lookup(features, store, keys)
    lookup.warm()
    places = {column.name: place for place, column in enumerate(features.features)}
    kept = [places[name] for name in preparation.names]

    def encode(values: Sequence[Any]) -> Sequence[float]:
        return preparation.row([values[place] for place in kept])

    def score_many(rows: Sequence[Sequence[Any]]) -> Sequence[float]:
        columns = list(zip(*rows, strict=True))
        matrix = preparation.of_columns([columns[place] for place in kept])
        scores: list[float] = Table.from_arrow(fitted.predict(matrix)).column("score").to_pylist()
        return scores

    manifest = described(artifact_folder(trained, workshop), trained.facts["artifact"])
    contribute = contributing(preparation, fitted, kept, answering.facts.get(SOURCES), manifest["task"])
    due, tolerance = _due(trained.facts.get("prediction_time"), features)
    return Deployed(
        service=service,
        model=trained.asset.partition(".")[2],
        model_version=trained.version,
        release=release.number,
        request=features.request,
        features=features.features,
        look_up=lookup.row,
        encode=encode,
        score=fitted.compile_row() if answering.facts.get(SINGLE_ROW, True) else batch_of_one(preparation, fitted),
        due=due,
        tolerance_us=tolerance,
        refresh=lookup.refresh,
        look_up_many=lookup.rows,
        score_many=score_many,
        example=answering.facts.get(EXAMPLE, {}),
        ignore_unknown=answering.facts.get("unknown") == "ignore",
        personal=_personal(answering, features, workshop),
        calibration=from_dict(manifest.get("calibration")),
        contribute=contribute,
        no_contributions="" if contribute else why_not(fitted, manifest["learner"]),
        keys=tuple(dict.fromkeys(column.name for view in features.views for column in view.entity)),
    )


def _personal(answering: Version, features: FeatureSet, workshop: Workshop) -> Personal | None:
    """How a service's answers are recorded, where they hold personal data."""
    said = answering.facts.get(PERSONAL)
    return Personal.of(features.request, features.features, said, project_key(workshop)) if said else None


@dataclass(frozen=True)
class Compiled:
    """A service as the release in force answers with it: compiled, with the versions it is of.

    `keys` has the name under which the online store keeps each feature view.
    """

    deployed: Deployed
    release: Release
    answering: Version
    trained: Version
    keys: Mapping[str, str]


def compiled(
    service: str,
    releases: Releases,
    environment: str,
    workshop: Workshop,
    store: OnlineStore,
    *,
    of: Release | None = None,
    fills: bool = True,
) -> Compiled:
    """Compile a service of the release in force, or `of` another; its model's files are verified before they are used.

    With `fills` the views that the store does not hold are materialised.
    """
    release = of or releases.current(environment)
    versions = releases.versions(release)
    answering, trained = released_service(service, release, versions)
    assert release is not None
    features = features_of(trained.facts["recipe"], workshop)
    if fills:
        keys = fill_online(features, versions, store, workshop, since=live_since(workshop))
    else:
        keys = view_keys(features, versions)
    made = deployed(service, release, versions, features, workshop, store, keys)
    return Compiled(made, release, answering, trained, keys)


def _loaded(trained: Version, workshop: Workshop) -> tuple[Preparation, Fitted]:
    """A model version, from files that were verified by their digests."""
    return load(artifact_folder(trained, workshop), trained.facts["artifact"], workshop.learner)


def _due(kept: Mapping[str, Any] | None, features: FeatureSet) -> tuple[Any, int]:
    if kept is None:
        return None, 0
    when = PredictionTime.model_validate(kept)
    columns = {column.name: column.type for column in features.request}
    return compile_expression("prediction_time", when.from_, columns).row, int(when.tolerance.total_seconds() * 1e6)


def has_artifact(trained: Version, workshop: Workshop) -> bool:
    """Whether a model version's files are there."""
    return fault(artifact(trained, workshop)) is None


def artifact_folder(trained: Version, workshop: Workshop) -> Path:
    """The folder of a model version's files."""
    folder = artifact(trained, workshop)
    if not folder.is_dir():
        raise SystemFailed(
            "LCH-3904",
            f"the files of model version {trained.version} are gone",
            where=Where(folder),
            fix="train it again: lichen run; or put the folder back from a copy",
        )
    return folder
