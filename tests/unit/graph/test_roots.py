from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lichen.graph.build import build_graph
from lichen.graph.edges import project_lineage
from lichen.graph.roots import roots
from lichen.spec import ProjectSpec

from .test_edges import COLUMNS, project

__all__ = ["project"]

TRIP = {
    "features/trip.yaml": "on: request\ncolumns: {delay: double}\nexpressions: {ratio: delay / carrier.delay_1h, "
    "left: \"date_part('hour', prediction_time)\", one: '1', share: ratio * 2}\n"
}


@pytest.fixture
def found(project: Callable[..., ProjectSpec], tmp_path: Path) -> Callable[[str, str], tuple[str, ...]]:
    spec = project(TRIP)
    lineage = project_lineage(build_graph(spec), spec, COLUMNS)
    return lambda view, feature: roots(lineage, spec, view, feature)


@pytest.mark.parametrize(
    ("view", "feature", "columns"),
    [
        ("carrier", "delay_1h", ("flights.Delay",)),
        ("carrier", "late", ("flights.Delay",)),
        ("plane", "seats", ("flights.seats",)),
        # Nothing gives a count its value: it is of the rows, and these are what decides which rows it sees.
        ("carrier", "number_1h", ("flights.arrived", "flights.cancelled", "flights.carrier")),
        # What a request brings comes of no source, though the label table brought it for training.
        ("trip", "delay", ("request.delay",)),
        ("trip", "left", ("request.prediction_time",)),
        ("trip", "ratio", ("flights.Delay", "request.delay")),
        ("trip", "one", ("*",)),
    ],
)
def test_a_feature_is_made_of_columns(
    found: Callable[[str, str], tuple[str, ...]], view: str, feature: str, columns: tuple[str, ...]
) -> None:
    assert found(view, feature) == columns
