"""Lineage as a person sees it: a tree up to what a column is made of, and one down to what is made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from lichen.cli.command import say, talk, tell
from lichen.graph.lineage import AssetColumn, Edge, Lineage, Reached
from lichen.graph.origin import ROWS, How
from lichen.ground.counted import count

UP = "made of"
DOWN = "makes"


def lineage_facts(lineage: Lineage, column: AssetColumn, *, up: bool, down: bool) -> dict[str, Any]:
    """A column's lineage for a machine."""
    where = lineage.where(column)
    place = None if where is None else {"file": str(where.file), "line": where.line, "column": where.column}
    facts: dict[str, Any] = {"asset": column.asset, "column": column.column, "where": place}
    if up:
        facts["up"] = [reached.as_dict() for reached in lineage.up(column)]
    if down:
        facts["down"] = [reached.as_dict() for reached in lineage.down(column)]
    return {**facts, "opaque": sorted(lineage.opaque)}


def show_lineage(lineage: Lineage, column: AssetColumn, *, up: bool, down: bool) -> None:
    """Print a column's lineage; a column stands where the shortest way to it is, each once."""
    where = lineage.where(column)
    tell(_name(column) + (f"  {where}" if where is not None else ""))
    sides = [(UP, lineage.up(column), up, True), (DOWN, lineage.down(column), down, False)]
    for title, reached, asked, upward in sides:
        if asked:
            tell(f"{title} {_counted(reached)}")
            for line in _tree(column, reached, upward=upward):
                tell(line)
    if lineage.opaque:
        tell("not all of it could be read, so that all inputs reach all columns: " + ", ".join(sorted(lineage.opaque)))
    talk("value: handed on or computed with; all else decides which rows there are")


def print_events(events: Sequence[dict[str, Any]]) -> None:
    """Print OpenLineage events as they are sent: a JSON object a line."""
    for event in events:
        say(json.dumps(event))


def _counted(reached: Sequence[Reached]) -> str:
    columns = [one for one in reached if one.column.column != ROWS]
    by_value = sum(one.kind == "value" for one in columns)
    return f"{count(by_value, 'column')} by value, {len(columns) - by_value} by influence" if columns else "nothing"


_Under = dict[AssetColumn, list[tuple[AssetColumn, Edge]]]
"""For each column those that stand under it, with the edge between."""


def _tree(start: AssetColumn, reached: Sequence[Reached], *, upward: bool) -> Iterator[str]:
    """The paths as a tree: each column under the one before it on its own path."""
    under: _Under = {}
    for one in reached:
        last = one.path[0] if upward else one.path[-1]
        under.setdefault(last.target if upward else last.source, []).append((one.column, last))
    yield from _branches(start, under, "")


def _branches(column: AssetColumn, under: _Under, before: str) -> Iterator[str]:
    branches = under.pop(column, [])
    for place, (one, edge) in enumerate(branches):
        last = place == len(branches) - 1
        yield f"{before}{'└─' if last else '├─'} {_name(one)}  {_told(edge)}"
        yield from _branches(one, under, before + ("   " if last else "│  "))


def _told(edge: Edge) -> str:
    words = [word for word in edge.how.words if word != "computed"]
    if edge.how == How.COUNT:
        words = ["rows"]
    return ", ".join(words)


def _name(column: AssetColumn) -> str:
    """A column as a person knows it; a model and its service often share a name, so that their kind is said."""
    if column.asset.startswith(("model.", "service.")):
        return f"{column.asset}.{column.column}"
    return f"{column.asset.partition('.')[2]} (rows)" if column.column == ROWS else str(column)
