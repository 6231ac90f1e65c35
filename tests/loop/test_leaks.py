"""Planted leaks and their clean twins: each leak is refused by its code with its way, and no twin is."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lichen import Project
from lichen.errors import LichenError
from lichen.testing.leaks import PAIRS, Pair, plant
from lichen.testing.leaks.shipping import MODEL, Files, model

ROOT = Path(__file__).parent.parent.parent
BY_CHECK = [pair for pair in PAIRS if pair.seen == "lineage"]
BY_RUN = [pair for pair in PAIRS if pair.seen != "lineage"]
TWINS = {str(sorted(pair.twin.items())): pair for pair in PAIRS if pair.twin}


def names(pairs: list[Pair]) -> list[str]:
    return [pair.name for pair in pairs]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The honest project, run once: a variant collects and builds what it changes; the kernels are compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        root = plant({}, tmp_path_factory.mktemp("honest") / "shipping")
        with Project(root) as project:
            assert project.run().release is not None
            assert project.status()["model"]["suspicions"] == []
        yield root


@pytest.fixture
def variant(honest: Path, tmp_path: Path) -> Callable[[Files], Path]:
    """Makes a variant of the honest project, which has been run."""

    def make(files: Files) -> Path:
        return plant(files, shutil.copytree(honest, tmp_path / "shipping"))

    return make


@pytest.mark.parametrize("pair", BY_CHECK, ids=names(BY_CHECK))
def test_what_lineage_sees_is_refused_before_a_run_with_its_way(pair: Pair, tmp_path: Path) -> None:
    with Project(plant(pair.leak, tmp_path)) as project:
        (error,) = project.check().errors
        assert error.code == pair.code
        assert pair.says in str(error)


@pytest.mark.parametrize("pair", BY_RUN, ids=names(BY_RUN))
def test_what_times_and_statistics_see_is_refused_or_told_by_a_run(
    pair: Pair, variant: Callable[[Files], Path]
) -> None:
    with Project(variant(pair.leak)) as project:
        assert project.check().errors == []
        if pair.seen == "time":
            with pytest.raises(LichenError) as caught:
                project.run()
            assert caught.value.code == pair.code
            assert pair.says in str(caught.value)
        else:
            run = project.run()
            (one,) = project.status()["model"]["suspicions"]
            assert one["kind"] == pair.code
            assert pair.says in one["what"]
            assert all(isinstance(number, float | int) for number in one["evidence"].values())
            (line,) = (outcome.notes for outcome in run.outcomes if outcome.stage == "train")
            assert f"suspicion: {one['what']}" in line
            card = (project.root / project.status()["model"]["card"]).read_text()
            assert one["what"] in card.partition("## What may be leaks")[2]


@pytest.mark.parametrize("pair", TWINS.values(), ids=names(list(TWINS.values())))
def test_no_clean_twin_is_refused_or_suspected(pair: Pair, variant: Callable[[Files], Path]) -> None:
    with Project(variant(pair.twin)) as project:
        assert project.check().errors == []
        assert project.run().release is not None
        assert project.status()["model"]["suspicions"] == []


def test_there_are_enough_of_them_and_the_page_has_them_all() -> None:
    lines = ["| pair | what leaks | seen by | told as |", "| --- | --- | --- | --- |"]
    lines += [f"| `{pair.name}` | {pair.what} | {pair.seen} | {pair.code} |" for pair in PAIRS]
    assert (ROOT / "docs/leaks.md").read_text(encoding="utf-8").endswith("\n".join(lines) + "\n")
    assert len({pair.name for pair in PAIRS}) == len(PAIRS) >= 24
    assert all(pair.leak != pair.twin for pair in PAIRS)


def test_a_leak_is_refused_by_plan_and_run_until_it_is_accepted_and_then_on_record(
    variant: Callable[[Files], Path],
) -> None:
    pair = next(pair for pair in PAIRS if pair.name == "direct_copy")
    root, name, why = variant(pair.leak), "leak:late/parcel.delay", "the depot knows it beforehand"
    with Project(root) as project:
        (refused,) = project.plan().errors
        assert f"--accept {name} --why TEXT" in str(refused)
        with pytest.raises(LichenError) as caught:
            project.run()
        assert caught.value.code == refused.code == "LCH-2523"
        with pytest.raises(LichenError) as caught:
            project.plan(accept=[name])
        assert str(caught.value).startswith("LCH-1051: `--accept` needs a reason")
        with pytest.raises(LichenError) as caught:
            project.plan(accept=["leak:late/parcel.dela"], why=why)
        assert str(caught.value) == (
            "LCH-1050: nothing is refused by the name `leak:late/parcel.dela`\n"
            "  fix: did you mean `leak:late/parcel.delay`?"
        )
        assert project.run(accept=[name], why=why).release is not None
        (kept,) = project.accepted()
        assert (kept["name"], kept["why"]) == (name, why)
        said = f"`{name}` is accepted (LCH-2523): {why}"
        assert said in project.check().notes
        assert said in (root / project.status()["model"]["card"]).read_text()
    sql = (root / "tables/labels.sql").read_text()
    (root / "tables/labels.sql").write_text(sql.replace("s.delay\n", "s.delay - 1 AS delay\n"))
    with Project(root) as project:
        assert [error.code for error in project.check().errors] == ["LCH-2523"]


def test_what_a_run_refuses_is_accepted_by_its_name(variant: Callable[[Files], Path]) -> None:
    pair = next(pair for pair in PAIRS if pair.name == "rows_to_come_counted")
    with Project(variant(pair.leak)) as project:
        assert project.run(accept=["leak:late/past.*"], why="a count of no weight").release is not None
        assert "LCH-2528" in (project.root / project.status()["model"]["card"]).read_text()


def test_a_feature_that_leaks_under_two_models_is_told_for_each(tmp_path: Path) -> None:
    pair = next(pair for pair in PAIRS if pair.name == "known_too_early")
    root = plant({**pair.leak, "models/later.yaml": model(), MODEL: model()}, tmp_path)
    with Project(root) as project:
        assert {error.code for error in project.check().errors} == {"LCH-2525"}
        assert len(project.check().leaks) == 2
