from __future__ import annotations

import pytest

from lichen.errors import Where, WrongUsage
from lichen.graph.lineage import AssetColumn, Edge, Lineage
from lichen.graph.origin import How

A, B, C, D = (AssetColumn(f"table.{name}", "x") for name in "abcd")
M, N = AssetColumn("model.m", "score"), AssetColumn("model.n", "score")
V = AssetColumn("feature.v", "f")
COLUMNS = {
    **{column.asset: ("x",) for column in (A, B, C, D)},
    "model.m": ("score",),
    "model.n": ("score",),
    "service.m": ("score",),
}


def lineage(*edges: Edge) -> Lineage:
    return Lineage(COLUMNS, edges, places={A: lambda: Where("a.sql", 3, 4)})


def test_a_column_is_reached_by_value_where_any_way_is_of_value_alone() -> None:
    long = [Edge(A, B, How.VALUE), Edge(B, C, How.VALUE | How.AGGREGATED)]
    made = lineage(Edge(A, C, How.FILTER), *long)
    (near, far) = made.up(C)
    assert (near.column, near.kind, near.mixes_rows) == (B, "value", True)
    assert (far.column, far.kind, far.path) == (A, "value", tuple(long))
    assert [(one.column, one.kind) for one in made.down(A)] == [(B, "value"), (C, "value")]
    assert made.down(A)[1].path == tuple(long)


def test_an_influence_anywhere_makes_the_way_an_influence() -> None:
    made = lineage(Edge(A, B, How.FILTER), Edge(B, C, How.VALUE))
    assert {one.column: one.kind for one in made.up(C)} == {A: "influence", B: "value"}


def test_a_circle_ends() -> None:
    made = lineage(Edge(A, B, How.VALUE), Edge(B, A, How.VALUE))
    assert [one.column for one in made.up(A)] == [B]


def test_what_one_model_s_request_brings_is_not_what_another_s_does() -> None:
    made = lineage(
        Edge(A, V, How.VALUE, "model.m"), Edge(B, V, How.VALUE, "model.n"), Edge(V, M, How.VALUE), Edge(V, N, How.VALUE)
    )
    assert {one.column for one in made.up(M)} == {V, A}
    assert {one.column for one in made.up(N)} == {V, B}
    assert {one.column for one in made.up(V)} == {A, B}
    assert {one.column for one in made.down(A)} == {V, M}


def test_edges_of_value_come_first() -> None:
    made = lineage(Edge(A, C, How.FILTER), Edge(B, C, How.VALUE))
    assert [edge.source for edge in made.into(C)] == [B, A]
    assert [edge.kind for edge in made.out_of(A)] == ["influence"]


def test_a_column_is_found_by_its_name_with_or_without_the_kind() -> None:
    made = lineage()
    assert made.find("A.x") == A == made.find("table.a.x")
    assert made.find("a.*") == AssetColumn("table.a", "*")
    assert made.find("model.m.score") == M


def test_a_name_that_is_no_column_or_two_is_refused() -> None:
    with pytest.raises(WrongUsage) as caught:
        lineage().find("a.xx")
    assert str(caught.value) == "LCH-1041: there is no column `a.xx`\n  fix: did you mean `a.x`?"
    with pytest.raises(WrongUsage) as caught:
        lineage().find("m.score")
    assert str(caught.value) == (
        "LCH-1040: `m.score` is 2 columns\n  fix: write one of: model.m.score, service.m.score"
    )


def test_where_a_column_is_made_is_known() -> None:
    assert lineage().where(A) == Where("a.sql", 3, 4)
    assert lineage().where(B) is None


def test_it_is_told_to_a_machine() -> None:
    made = lineage(Edge(A, B, How.VALUE | How.COMPUTED))
    told = {"from": {"asset": "table.a", "column": "x"}, "to": {"asset": "table.b", "column": "x"}}
    assert made.as_dict()["edges"] == [{**told, "kind": "value", "how": ["value", "computed"]}]
    (reached,) = made.up(B)
    assert reached.as_dict()["column"] == told["from"]
