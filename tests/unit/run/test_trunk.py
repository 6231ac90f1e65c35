from __future__ import annotations

from lichen.run.trunk import BRANCHED, branched_from, made_by_project, trunk_of


def _facts(release) -> dict[str, object]:
    return {BRANCHED: {"environment": "prod", "release": release}}


def test_answers_are_not_made_by_the_project():
    assert made_by_project({"table.a": 1, "predictions.p": 2, "monitor.m": 3}) == {"table.a": 1, "monitor.m": 3}


def test_the_published_environment_branches_from_none(world):
    world.put("table.a", "SELECT 1 AS n")
    world.release()
    assert trunk_of("prod", "prod", world.releases) is None
    assert trunk_of("dev", None, world.releases) is None


def test_before_its_first_release_there_is_nothing_to_share(world):
    assert trunk_of("dev", "prod", world.releases) == trunk_of("test", "prod", world.releases)
    trunk = trunk_of("dev", "prod", world.releases)
    assert (trunk.environment, trunk.release, trunk.versions, trunk.moved) == ("prod", None, {}, False)


def test_where_an_environment_branched_is_known_after_answers_came_in(world):
    world.put("table.a", "SELECT 1 AS n")
    world.release()
    assert branched_from(world.releases.current("dev"), world.releases) is None
    world.release(environment="dev", facts=_facts(1))
    world.put("predictions.p", "SELECT 1 AS n")
    third = world.release(environment="dev")
    assert branched_from(third, world.releases) == {"environment": "prod", "release": 1}


def test_a_trunk_moved_once_it_holds_something_else_and_answers_do_not_count(world):
    world.put("table.a", "SELECT 1 AS n")
    world.release()
    world.put("table.b", "SELECT 2 AS n")
    world.release(environment="dev", facts=_facts(1))
    assert not trunk_of("dev", "prod", world.releases).moved
    world.put("predictions.p", "SELECT 1 AS n")
    world.release("table.a", "predictions.p")
    trunk = trunk_of("dev", "prod", world.releases)
    assert (trunk.release, trunk.moved, list(trunk.versions)) == (3, False, ["table.a"])
    world.put("table.a", "SELECT 3 AS n")
    world.release("table.a")
    assert trunk_of("dev", "prod", world.releases).moved


def test_what_was_promoted_is_not_what_moved(world):
    world.put("table.a", "SELECT 1 AS n")
    world.release()
    world.put("table.a", "SELECT 2 AS n")
    world.release(environment="dev", facts=_facts(1))
    world.release()
    assert not trunk_of("dev", "prod", world.releases).moved


def test_an_environment_that_never_branched_has_to_run_once(world):
    world.put("table.a", "SELECT 1 AS n")
    world.release(environment="dev")
    world.put("table.a", "SELECT 2 AS n")
    world.release()
    assert trunk_of("dev", "prod", world.releases).moved
