from __future__ import annotations

import pytest

from lichen.errors import FoundWrong
from lichen.run.audit import AUDIT
from lichen.run.moved import changed, move


def _move(world, of, **facts):
    return move("promote", "prod", of, world.releases, world.workshop, facts, "do something else")


def test_what_changed_between_two_releases():
    assert changed({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"}) == (("b", "d"), ("c",))


def test_a_move_keeps_what_was_answered_and_publishes(world):
    world.put("table.a", "SELECT 1 AS n")
    world.put("table.gone", "SELECT 1 AS n")
    world.put("predictions.p", "SELECT 5 AS n")
    first = world.release()
    world.put("table.a", "SELECT 2 AS n")
    world.put("predictions.p", "SELECT 6 AS n")
    dev = world.release("table.a", "predictions.p", environment="dev", facts={"commit": "abc"})
    made = _move(world, dev, promoted_from=2)
    assert made.as_dict() == {
        "environment": "prod",
        "release": 3,
        "of": {"environment": "dev", "release": 2},
        "nothing": False,
        "entered": ["table.a"],
        "left": ["table.gone"],
    }
    now = world.releases.current("prod")
    assert now.versions == {"table.a": dev.versions["table.a"], "predictions.p": first.versions["predictions.p"]}
    assert {"what": "promote", "commit": "abc", "promoted_from": 2}.items() <= now.facts.items()
    assert dict(world.workshop.tables.published()) == {"a": 3, "predictions_p": 1}
    assert world.workshop.state.entries(AUDIT, last=1)[0][1]["act"] == "promote"
    again = _move(world, dev)
    assert (again.nothing, again.release.number, len(world.releases.history())) == (True, 3, 3)


def test_what_is_no_longer_whole_is_not_moved_to(world):
    world.put("table.a", "SELECT 1 AS n")
    first = world.release()
    world.put("table.a", "SELECT 2 AS n")
    world.release()
    world.workshop.tables.sweep({})
    with pytest.raises(FoundWrong) as refused:
        _move(world, first)
    assert str(refused.value) == (
        "LCH-3921: release 1 of `prod` is no longer whole\n"
        f"  why: files of version {first.versions['table.a']} of `table.a` were swept\n"
        "  fix: do something else"
    )
