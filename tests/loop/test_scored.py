"""A table scored inside a run: each row by the model, with its features as they were known at the row's own instant."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from facts import face_equals_release
from processes import Nursery
from small_project import SmallProject

SCORED = """\
/* ---
description: Each purchase, and what the model would have said of it then.
grain: [visit_id]
time: asked_at
known: sent_at
score: {model: buys, at: asked_at}
contract:
  columns:
    score: {range: [0, 1], null_share: 0}
--- */
SELECT visit_id, shop, asked_at, sent_at, cents, bought FROM purchases
"""
ABOVE = """\
/* ---
grain: [shop]
--- */
SELECT shop, count(*) AS asked, avg(score) AS score FROM scored GROUP BY ALL
"""
SAME = """
SELECT count(*), count(*) FILTER (s.score IS NOT NULL), count(DISTINCT s.model_version)
FROM scored AS s JOIN purchases AS p USING (visit_id)
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SmallProject, Nursery]]:
    folder = tmp_path_factory.mktemp("scored")
    made, nursery = SmallProject(folder / "small", seed=91), Nursery(folder / "nursery")
    made.write("tables/scored.sql", SCORED)
    made.write("tables/by_shop.sql", ABOVE)
    ended = nursery.lichen(made.root, "run", "--json")
    assert ended.code == 0, ended
    yield made, nursery
    nursery.close()


def test_every_row_is_scored_and_kept(small: tuple[SmallProject, Nursery]) -> None:
    root, nursery = small[0].root, small[1]
    ((rows, scored, versions),) = nursery.lichen(root, "query", "--json", SAME).facts["rows"]
    assert rows == scored == len(small[0].expected())
    assert versions == 1
    shops = nursery.lichen(root, "query", "--json", "SELECT sum(asked) FROM by_shop").facts["rows"]
    assert shops == [[rows]]
    assert nursery.lichen(root, "run", "--json").facts["nothing"]
    face_equals_release(root)


def test_lineage_leads_from_the_score_to_the_source(small: tuple[SmallProject, Nursery]) -> None:
    root, nursery = small[0].root, small[1]
    told = nursery.lichen(root, "lineage", "scored.score", "--json")
    assert told.code == 0, told
    up, down = ({one["column"]["asset"] for one in told.facts[way]} for way in ("up", "down"))
    assert {"model.buys", "feature.shop_visits", "source.visits", "source.shops"} <= up
    assert down == {"table.by_shop"}


def test_new_rows_are_scored_by_the_next_run(small: tuple[SmallProject, Nursery]) -> None:
    made, nursery = small
    made.grow(40)
    planned = nursery.lichen(made.root, "plan", "--json").facts["steps"]
    (why,) = (step["reason"] for step in planned if step["asset"] == "table.scored")
    assert why == "table.purchases, model.buys may change"
    assert nursery.lichen(made.root, "run").code == 0
    ((rows, scored, versions),) = nursery.lichen(made.root, "query", "--json", SAME).facts["rows"]
    assert (rows, scored, versions) == (len(made.expected()), len(made.expected()), 1)
    face_equals_release(made.root)
