from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from arro3.core import Table
from read_only import ReadOnly

import lichen
from lichen.errors import FoundWrong, SystemFailed, WrongUsage
from lichen.project import RUN, Project
from lichen.run.lease import held


def test_a_project_is_found_from_any_folder_in_it(shop: Any) -> None:
    with lichen.Project(shop.root / "models") as project:
        assert repr(project) == f"Project({str(shop.root)!r}, environment='prod')"
        assert Table.from_arrow(project.query("SELECT count(*) AS n FROM customers")).column("n").to_pylist() == [47]
        assert [release.number for release in project.history()] == [1]


@pytest.mark.parametrize("name", ["", "Prod", "../x", "a b", "1st"])
def test_an_environments_name_is_checked(name: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        Project(environment=name)
    assert str(refused.value) == (
        f"LCH-1028: `{name}` cannot be an environment's name\n"
        "  fix: use small letters, digits and _, not starting with a digit"
    )


def test_of_several_services_one_has_to_be_named(shop: Any) -> None:
    shop.write("services/other.yaml", "model: late_payment\n")
    project = shop.open()
    with pytest.raises(WrongUsage) as refused:
        project.serve()
    assert str(refused.value) == "LCH-1016: say which service is meant\n  fix: it is one of: late_payment, other"
    with pytest.raises(WrongUsage) as refused:
        project.serve("othr")
    assert str(refused.value) == "LCH-1017: there is no service `othr`\n  fix: did you mean `other`?"


def test_an_environment_that_was_never_released_branches_from_the_published_one(shop: Any) -> None:
    (shop.root / "data/invoices.csv").unlink()  # what the published environment holds is not asked for
    planned = shop.open("trial").plan()
    assert (planned.release, {step.action for step in planned.steps}) == (None, {"share"})
    shop.edit("lichen.yaml", "name: shop", "name: shop\npublish: null")
    with pytest.raises(SystemFailed, match="there is no file"):
        shop.open("trial").plan()


def test_what_was_made_is_read_whatever_is_wrong_with_the_files(shop: Any) -> None:
    shop.edit("lichen.yaml", "name: shop", "name: shop\nonline: ${NOWHERE}/online.db\ncolour: red")
    shop.edit("models/late_payment.yaml", "task: classification", "task: guessing")
    project = shop.open()
    assert project.status()["project"] == "shop"
    assert [release.number for release in project.history()] == [1]
    assert Table.from_arrow(project.query("FROM customers")).num_rows == 47
    assert project.accepted() == []
    with pytest.raises(FoundWrong, match="NOWHERE"):
        project.rollback()


def test_what_was_made_is_read_where_nobody_can_write(shop: Any, read_only: ReadOnly) -> None:
    for words, said in (
        (["status"], "How good the model is: late_payment"),
        (["history"], "run"),
        (["query", "SELECT count(*) AS n FROM customers"], "47"),
    ):
        ended = read_only(shop.root, "-m", "lichen", *words)
        assert (ended.returncode, said in ended.stdout) == (0, True), ended.stderr
    ended = read_only(shop.root, "-m", "lichen", "run")
    assert (ended.returncode, ended.stderr.startswith("LCH-3002: cannot write the state store")) == (3, True)


def test_an_environment_that_is_none(shop: Any) -> None:
    for ask in (Project.history, Project.status):
        with pytest.raises(WrongUsage) as refused:
            ask(shop.open("prd"))
        assert str(refused.value) == "LCH-1027: there is no environment `prd`\n  fix: did you mean `prod`?"


def test_a_project_without_a_monitor_has_nothing_to_ask(shop: Any) -> None:
    (shop.root / "monitors/late_payment.yaml").unlink()
    with pytest.raises(WrongUsage) as refused:
        shop.open().monitor()
    assert str(refused.value) == "LCH-1026: the project has no monitor to ask\n  fix: write one in monitors/"


def test_another_run_is_not_disturbed(shop: Any) -> None:
    with held(shop.open().workshop.state, RUN, wait=0), pytest.raises(SystemFailed, match="another"):
        shop.open().run()


def test_what_is_wrong_is_refused_before_anything_runs(fresh: Any) -> None:
    fresh.edit("models/late_payment.yaml", "C: 0.1", "D: 0.1")
    project = fresh.open()
    with pytest.raises(FoundWrong) as refused:
        project.run()
    assert str(refused.value).startswith("LCH-2505: the learner `logistic` has no parameter `D`\n")
    assert not Path(fresh.root / ".lichen/lake").exists()
    assert project.status()["run"] is None


def test_an_audit_that_was_changed_is_not_shown_as_if_it_held(shop: Any) -> None:
    shop.open().history()
    path = shop.root / ".lichen/state.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        changed = """replace(value, '"release"', '"releese"')"""
        connection.execute("UPDATE entries SET value = " + changed + " WHERE journal = 'audit' AND number = 1")
    with pytest.raises(FoundWrong) as refused:
        shop.open().history()
    assert str(refused.value) == (
        "LCH-3906: the audit does not hold: entry 1 was changed after it was written\n"
        "  why: each entry holds the hash of the one before it\n"
        "  fix: find out who wrote to the state store, and restore it from a copy"
    )


def test_a_learner_that_is_none_is_not_planned(fresh: Any) -> None:
    fresh.edit("models/late_payment.yaml", "learner: logistic", "learner: logistik")
    with pytest.raises(FoundWrong) as refused:
        fresh.open().plan()
    assert str(refused.value).startswith(
        "LCH-2504: there is no learner `logistik`\n  at models/late_payment.yaml:11:10\n"
    )
    assert refused.value.fix == "did you mean `logistic`?"


def test_an_environment_is_promoted_and_rolled_back(shop: Any) -> None:
    assert shop.open("trial").run().release.versions == shop.open().releases.current("prod").versions
    assert shop.open("trial").promote("prod").nothing
    shop.write("tables/more.sql", "SELECT customer, count(*) AS invoices FROM invoices GROUP BY customer")
    run = shop.open("trial").run()
    assert {outcome.asset: outcome.state for outcome in run.outcomes} == {"table.more": "built"}
    moved = shop.open("trial").promote("prod")
    assert (moved.entered, moved.left) == (("table.more",), ())
    assert "more" in shop.open().workshop.tables.published()
    assert not shop.open().plan()
    assert shop.open().rollback().left == ("table.more",)
    assert "more" not in shop.open().workshop.tables.published()
    assert [entry.what for entry in shop.open().history()] == ["rollback", "promote", "run"]


def test_an_environment_is_not_promoted_to_itself(shop: Any) -> None:
    with pytest.raises(WrongUsage) as refused:
        shop.open("trial").promote("trial")
    assert (
        str(refused.value) == "LCH-1049: `trial` is promoted to itself\n  fix: say which two: lichen promote dev prod"
    )
    with pytest.raises(WrongUsage, match="cannot be an environment's name"):
        shop.open().promote("../x")
    with pytest.raises(WrongUsage, match="there is no environment `prd`"):
        shop.open("prd").rollback()
