from __future__ import annotations

import pytest

from lichen.errors import FoundWrong, WrongUsage
from lichen.run.rollback import roll_back
from lichen.run.trunk import BRANCHED, branched_from


@pytest.fixture
def moved(world):
    """Releases 1 to 3 of `prod`, each with another `a`, then 4, in which answers came in."""
    for number in (1, 2, 3):
        world.put("table.a", f"SELECT {number} AS n")
        world.release(facts={"commit": f"{number}" * 12})
    world.put("predictions.p", "SELECT 1 AS n")
    world.release(facts={"recorded": {"p": 1}})
    return world


def _back(world, to=None, environment="prod"):
    return roll_back(environment, to, world.releases, world.workshop)


def _a(world):
    release = world.releases.current("prod")
    return world.rows(world.releases.versions(release)["table.a"])[0][0], "predictions.p" in release.versions


def test_back_to_the_release_before_that_held_something_else(moved):
    made = _back(moved)
    assert (made.release.number, made.of.number, made.entered) == (5, 2, ("table.a",))
    assert _a(moved) == (2, True)
    assert {"what": "rollback", "rolled_back_to": 2, "commit": "2" * 12}.items() <= made.release.facts.items()


def test_back_twice_is_back_two_and_forward_by_number(moved):
    _back(moved)
    assert _back(moved).of.number == 1
    assert _a(moved) == (1, True)
    with pytest.raises(WrongUsage) as refused:
        _back(moved)
    assert str(refused.value) == (
        "LCH-1047: `prod` has no release before 1 that held anything else\n"
        "  fix: lichen history lists the releases; take one up again by its number: --to N"
    )
    assert _back(moved, 4).of.number == 4
    assert _a(moved) == (3, True)
    again = _back(moved, 3)
    assert (again.nothing, again.release.number) == (True, 7)


def test_a_number_that_is_none_of_the_environments(moved):
    moved.release("table.a", environment="dev")
    with pytest.raises(WrongUsage) as refused:
        _back(moved, 5)
    assert str(refused.value) == (
        "LCH-1048: `prod` has no release 5\n  why: it is a release of `dev`\n  fix: it is one of: 1, 2, 3, 4"
    )
    with pytest.raises(WrongUsage) as refused:
        _back(moved, environment="test")
    assert str(refused.value) == "LCH-1018: `test` has no release yet\n  fix: build one: lichen run --env test"


def test_what_was_swept_is_refused(moved):
    release = moved.releases.numbered(1)
    two = moved.releases.version("table.a", moved.releases.numbered(2).versions["table.a"])
    three = moved.releases.version("table.a", moved.releases.numbered(3).versions["table.a"])
    moved.workshop.tables.sweep({"a": frozenset(file.path for one in (two, three) for file in one.files)})
    with pytest.raises(FoundWrong) as refused:
        _back(moved, 1)
    assert str(refused.value) == (
        "LCH-3921: release 1 of `prod` is no longer whole\n"
        f"  why: files of version {release.versions['table.a']} of `table.a` were swept\n"
        "  fix: the oldest release that can be taken up again is 2; or check out commit 11111111 and run"
    )
    assert _a(moved) == (3, True)


def test_where_nothing_is_left_the_fix_is_to_run(moved):
    release = moved.releases.numbered(1)
    moved.workshop.tables.sweep({})
    with pytest.raises(FoundWrong) as refused:
        _back(moved, 1)
    assert str(refused.value) == (
        "LCH-3921: release 1 of `prod` is no longer whole\n"
        f"  why: files of version {release.versions['table.a']} of `table.a` were swept\n"
        "  fix: no release can be taken up again; build what the project says now: lichen run --env prod; "
        "or check out commit 11111111 and run for what it said then"
    )


def test_where_an_environment_branched_comes_back_with_its_release(moved):
    for number, base in ((7, 1), (8, 3)):
        moved.put("table.a", f"SELECT {number} AS n")
        moved.release("table.a", environment="dev", facts={BRANCHED: {"environment": "prod", "release": base}})
    made = _back(moved, environment="dev")
    assert branched_from(made.release, moved.releases) == {"environment": "prod", "release": 1}
