from __future__ import annotations

import json

from lichen.errors import FoundWrong, Where
from lichen.graph.lineage import AssetColumn
from lichen.plan import Break, ColumnChange, Cost, Edit, Plan, Reach, Step, Trunk


def test_a_plan_without_steps_is_nothing_to_do() -> None:
    assert not Plan("prod", 1, (), ("table.a",))
    assert Plan("prod", 1, (Step("table.a", "transform", "build", "it is new"),), ())


def test_a_plan_for_a_machine() -> None:
    where = Where("tables/a.sql", 3, 5)
    step = Step("table.a", "transform", "build", "x changed", "tables/a.sql:3", edits=(Edit("x", where),))
    change = ColumnChange(AssetColumn("table.a", "x"), "changed", "", where, Reach(("v.f",), ("m",)))
    lost = Break("contract:table.a", AssetColumn("table.a", "y"), "`y` is gone", ("model.m",), where)
    plan = Plan(
        "dev",
        None,
        (step,),
        ("source.b",),
        None,
        (change,),
        (lost,),
        (FoundWrong("LCH-1", "wrong"),),
        ("`s`: NEW: `w`",),
    )
    place = {"file": "tables/a.sql", "line": 3, "column": 5}
    assert json.loads(json.dumps(plan.as_dict())) == {
        "environment": "dev",
        "release": None,
        "branches_from": None,
        "steps": [
            {
                "asset": "table.a",
                "stage": "transform",
                "action": "build",
                "reason": "x changed",
                "where": "tables/a.sql:3",
                "version": None,
                "was": None,
                "edits": [{"what": "x", "where": place}],
                "reached": True,
                "cost": None,
                "intervals": None,
                "filled": False,
            }
        ],
        "unchanged": ["source.b"],
        "columns": [
            {
                "asset": "table.a",
                "column": "x",
                "kind": "changed",
                "detail": "",
                "where": place,
                "value": {"features": ["v.f"], "models": ["m"]},
                "influence": {"features": [], "models": []},
            }
        ],
        "breaks": [
            {
                "contract": "contract:table.a",
                "asset": "table.a",
                "column": "y",
                "what": "`y` is gone",
                "relies": ["model.m"],
                "where": place,
                "accepted": False,
            }
        ],
        "errors": [{"code": "LCH-1", "what": "wrong", "where": None, "why": None, "fix": None}],
        "notes": ["`s`: NEW: `w`"],
        "cost": {"seconds": 0, "rows": 0, "without_history": 1},
    }


def test_what_a_plan_took_when_it_was_last_built() -> None:
    steps = (
        Step("table.a", "transform", "build", "", cost=Cost(10, 1.25, "r")),
        Step("feature.f", "feature", "refresh", "", cost=Cost(None, 0.5, "r")),
        Step("table.b", "transform", "build", ""),
        Step("table.c", "transform", "drop", ""),
    )
    assert Plan("prod", 1, steps, ()).cost == {"seconds": 1.75, "rows": 10, "without_history": 1}


def test_a_plan_tells_what_its_environment_branches_from() -> None:
    moved = Plan("dev", 2, (), (), Trunk("prod", 1, {}, moved=True))
    assert moved
    assert moved.as_dict()["branches_from"] == {"environment": "prod", "release": 1, "moved": True}
    assert not Plan("dev", 2, (), (), Trunk("prod", 1, {}))
