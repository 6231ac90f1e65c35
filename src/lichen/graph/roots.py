"""The source columns that a feature is made of when a request is answered."""

from __future__ import annotations

from collections import deque

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lichen.graph.dialect import DIALECT
from lichen.graph.edges import PREDICTION_TIME
from lichen.graph.lineage import AssetColumn, Lineage
from lichen.graph.origin import ROWS
from lichen.spec import ProjectSpec

REQUEST = "request"
"""What stands in a source's place for what the request itself brings: `request.distance`."""

UNKNOWN = "*"
"""Stands for the column of a feature that nothing makes, such as a constant."""


def roots(lineage: Lineage, project: ProjectSpec, view: str, feature: str) -> tuple[str, ...]:
    """The columns, as `source.column`, whose values a feature is made of; at least one.

    Where none gives its value, as in a count of rows, they are those that decide which rows count. What a request
    brings is `request.<column>`, for in an answer no source does.
    """
    start = AssetColumn(f"feature.{view}", feature)
    return (
        _reached(lineage, project, start, values=True) or _reached(lineage, project, start, values=False) or (UNKNOWN,)
    )


def _reached(lineage: Lineage, project: ProjectSpec, start: AssetColumn, *, values: bool) -> tuple[str, ...]:
    found: dict[str, None] = {}
    rows: dict[str, None] = {}
    seen, waiting = {start}, deque([start])
    while waiting:
        column = waiting.popleft()
        kind, _, name = column.asset.partition(".")
        if kind == "source":
            (rows if column.column == ROWS else found)[str(column)] = None
            continue
        view = project.features.get(name) if kind == "feature" else None
        if view is not None and column.column in view.columns:
            found[f"{REQUEST}.{column.column}"] = None
            continue
        if view is not None and _reads_the_time(view.expressions.get(column.column)):
            found[f"{REQUEST}.{PREDICTION_TIME}"] = None
        for edge in lineage.into(column):
            # What holds within a model is how it was trained: there the label table brings what here a request does.
            if edge.within is None and (edge.kind == "value" or not values) and edge.source not in seen:
                seen.add(edge.source)
                waiting.append(edge.source)
    return tuple(sorted(found or rows))


def _reads_the_time(expression: str | None) -> bool:
    if expression is None:
        return False
    try:
        tree = sqlglot.parse_one(expression, dialect=DIALECT)
    except (SqlglotError, RecursionError):
        return True
    return any(not one.table and one.name.lower() == PREDICTION_TIME for one in tree.find_all(exp.Column))
