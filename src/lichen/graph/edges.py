"""Makes a project's lineage: one asset after the other, what reaches each of its columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lichen.errors import Where
from lichen.graph.build import Asset, Graph
from lichen.graph.dialect import DIALECT
from lichen.graph.lineage import AssetColumn, Edge, Lineage
from lichen.graph.origin import NOTHING, ROWS, UNREAD, How, Origin, Origins, influence, marked, merged
from lichen.graph.prior import Feature, prior_of, with_parents
from lichen.graph.statement import Statement
from lichen.graph.statement_lineage import StatementLineage, row_origins, statement_lineage
from lichen.spec import Aggregate, FeatureView, Model, ProjectSpec, Service, Table
from lichen.spec.score import ADDED, MODEL_VERSION, SCORE, Score

PREDICTION_TIME = "prediction_time"
"""What an expression of a request calls the instant at which the prediction is asked for."""

Trace = Callable[[Statement, Mapping[str, Sequence[str] | None], Sequence[str] | None], StatementLineage]
"""How a statement's lineage is found: from its text, or remembered."""


def project_lineage(
    graph: Graph,
    project: ProjectSpec,
    columns: Mapping[str, Sequence[str]],
    trace: Trace = statement_lineage,
) -> Lineage:
    """The lineage of a project.

    `columns` are those of its relations by name, as the engine tells them: of every source as far as they are known,
    and of tables where they were asked. A table that is not among them has the columns that its statement says.
    """
    made = _Making(graph, project, columns, trace)
    for asset in graph:
        made.add(asset)
    made.name_what_was_read()
    return Lineage(made.columns, tuple(made.edges), frozenset(made.opaque), made.places)


@dataclass
class _Making:
    """One pass over the assets, each after those it reads."""

    graph: Graph
    project: ProjectSpec
    given: Mapping[str, Sequence[str]]
    trace: Trace
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    opaque: set[str] = field(default_factory=set)
    places: dict[AssetColumn, Callable[[], Where]] = field(default_factory=dict)
    sources: dict[Origin, AssetColumn | None] = field(default_factory=dict)
    known: dict[tuple[str, str], AssetColumn] = field(default_factory=dict)

    def add(self, asset: Asset) -> None:
        """Add an asset's columns and all that reaches them."""
        file = self.project.files.get(asset.id)
        if file is not None:
            self.places[AssetColumn(asset.id, ROWS)] = partial(Where, file.shown)
        spec = asset.spec
        if isinstance(spec, Table):
            self._table(asset)
        elif isinstance(spec, FeatureView):
            self._request_view(asset, spec) if spec.on else self._view(asset, spec)
        elif isinstance(spec, Model):
            self._model(asset, spec)
        elif isinstance(spec, Service):
            self._service(asset, spec)
        elif asset.kind == "source":
            self.columns[asset.id] = tuple(self.given.get(asset.name, ()))

    def name_what_was_read(self) -> None:
        """Give relations whose columns are not known those that are read of them."""
        read: dict[str, dict[str, None]] = {}
        for edge in self.edges:
            # A view that is not there has no columns: `check` says so where it is read.
            if not self.columns.get(edge.source.asset) and edge.source.column != ROWS:
                read.setdefault(edge.source.asset, {})[edge.source.column] = None
        self.columns |= {asset: tuple(names) for asset, names in read.items()}

    # -------------------------------------------------------------------------------------------- tables

    def _table(self, asset: Asset) -> None:
        described = self.given.get(asset.name)
        scored = asset.spec.score if isinstance(asset.spec, Table) else None
        if scored is not None and described is not None:
            described = [name for name in described if name not in ADDED]
        inputs = {self.graph[name].name: self.columns[name] or None for name in asset.reads}
        made = self.trace(asset.statement, inputs, described) if asset.statement else self._unread(inputs, described)
        own = asset.id
        self.columns[own] = tuple(column.name for column in made.columns)
        if made.opaque:
            self.opaque.add(own)
        file, rows = self.project.files.get(own), self._column(own, ROWS)
        for column in made.columns:
            target = self._column(own, column.name)
            self._reach(target, column.origins)
            self.edges.append(Edge(rows, target, How.COUNT))
            if file is not None and column.place is not None and asset.statement is not None:
                line, at = column.place
                self.places[target] = partial(file.line, file.sql_line + line - 1, at)
        self._reach(rows, made.rows)
        if scored is not None:
            self._scored(asset, scored)

    def _scored(self, asset: Asset, scored: Score) -> None:
        """A table's scores: the model's, as of a column of the table, for what its other columns ask."""
        own, model = asset.id, f"model.{scored.model}"
        views = with_parents(self.project.models[scored.model].features, self.project.features)
        asked = {scored.at: How.WINDOW}
        for view in (self.project.features[name] for name in views):
            for names, how in ((view.entity or (), How.JOIN), (view.columns, How.VALUE | How.COMPUTED)):
                asked |= {name: asked.get(name, how) | how for name in names}
        for name in self.columns[own]:
            if name in asked:
                self._link(own, name, own, SCORE, asked[name])
        self.columns[own] += ADDED
        self._link(model, SCORE, own, SCORE, How.VALUE)
        self._link(model, SCORE, own, MODEL_VERSION, How.VALUE | How.COMPUTED)
        for name in ADDED:
            self._link(own, ROWS, own, name, How.COUNT)
            self._place(asset, name, "score", "model")

    def _unread(self, inputs: Mapping[str, Sequence[str] | None], described: Sequence[str] | None) -> StatementLineage:
        """The lineage of a table that is no statement: all inputs reach all of it."""
        whole = {Origin(name, one): UNREAD for name, known in inputs.items() for one in (*(known or ()), ROWS)}
        return StatementLineage.unread(described or (), whole)

    def _reach(self, target: AssetColumn, origins: Origins, within: str | None = None) -> None:
        """Add edges from columns of relations."""
        sources = [(self._source(origin), how) for origin, how in origins.items()]
        self.edges += [Edge(source, target, how, within) for source, how in sources if source is not None]

    def _source(self, origin: Origin) -> AssetColumn | None:
        """The column of an asset that SQL reads by this name, as its relation spells it."""
        if origin not in self.sources:
            asset = self.graph.relation(origin.relation)
            spelled = {one.lower(): one for one in self.columns[asset.id]} if asset is not None else {}
            for lower, one in spelled.items():
                self.sources[Origin(origin.relation, lower)] = self._column(asset.id if asset else "", one)
            if origin.column not in spelled:
                self.sources[origin] = self._column(asset.id, origin.column) if asset is not None else None
        return self.sources[origin]

    def _column(self, asset: str, column: str) -> AssetColumn:
        """A column; one object for each, for there are many edges."""
        return self.known.setdefault((asset, column), AssetColumn(asset, column))

    def _link(self, source: str, one: str, target: str, other: str, how: How, within: str | None = None) -> None:
        self.edges.append(Edge(self._column(source, one), self._column(target, other), how, within))

    # ------------------------------------------------------------------------------------------ features

    def _view(self, asset: Asset, view: FeatureView) -> None:
        """A view over a table: aggregates and latest values; times, keys and the table's rows decide what it sees.

        So does its grain: of the rows of one event it sees the one that was known last.
        """
        relation = self.graph[asset.inputs[0]]
        times = self.graph[relation.id].spec
        own, rows = {relation.name: self.columns[relation.id] or None}, self._column(asset.id, ROWS)
        self.columns[asset.id] = view.feature_names()

        def of(text: str | None) -> Origins:
            return row_origins(text, own) if text else NOTHING

        event = None
        if not view.static:
            event, known = (getattr(view, key) or getattr(times, key, None) for key in ("time", "known"))
            self._reach(rows, influence(of(event), How.WINDOW))
            self._reach(rows, influence(of(known), How.FILTER))
        for key in view.entity or ():
            self._reach(rows, {Origin(relation.name, key.lower()): How.GROUP})
        for name in view.grain:
            self._reach(rows, {Origin(relation.name, name.lower()): How.FILTER})
        self._link(relation.id, ROWS, asset.id, ROWS, How.COUNT)
        for name, aggregate in view.aggregates.items():
            value = marked(_given(aggregate, event, of), How.COMPUTED | How.AGGREGATED)
            for window in view.windows:
                self._reach(self._column(asset.id, f"{name}_{window}"), value)
                parent = prior_of(Feature(asset.name, f"{name}_{window}"), self.project.features)
                if parent is not None and parent.view != asset.name:
                    how = How.VALUE | How.COMPUTED
                    self._link(f"feature.{parent.view}", parent.name, asset.id, f"{name}_{window}", how)
                self._place(asset, f"{name}_{window}", "aggregates", name)
        for at, name in enumerate(view.latest):
            self._reach(self._column(asset.id, name), {Origin(relation.name, name.lower()): How.VALUE})
            self._place(asset, name, "latest", at)
        for name in self.columns[asset.id]:
            self._link(asset.id, ROWS, asset.id, name, How.COUNT)

    def _request_view(self, asset: Asset, view: FeatureView) -> None:
        """A view of the request: columns that it brings, expressions over them and over other views' features."""
        self.columns[asset.id] = view.feature_names()
        for name in view.columns:
            self._place(asset, name, "columns", name)
        for name, text in view.expressions.items():
            self._place(asset, name, "expressions", name)
            how, read = self._read(text)
            for source in read:
                if source.asset or source.column in view.columns:
                    self._link(source.asset or asset.id, source.column, asset.id, name, how)

    def _read(self, text: str) -> tuple[How, list[AssetColumn]]:
        """What a request's expression reads; a name without a view has an empty asset.

        What cannot be parsed is said by `check`: it is taken to read every feature there is.
        """
        try:
            tree = sqlglot.parse_one(text, dialect=DIALECT)
        except (SqlglotError, RecursionError):
            views = self.project.features.items()
            every = [AssetColumn(f"feature.{view}", one) for view, spec in views for one in spec.feature_names()]
            return UNREAD, [*every, AssetColumn("", PREDICTION_TIME)]
        bare = isinstance(tree, exp.Column)
        read = {(column.table.lower(), column.name.lower()) for column in tree.find_all(exp.Column)}
        found = [AssetColumn(f"feature.{view}" if view else "", name) for view, name in sorted(read)]
        return How.VALUE if bare else How.VALUE | How.COMPUTED, found

    def _place(self, asset: Asset, column: str, *at: str | int) -> None:
        if asset.id in self.project.files:
            key = isinstance(at[-1], str)
            self.places[AssetColumn(asset.id, column)] = partial(self.project.where, asset.id, *at, key=key)

    # ------------------------------------------------------------------------------- models and services

    def _model(self, asset: Asset, model: Model) -> None:
        """A model: its score is made of its features; the label and its rows are what it learned from."""
        self.columns[asset.id] = (SCORE,)
        self._place(asset, SCORE, "features")
        label, score = model.label, self._column(asset.id, SCORE)
        for view in with_parents(model.features, self.project.features):
            self._brought(asset, model, view)
        for view in model.features:
            for name in self.project.features[view].feature_names():
                if f"{view}.{name}" not in model.exclude:
                    self._link(f"feature.{view}", name, asset.id, SCORE, How.VALUE | How.COMPUTED)
        self._reach(score, {Origin(label.from_, label.value): How.LABEL})
        for name in dict.fromkeys((label.at, label.known)):
            self._reach(score, {Origin(label.from_, name): How.FILTER})
        self._reach(score, {Origin(label.from_, ROWS): How.COUNT})

    def _brought(self, model: Asset, spec: Model, name: str) -> None:
        """What a request brings: for training the label table does, by name, and its `at` is the prediction time."""
        label, view, asset = spec.label, self.project.features[name], self.graph[f"feature.{name}"]

        def reach(column: str, source: str, how: How) -> None:
            self._reach(self._column(asset.id, column), {Origin(label.from_, source): how}, within=model.id)

        for key in view.entity or ():
            reach(ROWS, key, How.JOIN)
        if not view.static and not view.on:
            reach(ROWS, label.at, How.WINDOW)
        for column in view.columns:
            reach(column, column, How.VALUE)
        for column, text in view.expressions.items():
            how, read = self._read(text)
            for source in read:
                if source.asset == "" and source.column not in view.columns:
                    reach(column, label.at if source.column == PREDICTION_TIME else source.column, how)

    def _service(self, asset: Asset, service: Service) -> None:
        """A service: the columns of its predictions that come from the graph."""
        model, within = self.project.models[service.model], f"model.{service.model}"
        features = [(view, name) for view in model.features for name in self.project.features[view].feature_names()]
        self.columns[asset.id] = (SCORE, *(f"feature.{view}.{name}" for view, name in features))
        self._link(within, SCORE, asset.id, SCORE, How.VALUE)
        for view, name in features:
            self._link(f"feature.{view}", name, asset.id, f"feature.{view}.{name}", How.VALUE, within)


def _given(aggregate: Aggregate, event: str | None, of: Callable[[str | None], Origins]) -> Origins:
    """What an aggregate is made of: its value, the condition by which rows count, and when they happened, if it says.

    A condition is in the value like that of a CASE, and it lets rows in like a filter.
    """
    parts = [of(None if aggregate.of_rows else aggregate.value)]
    if aggregate.where is not None:
        parts.append({origin: how | How.FILTER for origin, how in of(aggregate.where).items()})
    if aggregate.function in ("rate", "since"):
        parts.append(of(event))
    return merged(parts)
