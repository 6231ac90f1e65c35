"""Leaks that lineage and declared times can see: a feature that could not be known when it is asked for.

The rules are written for people in docs/leaks.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from sqlglot import exp

from lichen.errors import FoundWrong, Where
from lichen.graph.arrival import Arrivals
from lichen.graph.bounded import grouped_apart, let_in_by, rows_bounded, windows_bounded
from lichen.graph.build import Asset, Graph
from lichen.graph.choice import choice_bounded, conditions_bounded
from lichen.graph.declared import Declared
from lichen.graph.late import Columns, Late, Roots, late
from lichen.graph.lineage import AssetColumn, Edge, Lineage
from lichen.graph.multiplied import multiplied
from lichen.graph.origin import ROWS, How
from lichen.graph.prior import with_parents
from lichen.graph.samerow import tied
from lichen.graph.scope import Unread
from lichen.graph.way import Arrival, covered, together
from lichen.spec import FeatureView, Model, ProjectSpec, Source, Table
from lichen.spec.score import SCORE


@dataclass(frozen=True)
class Leak:
    """One way by which a model would learn what it cannot know when it is asked, and the error that says so.

    `name` is what a person accepts it by. `path` runs from the label's source column, or the input, to the feature.
    """

    name: str
    kind: str
    column: AssetColumn
    path: tuple[Edge, ...]
    error: FoundWrong = field(compare=False)

    @property
    def meaning(self) -> str:
        """What is accepted with the leak: its kind and its way. Another way is another leak."""
        steps = [f"{edge.source}>{'+'.join(edge.how.words)}>{edge.target}" for edge in self.path]
        return " ".join([self.kind, str(self.column), *steps])


def leaks(graph: Graph, project: ProjectSpec, lineage: Lineage) -> list[Leak]:
    """All leaks of a project, each told once."""
    search = _Search(graph, project, lineage)
    found = [leak for name in project.models for leak in search.of_model(name)]
    places = {str(leak.error.where) for leak in found}
    # What a model's leak says of a `known` already is not told again.
    early = [leak for leak in search.declared_early() if str(leak.error.where) not in places]
    return [*early, *found]


def shown(path: Sequence[Edge], lineage: Lineage) -> str:
    """A way, one line a column, each with the place of the expression that makes it."""
    if not path:
        return ""
    lines = [str(path[0].source)]
    for edge in path:
        where = lineage.where(edge.target)
        lines.append(f"  -> {edge.target}" + (f" ({_line(where)})" if where is not None else ""))
    return "\n       ".join(lines)


def _line(where: Where) -> str:
    return f"{where.file}:{where.line}" if where.line is not None else str(where.file)


@dataclass
class _Search:
    """One search through a project."""

    graph: Graph
    project: ProjectSpec
    lineage: Lineage

    @cached_property
    def roots(self) -> Roots:
        return Roots(self.lineage)

    @cached_property
    def arrivals(self) -> Arrivals:
        return Arrivals(self.graph, self.lineage.columns, self.roots.of)

    @cached_property
    def declared(self) -> Declared:
        return Declared(self.graph, self.lineage, self.roots, self.arrivals)

    # -------------------------------------------------------------------------------------------- models

    def of_model(self, name: str) -> Iterator[Leak]:
        """What a model would learn that it cannot know."""
        model = self.project.models[name]
        found = late(name, model, self.graph, self.roots, self.arrivals)
        if found is None:
            return
        yield from self._asked_late(found)
        yield from self._multiplied(name, model, found)
        brought: dict[AssetColumn, tuple[AssetColumn, tuple[Edge, ...]]] = {}
        of_views: dict[tuple[str, str], dict[AssetColumn, tuple[Edge, ...]]] = {}
        for reached in self.lineage.up(AssetColumn(f"model.{name}", SCORE)):
            column = reached.column
            if not column.asset.startswith("feature.") or column.column == ROWS or reached.kind != "value":
                continue
            view = self.project.features[column.asset.partition(".")[2]]
            if view.on is None:
                path = self._decided(found, column, view)
                if path:
                    of_views.setdefault((column.asset, "static" if view.static else "known"), {})[column] = path
            for edge in self.lineage.into(column):
                if edge.within == f"model.{name}":
                    if edge.source.asset == found.value.asset:
                        brought.setdefault(edge.source, (column, (edge,)))
                elif edge.within is None and edge.kind == "value" and view.on is None and not _of_a_view(edge):
                    # A feature that stands in is met by itself, and guarded by what its own view declares.
                    leak = self._of_view(found, view, edge)
                    if leak is not None:
                        of_views.setdefault((column.asset, leak[0]), {})[column] = leak[1]
        for keyed in with_parents(model.features, self.project.features):
            for key in self.project.features[keyed].entity or ():
                column = self._column(found.value.asset, key)
                brought.setdefault(column, (AssetColumn(f"feature.{keyed}", ROWS), ()))
        for (_, kind), paths in of_views.items():
            yield self._view_leak(found, kind, dict(sorted(paths.items())))
        for column, (feature, last) in brought.items():
            late_one = self._of_request(found, column, feature, last) or self._later(found, column, feature, last)
            if late_one is not None:
                yield late_one

    def _column(self, asset: str, name: str) -> AssetColumn:
        known = (one for one in self.lineage.columns.get(asset, ()) if one.lower() == name.lower())
        return AssetColumn(asset, next(known, name))

    def _asked_late(self, found: Late) -> Iterator[Leak]:
        """A model that is asked when its label is known already."""
        where = self.project.where(f"model.{found.model}", "label", "at")
        own = self.roots.of(found.value, own_row=True)
        first = next(iter(sorted(own & found.asked)), None)
        if own and own <= found.asked and first is not None and not found.rows:
            path = self._path(found.at, {first})
            error = FoundWrong(
                "LCH-2520",
                f"`{found.model}` is asked at an instant that is computed of its label's source column `{first}`",
                where=where,
                why=f"whoever knows when to ask knows the answer:\n       {shown(path, self.lineage)}",
                fix=f"take an instant for `label.at` that is known without it; {_accept(f'leak:{found.model}/at')}",
            )
            yield Leak(f"leak:{found.model}/at", "at", found.at, path, error)
        elif found.at == found.known or self._no_later(found):
            error = FoundWrong(
                "LCH-2521",
                f"the label of `{found.model}` is known when it is asked: `label.known: {found.known.column}` is not "
                f"after `label.at: {found.at.column}`",
                where=self.project.where(f"model.{found.model}", "label", "known"),
                why="what is known when it is asked needs no prediction; if it came later, training reads it too early",
                fix="name the column that says when the label became known; " + _accept(f"leak:{found.model}/known"),
            )
            yield Leak(f"leak:{found.model}/known", "known", found.known, (), error)

    @staticmethod
    def _no_later(found: Late) -> bool:
        return bool(found.known_arrivals) and all(
            any(one.column == at.column and one.no_later(at) for at in found.at_arrivals)
            for one in found.known_arrivals
        )

    def _multiplied(self, name: str, model: Model, asked: Late) -> Iterator[Leak]:
        asset = self.graph.relation(model.label.from_)
        if asset is None or not isinstance(asset.spec, Table) or asset.spec.grain or asset.spec.contract.key:
            return
        through = set[int].intersection(*(set(one.rows) for one in asked.at_arrivals)) if asked.at_arrivals else ()
        found = multiplied(asset, self.graph, through)
        if found is None:
            return
        line, column = found.place
        file = self.project.files[found.asset]
        other = f", or the `key` of `{found.relation}` by which it is joined" if found.relation else ""
        error = FoundWrong(
            "LCH-2522",
            f"label rows of `{name}` may be there twice: {found.what}",
            where=file.line(file.sql_line + line - 1, column),
            why=f"`{asset.name}` declares no `grain`, so a doubled row would be learned and tested twice",
            fix=f"declare the `grain` of `{asset.name}`, which each run checks{other}; " + _accept(f"leak:{name}/rows"),
        )
        yield Leak(f"leak:{name}/rows", "rows", AssetColumn(asset.id, ROWS), (), error)

    # ------------------------------------------------------------------------------------------ features

    def _of_request(
        self, found: Late, column: AssetColumn, feature: AssetColumn, last: tuple[Edge, ...]
    ) -> Leak | None:
        """What a request brings, taken from the label's own row, and tells the label."""
        told = column == found.value or found.tells(self.roots.of(column))
        open_ways = list(self._open(found, column, told))
        sources = {one.column for one in open_ways} or (found.telling if told and column == found.value else set())
        how = "is made of"
        if not sources:
            sources, how = self._deciding(found, column), "is decided by"
        if not sources:
            return None
        path = (*self._path(column, sources), *last)
        first = path[0].source if path else column
        shows = f"the key `{column.column}` of `{_name(feature)}`" if feature.column == ROWS else f"`{feature}`"
        name = f"leak:{found.model}/{_name(feature)}.{column.column}"
        mixes = any(one.mixed for one in open_ways)
        more = ", over rows that nothing bounds by when they were known" if mixes else ""
        error = FoundWrong(
            "LCH-2523",
            f"`{found.model}` would read its answer: {shows} {how} `{first}`, which tells the label "
            f"`{found.value.column}`{more}",
            where=self._place(feature, column),
            why="a request is asked before that is known; the label table has it only afterwards:"
            f"\n       {shown(path, self.lineage)}",
            fix="take it out, or read it through a feature view whose table has a `known`; " + _accept(name),
        )
        return Leak(name, "request", column, path, error)

    def _later(self, found: Late, column: AssetColumn, feature: AssetColumn, last: tuple[Edge, ...]) -> Leak | None:
        """What a request brings and is known only later, though it does not tell the label."""
        try:
            ways = self.arrivals.of(column)
        except Unread:
            return None
        name = f"leak:{found.model}/{_name(feature)}.{column.column}"
        shows = f"the key `{column.column}` of `{_name(feature)}`" if feature.column == ROWS else f"`{feature}`"
        for one in ways:
            path = (*self._path(column, {one.column}), *last)
            if self._of_late_row(found, one):
                error = FoundWrong(
                    "LCH-2530",
                    f"{shows} is known later than it is asked for: it is made of `{one.column}`, of which "
                    f"`{_name(one.column)}` says `known: {getattr(self.graph[one.column.asset].spec, 'known', None)}`",
                    where=self._place(feature, column),
                    why=f"that is when the label of `{found.model}` is known, and no sooner:"
                    f"\n       {shown(path, self.lineage)}",
                    fix="take it out, or read it through a feature view; " + _accept(name),
                )
                return Leak(name, "later", column, path, error)
            if self._of_rows_to_come(found, one):
                error = FoundWrong(
                    "LCH-2531",
                    f"{shows} is summed up over rows of `{_name(one.column)}` that come after the question",
                    where=self.lineage.where(column) or self._place(feature, column),
                    why="a sum over a group or a window without a bound holds all rows there will ever be:"
                    f"\n       {shown(path, self.lineage)}",
                    fix=f"bound the rows by an instant before `{found.at.column}`, or let a feature view sum them up; "
                    + _accept(name),
                )
                return Leak(name, "to_come", column, path, error)
        return None

    def _of_late_row(self, found: Late, one: Arrival) -> bool:
        """Whether a value comes from a row that its source declares to be known only when the label is."""
        source = self.graph[one.column.asset]
        known = getattr(source.spec, "known", None)
        if known is None or one.column.asset in {asked.asset for asked in found.asked}:
            return False
        if one.column.column in _keys(source) or not found.guard(
            self.declared.ways_of_text(source, known), self.arrivals
        ):
            return False
        return not rows_bounded(one, found, self.arrivals)

    def _of_rows_to_come(self, found: Late, one: Arrival) -> bool:
        """Whether a value is summed up over all rows of what the questions are about."""
        asked = {asked.asset for asked in found.asked} | found.tables
        if not one.mixed or asked.isdisjoint(self._above(one.column.asset)):
            return False
        if any(site.role == "window" for site in one.sites):
            return not windows_bounded(one, found, self.arrivals, asked=True)
        return not rows_bounded(one, found, self.arrivals, asked=True)

    def _above(self, asset: str) -> set[str]:
        """An asset and all that it reads."""
        found = [asset]
        for name in found:
            found += [one for one in self.graph[name].inputs if one not in found]
        return set(found)

    def _open(self, found: Late, column: AssetColumn, told: bool) -> Iterator[Arrival]:
        """The ways of telling columns into a label row's column that nothing bounds by when they were known."""
        if not told and not (found.rows and self.roots.of(column) >= found.rows):
            return
        telling = found.telling if told else found.rows
        try:
            ways = self.arrivals.of(column)
        except Unread:
            if told:
                yield from (Arrival.unread(one) for one in sorted(telling & self.roots.of(column)))
            return
        for one in ways:
            if one.column in telling and (told or one.mixed) and not rows_bounded(one, found, self.arrivals):
                yield one

    def _deciding(self, found: Late, column: AssetColumn, guards: Sequence[Arrival] = ()) -> Columns:
        """The telling columns that decide on a value without being in it: what a count counts, a rank's order.

        So does what meets in an outer join: whether there is a row shows.
        """
        telling = self.roots.choosing(column) & found.told
        try:
            ways = self.arrivals.of(column)
        except Unread:
            return telling
        if not telling:
            counted = [one for one in ways if one.column.column == ROWS and any(s.role == "value" for s in one.sites)]
            if all(conditions_bounded(one, found, self.arrivals, guards=guards) for one in counted):
                return frozenset()
            return self.roots.row_filters(AssetColumn(column.asset, ROWS), How.FILTER | How.JOIN) & found.told
        chosen = [one for one in ways if len(one.rows) < len(one.sites) or self.arrivals.is_chosen(one)]
        if chosen and all(choice_bounded(one, found, self.arrivals, guards=guards) for one in chosen):
            return frozenset()
        return telling

    def _of_view(self, found: Late, view: FeatureView, edge: Edge) -> tuple[str, tuple[Edge, ...]] | None:
        """In which way a feature of a table's rows leaks: only a `known` may guard what tells the label."""
        roots = self.roots.of(edge.source)
        if view.static:
            sources = roots & found.telling if found.tells_by_rows(roots) else self._counted(found, edge.source)
            return ("static", (*self._path(edge.source, sources), edge)) if sources else None
        if not found.tells(roots):
            return None
        path = (*self._path(edge.source, roots & found.telling), edge)
        kind = self._unguarded(found, edge.source, self.declared.guards(found, view), self.declared.ways(view))
        return (kind, path) if kind else None

    def _unguarded(
        self, found: Late, column: AssetColumn, guards: Sequence[Arrival], known: Sequence[Arrival]
    ) -> str | None:
        """In which way a column that tells the label is seen too early; None where the guards keep it back.

        `known` is the instant that is declared: where it guards nothing, a condition may still let in only what was
        known by then.
        """
        try:
            ways = [one for one in self.arrivals.of(column) if one.column in found.telling]
        except Unread:
            ways = []
        if not ways:
            return None if covered(guards) else "known"
        kinds = [self._seen_early(found, one, together(guards, one), together(known, one)) for one in ways]
        return next((kind for kind in ("known", "mixed", "row") if kind in kinds), None)

    def _seen_early(self, found: Late, one: Arrival, guards: Sequence[Arrival], known: Sequence[Arrival]) -> str | None:
        if not covered(guards):
            return None if let_in_by(known, one, found, self.arrivals) else "known"
        if not windows_bounded(one, found, self.arrivals, guards=guards):
            return "mixed"
        if covered(guard for guard in guards if tied(one, guard, (), self.arrivals)) and not grouped_apart(one, guards):
            return None
        if rows_bounded(one, found, self.arrivals, guards=guards):
            return None
        return "mixed" if grouped_apart(one, guards) else "row"

    def _decided(self, found: Late, feature: AssetColumn, view: FeatureView) -> tuple[Edge, ...]:
        """A way by which what tells the label decides which rows a feature is made of, and no `known` guards."""
        relation = self.graph.relation(view.from_ or "")
        assert relation is not None
        rows = AssetColumn(relation.id, ROWS)
        if not view.static and covered(self.declared.guards(found, view)):
            return ()
        sources = self.roots.row_filters(rows) & found.told
        if not sources or self._let_in(found, relation, feature, view) or (view.static and not self._is_count(feature)):
            return () if view.static else self._chosen_early(found, feature, view)
        seen = AssetColumn(feature.asset, ROWS)
        ends = [edge for edge in self.lineage.into(seen) if edge.source == rows]
        ends += [edge for edge in self.lineage.into(feature) if edge.source == seen]
        return (*self._path(rows, sources), *ends)

    def _let_in(self, found: Late, relation: Asset, feature: AssetColumn, view: FeatureView) -> bool:
        """Whether what tells the label lets in rows of one item of FROM, and of it only those known by `known`."""
        if view.static or relation.statement is None:
            return False
        named = [self.graph.relation(table.name.lower()) for table in relation.statement.tree.find_all(exp.Table)]
        filtered = [one for one in named if one and self.roots.row_filters(AssetColumn(one.id, ROWS)) & found.told]
        own = self.lineage.into(AssetColumn(relation.id, ROWS))
        filters = {edge.source for edge in own if edge.how & How.FILTER and edge.source.column != ROWS}
        told = {one.asset for one in filters if self.roots.of(one) & found.told}
        if len(filtered) != 1 or not told <= {filtered[0].id}:
            return False
        known = self.declared.ways(view)
        into = [edge for edge in self.lineage.into(feature) if edge.within is None and not _of_a_view(edge)]
        values = [edge.source for edge in into if edge.kind == "value"]
        try:
            ways = [one for value in values for one in self.arrivals.of(value)]
        except Unread:
            return False
        through = [one for one in ways if filtered[0].id in (one.column.asset, *(site.asset for site in one.sites))]
        return bool(through) and all(let_in_by(together(known, one), one, found, self.arrivals) for one in through)

    def _chosen_early(self, found: Late, feature: AssetColumn, view: FeatureView) -> tuple[Edge, ...]:
        """A way by which what tells the label decides on a feature's value, and no `known` guards."""
        known = self.declared.ways(view)
        for edge in self.lineage.into(feature):
            if edge.kind == "value" and edge.within is None and not _of_a_view(edge):
                sources = self._deciding(found, edge.source, known)
                if sources:
                    return (*self._path(edge.source, sources), edge)
        return ()

    def _is_count(self, feature: AssetColumn) -> bool:
        """Whether a static feature sums up rows in its table."""
        above = [edge.source for edge in self.lineage.into(feature) if edge.source.column != ROWS]
        edges = [edge for column in above for edge in self.lineage.into(column)]
        return any(
            edge.how.mixes_rows or (edge.how & How.COUNT and edge.source.asset != edge.target.asset) for edge in edges
        )

    def _view_leak(self, found: Late, kind: str, paths: Mapping[AssetColumn, tuple[Edge, ...]]) -> Leak:
        """One leak for all features of a view that leak in one way; the first one's way is shown."""
        feature, path = next(iter(paths.items()))
        name, view = f"leak:{found.model}/{feature}", self.project.features[_name(feature)]
        more = f" and {len(paths) - 1} more of its view" if len(paths) > 1 else ""
        way, source = shown(path, self.lineage), path[0].source
        tells = f"made of `{source}`, which tells the label of `{found.model}`"
        if kind == "static":
            error = FoundWrong(
                "LCH-2524",
                f"the static feature `{feature}`{more} is {tells}",
                where=self._place(feature, feature),
                why=f"a static view sees all rows at once, those after the question too:\n       {way}",
                fix=f"give `{view.from_}` a `time` and a `known`, and take `static: true` away; " + _accept(name),
            )
        elif kind in ("known", "row"):
            known = self.declared.known(view)
            why, fix = self._no_guard(found, view, kind)
            error = FoundWrong(
                "LCH-2525",
                f"`{feature}`{more} is {tells}, and `known: {known}` is not when that became known",
                where=self._known_place(feature, view),
                why=f"{why}:\n       {way}",
                fix=f"{fix}; " + _accept(name),
            )
        else:
            error = FoundWrong(
                "LCH-2526",
                f"`{feature}`{more} is {tells}, over rows that nothing bounds by when they were known",
                where=self._mixing_place(path) or self._place(feature, feature),
                why=f"a sum over a group or a window is known with the last of its rows:\n       {way}",
                fix="let the feature view sum up the rows themselves, or give the group's greatest `known`; "
                + _accept(name),
            )
        return Leak(name, kind, feature, tuple(edge for one in paths.values() for edge in one), error)

    def _no_guard(self, found: Late, view: FeatureView, kind: str) -> tuple[str, str]:
        """Why a view's `known` guards nothing, and how to mend it."""
        fix = "let `known` be the instant at which the value became known"
        ways = [one for one in self.declared.ways(view) if one.column in found.guards]
        if kind == "row":
            return "it is the instant of another row, and no key says that the two are one", f"{fix}, from the same row"
        if any(not one.of_own_rows for one in ways):
            return "an instant that a window or an aggregate takes of other rows can be an earlier one", fix
        if any(one.least is None for one in ways):
            return f"how much later it is than {_names(found.guards)} cannot be read, and it may be earlier", (
                "write it as that column, or the table's as `label.known` is written, plus an INTERVAL written out, "
                "or the `greatest` of such"
            )
        if any(one.filled and found.guard([replace(one, filled=False)], self.arrivals) for one in ways):
            return "where that is null another instant stands in for it, and that nothing happened shows", (
                f"leave those rows out (`WHERE {ways[0].column.column} IS NOT NULL`)"
            )
        return f"only an instant made of {_names(found.guards)}, and no earlier, guards it", fix

    def _counted(self, found: Late, column: AssetColumn) -> Columns:
        """The telling columns that decide which rows a column counts, or which group they fall in."""
        telling = self.roots.choosing(column) & found.told
        if telling or not found.tables:
            return telling
        try:
            ways = self.arrivals.of(column)
        except Unread:
            return telling
        return frozenset(one.column for one in ways if one.mixed and one.column.asset in found.tables)

    # --------------------------------------------------------------------------------------------- times

    def declared_early(self) -> Iterator[Leak]:
        """Tables and views that declare themselves known before what they read was."""
        for asset in self.graph:
            known = getattr(asset.spec, "known", None)
            if known is None or isinstance(asset.spec, Source):
                continue
            own = self.graph[asset.inputs[0]] if isinstance(asset.spec, FeatureView) else asset
            ways = self.declared.ways_of_text(own, known)
            for name in asset.inputs[:1] if isinstance(asset.spec, FeatureView) else asset.inputs:
                yield from self._earlier(asset, known, ways, self.graph[name])

    def _earlier(self, asset: Asset, known: str, ways: Sequence[Arrival], given: Asset) -> Iterator[Leak]:
        said = getattr(given.spec, "known", None)
        if said is None:
            return
        for needed in self.declared.ways_of_text(given, said):
            mine = [one for one in ways if one.column == needed.column]
            if not mine or covered(one for one in mine if needed.no_later(one)) or not _read(needed, *mine):
                continue
            column, name = AssetColumn(asset.id, ROWS), f"leak:{asset.id}/known"
            edge = Edge(AssetColumn(given.id, ROWS), column, How.COUNT)
            where = self.project.where(asset.id, "known")
            error = FoundWrong(
                "LCH-2527",
                f"`{asset.name}` declares itself known before its input: `known: {known}` is earlier than "
                f"`known: {said}` of `{given.name}`",
                where=where,
                why=f"both are made of `{needed.column}`:\n       {given.name} (known: {said})\n         -> "
                f"{asset.name} (known: {known}; {_line(where)})",
                fix=f"let `known` be no earlier than `{said}`; " + _accept(name),
            )
            yield Leak(name, "declared", column, (edge,), error)
            return

    # -------------------------------------------------------------------------------------------- places

    def _path(self, column: AssetColumn, sources: Iterable[AssetColumn]) -> tuple[Edge, ...]:
        """A way from one of these source columns to a column, by value if there is one."""
        wanted = set(sources)
        ways = [one for one in self.lineage.up(column) if one.column in wanted]
        ways.sort(key=lambda one: (one.kind != "value", len(one.path), one.column))
        return ways[0].path if ways else ()

    def _place(self, feature: AssetColumn, column: AssetColumn) -> Where | None:
        if feature.column == ROWS:
            return self.project.where(feature.asset, "entity", column.column, key=True)
        return self.lineage.where(feature)

    def _known_place(self, feature: AssetColumn, view: FeatureView) -> Where | None:
        if view.known:
            return self.project.where(feature.asset, "known")
        relation = self.graph.relation(view.from_ or "")
        assert relation is not None
        return self.project.where(relation.id, "known")

    def _mixing_place(self, path: Sequence[Edge]) -> Where | None:
        mixing = (edge.target for edge in path if edge.how.mixes_rows and edge.target.asset.startswith("table."))
        return next((self.lineage.where(column) for column in mixing), None)


def _accept(name: str) -> str:
    return f"or, where it is none, `--accept {name} --why TEXT`"


def _of_a_view(edge: Edge) -> bool:
    """Whether what a feature is made of is a feature itself."""
    return edge.source.asset.startswith("feature.")


def _read(*ways: Arrival) -> bool:
    """Whether of each of these instants it is known how much later it is than its column."""
    return all(one.least is not None for one in ways)


def _keys(asset: Asset) -> set[str]:
    """The columns that name an asset's rows: they are what it is joined by."""
    spec = asset.spec
    return {*getattr(spec, "grain", ()), *(spec.contract.key if isinstance(spec, Source | Table) else ())}


def _name(column: AssetColumn) -> str:
    return column.asset.partition(".")[2]


def _names(columns: Iterable[AssetColumn]) -> str:
    return " or ".join(f"`{one}`" for one in sorted(columns))
