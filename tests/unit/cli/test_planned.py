from __future__ import annotations

from typing import Any

import pytest
from processes import Nursery

from lichen.cli import planned
from lichen.errors import FoundWrong, Where
from lichen.evaluate.movement import Comparison, Movement
from lichen.graph.lineage import AssetColumn
from lichen.plan import Break, ColumnChange, Cost, Plan, Reach, Step, Trunk
from lichen.run.preview import ModelPreview, Preview

STEPS = (
    Step("table.legs", "transform", "build", "delay changed", "tables/legs.sql:4", cost=Cost(1200, 2.5, "r")),
    Step("feature.a", "feature", "refresh", "table.legs may change"),
    Step("feature.b", "feature", "refresh", "table.legs may change", cost=Cost(None, 0.01, "r")),
    Step("model.late", "train", "refresh", "feature.a may change"),
    Step("table.gone", "transform", "drop", "the project no longer has it"),
    Step("table.same", "transform", "refresh", "", reached=False),
)
CHANGE = ColumnChange(
    AssetColumn("table.legs", "delay"),
    "type",
    "BIGINT -> DOUBLE",
    Where("tables/legs.sql", 4, 2),
    Reach(("a.mean", "b.mean"), ("late",)),
    Reach(("c.count",)),
)
ROWS = ColumnChange(AssetColumn("table.legs", "*"), "rows", "which rows there are")
PLAN = Plan("prod", 3, STEPS, ("source.a", "source.b", "source.c", "source.d", "table.x"), None, (CHANGE, ROWS))


def lines(plan: Plan, preview: Preview | None = None) -> list[str]:
    return [line.strip() for line in planned.plan_document(plan, preview).as_text().splitlines()]


def test_a_plan_is_a_line_a_step_and_one_for_what_is_not_affected() -> None:
    said = lines(PLAN)
    assert said[0] == "`prod`: 6 steps against release 3"
    assert [" ".join(line.split()) for line in said[2:]] == [
        "rows seconds",
        "build table.legs tables/legs.sql:4: delay changed 1,200 2.5",
        "refresh 2 feature views table.legs may change",
        "refresh model.late feature.a may change no history",
        "drop table.gone the project no longer has it",
        "made again, and the same as before: table.same",
        "not affected: 4 sources, table.x",
        "when last built, this took 2.5 s for 1,200 rows; 3 steps without history",
        "",
        "What changes",
        "------------",
        "column how where reaches by value by influence",
        "legs.delay type: BIGINT -> DOUBLE tables/legs.sql:4 late, 2 features c.count",
        "rows of legs rows: which rows there are nothing nothing",
    ]


def test_of_many_columns_the_first_are_shown() -> None:
    plan = Plan("prod", 3, STEPS, (), None, (CHANGE,) * 12)
    assert lines(plan)[-1] == "and 2 more: lichen plan --json names them"


def test_what_breaks_and_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    lost = Break("contract:table.legs", AssetColumn("table.legs", "d"), "`d` is gone", ("model.late",))
    kept = Break("contract:table.y", AssetColumn("table.y", "d"), "`d` is gone", (), accepted=True)
    plan = Plan("prod", 3, STEPS, (), None, (), (lost, kept))
    said = planned.plan_document(plan).as_markdown()
    assert "> **contract:table.legs: `d` is gone; model.late relies on it. Refused: keep the promise," in said
    assert "contract:table.y: `d` is gone; that is accepted" in said
    planned.show_plan(plan)
    assert capsys.readouterr().err == (
        "a run would refuse this; next: mend it, or lichen run --accept contract:table.legs --why '...'\n"
    )
    planned.show_plan(Plan("prod", 3, STEPS, (), None, (), (), (FoundWrong("LCH-2301", "the SQL is wrong"),)))
    said = capsys.readouterr()
    assert "! LCH-2301: the SQL is wrong" in said.out
    assert said.err.endswith("1 error: a run would refuse this; mend what is said above\n")


def test_what_the_models_do() -> None:
    auc = Comparison(0.75, 0.74, -0.02, -0.005)
    none = Comparison(float("nan"), float("nan"))
    compared = {"roc_auc": auc, "brier": Comparison(0.1, 0.1), "log_loss": none}
    moved = Movement(1000, 0, 7, 2, 0.5, 0.25, 0.0123, 0.3, 40, compared)
    models = (
        ModelPreview("late", moved, "", ("leg",), ("roc_auc is 0.7400, wanted at least 0.75",)),
        ModelPreview("other", None, "nothing that reaches it changes: no prediction moves"),
        ModelPreview("none", Movement(0, 1, 0, 0, 0.0, 0.0, 0.0, None, None, {}), "", ("leg",)),
    )
    said = lines(PLAN, Preview(PLAN, models, 12.3))
    start = said.index("What it does to the models")
    assert [" ".join(line.split()) for line in said[start + 2 :]] == [
        "late: 1,000 held-out rows of both versions, matched by leg; 7 went; 2 have another label now, and both are",
        "judged by it",
        "predictions that move 50.0% 25.0% by more than 0.01",
        "mean absolute move 0.0123",
        "decisions that flip 40 4.00%, at 0.300: as many yes of the released model as are true",
        "roc auc -0.0100 0.7500 -> 0.7400; 95 % interval of the difference -0.0200 to -0.0050",
        "brier +0.0000 0.1000 -> 0.1000; too few days for an interval",
        "log loss not measured the labels of these rows are all alike",
        "! late: its gate would hold it: roc_auc is 0.7400, wanted at least 0.75",
        "other: nothing that reaches it changes: no prediction moves",
        "none: 0 held-out rows of both versions, matched by leg; 1 came",
        "previewed in 12.3 s; a run takes what was built for it",
    ]


def test_the_ways_to_ask_for_a_plan(nursery: Nursery, shop: Any) -> None:
    def plan(*words: str, code: int = 0) -> Any:
        ended = nursery.lichen(shop.root, "plan", *words)
        assert ended.code == code, ended
        return ended

    shop.open().run()
    plan("--exit-code")
    assert plan("--markdown").out.startswith("# Nothing to do\n\nnothing to do: `prod` is at release ")
    shop.edit("tables/payments.sql", "- terms_days AS days_late", "- terms_days - 1 AS days_late")
    said = plan("--exit-code", code=4).out
    assert "tables/payments.sql:11: days_late changed" in said
    assert plan().err == "next: lichen plan --preview, or lichen run\n"
    facts = plan("--json").facts
    assert (facts["lichen"], [change["column"] for change in facts["columns"]]) == (1, ["days_late"])
    seen = plan("--preview", "--markdown")
    assert "## What it does to the models" in seen.out
    assert plan("--preview").err == "next: lichen run\n"
    assert plan("--preview", "--json").facts["preview"]["models"][0]["movement"]["rows"] > 0
    shop.edit(
        "sources/invoices.yaml", "issued_at: {type: timestamptz, null_share: 0}", "issued_at: {type: timestamptz}"
    )
    assert "Refused: keep the promise, or --accept contract:source.invoices" in plan("--exit-code", code=1).out
    assert plan("--accept", "contract:source.invoices", code=2).err.startswith("LCH-1051: ")
    plan("--accept", "contract:source.invoices", "--why", "old rows", "--exit-code", code=4)
    ended = nursery.lichen(shop.root, "run")
    assert ended.code == 0, ended


def test_a_first_plan(shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    planned.show_plan(shop.open("trial").plan())
    said = capsys.readouterr()
    assert said.out.splitlines()[2:] == ["  10 assets shared with `prod`: no build, no copy", ""]
    assert said.out.startswith("`trial`: 0 steps against release 1 of `prod`\n")
    assert said.err == "next: lichen run --env trial\n"


def test_a_plan_on_a_trunk_that_moved(capsys: pytest.CaptureFixture[str]) -> None:
    steps = (
        Step("table.a", "transform", "rename", "it was called b", "tables/a.sql", "v", "table.b", reached=False),
        Step("source.s", "collect", "share", "release 4 of `prod` holds it", version="w", was="source.s"),
    )
    plan = Plan("dev", 5, steps, ("table.c",), Trunk("prod", 4, {}, moved=True))
    said = [" ".join(line.split()) for line in lines(plan)]
    assert said[0] == "`dev`: 1 step against release 5, branching anew from release 4 of `prod`"
    assert said[2:] == [
        "rows seconds",
        "rename table.a tables/a.sql: it was called b",
        "1 asset shared with `prod`: no build, no copy",
        "not affected: table.c",
    ]
    planned.show_plan(plan)
    assert capsys.readouterr().err == "next: lichen run --env dev\n"
