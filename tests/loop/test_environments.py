"""Laws of environments, over random edits of a project of tables: what is shared, promoted, renamed and rolled back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from arro3.core import Table
from facts import audit_is_whole, face_equals_release, released
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from small_project import SmallProject

from lichen import Project
from lichen.errors import FoundWrong
from lichen.run.execute import Run

Edit = Callable[[SmallProject], None]


def _set(name: str, old: str, new: str) -> Edit:
    """An edit that is there or, made again, taken back."""

    def edit(small: SmallProject) -> None:
        path = small.root / name
        if path.exists():
            text = path.read_text(encoding="utf-8")
            small.write(name, text.replace(old, new) if old in text else text.replace(new, old))

    return edit


def _rename(small: SmallProject) -> None:
    """Call `purchases` `bought`, or `purchases` again, in its file's name and where it is read."""
    tables = small.root / "tables"
    old, new = ("purchases", "bought") if (tables / "purchases.sql").exists() else ("bought", "purchases")
    (tables / f"{old}.sql").rename(tables / f"{new}.sql")
    _set("tables/daily.sql", f"FROM {old}", f"FROM {new}")(small)


def _extra(small: SmallProject) -> None:
    path = small.root / "tables/extra.sql"
    path.unlink() if path.exists() else small.write(
        "tables/extra.sql", "SELECT shop, max(day) AS last FROM daily GROUP BY 1"
    )


EDITS: dict[str, Edit] = {
    "sum": _set("tables/daily.sql", "sum(cents)", "sum(cents + 1)"),
    "comment": _set("tables/totals.sql", "SELECT shop", "SELECT /* who */ shop"),
    "contract": _set("sources/shops.yaml", "range: [1, 1000]", "range: [1, 100]"),
    "rename": _rename,
    "extra": _extra,
}
CHOSEN = st.lists(st.sampled_from(sorted(EDITS)), min_size=1, max_size=4)
LAWS = settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # an example takes seconds; its edits are few enough to read as they are
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = SmallProject(tmp_path_factory.mktemp("ready"), seed=31, rows=60)
    for folder in ("features", "models", "services", "monitors"):
        shutil.rmtree(small.root / folder)
    _run(small, "prod")
    return small.root


@pytest.fixture
def small(ready: Path) -> Callable[[], SmallProject]:
    """How to get a project of tables that has been run once, in a folder of its own at the same path."""

    def copied() -> SmallProject:
        root = Path(tempfile.mkdtemp(dir=ready.parent))
        made = SmallProject(root, seed=31, rows=60)
        shutil.rmtree(root)
        shutil.copytree(ready, root)
        _run(made, "prod")  # a copied project reads its sources again
        return made

    return copied


def _run(small: SmallProject, environment: str) -> Run:
    with Project(small.root, environment=environment) as project:
        return project.run()


def _nothing_to_do(small: SmallProject, *environments: str) -> None:
    for environment in environments:
        with Project(small.root, environment=environment) as project:
            planned = project.plan()
            assert not planned, planned


def _rows(small: SmallProject, environment: str) -> dict[str, list[str]]:
    """Every table's rows in an environment, as texts."""
    with Project(small.root, environment=environment) as project:
        versions = project.releases.versions(project.releases.current(environment))
        found = {}
        for version in versions.values():
            rows = Table.from_arrow(project.query(f"SELECT t::VARCHAR AS row FROM {version.relation} AS t ORDER BY 1"))
            found[version.asset] = rows.column("row").to_pylist()
        return found


def _promote(small: SmallProject) -> bool:
    with closing(Project(small.root, environment="dev")) as project:
        return not project.promote("prod").nothing


@LAWS
@given(CHOSEN)
def test_a_run_and_a_promotion_give_what_a_run_in_prod_gives_and_leave_nothing_to_do(
    small: Callable[[], SmallProject], chosen: list[str]
) -> None:
    promoted, direct = small(), small()
    for name in chosen:
        EDITS[name](promoted)
        EDITS[name](direct)
        before = released(promoted.root)[0]
        _run(promoted, "dev")
        assert released(promoted.root)[0] == before
        face_equals_release(promoted.root)
        _nothing_to_do(promoted, "dev")
    _promote(promoted)
    _run(direct, "prod")
    assert _rows(promoted, "prod") == _rows(direct, "prod") == _rows(promoted, "dev")
    _nothing_to_do(promoted, "dev", "prod")
    face_equals_release(promoted.root)
    audit_is_whole(promoted.root)


@LAWS
@given(CHOSEN)
def test_back_and_forward_again_gives_the_same_rows(small: Callable[[], SmallProject], chosen: list[str]) -> None:
    made = small()
    rows = {released(made.root)[0].number: _rows(made, "prod")}
    for name in chosen:
        EDITS[name](made)
        if name == "sum":
            made.grow(3)
        _run(made, "prod")
        rows[released(made.root)[0].number] = _rows(made, "prod")
    for number in (*sorted(rows), *sorted(rows, reverse=True)):
        with Project(made.root) as project:
            project.rollback(number)
        assert _rows(made, "prod") == rows[number]
        face_equals_release(made.root)
    audit_is_whole(made.root)


def test_fresh_rows_come_into_a_branch_by_the_published_environment(small: Callable[[], SmallProject]) -> None:
    made = small()
    EDITS["sum"](made)
    _run(made, "dev")
    made.grow(5)
    _nothing_to_do(made, "dev")
    EDITS["sum"](made)  # `prod` runs from the files as they were
    _run(made, "prod")
    EDITS["sum"](made)
    with Project(made.root, environment="dev") as project:
        planned = project.plan()
        assert planned.trunk is not None
        assert planned.trunk.moved
        assert {(step.asset, step.action) for step in planned.steps} == {
            *(("source.visits", "share"), ("table.purchases", "share")),
            *(("table.daily", "refresh"), ("table.totals", "refresh")),
        }
    with pytest.raises(FoundWrong, match="`prod` changed since `dev` branched from it"):
        _promote(made)
    _run(made, "dev")
    assert _promote(made)
    _nothing_to_do(made, "dev", "prod")


def test_a_renaming_builds_nothing_and_links_the_files(small: Callable[[], SmallProject]) -> None:
    made = small()
    before = _rows(made, "prod")
    EDITS["rename"](made)
    run = _run(made, "prod")
    assert {one.asset: one.state for one in run.outcomes} == {
        "table.bought": "renamed", "table.daily": "carried", "table.totals": "carried"
    }  # fmt: skip
    after = _rows(made, "prod")
    assert after.pop("table.bought") == before.pop("table.purchases")
    assert after == before
    assert run.release is not None
    assert run.release.facts["did"] == {"renamed": 1, "carried": 2}
    assert run.release.facts["why"][0] == "tables/bought.sql: it was called purchases"
    lake = made.root / ".lichen/lake"
    assert {path.stat().st_ino for path in (lake / "bought").glob("*.parquet")} == {
        path.stat().st_ino for path in (lake / "purchases").glob("*.parquet")
    }
    EDITS["rename"](made)
    assert {one.state for one in _run(made, "prod").outcomes} == {"renamed", "carried"}
    assert _rows(made, "prod") == {**before, "table.purchases": _rows(made, "prod")["table.purchases"]}
