"""The graph of a project's assets: who reads whom, in an order in which everything can be built."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lichen.errors import FoundWrong, LichenError, ProjectErrors, Where, did_you_mean
from lichen.graph.personal import Classes, declared
from lichen.graph.statement import Statement, parse_statement
from lichen.graph.version import is_own
from lichen.graph.volatile import refuse_volatile
from lichen.spec import FeatureView, ProjectSpec, Table
from lichen.spec.words import Spec

STAGES = {
    "source": "collect",
    "table": "transform",
    "feature": "feature",
    "model": "train",
    "service": "deploy",
    "monitor": "monitor",
}
"""Each kind of asset with the stage that makes it true."""


@dataclass(frozen=True)
class Asset:
    """A named thing with declared inputs; `id` is its kind and name, as in `table.flight_legs`.

    `personal` holds, for a service, the classes of personal data that what it is made of declares.
    """

    kind: str
    name: str
    spec: Spec
    inputs: tuple[str, ...] = ()
    statement: Statement | None = field(default=None, compare=False)
    personal: Classes = field(default_factory=dict, compare=False)

    @property
    def id(self) -> str:
        """Kind and name: `table.flight_legs`."""
        return f"{self.kind}.{self.name}"

    @property
    def reads(self) -> tuple[str, ...]:
        """The sources and tables among its inputs: what a table's statement reads."""
        return tuple(name for name in self.inputs if name.startswith(("source.", "table.")))

    @property
    def stage(self) -> str:
        """The stage that makes the asset true."""
        return STAGES[self.kind]


@dataclass(frozen=True)
class Graph:
    """All assets of a project, each after everything it reads."""

    assets: Mapping[str, Asset]

    def __iter__(self) -> Iterator[Asset]:
        return iter(self.assets.values())

    def __getitem__(self, asset: str) -> Asset:
        return self.assets[asset]

    def relation(self, name: str) -> Asset | None:
        """The source or table that SQL calls `name`."""
        return self.assets.get(f"source.{name}") or self.assets.get(f"table.{name}")

    def downstream(self, asset: str) -> list[str]:
        """Everything that depends on an asset, directly or not, in order."""
        reached = {asset}
        for candidate in self:
            if not reached.isdisjoint(candidate.inputs):
                reached.add(candidate.id)
        return [candidate.id for candidate in self if candidate.id in reached and candidate.id != asset]

    def upstream(self, *assets: str) -> list[str]:
        """Assets and everything that they read, directly or not, in order."""
        found = set(assets)
        for candidate in reversed(list(self)):
            if candidate.id in found:
                found.update(candidate.inputs)
        return [candidate.id for candidate in self if candidate.id in found]


Parse = Callable[[str, Callable[[int, int], Where]], Statement]
"""How a statement is read: parsed, or remembered."""


def build_graph(project: ProjectSpec, parse: Parse = parse_statement) -> Graph:
    """Build the graph of a project; all names that lead nowhere, and a cycle, are told at once."""
    builder = _Builder(project, parse)
    assets = builder.assets()
    if builder.errors:
        raise ProjectErrors(builder.errors)
    graph = Graph(_ordered(assets, project))
    if learned := [*_scores_learned(graph, project)]:
        raise ProjectErrors(learned)
    return _with_personal(graph)


def _scores_learned(graph: Graph, project: ProjectSpec) -> Iterator[LichenError]:
    """The models that would learn from another's scores; one that would from its own is found as a circle."""
    tables = {asset.id: asset.spec.score for asset in graph if isinstance(asset.spec, Table) and asset.spec.score}
    for asset in graph if tables else ():
        if asset.kind == "model":
            for name in filter(tables.__contains__, graph.upstream(asset.id)):
                scored = tables[name]
                yield FoundWrong(
                    "LCH-2106",
                    f"the model `{asset.name}` would learn from the scores in `{graph[name].name}`",
                    where=project.where(asset.id, *_reading(asset, name, graph)),
                    why=f"a score of `{scored.model}` knows the labels that it learned from, also of rows long before",
                    fix="read the table that it scores instead",
                )


def _reading(model: Asset, table: str, graph: Graph) -> tuple[str | int, ...]:
    """Where a model's file names the label table, or else the first view, that reads a table."""
    label, *views = model.inputs
    if table in graph.upstream(label):
        return "label", "from"
    return "features", next(place for place, view in enumerate(views) if table in graph.upstream(view))


def _with_personal(graph: Graph) -> Graph:
    """The graph in which each service has the classes of personal data that are declared above it."""
    said = dict(declared((asset.id, asset.spec) for asset in graph))
    if not said:
        return graph
    made = dict(graph.assets)
    for name, asset in graph.assets.items():
        if asset.kind == "service":
            above = set(graph.upstream(name))
            made[name] = replace(asset, personal={one: said[one] for one in sorted(said) if one.asset in above})
    return Graph(made)


class _Builder:
    """One pass over the specs that resolves every name."""

    def __init__(self, project: ProjectSpec, parse: Parse) -> None:
        self.project, self.parse = project, parse
        self.errors: list[LichenError] = []
        self.relations = [*project.sources, *project.tables]

    def assets(self) -> dict[str, Asset]:
        project = self.project
        self._refuse_own_names()
        made = [Asset("source", name, spec) for name, spec in project.sources.items()]
        made += [self._table(name) for name in project.tables]
        made += [self._feature(name) for name in project.features]
        made += [self._model(name) for name in project.models]
        made += [
            Asset("service", name, spec, self._named(f"service.{name}", "model", spec.model, project.models))
            for name, spec in project.services.items()
        ]
        made += [
            Asset(
                "monitor", name, spec, self._named(f"monitor.{name}", "service", spec.watch, project.services, "watch")
            )
            for name, spec in project.monitors.items()
        ]
        return {asset.id: asset for asset in made}

    def _refuse_own_names(self) -> None:
        for kind, names in (("source", self.project.sources), ("table", self.project.tables)):
            for name in names:
                if is_own(name):
                    self.errors.append(
                        FoundWrong(
                            "LCH-2104",
                            f"a {kind} cannot be called `{name}`",
                            where=Where(self.project.files[f"{kind}.{name}"].shown),
                            why="that is what SQL calls rows that Lichen itself keeps",
                            fix="choose a name that is not `quarantine`, does not start with `predictions_` or "
                            "`training_` and does not end in `__quarantine`",
                        )
                    )

    def _table(self, name: str) -> Asset:
        file = self.project.files[f"table.{name}"]

        def place(line: int, column: int) -> Where:
            return file.line(file.sql_line + line - 1, column)

        spec = self.project.tables[name]
        try:
            statement = self.parse(spec.sql, place)
        except LichenError as error:
            self.errors.append(error)
            return Asset("table", name, spec)
        self.errors += refuse_volatile(statement.volatile, spec.sql, place)
        inputs = [self._relation(read, place(*statement.places[read]), reader=name) for read in statement.reads]
        if spec.score is not None:
            inputs += self._named(f"table.{name}", "model", spec.score.model, self.project.models, "score", "model")
        return Asset("table", name, spec, tuple(filter(None, inputs)), statement)

    def _relation(self, name: str, where: Where, reader: str = "") -> str | None:
        for kind, known in (("source", self.project.sources), ("table", self.project.tables)):
            if name in known:
                return f"{kind}.{name}"
        self.errors.append(
            FoundWrong(
                "LCH-2101",
                f"there is no source or table `{name}`",
                where=where,
                fix=did_you_mean(name, set(self.relations) - {reader}),
            )
        )
        return None

    def _feature(self, name: str) -> Asset:
        spec = self.project.features[name]
        inputs: list[str | None] = []
        if spec.from_ is not None:
            inputs.append(self._relation(spec.from_, self.project.where(f"feature.{name}", "from")))
        others = {one: view for one, view in self.project.features.items() if one != name}
        for at, parent in _priors(spec):
            # That a view's own feature cannot stand in is told where its features are understood.
            if parent != name:
                inputs += self._named(f"feature.{name}", "feature", parent, others, *at)
        inputs = list(dict.fromkeys(inputs))
        return Asset("feature", name, spec, tuple(filter(None, inputs)))

    def _model(self, name: str) -> Asset:
        spec = self.project.models[name]
        inputs = [self._relation(spec.label.from_, self.project.where(f"model.{name}", "label", "from"))]
        for place, feature in enumerate(spec.features):
            inputs += self._named(f"model.{name}", "feature", feature, self.project.features, "features", place)
        return Asset("model", name, spec, tuple(filter(None, inputs)))

    def _named(self, asset: str, kind: str, name: str, known: Mapping[str, Any], *at: str | int) -> tuple[str, ...]:
        if name in known:
            return (f"{kind}.{name}",)
        self.errors.append(
            FoundWrong(
                "LCH-2102",
                f"there is no {kind} `{name}`",
                where=self.project.where(asset, *(at or (kind,))),
                fix=did_you_mean(name, known),
            )
        )
        return ()


def _ordered(assets: dict[str, Asset], project: ProjectSpec) -> dict[str, Asset]:
    """The assets in the order of their kinds, each after the assets it reads: always the first that can be taken."""
    place = {name: number for number, name in enumerate(assets)}
    lacking = {name: sum(read in place for read in set(asset.inputs)) for name, asset in assets.items()}
    readers: dict[str, list[str]] = {}
    for name, asset in assets.items():
        for read in set(asset.inputs):
            readers.setdefault(read, []).append(name)
    ready = [number for name, number in place.items() if not lacking[name]]
    named, ordered = list(assets), dict[str, Asset]()
    while ready:
        name = named[heapq.heappop(ready)]
        ordered[name] = assets[name]
        for reader in readers.get(name, ()):
            lacking[reader] -= 1
            if not lacking[reader]:
                heapq.heappush(ready, place[reader])
    if len(ordered) < len(assets):
        raise _cycle({name: asset for name, asset in assets.items() if name not in ordered}, project)
    return ordered


def _priors(view: FeatureView) -> Iterator[tuple[tuple[str, ...], str]]:
    """The views whose features stand in for a view's, each with the way to where it is named."""
    for name, aggregate in view.aggregates.items():
        if aggregate.prior is not None and aggregate.prior.parent is not None:
            yield ("aggregates", name, "prior", aggregate.prior.key), aggregate.prior.parent[0]


def _cycle(waiting: Mapping[str, Asset], project: ProjectSpec) -> LichenError:
    path = [next(iter(waiting))]
    while path[-1] not in path[:-1]:
        path.append(next(name for name in waiting[path[-1]].inputs if name in waiting))
    loop = path[path.index(path[-1]) :]
    own = next((place for place, name in enumerate(loop[1:]) if name.startswith("model.")), None)
    if own is not None:
        return _own_scores([*loop[own:-1], *loop[: own + 1]], project)
    first, file = waiting[loop[0]], project.files[loop[0]]
    if isinstance(first.spec, FeatureView):
        parent = waiting[loop[1]].name
        at = next(at for at, view in _priors(first.spec) if view == parent)
        return FoundWrong(
            "LCH-2105",
            "feature views stand in for each other in a circle",
            where=project.where(first.id, *at),
            why=" takes its prior from ".join(name.partition(".")[2] for name in loop),
            fix="let the priors end at one view that has none, or at a number",
        )
    line, column = first.statement.places[waiting[loop[1]].name] if first.statement is not None else (1, 1)
    return FoundWrong(
        "LCH-2103",
        "tables read each other in a circle" if len(loop) > 2 else "a table reads itself",
        where=file.line(file.sql_line + line - 1, column),
        why=" reads ".join(name.partition(".")[2] for name in loop),
        fix="take one of them out of the other's FROM" if len(loop) > 2 else "read what it is made of instead",
    )


def _own_scores(loop: list[str], project: ProjectSpec) -> LichenError:
    """The error of a circle that begins with a scored table and, right after it, its model."""
    table, model, *_ = (name.partition(".")[2] for name in loop)
    return FoundWrong(
        "LCH-2107",
        f"the model `{model}` would learn from its own scores, in `{table}`",
        where=project.where(loop[0], "score", "model"),
        why=" reads ".join(name.partition(".")[2] for name in loop),
        fix="let the model read the table that is scored, not the one that holds the scores",
    )
