"""A model's version beside another of its versions: both score the label rows that neither of them learned from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from arro3.core import Array, ChunkedArray, Table

from lichen.evaluate.gate import Verdict, judge_beside, judged_alone
from lichen.evaluate.metrics import METRICS
from lichen.evaluate.movement import Rows
from lichen.graph.build import Asset, Graph
from lichen.graph.fingerprint import MEANING
from lichen.graph.version import Version
from lichen.ground.quoting import identifier, identifiers, literal, sql
from lichen.ports import Relation
from lichen.run.deployed import artifact_folder, has_artifact
from lichen.run.workshop import Workshop
from lichen.spec import Label, Model, Source
from lichen.spec import Table as TableSpec
from lichen.train.artifact import load
from lichen.train.fit import score
from lichen.train.split import Labelled, labelled

BEFORE, AFTER, ASKED = "before", "after", "_at"


@dataclass(frozen=True)
class Beside:
    """Label rows that both versions have, with both scores; or in words why there are none.

    `key` are the columns by which they were matched; `came` and `went` are rows of one version alone, `relabelled`
    those whose label is another now.
    """

    rows: Rows | None
    key: tuple[str, ...] = ()
    came: int = 0
    went: int = 0
    relabelled: int = 0
    why: str = ""


def beside(asset: Asset, old: Version, new: Version, graph: Graph, workshop: Workshop) -> Beside:
    """Match the label rows that both versions held out of learning, each scored by its own model and features."""
    model = asset.spec
    assert isinstance(model, Model)
    if not has_artifact(old, workshop):
        return Beside(None, why="the files of the released model are gone")
    if old.facts[MEANING].get("task", model.task) != model.task:
        return Beside(None, why="the released model learned another task")
    columns = [{column.name for column in version.columns} for version in (old, new)]
    common = columns[0] & columns[1]
    # When a row was asked has one name on both sides, whatever the columns are called.
    named = _key(model, asset, graph, columns[0] | columns[1])
    key = tuple(ASKED if name == model.label.at and name not in common else name for name in named)
    if not common.issuperset({*key} - {ASKED}):
        return Beside(None, named, why="the label rows of the two versions have no common key")
    start = max(version.facts["spans"]["test"][0] for version in (old, new))
    sides = {
        name: Relation(arrow=_scored(model, key, version, start, workshop))
        for name, version in ((BEFORE, old), (AFTER, new))
    }
    return _matched(named, Table.from_arrow(workshop.engine.query(_matching(key), sides)))


def verdicts(model: Model, version: Version, found: Beside | None) -> list[Verdict]:
    """What the gate's rules say of a version beside the released one; None is for no released one."""
    rules = {name: rule for name, rule in model.gate.items() if rule.no_worse_than_live is not None}
    alone = {name: math.nan if value is None else value for name, value in version.facts["metrics"].items()}
    if found is None:
        return judge_beside(rules, None, alone)
    if found.rows is None or not len(found.rows.label):
        why = found.why or "no row that both versions held out of learning has a label"
        return judge_beside(rules, None, alone, why)
    rows = found.rows
    before, after = (
        {name: METRICS[model.task][name](rows.label, scores, None) for name in rules}
        for scores in (rows.before, rows.after)
    )
    return judge_beside(rules, before, after)


def judged(asset: Asset, version: Version, live: Version | None, graph: Graph, workshop: Workshop) -> Version:
    """A version with what the gate says of it beside the one that is released now, whenever it was built."""
    model = asset.spec
    assert isinstance(model, Model)
    if all(rule.no_worse_than_live is None for rule in model.gate.values()):
        return version
    found = None if live is None else beside(asset, live, version, graph, workshop)
    said = verdicts(model, version, found)
    alone = judged_alone(version)
    failed = list(dict.fromkeys(verdict.why for verdict in said if not verdict.passed))
    return version.with_facts(
        gate=[*alone, *(verdict.as_dict() for verdict in said)],
        held=not all(one["passed"] for one in alone) or bool(failed),
        notes=[*version.facts.get("notes", ()), *failed],
    )


def _key(model: Model, asset: Asset, graph: Graph, there: set[str]) -> tuple[str, ...]:
    """The columns that name a label row: its table's grain or key; else what its entities go by, and when."""
    label = graph.relation(model.label.from_)
    spec = label.spec if label is not None else None
    named: Sequence[str] = ()
    if isinstance(spec, TableSpec):
        named = spec.grain or spec.contract.key
    elif isinstance(spec, Source):
        named = spec.contract.key
    if named and there.issuperset(named):
        return tuple(named)
    views = [graph[name].spec for name in asset.inputs if name.startswith("feature.")]
    entities = [key for view in views for key in (getattr(view, "entity", None) or ())]
    return tuple(dict.fromkeys([*(key for key in entities if key in there), model.label.at]))


def _scored(model: Model, key: Sequence[str], version: Version, start: int, workshop: Workshop) -> Table:
    """A version's held-out rows: their key, label, instant, and the version's own score.

    Its label's columns are called as they were when it was built.
    """
    engine, rows = workshop.engine, workshop.relation(version)
    preparation, fitted = load(artifact_folder(version, workshop), version.facts["artifact"], workshop.learner)
    was = model.model_copy(update={"label": Label.model_validate(version.facts["label"])})
    columns = labelled(was, rows, engine)
    where = _held_out(columns, start)
    matrix = preparation.matrix(rows, engine, where=where, label=columns.label)
    own = [identifier(name) for name in key if name != ASKED]
    wanted = [*own, f"{columns.label} AS _label", f"{columns.at} AS {ASKED}"]
    asked = Table.from_arrow(engine.query(sql("SELECT", ", ".join(wanted), "FROM rows WHERE", where), {"rows": rows}))
    scores = score(fitted, matrix) if asked.num_rows else np.empty(0)
    return asked.append_column("_score", ChunkedArray([Array.from_numpy(scores)]))


def _held_out(columns: Labelled, start: int) -> str:
    return f"{columns.label} IS NOT NULL AND {columns.known} IS NOT NULL AND {columns.at} >= {literal(start)}"


_VALUES: Mapping[str, str] = {
    "label": "a._label",
    "asked": f"a.{ASKED}",
    "after_score": "a._score",
    "before_label": "b._label",
    "before_score": "b._score",
}
"""What is read of rows that both sides have; a row of one side has no values on the other."""


def _matching(key: Sequence[str]) -> str:
    """Both sides in one row each; of rows with the same key the first meets the first."""
    numbered = "*, row_number() OVER (PARTITION BY " + identifiers(key) + f" ORDER BY {ASKED}) AS _number"
    on = [*(identifier(name) for name in key), "_number"]
    pairs = " AND ".join(f"b.{name} IS NOT DISTINCT FROM a.{name}" for name in on)
    wanted = (
        *(f"coalesce({of}, 0) AS {name}" for name, of in _VALUES.items()),
        "b._number IS NOT NULL AND a._number IS NOT NULL AS both",
        "b._number IS NOT NULL AS there_before, a._number IS NOT NULL AS there_after",
    )
    sides = [sql("(SELECT", numbered, "FROM", name, ")") for name in (BEFORE, AFTER)]
    return sql(
        "SELECT", ", ".join(wanted), "FROM", sides[0], "AS b FULL JOIN", sides[1], "AS a ON", pairs, "ORDER BY asked"
    )


def _matched(key: tuple[str, ...], found: Table) -> Beside:
    both = found.column("both").to_numpy().astype(bool)
    went, came = (int(found.column(name).to_numpy()[~both].sum()) for name in ("there_before", "there_after"))

    def values(name: str) -> Any:
        return np.asarray(found.column(name).to_numpy(), dtype=np.float64)[both]

    rows = Rows(values("label"), values("before_score"), values("after_score"), values("asked").astype(np.int64))
    return Beside(rows, key, came, went, int((values("before_label") != rows.label).sum()))
