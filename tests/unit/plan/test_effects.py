from __future__ import annotations

import pytest

from lichen.plan import Cost, Plan

SQL = "SELECT a AS b, 7 AS c FROM flights"
MODEL = (
    "task: classification\nlabel: {from: legs, value: late, at: asked, known: arrived}\n"
    "features: [carrier, trip]\nvalidate: {early_stop: 30d, test: 92d}\n"
)


LEGS = "/* ---\ntime: arrived\n--- */\n"


def columns(made: Plan) -> list[tuple[str, str, str]]:
    return [(str(change.column), change.kind, change.detail) for change in made.columns]


VIEW = "entity: {carrier: varchar}\nfrom: legs\ntime: b\naggregates: {delay: avg(b)}\nwindows: [1h]\n"


def test_a_column_that_nothing_reads_changes_nothing_else(project) -> None:
    files = {"features/carrier.yaml": VIEW}
    made = project({**files, "tables/legs.sql": LEGS + SQL.replace("7", "8")}).plan(project(files).released())
    assert columns(made) == [("legs.c", "changed", "")]
    assert [step.asset for step in made.steps if step.reached] == ["table.legs"]
    assert made.steps[1].reason == "table.legs is made again; no column that reaches it changes"
    assert str(made.columns[0].where) == "tables/legs.sql:4:16"


def test_a_column_is_followed_to_features_and_models(project) -> None:
    old, files = SQL + " WHERE a > 0", {"features/carrier.yaml": VIEW}
    before = project({**files, "tables/legs.sql": LEGS + old}).released()
    made = project({**files, "tables/legs.sql": LEGS + old.replace("a AS b", "a + 1 AS b")}).plan(before)
    (change,) = made.columns
    assert (change.value.features, change.value.models) == (("carrier.delay_1h",), ("late",))
    assert change.influence.models == ()
    made = project({**files, "tables/legs.sql": LEGS + old.replace("a > 0", "a > 1")}).plan(before)
    (change,) = made.columns
    assert (str(change.column), change.kind, change.value.models) == ("legs.*", "rows", ())
    assert (change.influence.features, change.influence.models) == (("carrier.delay_1h",), ("late",))
    assert [step.reached for step in made.steps] == [True] * 5


def test_columns_come_go_and_become_another_type(project) -> None:
    new = project(
        {"tables/legs.sql": LEGS + "SELECT a AS b, 'x' AS d FROM flights"}, {"legs": {"b": "INTEGER", "d": "VARCHAR"}}
    )
    assert columns(new.plan(project().released())) == [
        ("legs.b", "type", "BIGINT -> INTEGER"),
        ("legs.d", "added", "VARCHAR"),
        ("legs.c", "removed", "was INTEGER"),
    ]


def test_a_time_is_what_views_go_by(project) -> None:
    made = project({"tables/legs.sql": f"/* ---\ntime: arrived\nknown: arrived\n--- */\n{SQL}"}).plan(
        project().released()
    )
    assert columns(made) == [("carrier.*", "rows", "`legs` says another known")]
    assert [step.asset for step in made.steps if step.reached] == [
        "feature.carrier", "model.late", "service.late", "monitor.late",
    ]  # fmt: skip


def test_new_rows_are_a_change_of_rows(project) -> None:
    made = project().plan(project().released(), {"source.flights": "t2"})
    assert columns(made) == [("flights.*", "rows", "what it reads changed")]
    assert all(step.reached for step in made.steps)


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("aggregates: {delay: avg(b)}", "aggregates: {delay: avg(c)}", [("carrier.delay_1h", "changed", "")]),
        ("windows: [1h]", "windows: [1h, 2h]", [("carrier.delay_2h", "added", "")]),
        (
            "windows: [1h]",
            "windows: [2h]",
            [
                ("carrier.delay_2h", "added", ""),
                ("carrier.delay_1h", "removed", ""),
                ("late.score", "changed", "`carrier` has other features"),
            ],
        ),
        ("{carrier: varchar}", "{carrier: varchar, origin: varchar}", [("carrier.delay_1h", "changed", "")]),
        ("avg(b)", "{avg: b, where: c > 0}", [("carrier.delay_1h", "changed", "")]),
        ("time: b", "grain: [b]\ntime: b", [("carrier.delay_1h", "changed", "")]),
    ],
)
def test_what_changes_in_a_view(project, old: str, new: str, changed: list[tuple[str, str, str]]) -> None:
    before = project({"features/carrier.yaml": VIEW}).released()
    made = project({"features/carrier.yaml": VIEW.replace(old, new)}).plan(before)
    assert columns(made) == changed
    assert {step.asset: step.reached for step in made.steps}["model.late"]


LONG = VIEW.replace("avg(b)", "{last: b, where: c > 0, lag: 7d, back: 1, prior: {use: 3, below: 5}}")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("lag: 7d", "lag: 14d", "aggregates.delay.lag (7d -> 14d) changed"),
        ("c > 0", "c > 1", "aggregates.delay.where (c > 0 -> c > 1) changed"),
        (", back: 1", "", "aggregates.delay.back (removed) changed"),
        ("below: 5", "below: 6", "aggregates.delay.prior.below (5 -> 6) changed"),
        ("use: 3", "use: 4", "aggregates.delay.prior.use (3.0 -> 4.0) changed"),
        ("time: b", "grain: [b]\ntime: b", "grain (added) changed"),
    ],
)
def test_what_changed_in_an_aggregate_is_named(project, old: str, new: str, reason: str) -> None:
    before = project({"features/carrier.yaml": LONG}).released()
    made = project({"features/carrier.yaml": LONG.replace(old, new)}).plan(before)
    assert {step.asset: step.reason for step in made.steps}["feature.carrier"] == reason


def test_another_quantile_is_named(project) -> None:
    before, after = (VIEW.replace("avg(b)", f"'quantile(b, {at})'") for at in (0.5, 0.9))
    made = project({"features/carrier.yaml": after}).plan(project({"features/carrier.yaml": before}).released())
    assert {step.asset: step.reason for step in made.steps}["feature.carrier"] == (
        "aggregates.delay.at (0.5 -> 0.9) changed"
    )


def test_a_change_of_what_stands_in_changes_what_it_stands_in_for(project) -> None:
    parent = VIEW.replace("{carrier: varchar}", "{}")
    child = VIEW.replace("avg(b)", "{avg: b, prior: {mean: all.delay, weight: 10}}")
    files = {"features/carrier.yaml": child, "features/all.yaml": parent}
    before = project(files).released()
    made = project({**files, "features/all.yaml": parent.replace("avg(b)", "avg(c)")}).plan(before)
    assert columns(made) == [("all.delay_1h", "changed", "")]
    (change,) = made.columns
    assert (change.value.features, change.value.models) == (("carrier.delay_1h",), ("late",))
    steps = {step.asset: step for step in made.steps}
    assert steps["feature.carrier"].reason == "feature.all may change"
    assert steps["model.late"].reached


def test_a_models_judges_change_none_of_its_answers(project) -> None:
    model = MODEL + "gate: {roc_auc: {min: 0.6}}\n"
    made = project({"models/late.yaml": model}).plan(project().released())
    assert (columns(made), made.steps[0].reached) == ([], False)
    assert made.steps[0].reason == "gate (added) changed; what it gives stays the same"
    made = project({"models/late.yaml": MODEL + "seed: 3\n"}).plan(project().released())
    assert columns(made) == [("late.score", "changed", "it learns anew")]


def test_names_inside_a_statement_change_no_column(project) -> None:
    old = LEGS + "SELECT f.a AS b, 7 AS c FROM flights AS f"
    new = project({"tables/legs.sql": old.replace("f.a", "g.a").replace("AS f", "AS g")})
    planned = new.plan(project({"tables/legs.sql": old}).released())
    assert (columns(planned), [step.reached for step in planned.steps]) == ([], [False] * 5)


def test_what_a_step_took_before(project) -> None:
    cost = Cost(7, 1.5, "r1")
    made = project().plan({}, costs={"table.legs": cost})
    assert {step.asset: step.cost for step in made.steps if step.cost} == {"table.legs": cost}


SCORED = "/* ---\nscore: {model: late, at: asked}\n--- */\nSELECT b, b AS d, b AS asked FROM legs"
GIVEN = {"b": "BIGINT", "d": "BIGINT", "asked": "TIMESTAMP WITH TIME ZONE"}
ADDED = {"score": "DOUBLE", "model_version": "VARCHAR"}
SCORING = {
    "tables/scored.sql": SCORED,
    "tables/over.sql": "SELECT avg(score) AS mean FROM scored",
    "features/carrier.yaml": VIEW,
}
HAS = {"scored": {**GIVEN, **ADDED}, "over": {"mean": "DOUBLE"}}


def reasons(made: Plan) -> dict[str, str]:
    return {step.asset: step.reason for step in made.steps if step.reached}


def test_what_changes_a_model_changes_what_it_scores(project) -> None:
    before = project(SCORING, HAS).released()
    assert not project(SCORING, HAS).plan(before).steps
    for files in (
        {"models/late.yaml": MODEL.replace("30d", "31d")},
        {"features/carrier.yaml": VIEW.replace("avg(b)", "avg(b + 1)")},
        {"tables/legs.sql": (LEGS + SQL).replace("a AS b", "a + 1 AS b")},
    ):
        made = reasons(project({**SCORING, **files}, HAS).plan(before))
        assert made["table.scored"].endswith("model.late may change"), files
        assert made["table.over"] == "table.scored may change"
    made = project({**SCORING, "tables/legs.sql": LEGS + SQL.replace("7", "8")}, HAS).plan(before)
    told = {step.asset: step.reason for step in made.steps}
    assert told["table.scored"] == "table.legs, model.late are made again; no column that reaches it changes"


def test_an_edit_of_a_scored_table_is_read_column_by_column(project) -> None:
    before = project(SCORING, HAS).released()

    def edited(old: str, new: str) -> list[tuple[str, str, str]]:
        return columns(project({**SCORING, "tables/scored.sql": SCORED.replace(old, new)}, HAS).plan(before))

    assert edited("b AS d", "b + 1 AS d") == [("scored.d", "changed", "")]
    assert edited("at: asked", "at: other") == [("scored.score", "changed", "it is scored otherwise")]


def test_scores_come_go_and_take_another_s_place(project) -> None:
    plain = {**SCORING, "tables/scored.sql": SCORED.partition("*/\n")[2]}
    own = {**SCORING, "tables/scored.sql": "SELECT b, b AS d, b AS asked, b AS score, b AS model_version FROM legs"}
    without = {**HAS, "scored": GIVEN}
    one, none, other = project(SCORING, HAS), project(plain, without), project(own, HAS)
    both = ("scored.score", "scored.model_version")
    assert columns(one.plan(none.released())) == [
        (name, "added", kind) for name, kind in zip(both, ADDED.values(), strict=True)
    ]
    assert columns(none.plan(one.released())) == [
        (name, "removed", f"was {kind}") for name, kind in zip(both, ADDED.values(), strict=True)
    ]
    assert columns(one.plan(other.released())) == [(name, "changed", "the model says it") for name in both]
    assert columns(other.plan(one.released())) == [(name, "changed", "the statement gives it") for name in both]
