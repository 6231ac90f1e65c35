from __future__ import annotations

from lichen.run.history import entries


def test_each_release_tells_by_what_it_came_and_what_changed(world):
    world.put("table.a", "SELECT 1 AS n")
    world.put("table.b", "SELECT 1 AS n")
    world.release(facts={"run": "r", "did": {"built": 2}})
    world.release("table.a", environment="dev")
    world.put("table.a", "SELECT 2 AS n")
    world.release("table.a", facts={"what": "promote", "promoted_from": {"environment": "dev", "release": 2}})
    world.put("predictions.p", "SELECT 1 AS n")
    world.release("table.a", "predictions.p", facts={"recorded": {"p": 1}})
    found = entries(world.releases, "prod", world.workshop)
    assert [(one.number, one.what, one.entered, one.left, one.kept) for one in found] == [
        (4, "record", ("predictions.p",), (), True),
        (3, "promote", ("table.a",), ("table.b",), True),
        (1, "run", ("table.a", "table.b"), (), True),
    ]
    assert found[1].as_dict() == {
        **world.releases.numbered(3).as_dict(),
        "what": "promote",
        "entered": ["table.a"],
        "left": ["table.b"],
        "kept": True,
    }


def test_what_was_swept_is_marked(world):
    world.put("table.a", "SELECT 1 AS n")
    world.release()
    kept = world.put("table.a", "SELECT 2 AS n")
    world.release()
    world.workshop.tables.sweep({"a": frozenset(file.path for file in kept.files)})
    assert [one.kept for one in entries(world.releases, "prod", world.workshop)] == [True, False]
