"""A table scored inside a run: each row by the model, with its features as they were known at the row's own instant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from arro3.core import Table
from facts import face_equals_release
from processes import Nursery
from small_project import SmallProject

from lichen import Project
from lichen.errors import LichenError, ProjectErrors

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


def test_a_score_is_what_the_training_rows_would_get(small: tuple[SmallProject, Nursery]) -> None:
    """The features are those of the training set, which was joined at the same instants."""
    with Project(small[0].root) as project:
        service = project.service("buys").deployed
        names = [column.name for column in service.features]
        both = Table.from_arrow(
            project.query(
                "SELECT s.score AS _score, t.* FROM scored AS s JOIN training_buys AS t USING (shop, asked_at, sent_at)"
            )
        )
        rows = list(zip(*(both.column(name).to_pylist() for name in names), strict=True))
        assert len(rows) > 1000
        wanted = [service.score(service.encode(row)) for row in rows]
        assert both.column("_score").to_pylist() == wanted


def test_lineage_leads_from_the_score_to_the_source(small: tuple[SmallProject, Nursery]) -> None:
    root, nursery = small[0].root, small[1]
    told = nursery.lichen(root, "lineage", "scored.score", "--json")
    assert told.code == 0, told
    above = str(told.facts)
    for name in ("model.buys", "visits", "shops", "by_shop"):
        assert name in above, name


def test_new_rows_are_scored_by_the_next_run(tmp_path: Path) -> None:
    made, nursery = SmallProject(tmp_path / "small", seed=92), Nursery(tmp_path / "nursery")
    try:
        made.write("tables/scored.sql", SCORED)
        assert nursery.lichen(made.root, "run").code == 0
        made.grow(40)
        assert nursery.lichen(made.root, "run").code == 0
        ((rows, scored, versions),) = nursery.lichen(made.root, "query", "--json", SAME).facts["rows"]
    finally:
        nursery.close()
    assert (rows, scored, versions) == (len(made.expected()), len(made.expected()), 1)


WRONG = [
    ("at: asked_at", "at: asked", "LCH-2236", "`score.at: asked` is no column of instants (TIMESTAMP WITH TIME ZONE)"),
    ("model: buys", "model: sells", "LCH-2102", "there is no model `sells`"),
    ("cents, bought", "bought", "LCH-2513", "a request to `buys` brings `cents`, and `scored` has no such column"),
    ("cents, bought", "cents, 1 AS score", "LCH-2237", "the statement gives a column `score`, which scoring adds"),
    (
        "score: {model",
        "intervals: {by: asked_at, every: 1d}\nscore: {model",
        "LCH-2238",
        "a table in intervals cannot be scored",
    ),
]


@pytest.mark.parametrize(("old", "new", "code", "what"), WRONG, ids=[one[2] for one in WRONG])
def test_what_is_wrong_is_told_before_a_run(tmp_path: Path, old: str, new: str, code: str, what: str) -> None:
    made = SmallProject(tmp_path / "small", seed=93, rows=50)
    made.write("tables/scored.sql", SCORED.replace(old, new, 1))
    assert (code, what) in _told(made.root)


def _told(root: Path) -> list[tuple[str, str]]:
    with Project(root) as project:
        try:
            errors = project.check().errors
        except LichenError as wrong:
            errors = wrong.errors if isinstance(wrong, ProjectErrors) else [wrong]
    return [(error.code, error.what) for error in errors]


def test_no_model_learns_from_scores(tmp_path: Path) -> None:
    made = SmallProject(tmp_path / "small", seed=94, rows=50)
    made.write("tables/scored.sql", SCORED)
    made.edit("features/shop_visits.yaml", "from: purchases", "from: scored")
    assert _told(made.root) == [("LCH-2107", "the model `buys` would learn from its own scores, in `scored`")]
    made.edit("features/shop_visits.yaml", "from: scored", "from: purchases")
    other = (made.root / "models/buys.yaml").read_text().replace("from: purchases", "from: scored")
    made.write("models/again.yaml", other)
    assert _told(made.root) == [("LCH-2106", "the model `again` would learn from the scores in `scored`")]
