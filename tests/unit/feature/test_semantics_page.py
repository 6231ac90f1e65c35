"""The worked examples of docs/semantics-of-time.md say what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from arro3.core import Table

from lichen.backends.duckdb import DuckDBEngine
from lichen.errors import Where
from lichen.feature.featureset import RelationFacts, feature_set
from lichen.feature.join import join
from lichen.ports import Column, Relation
from lichen.spec import FeatureView

PAGE = Path(__file__).parents[3] / "docs/semantics-of-time.md"
ARRIVALS = {
    "flight": "BIGINT", "arrived": "TIMESTAMPTZ", "reported": "TIMESTAMPTZ", "delay": "BIGINT", "carrier": "VARCHAR",
}  # fmt: skip
ASKED = {"carrier": "VARCHAR", "asked": "TIMESTAMPTZ"}


def tables(text: str) -> list[list[list[str]]]:
    """The page's tables, each a list of lines of cells; heads first."""
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in lines.splitlines() if "---" not in line]
        for lines in found
    ]


def relation(engine: DuckDBEngine, columns: dict[str, str], rows: list[list[str]]) -> Relation:
    values = ", ".join("(" + ", ".join("NULL" if cell == "null" else f"'{cell}'" for cell in row) + ")" for row in rows)
    casts = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in columns.items())
    given = engine.query(f"SELECT {casts} FROM (VALUES {values}) AS t({', '.join(columns)})", {})
    described = engine.describe(f"SELECT {casts} FROM (VALUES {values}) AS t({', '.join(columns)})", {})
    return Relation(described, arrow=Table.from_arrow(given))


def day(clock: str) -> str:
    return clock if clock == "null" else f"2013-06-01 {clock}:00+00"


@pytest.mark.parametrize("example", [0, 1], ids=["lateness", "corrections"])
def test_an_example_is_what_the_code_computes(tmp_path: Path, example: int) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (names, *events), (heads, *answers) = tables(text)[2 * example : 2 * example + 2]
    view = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[example]
    engine = DuckDBEngine(scratch=tmp_path)
    times = [place for place, name in enumerate(names) if name in ("arrived", "reported")]
    rows = [[day(cell) if place in times else cell for place, cell in enumerate(event)] for event in events]
    columns = {name: ARRIVALS[name] for name in (*names, "carrier")}
    arrivals = relation(engine, columns, [[*row, "UA"] for row in rows])
    asked = relation(engine, ASKED, [["UA", day(answer[0])] for answer in answers])
    features = feature_set(
        ["carrier"],
        {"carrier": FeatureView.model_validate(yaml.safe_load(view))},
        {"arrivals": RelationFacts(tuple(Column(c.name, c.type) for c in arrivals.columns), None, None)},
        where=lambda *_, **__: Where(PAGE),
        engine=engine,
    )
    joined = Table.from_arrow(join(features, asked, "asked", {"arrivals": arrivals}, engine))
    assert [f"carrier.{head}" for head in heads[1:]] == [column.name for column in features.features]
    computed: list[list[Any]] = [joined.column(f"carrier.{head}").to_pylist() for head in heads[1:]]
    written = [[None if cell == "null" else float(cell) for cell in answer[1:]] for answer in answers]
    assert [list(row) for row in zip(*computed, strict=True)] == written


def test_every_table_of_answers_is_computed() -> None:
    heads = [table[0][0] for table in tables(PAGE.read_text(encoding="utf-8"))]
    assert heads == ["arrived", "asked at", "flight", "asked at", "case"]
