from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from arro3.core import Table

from lichen.feature.featureset import FeatureSet
from lichen.feature.join import join
from lichen.feature.view import View, WindowAggregate
from lichen.ports import Column, Engine, Relation
from lichen.run.narrowed import Stretch, narrowed
from lichen.run.workshop import Workshop
from lichen.spec import ProjectFile

HOUR = 3_600_000_000
SHOP = Column("shop", "VARCHAR")
VIEW = View(
    "v", (SHOP,), "sales", "happened", "heard", (WindowAggregate("spent", "sum", "Cents", None, "BIGINT"),), ("2h",),
    (), None, False, (Column("spent_2h", "BIGINT"),),
)  # fmt: skip
SALES = """
SELECT shop, make_timestamptz(h * 3600000000 + 1) AS happened, make_timestamptz((h + k) * 3600000000 + 1) AS heard,
    h AS "Cents", 'x' AS unread
FROM (VALUES ('a'), ('b'), (NULL)) AS s(shop), range(100) AS h(h), (VALUES (0), (5)) AS k(k)
UNION ALL SELECT 'a', NULL, make_timestamptz(0), 1000000, 'x'
"""
COLUMNS = (SHOP, *(Column(name, "TIMESTAMP WITH TIME ZONE") for name in ("happened", "heard")),
           Column("Cents", "BIGINT"), Column("unread", "VARCHAR"))  # fmt: skip


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Workshop(tmp_path, ProjectFile(name="p", memory="256MB")) as made:
        yield made.engine


def _set(view: View) -> FeatureSet:
    features = tuple(Column(f"{view.name}.{column.name}", column.type) for column in view.features)
    return FeatureSet((view,), (), view.entity, features)


def _rows(engine: Engine, select: str, **inputs: Relation) -> Table:
    return Table.from_arrow(engine.query(select, inputs))


def test_what_is_left_answers_as_all_rows_do(engine: Engine) -> None:
    sales = Relation(COLUMNS, arrow=_rows(engine, SALES))
    select = "SELECT 'a' AS shop, make_timestamptz(h * 1800000000) AS at FROM range(80, 91) AS h(h)"
    asked = _rows(engine, select)
    stretch = Stretch(40 * HOUR, 45 * HOUR)
    own, inputs = narrowed(_set(VIEW), {"v": sales}, asked, [stretch], engine)
    assert own.views[0].table == "v"
    kept = Table.from_arrow(inputs["v"].arrow)
    assert kept.column_names == ["shop", "happened", "heard", "Cents"]
    hours = kept.column("Cents").to_pylist()
    assert min(hours) >= 36, "rows that no window reaches"
    assert max(hour for hour in hours if hour < 1000) == 44, "rows that became known after the last question"
    assert 1_000_000 in hours, "rows without a time are for the code that reads them to leave out"
    assert set(kept.column("shop").to_pylist()) == {"a"}
    assert hours == [hour for _, hour in sorted(zip(_places(engine, sales, hours), hours, strict=True))]
    labels = [Relation(arrow=_rows(engine, select)) for _ in range(2)]
    whole = join(_set(VIEW), labels[0], "at", {"sales": sales}, engine)
    part = join(own, labels[1], "at", inputs, engine)
    assert Table.from_arrow(part).column("v.spent_2h") == Table.from_arrow(whole).column("v.spent_2h")


def _places(engine: Engine, sales: Relation, hours: list[int]) -> list[int]:
    """Where the rows stood: rows keep their order, and those of one hour are alike here."""
    every = _rows(engine, "SELECT \"Cents\" FROM s WHERE shop = 'a'", s=sales).column("Cents").to_pylist()
    places, start = [], 0
    for hour in hours:
        start = every.index(hour, start) + 1
        places.append(start)
    return places


def test_a_view_that_reaches_back_to_the_first_row_keeps_them_all(engine: Engine) -> None:
    sales = Relation(COLUMNS, arrow=_rows(engine, SALES))
    asked = _rows(engine, "SELECT 'b' AS shop")
    view = replace(VIEW, windows=("all",), features=(Column("spent_all", "BIGINT"),))
    _, inputs = narrowed(_set(view), {"v": sales}, asked, [Stretch(10 * HOUR, 20 * HOUR)], engine)
    assert sorted(set(Table.from_arrow(inputs["v"].arrow).column("Cents").to_pylist())) == list(range(20))


def test_a_view_of_everybody_and_a_static_one_are_narrowed_by_what_they_have(engine: Engine) -> None:
    sales = Relation(COLUMNS, arrow=_rows(engine, SALES))
    asked = _rows(engine, "SELECT 'a' AS shop")
    _, inputs = narrowed(_set(replace(VIEW, entity=())), {"v": sales}, asked, [Stretch(0, HOUR)], engine)
    assert set(Table.from_arrow(inputs["v"].arrow).column("Cents").to_pylist()) == {0, 1_000_000}
    static = View("v", (SHOP,), "sales", None, None, (), (), (Column("Cents", "BIGINT"),), None, True, ())
    _, inputs = narrowed(_set(static), {"v": sales}, asked, [], engine)
    kept = Table.from_arrow(inputs["v"].arrow)
    assert (kept.column_names, kept.num_rows) == (["shop", "Cents"], 201)
