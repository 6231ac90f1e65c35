from __future__ import annotations

from typing import Any

import pytest

from lichen.errors import ProjectErrors, WrongUsage
from lichen.run.acceptance import Acceptances
from lichen.run.facts import RUNS
from lichen.run.planning import costs, make_plan

SOURCE, NAME = "sources/invoices.yaml", "contract:source.invoices"
WANTED = ("table.payments", "built")


@pytest.fixture
def loosened(shop: Any) -> Any:
    """A project whose source no longer promises what its model's label lives on."""
    shop.open().run()
    shop.edit(SOURCE, "issued_at: {type: timestamptz, null_share: 0}", "issued_at: {type: timestamptz}")
    return shop


def test_what_each_asset_took_is_of_the_newest_run_that_built_it(shop: Any) -> None:
    workshop = shop.open().workshop
    found = costs(workshop)
    assert found["feature.customer_payments"].rows is None
    assert found["table.payments"].rows == shop.rows("SELECT count(*) FROM payments")[0][0]
    shop.open().run()  # a copied project reads its sources again
    runs = sorted((run for _, run in workshop.state.scan(RUNS)), key=lambda run: run["started"])
    built = [run["id"] for run in runs for one in run["outcomes"] if (one["asset"], one["state"]) == WANTED]
    assert costs(workshop)["table.payments"].run == built[-1]


def test_with_nothing_to_do_nothing_is_found_out(shop: Any) -> None:
    project = shop.open()
    project.run()

    def known() -> Any:
        raise AssertionError("asked")

    made = make_plan(project.graph, project.spec, project.releases, "prod", project.workshop, known)
    assert not made


def test_a_broken_promise_is_refused_until_it_is_accepted(loosened: Any) -> None:
    project = loosened.open()
    planned = project.plan()
    (lost,) = planned.refused
    assert (lost.contract, lost.relies) == (NAME, ("model.late_payment",))
    assert str(lost.where).startswith(SOURCE)
    with pytest.raises(ProjectErrors) as refused:
        project.run()
    assert refused.value.code == "LCH-2780"
    assert refused.value.fix == f"keep the promise, or accept that it goes: --accept {NAME} --why '...'"
    assert project.releases.current("prod").number == planned.release

    done = project.run(accept=[NAME], why=" old rows lack it ")
    assert done.release is not None
    (kept,) = Acceptances(project.workshop.state).all()
    assert (kept["name"], kept["why"]) == (NAME, "old rows lack it")
    assert not loosened.open().plan()


def test_what_was_accepted_is_not_asked_again_and_something_else_is(loosened: Any) -> None:
    assert loosened.open().plan(accept=[NAME], why="seen").refused == ()
    assert loosened.open().plan().refused == ()
    assert len(Acceptances(loosened.open().workshop.state).all()) == 1
    loosened.edit(SOURCE, "amount: {type: double, range: [1, 1000000]}", "amount: {type: double}")
    assert len(loosened.open().plan().refused) == 2


def test_an_acceptance_needs_a_reason_and_something_refused(loosened: Any) -> None:
    project = loosened.open()
    with pytest.raises(WrongUsage) as refused:
        project.plan(accept=[NAME], why=" ")
    assert str(refused.value) == (
        "LCH-1051: `--accept` needs a reason\n  fix: say it: --why 'nobody reads the old column'"
    )
    with pytest.raises(WrongUsage) as refused:
        project.plan(accept=["contract:source.invoces"], why="x")
    assert str(refused.value) == (
        f"LCH-1050: nothing is refused by the name `contract:source.invoces`\n  fix: did you mean `{NAME}`?"
    )
    loosened.edit(SOURCE, "issued_at: {type: timestamptz}", "issued_at: {type: timestamptz, null_share: 0}")
    with pytest.raises(WrongUsage) as refused:
        loosened.open().plan(accept=[NAME], why="x")
    assert refused.value.fix == "leave `--accept` away"


def test_a_plan_says_what_is_wrong_with_the_project(shop: Any) -> None:
    shop.edit("tables/payments.sql", "date_diff('day'", "dete_diff('day'")
    planned = shop.open().plan()
    assert [error.code for error in planned.errors] == ["LCH-2301"]
    with pytest.raises(ProjectErrors):
        shop.open().preview()
