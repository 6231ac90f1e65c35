from __future__ import annotations

import pytest

from lichen.errors import FoundWrong, WrongUsage
from lichen.run.promotion import promote
from lichen.run.trunk import BRANCHED


@pytest.fixture
def branched(world):
    """`prod` at release 1, and `dev` at release 2, which branched from it and has another `a`."""
    world.put("table.a", "SELECT 1 AS n")
    world.put("table.b", "SELECT 1 AS n")
    world.release()
    world.put("table.a", "SELECT 2 AS n")
    world.release(environment="dev", facts={BRANCHED: {"environment": "prod", "release": 1}})
    return world


def _promote(world, environment="dev", into="prod"):
    return promote(environment, into, world.releases, world.workshop)


def test_a_promotion_is_one_move(branched):
    made = _promote(branched)
    assert (made.release.number, made.entered, made.nothing) == (3, ("table.a",), False)
    assert made.release.facts["promoted_from"] == {"environment": "dev", "release": 2}
    assert _promote(branched).nothing


def test_answers_that_came_in_do_not_stand_in_the_way(branched):
    branched.put("predictions.p", "SELECT 1 AS n")
    branched.versions["table.a"] = branched.put("table.a", "SELECT 1 AS n")
    branched.release()
    assert set(_promote(branched).release.versions) == {"table.a", "table.b", "predictions.p"}


def test_where_the_trunk_changed_it_is_refused(branched):
    branched.put("table.b", "SELECT 7 AS n")
    branched.release("table.b")
    with pytest.raises(FoundWrong) as refused:
        _promote(branched)
    assert str(refused.value) == (
        "LCH-3920: `prod` changed since `dev` branched from it: table.b, table.a\n"
        "  why: `dev` was built and judged beside release 1 of `prod`, which is at 3 now\n"
        "  fix: run again, then promote: lichen run --env dev"
    )
    assert branched.releases.current("prod").number == 3


def test_only_what_branched_from_an_environment_goes_back_into_it(branched):
    with pytest.raises(WrongUsage) as refused:
        _promote(branched, "dev", "test")
    assert str(refused.value) == (
        "LCH-1046: `dev` cannot be promoted to `test`: it branches from `prod`\n"
        "  fix: with `publish: test` in lichen.yaml the others branch from it when they run, and go back into it"
    )
    with pytest.raises(WrongUsage, match="`prod` cannot be promoted to `dev`: it branches from no environment"):
        _promote(branched, "prod", "dev")


def test_an_environment_without_a_release_has_nothing_to_promote(branched):
    with pytest.raises(WrongUsage) as refused:
        _promote(branched, "dve")
    assert str(refused.value) == (
        "LCH-1045: `dve` has nothing to promote: no run has made a release of it\n"
        "  fix: did you mean `dev`? If not, build it: lichen run --env dve"
    )


def test_a_first_release_comes_by_promotion_too(world):
    world.put("table.a", "SELECT 1 AS n")
    world.release(environment="dev", facts={BRANCHED: {"environment": "prod", "release": None}})
    assert _promote(world).release.number == 2
