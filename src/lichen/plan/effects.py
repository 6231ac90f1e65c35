"""What a plan's steps do: the edits behind them, the columns that change, what these reach, the promises they break."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from lichen.errors import LichenError, Where
from lichen.graph.build import Asset, Graph
from lichen.graph.fingerprint import MEANING, meaning
from lichen.graph.imprint import Imprint, imprint
from lichen.graph.lineage import AssetColumn, Lineage
from lichen.graph.origin import ROWS
from lichen.graph.version import Version
from lichen.ground.counted import few
from lichen.plan.breaks import Break, breaks_of
from lichen.plan.columns import (
    ColumnChange,
    Found,
    model_changes,
    promise_changes,
    reached_assets,
    table_changes,
    view_changes,
    with_reach,
)
from lichen.plan.explain import Difference, Edit, differences, sql_edits
from lichen.plan.steps import Plan, Step
from lichen.ports import Column
from lichen.spec import ProjectSpec
from lichen.spec.files import SpecFile


def edits_of(asset: Asset, old: Version, released: Mapping[str, Version], file: SpecFile | None) -> Iterator[Edit]:
    """What was changed in an asset's file since a version of it was built, each thing with its place."""
    for one in differences(old.facts.get(MEANING, {}), meaning(asset)):
        where = file.where(one.at) if file is not None else None
        imprints = _imprints(asset, old, released, {}) if one.at == ("sql",) else None
        if imprints is None or file is None:
            yield Edit(one.phrase, where)
        else:
            start = file.sql_line - 1
            yield from sql_edits(*imprints, partial(_line, file, start), where)


def _line(file: SpecFile, start: int, line: int, at: int) -> Where:
    return file.line(start + line, at)


def _imprints(
    asset: Asset, old: Version, released: Mapping[str, Version], columns: Mapping[str, Sequence[Column]]
) -> tuple[Imprint, Imprint] | None:
    """What a table's statement was and is, where it is another one."""
    was = old.facts.get(MEANING, {}).get("sql")
    if asset.statement is None or was is None or was == asset.statement.canonical:
        return None
    before = {v.relation: [c.name for c in v.columns] for name in old.inputs if (v := released.get(name))}
    now = {name: [column.name for column in found] for name, found in columns.items()}
    return imprint(str(was), before), imprint(asset.statement.tree, {**before, **now})


# ------------------------------------------------------------------------------------------ columns


@dataclass(frozen=True)
class Known:
    """What was found out about the project as it is now: lineage, each relation's columns, and all that is wrong."""

    lineage: Lineage
    columns: Mapping[str, Sequence[Column]]
    errors: Sequence[LichenError] = ()
    notes: Sequence[str] = ()
    """What is not wrong, and has to be known before a run: sources that are not as they were."""


def explained(made: Plan, graph: Graph, project: ProjectSpec, released: Mapping[str, Version], known: Known) -> Plan:
    """The same plan with the columns that change, what they reach, and the promises that would be broken.

    `released` holds the environment's versions by asset, and those of its trunk where it has none of its own.
    """
    found: list[Found] = []
    breaks: list[Break] = []
    whole: set[str] = set()
    for step in made.steps:
        asset, old = graph.assets.get(step.asset), released.get(step.asset)
        if asset is None or step.action in ("rename", "carry"):
            if asset is not None and asset.kind == "source" and step.reason.endswith(" changed"):
                found.append((AssetColumn(asset.id, ROWS), "rows", "what it reads changed"))
        elif step.action == "share":
            if old is not None and old.version != step.version:
                found.append((AssetColumn(asset.id, ROWS), "rows", step.reason))
        elif old is None or (step.action == "build" and not (step.edits and MEANING in old.facts)):
            whole.add(asset.id)
        elif step.action == "build":
            found += _found(asset, old, graph, released, known)
            columns = known.columns.get(asset.name) if asset.kind in ("source", "table") else None
            breaks += breaks_of(asset, old, old.facts[MEANING], columns, known.lineage, project)
            if asset.kind in ("service", "monitor"):
                whole.add(asset.id)
        elif asset.kind in ("source", "table"):
            found += table_changes(asset, old, None, known.columns.get(asset.name))
            if asset.kind == "source":
                found.append((AssetColumn(asset.id, ROWS), "rows", "what it reads changed"))
            elif step.filled:
                found.append((AssetColumn(asset.id, ROWS), "rows", "late rows come in"))
    changes = with_reach(found, known.lineage)
    steps = _reached(made.steps, changes, whole, graph, known.lineage)
    return replace(
        made, steps=steps, columns=changes, breaks=tuple(breaks), errors=tuple(known.errors), notes=tuple(known.notes)
    )


def _found(asset: Asset, old: Version, graph: Graph, released: Mapping[str, Version], known: Known) -> Iterator[Found]:
    changed: list[Difference] = differences(old.facts.get(MEANING, {}), meaning(asset))
    if asset.kind == "table":
        columns = known.columns.get(asset.name)
        yield from table_changes(asset, old, _imprints(asset, old, released, known.columns), columns)
        yield from promise_changes(asset, changed, graph)
    elif asset.kind == "source":
        yield from table_changes(asset, old, None, known.columns.get(asset.name))
        yield from promise_changes(asset, changed, graph)
    elif asset.kind == "feature":
        yield from view_changes(asset, old, graph)
    elif asset.kind == "model":
        yield from model_changes(asset, changed)


def _reached(
    steps: Sequence[Step], changes: Sequence[ColumnChange], whole: set[str], graph: Graph, lineage: Lineage
) -> tuple[Step, ...]:
    """The steps with whether their assets can change; what reads a changed model or service can."""
    reached = reached_assets(changes, lineage) | whole | {step.asset for step in steps if step.action == "drop"}
    made = []
    for step in steps:
        asset = graph.assets.get(step.asset)
        if asset is not None and step.asset not in reached:
            above = set(asset.inputs) & (whole if asset.kind not in ("service", "monitor") else reached | whole)
            if above:
                reached.add(step.asset)
                whole.add(step.asset)
        if step.asset in reached:
            made.append(_because(step, asset, reached))
        else:
            made.append(replace(step, reached=False, reason=_unreached(step)))
    return tuple(made)


def _because(step: Step, asset: Asset | None, reached: set[str]) -> Step:
    """A step whose reason names only what can change of all that it reads."""
    if step.action != "refresh" or asset is None or asset.kind == "source":
        return step
    moved = [name for name in asset.inputs if name in reached]
    return replace(step, reason=f"{few(moved, 2)} may change") if moved else step


def _unreached(step: Step) -> str:
    """Why a step is taken although its asset comes out the same."""
    if step.action not in ("build", "refresh"):
        return step.reason
    if step.action == "build":
        return f"{step.reason}; what it gives stays the same"
    above = step.reason.removesuffix(" may change")
    return f"{above} {'are' if ', ' in above else 'is'} made again; no column that reaches it changes"
