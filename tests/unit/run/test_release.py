from __future__ import annotations

import pytest

from lichen.errors import SystemFailed
from lichen.run.audit import AUDIT, broken_at
from lichen.run.lease import fence, held
from lichen.run.release import RELEASES, VERSIONS, Release, Releases


def _moved(world, expected, environment="prod"):
    return world.releases.move(environment, world.versions.values(), at="2020", expected=expected, facts={})


def test_a_release_says_in_which_number_each_version_entered(world):
    world.put("table.a", "SELECT 1 AS n")
    world.put("table.b", "SELECT 2 AS n")
    assert dict(world.release().since) == {"table.a": 1, "table.b": 1}
    world.put("table.b", "SELECT 3 AS n")
    world.put("table.c", "SELECT 4 AS n")
    assert dict(world.release().since) == {"table.a": 1, "table.b": 2, "table.c": 2}
    world.put("table.b", "SELECT 2 AS n")
    third = world.release()
    assert dict(third.since) == {"table.a": 1, "table.b": 3, "table.c": 2}
    assert (third.number, third.parent, third.environment) == (3, 2, "prod")
    del world.versions["table.c"]
    assert dict(world.release().since) == {"table.a": 1, "table.b": 3}


def test_environments_move_apart_and_share_the_numbers(world):
    world.put("table.a", "SELECT 1 AS n")
    prod, dev = world.release(), world.release(environment="dev")
    assert (prod.number, dev.number, dev.parent) == (1, 2, None)
    assert world.releases.current("prod") == prod
    assert world.releases.current("dev") == dev
    assert world.releases.current("test") is None
    assert [release.number for release in world.releases.history()] == [2, 1]
    assert world.releases.history("prod") == [prod]


def test_of_two_runs_from_one_release_the_second_is_refused_and_writes_nothing(world):
    world.put("table.a", "SELECT 1 AS n")
    first = world.release()
    second = _moved(world, first)
    with pytest.raises(SystemFailed) as caught:
        _moved(world, first)
    assert str(caught.value) == (
        "LCH-3911: `prod` was moved by another run meanwhile\n"
        "  why: `prod` in `environments` is not what this write expected\n"
        "  fix: run again: what was built is reused"
    )
    with pytest.raises(SystemFailed, match="moved by another run"):
        _moved(world, None)
    assert world.releases.current("prod") == second
    assert len(world.releases.history()) == 2
    assert len(world.workshop.state.entries(AUDIT)) == 2
    assert broken_at(world.workshop.state, AUDIT) is None


def test_who_lost_the_lease_moves_nothing(world):
    state = world.workshop.state
    with held(state, "run") as lost:
        pass
    with held(state, "run") as holder:
        with pytest.raises(SystemFailed, match="moved by another run"):
            Releases(state, fence("run", lost)).move("prod", [], at="2020", expected=None, facts={})
        assert world.releases.current("prod") is None
        Releases(state, fence("run", holder)).move("prod", [], at="2020", expected=None, facts={})
    assert world.releases.current("prod").number == 1


def test_versions_come_back_as_they_were_kept(world):
    version = world.put("table.a", "SELECT 1 AS n", aside=None).with_facts(cursor="x")
    world.versions["table.a"] = version
    release = world.release()
    assert world.releases.versions(release) == {"table.a": version}
    assert world.releases.versions(None) == {}
    assert world.releases.version("table.a", "nosuch") is None


def test_what_the_store_lost_is_told(world):
    with pytest.raises(SystemFailed) as caught:
        world.releases.numbered(7)
    assert str(caught.value) == "LCH-3902: release 7 is not in the state store\n  fix: restore the state store"
    lost = Release(1, "prod", {"table.a": "gone"}, {"table.a": 1}, "2020")
    with pytest.raises(SystemFailed) as caught:
        world.releases.versions(lost)
    assert str(caught.value) == (
        "LCH-3903: version gone of `table.a` is not in the state store\n  fix: restore the state store"
    )
    assert (VERSIONS, RELEASES) == ("versions", "releases")


def test_what_is_mended_enters_anew_though_its_version_is_the_same(world):
    for asset in ("source.a", "source.b"):
        world.put(asset, "SELECT 1 AS n")
    first = world.release()
    moved = world.releases.move(
        "prod", world.versions.values(), at="x", expected=first, facts={}, mended=frozenset(["source.b"])
    )
    assert moved.versions == first.versions
    assert moved.since == {"source.a": 1, "source.b": 2}
