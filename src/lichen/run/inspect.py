"""Everything that can be known before a run: columns and types of every relation, and each model's features."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from lichen.deploy.fields import Fields
from lichen.errors import FoundWrong, LichenError, ProjectErrors, Where, did_you_mean
from lichen.evaluate.gate import check_gate, check_rule
from lichen.feature.featureset import FeatureSet, RelationFacts, feature_set, features_in
from lichen.feature.request import compile_expression, not_there
from lichen.feature.value import becomes
from lichen.graph.build import Asset, Graph
from lichen.graph.edges import project_lineage
from lichen.graph.leaks import Leak, leaks
from lichen.graph.lineage import Lineage
from lichen.graph.prior import with_parents
from lichen.graph.volatile import refuse_volatile_value
from lichen.monitor.judge import check_questions
from lichen.ports import Column, Learner
from lichen.run.acceptance import Acceptances
from lichen.run.hindsight import hindsights
from lichen.run.relations import check_relation
from lichen.run.remembered import Remembered
from lichen.run.scored import unaskable
from lichen.run.sources import NOTHING, Sources, source_columns
from lichen.run.workshop import Workshop, check_learner
from lichen.spec import FeatureView, Model, Monitor, ProjectSpec, Source, Table
from lichen.train.prepare import check_features
from lichen.train.split import check_label
from lichen.transform.build import Describe, describe
from lichen.transform.instants import INSTANT
from lichen.transform.intervals import cut


@dataclass
class Inspection:
    """What a look at the project found: columns by relation, features by model, lineage, and all that is wrong."""

    columns: dict[str, tuple[Column, ...]] = field(default_factory=dict)
    features: dict[str, FeatureSet] = field(default_factory=dict)
    lineage: Lineage = field(default_factory=lambda: Lineage({}, (), frozenset(), {}))
    """Of the columns that were found, all of them where nothing is wrong."""
    leaks: list[Leak] = field(default_factory=list)
    """What a model would learn and cannot know, accepted or not; looked for where nothing else is wrong."""
    accepted: Mapping[str, str] = field(default_factory=dict)
    """The leaks that a person accepted for the way they take, by name, each in words."""
    faults: list[LichenError] = field(default_factory=list)
    """What is wrong apart from leaks."""
    unusual: list[str] = field(default_factory=list)
    """What is not wrong, and may not be meant."""
    arriving: list[str] = field(default_factory=list)
    """What a run will meet in its sources that is not as in the rows of before."""

    @property
    def errors(self) -> list[LichenError]:
        """All that is refused."""
        return [*self.faults, *(leak.error for leak in self.leaks if leak.name not in self.accepted)]

    @property
    def notes(self) -> list[str]:
        """What is not refused, and had better be known."""
        return [*self.unusual, *self.accepted.values()]

    def refuse(self) -> None:
        """Raise what was found wrong, all of it, if there is anything."""
        if errors := self.errors:
            raise ProjectErrors(errors)


def relation_facts(asset: Asset, columns: tuple[Column, ...]) -> RelationFacts:
    """What a feature view needs to know of the relation it reads."""
    spec = asset.spec
    assert isinstance(spec, Source | Table)
    grain = spec.grain if isinstance(spec, Table) else ()
    return RelationFacts(columns, spec.time, spec.known, grain or spec.contract.key)


def accept_leaks(
    names: Sequence[str], why: str | None, found: Inspection, graph: Graph, project: ProjectSpec, workshop: Workshop
) -> None:
    """Record that these leaks are accepted, each for the way it takes now."""
    refused = {leak.name: leak.meaning for leak in found.leaks}
    later = {name: meaning for name, meaning in hindsights(graph, project).items() if name in names}
    Acceptances(workshop.state).accept(names, why, {**later, **refused}, at=workshop.clock.now())
    found.accepted = accepted_leaks(found.leaks, workshop)


def inspect(
    graph: Graph, project: ProjectSpec, workshop: Workshop, remembered: Remembered, before: Sources = NOTHING
) -> Inspection:
    """Look at every asset without running it; what reads a faulty source or table is not looked at.

    `before` is what an environment holds of its sources, which a run goes on from.
    """
    found, faulty = (
        Inspection(faults=[*_lake_faults(project, workshop), *_online_faults(project, workshop)]),
        set[str](),
    )
    look = partial(_look, before=before, ask=remembered.described_by(workshop.engine))
    for asset in graph:
        if not faulty.isdisjoint(asset.inputs):
            faulty.add(asset.id)
            continue
        try:
            look(asset, graph, project, workshop, found)
        except LichenError as error:
            # A model tells again what is wrong with its views: that is said once.
            said = {str(one) for one in found.faults}
            several = error.errors if isinstance(error, ProjectErrors) else [error]
            found.faults += [one for one in several if str(one) not in said]
            if asset.kind != "feature":
                faulty.add(asset.id)
    columns = {name: [column.name for column in given] for name, given in found.columns.items()}
    found.lineage = project_lineage(graph, project, columns, remembered.lineage)
    if not found.faults:
        found.leaks = leaks(graph, project, found.lineage)
        found.accepted = accepted_leaks(found.leaks, workshop)
    return found


def _lake_faults(project: ProjectSpec, workshop: Workshop) -> list[LichenError]:
    """What is wrong with the place of the lake."""
    try:
        _ = workshop.tables
    except LichenError as error:
        return [_at(error, project.where("project", "lake"))]
    return []


def _online_faults(project: ProjectSpec, workshop: Workshop) -> list[LichenError]:
    """What is wrong with the URL of the online store, or that what it needs is not installed; it is not reached."""
    if project.project.online_scheme is not None:
        try:
            _ = workshop.online
        except LichenError as error:
            return [_at(error, project.where("project", "online"))]
    return []


def accepted_leaks(found: Sequence[Leak], workshop: Workshop) -> dict[str, str]:
    """Those of some leaks that a person accepted for the way they take, by name, each in words."""
    kept = {leak: Acceptances(workshop.state).of(leak.name, leak.meaning) for leak in found}
    return {
        leak.name: f"`{leak.name}` is accepted ({leak.error.code}): {one['why']}"
        for leak, one in kept.items()
        if one is not None
    }


def _look(
    asset: Asset,
    graph: Graph,
    project: ProjectSpec,
    workshop: Workshop,
    found: Inspection,
    before: Sources,
    ask: Describe,
) -> None:
    if asset.kind == "source":
        found.columns[asset.name], told = source_columns(asset, before, project, workshop)
        found.arriving += [f"`{asset.name}`: {one}" for one in told]
        check_relation(asset, found.columns[asset.name], project, workshop)
    elif asset.kind == "table":
        inputs = {graph[name].name: found.columns[graph[name].name] for name in asset.reads}
        found.columns[asset.name] = describe(asset, inputs, ask, project)
        if wrong := [*unaskable(asset, found.columns[asset.name], found.features, project)]:
            raise ProjectErrors(wrong)
        cut(asset, found.columns[asset.name], inputs, workshop.engine, project)
        check_relation(asset, found.columns[asset.name], project, workshop)
    elif asset.kind == "feature":
        _look_at_view(asset, graph, project, workshop, found)
    elif asset.kind == "model":
        found.features[asset.name] = model_features(asset, graph, found.columns, project, workshop)
    elif asset.kind == "service":
        _check_fields(asset, found, project)
    elif asset.kind == "monitor":
        _check_questions(asset, project)


def _look_at_view(asset: Asset, graph: Graph, project: ProjectSpec, workshop: Workshop, found: Inspection) -> None:
    """Look at a view by itself, so that one that no model reads is looked at, too."""
    if project.features[asset.name].on is None:
        features = _features([asset.name], graph, found.columns, project, workshop)
        if wrong := [*_key_faults(features, found.columns, project)]:
            raise ProjectErrors(wrong)
    elif not any(asset.name in model.features for model in project.models.values()):
        named = [name for name in project.features if name != asset.name and _names(asset, name)]
        read = {project.features[name].from_ for name in with_parents(named, project.features)} - {None}
        if not read <= set(found.columns):
            return  # what is wrong with these is told where they are looked at
        try:
            _features([asset.name, *named], graph, found.columns, project, workshop)
        except LichenError as error:
            # What it reads beyond that may come with other views of a model that is yet to be written.
            if error.code != "LCH-2402":
                raise
            _refuse_what_no_view_has(asset, project)


def _refuse_what_no_view_has(asset: Asset, project: ProjectSpec) -> None:
    """Refuse an expression of a view of the request that reads a feature which no view has."""
    assert isinstance(asset.spec, FeatureView)
    every = [f"{name}.{one}" for name, view in project.features.items() for one in view.feature_names()]
    for short, text in asset.spec.expressions.items():
        for name in sorted(features_in(text).difference(every)):
            raise not_there(f"{asset.name}.{short}", name, every, project.where(asset.id, "expressions", short))


def _names(asset: Asset, view: str) -> bool:
    """Whether an expression of a view of the request names another view."""
    assert isinstance(asset.spec, FeatureView)
    return any(re.search(rf"\b{view}\b", text) for text in asset.spec.expressions.values())


def _check_fields(asset: Asset, found: Inspection, project: ProjectSpec) -> None:
    """Refuse what a request to the service could not bring; told where a feature view declares it."""
    model = project.services[asset.name].model
    wrong = []
    for column in found.features[model].request:
        try:
            Fields([column])
        except LichenError as error:
            wrong.append(_at(error, _declared(column.name, project.models[model], project)))
    rollout = project.services[asset.name].rollout
    if rollout is not None and rollout.by == "entity" and not any(view.entity for view in found.features[model].views):
        wrong.append(
            FoundWrong(
                "LCH-2515",
                f"`{asset.name}` cannot be rolled out by entity: a request to it names none",
                where=project.where(asset.id, "rollout", "by"),
                why=f"no feature view of `{model}` has a key",
                fix="go by request: by: request",
            )
        )
    if wrong:
        raise ProjectErrors(wrong)


def _declared(column: str, model: Model, project: ProjectSpec) -> Where:
    """Where a feature view of a model says that a request brings a column."""
    for name in with_parents(model.features, project.features):
        view = project.features[name]
        for key, declared in (("columns", view.columns), ("entity", view.entity or {})):
            if column in declared:
                return project.where(f"feature.{name}", key, column, key=True)
    return Where("features")


def _check_questions(asset: Asset, project: ProjectSpec) -> None:
    """Refuse a monitor that asks for a metric which the task of the model behind its service does not have."""
    monitor = asset.spec
    assert isinstance(monitor, Monitor)
    task = project.models[project.services[monitor.watch].model].task
    check_questions(task, monitor.ask.metrics, lambda *at: project.where(asset.id, "ask", *at, key=True))


def model_features(
    asset: Asset, graph: Graph, columns: dict[str, tuple[Column, ...]], project: ProjectSpec, workshop: Workshop
) -> FeatureSet:
    """A model's features, after everything that can be wrong with it was looked for; all that is, is told at once."""
    model = asset.spec
    assert isinstance(model, Model)
    where = partial(project.where, asset.id)
    given = {column.name: column.type for column in columns[model.label.from_]}
    errors = [*_label_faults(model, given, where), *_learner_faults(model, where, workshop)]
    features = None
    try:
        features = _features(model.features, graph, columns, project, workshop)
        errors += [*_request_faults(model, features, given, where), *_slice_faults(model, features, given, where)]
        errors += _own_label_faults(asset, model, features, graph, project)
        check_features(model, features, where("exclude"), where("features"))
    except ProjectErrors as several:
        errors += several.errors
    except LichenError as error:
        errors.append(error)
    if errors or features is None:
        raise ProjectErrors(errors)
    return features


def _features(
    names: Sequence[str],
    graph: Graph,
    columns: Mapping[str, tuple[Column, ...]],
    project: ProjectSpec,
    workshop: Workshop,
) -> FeatureSet:
    facts = {
        name: relation_facts(relation, given)
        for name, given in columns.items()
        if (relation := graph.relation(name)) is not None
    }
    return feature_set(names, project.features, facts, where=project.where, engine=workshop.engine)


def _label_faults(model: Model, given: Mapping[str, str], where: Callable[..., Where]) -> Iterator[LichenError]:
    label = model.label
    for key, name in (("value", label.value), ("at", label.at), ("known", label.known)):
        if name not in given:
            yield FoundWrong(
                "LCH-2501",
                f"the label table `{label.from_}` has no column `{name}`",
                where=where("label", key),
                fix=did_you_mean(name, given),
            )
        elif key != "value" and given[name] != INSTANT:
            yield FoundWrong(
                "LCH-2503",
                f"`label.{key}: {name}` is {given[name]}, and has to be an instant ({INSTANT})",
                where=where("label", key),
                fix=f"convert it where it is made: timezone('UTC', {name})",
            )
        elif key == "value":
            try:
                check_label(model, given[name], where("label", key))
            except LichenError as error:
                yield error


def _learner_faults(model: Model, where: Callable[..., Where], workshop: Workshop) -> Iterator[LichenError]:
    for metric in model.gate:
        try:
            check_gate(model.task, [metric], where("gate", metric, key=True))
        except LichenError as error:
            yield error
        else:
            yield from check_rule(metric, model.gate[metric], partial(where, "gate", metric))
    try:
        check_learner(model.learner, where("learner"))
    except LichenError as error:
        yield error
        return
    learner = workshop.learner(model.learner)
    yield from _parameter_faults(model, learner, where)
    if model.task not in learner.tasks:
        yield FoundWrong(
            "LCH-2506",
            f"the learner `{model.learner}` does not learn {model.task}",
            where=where("task"),
            fix=f"it learns {', '.join(learner.tasks)}; or choose another learner",
        )


def _parameter_faults(model: Model, learner: Learner, where: Callable[..., Where]) -> Iterator[LichenError]:
    wrong = False
    for name, value in model.params.items():
        if name not in learner.params:
            wrong = True
            yield FoundWrong(
                "LCH-2505",
                f"the learner `{model.learner}` has no parameter `{name}`",
                where=where("params", name, key=True),
                fix=did_you_mean(name, learner.params),
            )
            continue
        try:
            learner.check({name: value})
        except LichenError as error:
            wrong = True
            yield _at(error, where("params", name))
    if wrong:
        return
    try:
        learner.check(model.params)
    except LichenError as error:
        yield _at(error, where("params"))
        return
    if model.validate_.early_stop is None and learner.stops_early(model.params):
        yield FoundWrong(
            "LCH-2512",
            f"the learner `{model.learner}` stops early, and `validate` holds no rows out for it",
            where=where("validate"),
            why="without them nothing tells it when more learning no longer helps",
            fix="add `early_stop:`, the span before the test, as in `early_stop: 30d`",
        )


def _at(error: LichenError, where: Where) -> LichenError:
    """An error with its place, where it has none."""
    return type(error)(error.code, error.what, where=error.where or where, why=error.why, fix=error.fix)


def _request_faults(
    model: Model, features: FeatureSet, given: Mapping[str, str], where: Callable[..., Where]
) -> Iterator[LichenError]:
    for column in features.request:
        if column.name not in given:
            yield FoundWrong(
                "LCH-2502",
                f"a request brings `{column.name}`, and the label table `{model.label.from_}` has no such column",
                where=where("label", "from"),
                why="training takes what a request would bring from the label table, by name",
                fix=did_you_mean(column.name, given),
            )
        elif not becomes(given[column.name], column.type):
            yield FoundWrong(
                "LCH-2510",
                f"a request brings `{column.name}` as {column.type}, and the label table "
                f"`{model.label.from_}` has it as {given[column.name]}",
                where=where("label", "from"),
                why="training takes what a request would bring from the label table",
                fix=f"give `{column.name}` the same type in the feature view and in the label table",
            )
    if model.prediction_time is not None:
        place = where("prediction_time", "from")
        brought = {column.name: column.type for column in features.request}
        try:
            refuse_volatile_value(model.prediction_time.from_, place)
            found = compile_expression("prediction_time", model.prediction_time.from_, brought)
        except LichenError as error:
            yield type(error)(error.code, error.what, where=error.where or place, why=error.why, fix=error.fix)
            return
        if found.type != INSTANT:
            yield FoundWrong(
                "LCH-2507",
                f"`prediction_time.from` is {found.type}, and has to be an instant ({INSTANT})",
                where=place,
                fix="compute it of a column of the request that is one",
            )


def _key_faults(
    features: FeatureSet, columns: Mapping[str, tuple[Column, ...]], project: ProjectSpec
) -> Iterator[LichenError]:
    """A view's key is read from its table's column of that name."""
    for view in features.views:
        given = {column.name: column.type for column in columns[view.table]}
        for key in view.entity:
            if not becomes(given[key.name], key.type):
                yield FoundWrong(
                    "LCH-2511",
                    f"the key `{key.name}` is {key.type}, and `{view.table}` has it as {given[key.name]}",
                    where=project.where(f"feature.{view.name}", "entity", key.name),
                    why="a row belongs to the entity that its column names",
                    fix=f"write `{key.name}: {given[key.name].lower()}`, or cast the column where it is made",
                )


def _own_label_faults(
    asset: Asset, model: Model, features: FeatureSet, graph: Graph, project: ProjectSpec
) -> Iterator[LichenError]:
    """A static view of the label table, or of what is made of it, would hand the model its answers."""
    label = graph.relation(model.label.from_)
    tainted = {label.id, *graph.downstream(label.id)} if label is not None else set()
    for view in features.views:
        read = graph.relation(view.table)
        if view.static and read is not None and read.id in tainted:
            yield FoundWrong(
                "LCH-2509",
                f"`{asset.name}` would learn from its own labels: the static view `{view.name}` reads `{view.table}`",
                where=project.where(f"feature.{view.name}", "static"),
                why=f"`{view.table}` is the label table or is made of it, and a static view sees all of it at once",
                fix="give the table a `time` and a `known`, and take `static: true` away",
            )


def _slice_faults(
    model: Model, features: FeatureSet, given: Mapping[str, str], where: Callable[..., Where]
) -> Iterator[LichenError]:
    known = [*given, *(column.name for column in features.features)]
    for place, name in enumerate(model.slices):
        if name not in known:
            yield FoundWrong(
                "LCH-2508",
                f"`slices` names `{name}`, which is no feature and no column of `{model.label.from_}`",
                where=where("slices", place),
                fix=did_you_mean(name, known),
            )
