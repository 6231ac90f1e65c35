"""Laws of the plan over random edits: it names what can change; carried out it is empty, and equals a fresh run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from arro3.core import Table
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from small_project import SmallProject

from lichen import Project

EDITS = [
    ("tables/purchases.sql", "v.cents,", "v.cents + 1 AS cents,"),
    ("tables/purchases.sql", "LEFT JOIN", "JOIN"),
    ("tables/purchases.sql", "s.city\n", "upper(s.city) AS city\n"),
    ("tables/purchases.sql", "SELECT v.visit_id", "-- the visits\nSELECT v.visit_id"),
    ("tables/purchases.sql", "grain: [visit_id]\n", "grain: [visit_id]\ndescription: Each visit.\n"),
    ("tables/daily.sql", "sum(cents)", "sum(cents * 2)"),
    ("tables/daily.sql", "'day'", "'week'"),
    ("tables/daily.sql", "FROM purchases", "FROM purchases AS p"),
    ("tables/daily.sql", "GROUP BY ALL", "WHERE cents > 500 GROUP BY ALL"),
    ("tables/totals.sql", "sum(visits)", "max(visits)"),
    ("tables/totals.sql", "FROM daily", "FROM (SELECT * FROM daily) AS d"),
    ("sources/shops.yaml", "range: [1, 1000]", "range: [50, 1000]"),
    ("sources/shops.yaml", "[Ulm, Bonn]", "[Ulm, Bonn, Paris]"),
    ("tables/pairs.sql", "a.visits AS visits", "b.visits AS visits"),
    ("tables/pairs.sql", "a.cents < b.cents", "b.cents < a.cents"),
    ("tables/pairs.sql", "z.city", "y.city"),
    ("tables/pairs.sql", "max(i.visits)", "max(i.visits + a.visits)"),
    ("tables/pairs.sql", "i.cents < a.cents", "a.cents < i.cents"),
]
PAIRS = """\
/* ---
grain: [shop, other]
--- */
SELECT a.shop, b.shop AS other, a.visits AS visits, z.city,
    (SELECT max(i.visits) FROM totals AS i WHERE i.cents < a.cents) AS below
FROM totals AS a JOIN totals AS b ON a.cents < b.cents
LEFT JOIN shops AS y ON y.shop = a.shop
LEFT JOIN shops AS z ON z.shop = b.shop
"""
"""Each of its relations is read twice, or more."""
LAYOUT = {3, 4}
"""The edits that change no meaning."""

READS = {
    "source.shops": {"table.purchases", "table.pairs"},
    "table.purchases": {"table.daily"},
    "table.daily": {"table.totals"},
    "table.totals": {"table.pairs"},
    "table.pairs": set(),
}
TABLES = ("visits", "shops", "purchases", "daily", "totals", "pairs")


class Edited:
    """A project that edits are put into and taken out of."""

    def __init__(self, small: SmallProject) -> None:
        self.small, self.there = small, set[int]()
        small.write("tables/pairs.sql", PAIRS)

    @property
    def root(self) -> Path:
        return self.small.root

    def toggle(self, chosen: Sequence[int]) -> set[str]:
        """Put edits in, or take them out where they are in; gives the assets that mean something else now."""
        for number in chosen:
            file, old, new = EDITS[number]
            self.small.edit(file, *((new, old) if number in self.there else (old, new)))
            self.there ^= {number}
        folders = {"tables": "table", "sources": "source"}
        return {f"{folders[EDITS[n][0].split('/')[0]]}.{Path(EDITS[n][0]).stem}" for n in set(chosen) - LAYOUT}

    def rows(self, root: Path | None = None) -> dict[str, list[Any]]:
        with Project(root or self.root) as project:
            return {name: rows_of(project, name) for name in TABLES}

    def from_scratch(self, folder: Path) -> Path:
        """The same files in another folder, with nothing of what was built."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.root, folder, ignore=shutil.ignore_patterns(".lichen"))
        return folder


def rows_of(project: Project, relation: str) -> list[Any]:
    table = Table.from_arrow(project.query(f"SELECT * FROM {relation} ORDER BY ALL"))
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def closure(changed: set[str]) -> set[str]:
    found, waiting = set[str](), sorted(changed)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += READS[name]
    return found


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Edited:
    """The project's tables without its model, which has been run."""
    made = Edited(SmallProject(tmp_path_factory.mktemp("tables"), seed=5, rows=300))
    for folder in ("features", "models", "services", "monitors"):
        shutil.rmtree(made.root / folder)
    with Project(made.root) as project:
        project.run()
    return made


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(chosen=st.lists(st.integers(0, len(EDITS) - 1), min_size=1, max_size=4, unique=True))
@example(chosen=[13])
@example(chosen=[14])
@example(chosen=[15])
@example(chosen=[17])
def test_a_plan_names_what_can_change_and_carried_out_it_is_a_run_from_scratch(
    tables: Edited, chosen: list[int], tmp_path: Path
) -> None:
    before = tables.rows()
    edited = tables.toggle(chosen)
    with Project(tables.root) as project:
        planned = project.plan()
        assert {step.asset for step in planned.steps} == closure(edited)
        assert {step.asset for step in planned.steps if step.action == "build"} == edited
        project.run()
        assert not project.plan()
    with Project(tables.root) as project:
        assert not project.plan()
    after = tables.rows()
    moved = {name for name in TABLES if after[name] != before[name]}
    assert moved <= {step.asset.partition(".")[2] for step in planned.steps if step.reached}
    scratch = tables.from_scratch(tmp_path / "scratch")
    with Project(scratch) as project:
        project.run()
    assert tables.rows(scratch) == after


def test_what_a_model_learns_from_is_what_it_is_from_scratch(tmp_path: Path) -> None:
    made = Edited(SmallProject(tmp_path / "whole", seed=8))
    with Project(made.root) as project:
        project.run()
    for number in (0, 2, 1):
        made.toggle([number])
        with Project(made.root) as project:
            seen = project.preview()
            assert {step.asset for step in seen.plan.steps if step.reached} >= {"table.purchases"}
            done = project.run()
            assert done.release is not None
            assert not project.plan()
    with Project(made.root) as old, Project(made.from_scratch(tmp_path / "scratch")) as new:
        new.run()
        for relation in (*TABLES, "training_buys"):
            assert rows_of(old, relation) == rows_of(new, relation)
        one, other = (project.status()["models"]["buys"] for project in (old, new))
        assert (one["roc_auc"], one["importances"]) == (other["roc_auc"], other["importances"])
