"""A plan as a person sees it: steps with their reasons, the columns that change, what breaks, what the models do."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lichen.cli.command import talk, tell
from lichen.cli.document import Document, Grid, Mark
from lichen.cli.screen import in_environment
from lichen.ground.counted import count, few
from lichen.plan.explain import file_and_line

if TYPE_CHECKING:
    from lichen.evaluate.movement import Movement
    from lichen.plan import Break, ColumnChange, Plan, Reach, Step
    from lichen.run.preview import ModelPreview, Preview

MOST_COLUMNS = 10
"""How many of the columns that change are shown."""

PLURALS = {"feature": "feature views"}


def show_plan(plan: Plan, preview: Preview | None = None) -> None:
    """Print a plan, what is wrong with it, and the next command."""
    if not plan:
        tell(_nothing(plan))
        return
    command = in_environment("lichen run", plan.environment)
    tell(plan_document(plan, preview).as_text())
    for error in plan.errors:
        talk()
        talk(str(error))
    tell()
    if plan.errors:
        talk(f"{count(len(plan.errors), 'error')}: a run would refuse this; mend what is said above")
    elif plan.refused:
        talk(f"a run would refuse this; next: mend it, or {command} --accept {plan.refused[0].contract} --why '...'")
    else:
        first = in_environment("lichen plan --preview", plan.environment)
        known = preview is None and any(step.stage == "train" and step.reached for step in plan.steps)
        command += ", with the same --backfill" if any(step.filled for step in plan.steps) else ""
        talk(f"next: {first}, or {command}" if known and plan.release else f"next: {command}")


def plan_document(plan: Plan, preview: Preview | None = None) -> Document:
    """A plan as a document."""
    if not plan:
        made = Document("Nothing to do")
        made.section("", _nothing(plan))
        return made
    taken = [step for step in plan.steps if step.action != "share"]
    made = Document(f"`{plan.environment}`: {count(len(taken), 'step')} against {_against(plan)}")
    section, rows = made.section(""), list(_step_rows(plan))
    if rows:
        section.parts.append(Grid(("", "", "", "rows", "seconds"), rows, frozenset({3, 4})))
    shared = len(plan.steps) - len(taken)
    if shared and plan.trunk:
        section.parts.append(f"{count(shared, 'asset')} shared with `{plan.trunk.environment}`: no build, no copy")
    section.parts += _totals(plan)
    if plan.notes:
        made.section("What comes otherwise than before", *plan.notes)
    if plan.columns:
        _add_columns(made, plan.columns)
    if plan.breaks:
        made.section("What it breaks", *_broken(plan.breaks))
    if plan.errors:
        made.section("What is wrong", *(Mark(f"{one.code}: {one.what}") for one in plan.errors))
    if preview is not None:
        _add_models(made, preview)
    return made


def _against(plan: Plan) -> str:
    """The release that a plan compares with, and the one that its environment branches from."""
    trunk = plan.trunk
    there = f"release {trunk.release} of `{trunk.environment}`" if trunk and trunk.release is not None else ""
    if plan.release is None:
        return there or "nothing: there is no release yet"
    anew = " anew" if trunk and trunk.moved else ""
    return f"release {plan.release}" + (f", branching{anew} from {there}" if there else "")


def _nothing(plan: Plan) -> str:
    return f"nothing to do: `{plan.environment}` is at release {plan.release}, and nothing changed since"


# ------------------------------------------------------------------------------------------------- steps


def _step_rows(plan: Plan) -> Iterable[tuple[str, ...]]:
    """A line a step; feature views that are made again for the same reason, which costs nothing, share one."""
    shared: dict[str, list[Step]] = {}
    rows: list[tuple[str, ...] | str] = []
    for step in plan.steps:
        if step.action == "share" or _again(step):
            continue
        if step.action == "refresh" and step.stage == "feature":
            if not shared:
                rows.append("feature")
            shared.setdefault(step.reason, []).append(step)
            continue
        rows.append((step.action, step.asset, _reason(step), *_took(step)))
    for row in rows:
        if not isinstance(row, str):
            yield row
            continue
        for reason, steps in shared.items():
            name = steps[0].asset if len(steps) == 1 else f"{len(steps)} feature views"
            yield "refresh", name, reason, "", ""


def _again(step: Step) -> bool:
    """Whether a step makes again what comes out the same."""
    return not step.reached and step.action in ("build", "refresh")


def _reason(step: Step) -> str:
    reason = f"{step.where}: {step.reason}" if step.where else step.reason
    return f"{reason}; {step.intervals}" if step.intervals else reason


def _took(step: Step) -> tuple[str, str]:
    if step.action not in ("build", "refresh"):
        return "", ""
    if step.cost is None:
        return "", "no history"
    return "" if step.cost.rows is None else f"{step.cost.rows:,}", f"{step.cost.seconds:.1f}"


def _totals(plan: Plan) -> list[str]:
    said = []
    again = [step.asset for step in plan.steps if _again(step)]
    if again:
        said.append(f"made again, and the same as before: {_named(again)}")
    if plan.unchanged:
        said.append(f"not affected: {_named(plan.unchanged)}")
    cost, computed = plan.cost, sum(step.action in ("build", "refresh") for step in plan.steps)
    if cost["without_history"] < computed:
        took = f"when last built, this took {cost['seconds']:.1f} s for {count(cost['rows'], 'row')}"
        lacking = cost["without_history"]
        said.append(took + (f"; {count(lacking, 'step')} without history" if lacking else ""))
    elif computed:
        said.append("what it takes is not known: there is no history")
    return said


def _named(assets: Sequence[str], most: int = 4) -> str:
    """A few assets by their names; of many, how many there are of each kind."""
    if len(assets) <= most:
        return ", ".join(assets)
    kinds = Counter(asset.partition(".")[0] for asset in assets)
    said = []
    for kind, number in kinds.items():
        of = [asset for asset in assets if asset.startswith(f"{kind}.")]
        plural = PLURALS.get(kind)
        said.append(of[0] if number == 1 else count(number, kind, plural))
    return ", ".join(said)


# ----------------------------------------------------------------------------------------------- columns


def _add_columns(made: Document, changes: Sequence[ColumnChange]) -> None:
    rows = [_column_row(one) for one in changes[:MOST_COLUMNS]]
    head = ("column", "how", "where", "reaches by value", "by influence")
    section = made.section("What changes", Grid(head, rows))
    if len(changes) > MOST_COLUMNS:
        section.parts.append(f"and {len(changes) - MOST_COLUMNS} more: lichen plan --json names them")


def _column_row(one: ColumnChange) -> tuple[str, ...]:
    how = f"{one.kind}: {one.detail}" if one.detail else one.kind
    return _column(one), how, file_and_line(one.where) or "", _reached(one.value), _reached(one.influence)


def _column(change: ColumnChange) -> str:
    name = change.column.asset.partition(".")[2]
    return f"rows of {name}" if change.column.column == "*" else str(change.column)


def _reached(reach: Reach) -> str:
    parts = [*reach.models]
    if reach.features:
        parts.append(reach.features[0] if len(reach.features) == 1 else count(len(reach.features), "feature"))
    return ", ".join(parts) or "nothing"


def _broken(breaks: Sequence[Break]) -> Iterable[str | Mark]:
    for one in breaks:
        relies = f"; {few(one.relies)} {'relies' if len(one.relies) == 1 else 'rely'} on it" if one.relies else ""
        said = f"{one.contract}: {one.what}{relies}"
        if one.accepted:
            yield f"{said}; that is accepted"
        else:
            yield Mark(f"{said}. Refused: keep the promise, or --accept {one.contract} --why '...'")


# ----------------------------------------------------------------------------------------------- preview


def _add_models(made: Document, preview: Preview) -> None:
    section = made.section("What it does to the models")
    if not preview.models:
        section.parts.append("the project has no model")
    for model in preview.models:
        if model.movement is None:
            section.parts.append(f"{model.model}: {model.said}")
        else:
            section.parts += _moved(model, model.movement)
        section.parts += [Mark(f"{model.model}: its gate would hold it: {why}") for why in model.held]
    section.parts.append(f"previewed in {preview.seconds:.1f} s; a run takes what was built for it")


def _moved(model: ModelPreview, moved: Movement) -> list[str | Mark | Grid]:
    others = [f"{number:,} {word}" for number, word in ((moved.came, "came"), (moved.went, "went")) if number]
    said = f"{model.model}: {count(moved.rows, 'held-out row')} of both versions, matched by {', '.join(model.key)}"
    said += f"; {' and '.join(others)}" if others else ""
    if moved.relabelled:
        said += f"; {moved.relabelled:,} have another label now, and both are judged by it"
    if not moved.rows:
        return [said]
    rows = [
        ("predictions that move", f"{moved.moved:.1%}", f"{moved.moved_much:.1%} by more than 0.01"),
        ("mean absolute move", f"{moved.mean:.4f}", ""),
    ]
    if moved.threshold is not None and moved.flipped is not None:
        share = f"{moved.flipped / moved.rows:.2%}"
        why = f"{share}, at {moved.threshold:.3f}: as many yes of the released model as are true"
        rows.append(("decisions that flip", f"{moved.flipped:,}", why))
    for name, one in moved.metrics.items():
        if not math.isfinite(one.gained):
            rows.append((name.replace("_", " "), "not measured", "the labels of these rows are all alike"))
            continue
        interval = "too few days for an interval"
        if one.low is not None and one.high is not None:
            interval = f"95 % interval of the difference {one.low:+.4f} to {one.high:+.4f}"
            interval += "" if one.told_apart else ": may be nothing"
        rows.append((name.replace("_", " "), f"{one.gained:+.4f}", f"{one.before:.4f} -> {one.after:.4f}; {interval}"))
    return [said, Grid(("", "", ""), rows, frozenset({1}))]
