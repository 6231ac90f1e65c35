"""Everything that can be known before a run: columns and types of every relation, and each model's features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lichen.collect.extract import declared_types, located
from lichen.errors import FoundWrong, LichenError, ProjectErrors, Where, did_you_mean
from lichen.evaluate.gate import check_gate
from lichen.feature.featureset import FeatureSet, RelationFacts, feature_set
from lichen.graph.build import Asset, Graph
from lichen.ground import plugins
from lichen.ports import GROUPS, Column
from lichen.run.relations import check_relation, column_places, in_source
from lichen.run.workshop import Workshop
from lichen.spec import Model, ProjectSpec, Source, Table
from lichen.train.prepare import check_features
from lichen.transform.build import describe
from lichen.transform.instants import INSTANT


@dataclass
class Inspection:
    """What a look at the project found: columns by relation, features by model, and all that is wrong."""

    columns: dict[str, tuple[Column, ...]] = field(default_factory=dict)
    features: dict[str, FeatureSet] = field(default_factory=dict)
    errors: list[LichenError] = field(default_factory=list)

    def refuse(self) -> None:
        """Raise what was found wrong, all of it, if there is anything."""
        if self.errors:
            raise ProjectErrors(self.errors)


def relation_facts(asset: Asset, columns: tuple[Column, ...]) -> RelationFacts:
    """What a feature view needs to know of the relation it reads."""
    spec = asset.spec
    assert isinstance(spec, Source | Table)
    return RelationFacts(columns, spec.time, spec.known)


def inspect(graph: Graph, project: ProjectSpec, workshop: Workshop) -> Inspection:
    """Look at every asset without running it; what depends on a faulty asset is not looked at."""
    found = Inspection()
    faulty: set[str] = set()
    for asset in graph:
        if not faulty.isdisjoint(asset.inputs):
            faulty.add(asset.id)
            continue
        try:
            _look(asset, graph, project, workshop, found)
        except ProjectErrors as errors:
            found.errors.extend(errors.errors)
            faulty.add(asset.id)
        except LichenError as error:
            found.errors.append(error)
            faulty.add(asset.id)
    return found


def _look(asset: Asset, graph: Graph, project: ProjectSpec, workshop: Workshop, found: Inspection) -> None:
    if asset.kind == "source":
        found.columns[asset.name] = _source_columns(asset, project, workshop)
        check_relation(asset, found.columns[asset.name], project, workshop)
    elif asset.kind == "table":
        inputs = {graph[name].name: found.columns[graph[name].name] for name in asset.inputs}
        found.columns[asset.name] = describe(asset, inputs, workshop.engine, project)
        check_relation(asset, found.columns[asset.name], project, workshop)
    elif asset.kind == "model":
        found.features[asset.name] = model_features(asset, graph, found.columns, project, workshop)


def _source_columns(asset: Asset, project: ProjectSpec, workshop: Workshop) -> tuple[Column, ...]:
    source = asset.spec
    assert isinstance(source, Source)
    try:
        types = declared_types(source, workshop.engine, column_places(asset, project))
        return workshop.connector(source.connector).columns(located(source, project.root), types)
    except LichenError as error:
        raise in_source(error, asset, project) from error


def model_features(
    asset: Asset, graph: Graph, columns: dict[str, tuple[Column, ...]], project: ProjectSpec, workshop: Workshop
) -> FeatureSet:
    """A model's features, after everything that can be wrong with them was looked for."""
    model = asset.spec
    assert isinstance(model, Model)
    facts = {
        name: relation_facts(relation, given)
        for name, given in columns.items()
        if (relation := graph.relation(name)) is not None
    }
    features = feature_set(model.features, project.features, facts, where=project.where, engine=workshop.engine)
    given = {column.name: column.type for column in columns[model.label.from_]}
    _check_label(asset.id, model, given, project.where)
    for column in features.request:
        if column.name not in given:
            raise FoundWrong(
                "LCH-2502",
                f"a request brings `{column.name}`, and the label table `{model.label.from_}` has no such column",
                where=project.where(asset.id, "label", "from"),
                why="training takes what a request would bring from the label table, by name",
                fix=did_you_mean(column.name, given),
            )
    _check_learner(asset.id, model, project, workshop)
    check_features(model, features, project.where(asset.id, "exclude"), project.where(asset.id, "features"))
    return features


def _check_learner(asset: str, model: Model, project: ProjectSpec, workshop: Workshop) -> None:
    known = plugins.names(GROUPS["Learner"])
    if model.learner not in known:
        raise FoundWrong(
            "LCH-2504",
            f"there is no learner `{model.learner}`",
            where=project.where(asset, "learner"),
            fix=did_you_mean(model.learner, known),
        )
    learner = workshop.learner(model.learner)
    for name in model.params:
        if name not in learner.params:
            raise FoundWrong(
                "LCH-2505",
                f"the learner `{model.learner}` has no parameter `{name}`",
                where=project.where(asset, "params", name, key=True),
                fix=did_you_mean(name, learner.params),
            )
    if model.task not in learner.tasks:
        raise FoundWrong(
            "LCH-2506",
            f"the learner `{model.learner}` does not learn {model.task}",
            where=project.where(asset, "task"),
            fix=f"it learns {', '.join(learner.tasks)}; or choose another learner",
        )
    check_gate(model.task, model.gate, project.where(asset, "gate"))


def _check_label(asset: str, model: Model, given: dict[str, str], where: Callable[..., Where]) -> None:
    label = model.label
    for key, name in (("value", label.value), ("at", label.at), ("known", label.known)):
        if name not in given:
            raise FoundWrong(
                "LCH-2501",
                f"the label table `{label.from_}` has no column `{name}`",
                where=where(asset, "label", key),
                fix=did_you_mean(name, given),
            )
        if key != "value" and given[name] != INSTANT:
            raise FoundWrong(
                "LCH-2503",
                f"`label.{key}: {name}` is {given[name]}, and has to be an instant ({INSTANT})",
                where=where(asset, "label", key),
                fix=f"convert it where it is made: timezone('UTC', {name})",
            )
