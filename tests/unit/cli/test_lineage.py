from __future__ import annotations

import json
from typing import Any

import pytest
from processes import Nursery

from lichen.cli.lineage import lineage_facts, show_lineage
from lichen.errors import Where
from lichen.graph.lineage import AssetColumn, Edge, Lineage
from lichen.graph.origin import How

SOURCE, TABLE, ROWS = AssetColumn("source.s", "a"), AssetColumn("table.t", "b"), AssetColumn("table.t", "*")
FEATURE, SCORE = AssetColumn("feature.v", "f"), AssetColumn("model.m", "score")
LINEAGE = Lineage(
    {"source.s": ("a", "k"), "table.t": ("b",), "feature.v": ("f",), "model.m": ("score",)},
    (
        Edge(SOURCE, TABLE, How.VALUE | How.COMPUTED),
        Edge(AssetColumn("source.s", "k"), ROWS, How.FILTER),
        Edge(ROWS, TABLE, How.COUNT),
        Edge(TABLE, FEATURE, How.VALUE | How.COMPUTED | How.AGGREGATED),
        Edge(FEATURE, SCORE, How.VALUE | How.COMPUTED),
        Edge(TABLE, SCORE, How.LABEL),
    ),
    places={TABLE: lambda: Where("tables/t.sql", 3, 5)},
)


def test_both_ways_are_trees_under_the_column(capsys: pytest.CaptureFixture[str]) -> None:
    show_lineage(LINEAGE, TABLE, up=True, down=True)
    assert capsys.readouterr().out.splitlines() == [
        "t.b  tables/t.sql:3:5",
        "made of 1 column by value, 1 by influence",
        "├─ s.a  value",
        "└─ t (rows)  rows",
        "   └─ s.k  filter",
        "makes 2 columns by value, 0 by influence",
        "└─ v.f  value, aggregated",
        "   └─ model.m.score  value",
    ]


def test_one_way_alone(capsys: pytest.CaptureFixture[str]) -> None:
    show_lineage(LINEAGE, SOURCE, up=True, down=False)
    assert capsys.readouterr().out.splitlines() == ["s.a", "made of nothing"]


def test_what_could_not_be_read_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    show_lineage(Lineage(LINEAGE.columns, (), frozenset(["table.t"])), SOURCE, up=False, down=True)
    assert capsys.readouterr().out.splitlines()[-1] == (
        "not all of it could be read, so that all inputs reach all columns: table.t"
    )


def test_facts_for_a_machine_hold_the_paths() -> None:
    facts = lineage_facts(LINEAGE, TABLE, up=True, down=False)
    assert facts["where"] == {"file": "tables/t.sql", "line": 3, "column": 5}
    assert [(one["column"]["column"], one["kind"]) for one in facts["up"]] == [
        ("a", "value"),
        ("*", "influence"),
        ("k", "influence"),
    ]
    assert "down" not in facts
    assert facts["opaque"] == []


def test_the_verb_shows_a_column_and_refuses_what_is_none(nursery: Nursery, fresh: Any) -> None:
    ended = nursery.lichen(fresh.root, "lineage", "invoice_labels.late")
    assert ended.code == 0, ended
    assert "└─" in ended.out
    facts = nursery.lichen(fresh.root, "lineage", "invoice_labels.late", "--up", "--json").facts
    assert (facts["asset"], facts["column"]) == ("table.invoice_labels", "late")
    assert {one["column"]["asset"].partition(".")[0] for one in facts["up"]} == {"source", "table"}
    ended = nursery.lichen(fresh.root, "lineage", "invoice_labels.lete")
    assert (ended.code, ended.err.splitlines()[0]) == (2, "LCH-1041: there is no column `invoice_labels.lete`")
    assert "`invoice_labels.late`" in ended.err
    ended = nursery.lichen(fresh.root, "lineage")
    assert ended.code == 2
    assert ended.err.startswith("LCH-1042: say which column is meant\n")


def test_openlineage_is_an_event_a_line(nursery: Nursery, fresh: Any) -> None:
    events = [json.loads(line) for line in nursery.lichen(fresh.root, "lineage", "--openlineage").out.splitlines()]
    assert "source.invoices" in [event["job"]["name"] for event in events]
    facts = nursery.lichen(fresh.root, "lineage", "--openlineage", "--json").facts
    assert [event["job"] for event in facts["events"]] == [event["job"] for event in events]
