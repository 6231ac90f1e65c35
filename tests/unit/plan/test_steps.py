from __future__ import annotations

import json

from lichen.plan import Plan, Step, Trunk


def test_a_plan_without_steps_is_nothing_to_do() -> None:
    assert not Plan("prod", 1, (), ("table.a",))
    assert Plan("prod", 1, (Step("table.a", "transform", "build", "it is new"),), ())


def test_a_plan_for_a_machine() -> None:
    plan = Plan("dev", None, (Step("table.a", "transform", "build", "it is new", "tables/a.sql"),), ("source.b",))
    assert json.loads(json.dumps(plan.as_dict())) == {
        "environment": "dev",
        "release": None,
        "branches_from": None,
        "steps": [
            {
                "asset": "table.a",
                "stage": "transform",
                "action": "build",
                "reason": "it is new",
                "where": "tables/a.sql",
                "version": None,
                "was": None,
            }
        ],
        "unchanged": ["source.b"],
    }


def test_a_plan_tells_what_its_environment_branches_from() -> None:
    moved = Plan("dev", 2, (), (), Trunk("prod", 1, {}, moved=True))
    assert moved
    assert moved.as_dict()["branches_from"] == {"environment": "prod", "release": 1, "moved": True}
    assert not Plan("dev", 2, (), (), Trunk("prod", 1, {}))
