"""Finds rows that were made with hindsight: builds tables again of what was known at an instant, and compares.

At a few instants, each right after a label row was asked, whatever declares a `known` is cut to the rows known before.
What a model's views would have seen, and what its requests would have brought, must be there in the release as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from arro3.core import Table as ArrowTable

from lichen.collect.staged import Staged, staging
from lichen.errors import FoundWrong
from lichen.feature.featureset import FeatureSet
from lichen.feature.view import View
from lichen.graph.build import Asset, Graph
from lichen.graph.fingerprint import fingerprint
from lichen.graph.prior import with_parents
from lichen.graph.version import Version
from lichen.ground.digest import digest
from lichen.ground.quoting import identifier, literal, sql
from lichen.ports import Column, Relation
from lichen.run.acceptance import Acceptances
from lichen.run.workshop import Workshop
from lichen.spec import Model, ProjectSpec, Table
from lichen.transform.build import build

INSTANTS = 4
"""At how many instants it is looked."""


def refuse_hindsight(
    asset: Asset,
    features: FeatureSet,
    graph: Graph,
    versions: Mapping[str, Version],
    project: ProjectSpec,
    workshop: Workshop,
) -> list[str]:
    """Refuse a model whose features or requests hold what was known only later, unless that was accepted.

    Returns what was accepted, in words.
    """
    model = asset.spec
    assert isinstance(model, Model)
    accepted = []
    for name, relation, error in _Look(asset.name, model, features, graph, versions, project, workshop).found():
        kept = Acceptances(workshop.state).of(name, _meaning(name, relation, graph))
        if kept is None:
            raise error
        accepted.append(f"`{name}` is accepted ({error.code}): {kept['why']}")
    return accepted


def hindsights(graph: Graph, project: ProjectSpec) -> dict[str, str]:
    """The names by which what a run may refuse can be accepted before it, each with what it means now."""
    found = {}
    for model_name, model in project.models.items():
        label = graph.relation(model.label.from_)
        for view_name in with_parents(model.features, project.features):
            view = project.features[view_name]
            relation = graph.relation(view.from_ or "")
            if relation is not None:
                name = f"leak:{model_name}/{view_name}.*"
                found[name] = _meaning(name, relation, graph)
            for column in (*view.columns, *(view.entity or ())):
                if label is not None:
                    name = f"leak:{model_name}/request.{column}"
                    found[name] = _meaning(name, label, graph)
    return found


def _meaning(name: str, relation: Asset, graph: Graph) -> str:
    """What is accepted: how a relation is made of its sources. Made another way, it is asked again."""
    return digest([name, *(fingerprint(graph[one]) for one in sorted(graph.upstream(relation.id)))])


@dataclass
class _Look:
    """One look at a model's relations, as of a few instants."""

    name: str
    model: Model
    features: FeatureSet
    graph: Graph
    versions: Mapping[str, Version]
    project: ProjectSpec
    workshop: Workshop
    cuts: dict[tuple[str, int], Relation] = field(default_factory=dict)

    def found(self) -> Iterator[tuple[str, Asset, FoundWrong]]:
        """Each relation that knew too much, once, with the error that says so."""
        label = self.graph.relation(self.model.label.from_)
        assert label is not None
        views = [view for view in self.features.views if not view.static and self._can_differ(view)]
        brings = self._depends(label)
        if not views and not brings:
            return
        with ExitStack() as stack:
            self.stack = stack
            instants = self._instants(label)
            for view in views:
                wrong = next(filter(None, (self._view(view, at) for at in instants)), None)
                if wrong is not None:
                    yield wrong
            if brings:
                wrong = next(filter(None, (self._label(label, at) for at in instants)), None)
                if wrong is not None:
                    yield wrong

    def _can_differ(self, view: View) -> bool:
        relation = self.graph.relation(view.table)
        assert relation is not None
        own = self.project.features[view.name].known
        return self._depends(relation) or (own is not None and _known(relation) is not None)

    def _depends(self, relation: Asset) -> bool:
        """Whether anything that a table reads declares when its rows became known."""
        above = (self.graph[name] for name in relation.inputs)
        return any(_known(one) is not None or self._depends(one) for one in above)

    def _instants(self, label: Asset) -> list[int]:
        """Instants right after label rows were asked, spread over their time, in microseconds."""
        at = f"epoch_us({identifier(self.model.label.at)})"
        shares = ", ".join(literal((place + 1) / (INSTANTS + 1)) for place in range(INSTANTS))
        asked = sql("SELECT quantile_disc(", at, ", [", shares, "]) AS at FROM label")
        rows = self._query(asked, {"label": self.workshop.relation(self.versions[label.id])})
        return [one + 1 for one in dict.fromkeys(rows[0]["at"] or ())]

    # ------------------------------------------------------------------------------------ what was known

    def _cut(self, relation: Asset, at: int, *, own: bool = True) -> Relation:
        """A relation as it was known at an instant; its own `known` counts with `own`, what it reads always."""
        version = self.versions[relation.id]
        known = _known(relation) if own else None
        whole = self.workshop.relation(version)
        key = (f"{relation.id}/{own}", at)
        if key in self.cuts:
            return self.cuts[key]
        if known is not None:
            self.cuts[key] = self._before(whole, known, at)
        elif relation.statement is not None and self._depends(relation) and (not own or not version.quarantine):
            inputs = {self.graph[name].name: self._cut(self.graph[name], at) for name in relation.inputs}
            engine, tables = self.workshop.engine, self.workshop.tables
            self.cuts[key] = self._staged(build(relation, inputs, engine, tables, self.project))
        else:
            self.cuts[key] = whole
        return self.cuts[key]

    def _before(self, whole: Relation, known: str, at: int) -> Relation:
        """The rows of a relation that were known at an instant."""
        select = sql("SELECT * FROM rows WHERE epoch_us(", known, "\n) <", literal(at))
        with staging(self.workshop.tables.staging("hindsight")) as folder:
            files = self.workshop.engine.sql(select, {"rows": whole}, folder)
        return self._staged(Staged(folder, files, whole.columns))

    def _staged(self, staged: Staged) -> Relation:
        """What was staged, until the look is over."""
        self.stack.callback(staged.discard)
        return staged.relation

    def _query(self, select: str, inputs: Mapping[str, Relation]) -> list[dict[str, Any]]:
        table = ArrowTable.from_arrow(self.workshop.engine.query(select, inputs))
        names = table.column_names
        rows = zip(*(table.column(name).to_pylist() for name in names), strict=True)
        return [dict(zip(names, row, strict=True)) for row in rows]

    # ------------------------------------------------------------------------------------ what was shown

    def _view(self, view: View, at: int) -> tuple[str, Asset, FoundWrong] | None:
        """Rows that a view shows at an instant and that were not there, or were others, by what was known."""
        relation = self.graph.relation(view.table)
        assert relation is not None
        then = self._cut(relation, at, own=False)
        own = _known(relation) if self.project.features[view.name].known else None
        wanted = [*(identifier(key.name) for key in view.entity), f"({view.time})", f"({view.known})"]
        wanted += [f"({one.value})" for one in view.aggregates if one.value != "*"]
        wanted += [identifier(column.name) for column in view.latest]
        types = self.workshop.engine.describe(
            sql("SELECT", ", ".join(f"{text} AS c{n}" for n, text in enumerate(wanted)), "FROM now"), {"now": then}
        )
        shown = _compared(wanted, types)
        visible = f"epoch_us(({view.known})) < {literal(at)}"
        early = f" AND epoch_us(({own})) < {literal(at)}" if own is not None else ""
        now = self.workshop.relation(self.versions[relation.id])
        select = sql(
            "SELECT count(*) AS n, (SELECT count(*) FROM now WHERE", visible, ") AS of FROM (SELECT", shown,
            "FROM now WHERE", visible, "EXCEPT SELECT", shown, "FROM then_known WHERE", visible + early, ")",
        )  # fmt: skip
        (counted,) = self._query(select, {"now": now, "then_known": then})
        rows, of = counted["n"], counted["of"]
        if not rows:
            return None
        name = f"leak:{self.name}/{view.name}.*"
        error = FoundWrong(
            "LCH-2528",
            f"`{view.table}` shows {rows:,} of {of:,} rows to `{view.name}` at {_day(at)} that could not be known then",
            where=self.project.where(relation.id, "known" if _known(relation) else "time"),
            why=f"built again of what was known by then, other rows come of {self._inputs(relation)}, or none",
            fix="let `known` be no earlier than that of any row that a row is made of, and no sum or window reach "
            f"rows beyond it; or, where it is none, `--accept {name} --why TEXT`",
        )
        return name, relation, error

    def _label(self, label: Asset, at: int) -> tuple[str, Asset, FoundWrong] | None:
        """Label rows whose request would have been another by what was known when they were asked."""
        version = self.versions[label.id]
        grain = label.spec.grain if isinstance(label.spec, Table) else ()
        if version.quarantine and not grain:
            return None
        now, then = self.workshop.relation(version), self._cut(label, at, own=False)
        types = {column.name: column for column in now.columns}
        asked = f"epoch_us({identifier(self.model.label.at)}) < {literal(at)}"
        keys = ", ".join(identifier(key) for key in grain)
        there = sql(" AND (", keys, ") IN (SELECT (", keys, ") FROM now)") if grain else ""
        brought = [*dict.fromkeys(column.name for column in self.features.request)]
        counts = [sql("(SELECT count(*) FROM then_known WHERE", asked, ") AS of")]
        for place, name in enumerate(brought):
            named = (*grain, self.model.label.at, name)
            shown = _compared([identifier(one) for one in named], [types[one] for one in named])
            counts.append(sql(
                "(SELECT count(*) FROM (SELECT", shown, "FROM then_known WHERE", asked + there,
                "EXCEPT SELECT", shown, "FROM now WHERE", asked, ")) AS", identifier(f"n{place}"),
            ))  # fmt: skip
        (counted,) = self._query(sql("SELECT", ", ".join(counts)), {"now": now, "then_known": then})
        other = [place for place, _ in enumerate(brought) if counted[f"n{place}"]]
        if not other:
            return None
        column, rows, of = brought[other[0]], counted[f"n{other[0]}"], counted["of"]
        name = f"leak:{self.name}/request.{column}"
        error = FoundWrong(
            "LCH-2529",
            f"a request of `{self.name}` would bring `{column}` as it was known only later, in "
            f"{rows:,} of {of:,} label rows asked before {_day(at)}",
            where=self.project.where(label.id),
            why=f"built again of what was known by then, another `{column}` comes of {self._inputs(label)}",
            fix=f"join what was known before `{self.model.label.at}`, or read it through a feature view; or, "
            f"where it is none, `--accept {name} --why TEXT`",
        )
        return name, label, error

    def _inputs(self, relation: Asset) -> str:
        timed = [
            one for one in sorted(self.graph.upstream(relation.id)) if one != relation.id and _known(self.graph[one])
        ]
        timed = timed or [relation.id]
        return " and ".join(f"`{one.partition('.')[2]}`" for one in timed)


def _known(relation: Asset) -> str | None:
    found: str | None = getattr(relation.spec, "known", None)
    return found


def _compared(wanted: list[str], types: list[Column] | tuple[Column, ...]) -> str:
    """Expressions as they are compared: of a sum of doubles the last digits depend on the order of the rows."""
    cast = [
        f"CAST({text} AS FLOAT)" if column.type == "DOUBLE" else text
        for text, column in zip(wanted, types, strict=True)
    ]
    return ", ".join(cast)


def _day(at: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).strftime("%Y-%m-%d %H:%M")
