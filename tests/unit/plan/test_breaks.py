from __future__ import annotations

import pytest

from lichen.graph.lineage import AssetColumn
from lichen.plan.breaks import Break, accepting, meaning_of

SQL = "SELECT a AS b, 7 AS c FROM flights"
VIEW = "entity: {carrier: varchar}\nfrom: legs\ntime: b\naggregates: {delay: avg(b)}\nwindows: [1h]\n"


def table(contract: str, sql: str = SQL, more: str = "") -> str:
    return f"/* ---\ntime: arrived\n{more}contract:\n{contract}--- */\n{sql}"


def broken(project, old: str, new: str, **columns) -> list[tuple[str, str, tuple[str, ...]]]:
    before = project({"features/carrier.yaml": VIEW, "tables/legs.sql": old}).released()
    planned = project({"features/carrier.yaml": VIEW, "tables/legs.sql": new}, columns).plan(before)
    return [(one.column.column, one.what, one.relies) for one in planned.breaks]


def promise(text: str) -> str:
    return table(f"  columns:\n    b: {{{text}}}\n")


NONE = table("  columns: {}\n")
MODEL = ("model.late",)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("null_share: 0", "", "promised at most 0 of its values null, and allows any share"),
        ("null_share: 0.1", "null_share: 0.2", "promised at most 0.1 of its values null, and allows up to 0.2"),
        ("null_share: 0.2", "null_share: 0.1", None),
        ("range: [0, 9]", "range: [0, 10]", "promised 0.0 to 9.0, and allows 0.0 to 10.0"),
        ("range: [0, 9]", "range: [1, 9]", None),
        ("range: [0, 9]", "", "promised 0.0 to 9.0, and allows any value"),
        ("range: [0, 9]", "range: ['a', 'b']", "promised 0.0 to 9.0, and allows a to b"),
        ("accepted: [1, 2]", "accepted: [1, 2, 3]", "may have other values: 3"),
        ("accepted: [1, 2]", "accepted: [1]", None),
        ("accepted: [1, 2]", "", "no longer promises which values it has"),
        ("unique: true", "", "no longer promises that no value comes twice"),
        ("type: bigint", "", "no longer promises its type, bigint"),
        ("type: bigint", "type: double", "promised bigint and promises double"),
    ],
)
def test_a_promise_that_a_model_lives_on(project, old: str, new: str, what: str | None) -> None:
    expected = [("b", f"`b` {what}", MODEL)] if what else []
    assert broken(project, promise(old), promise(new)) == expected


def test_a_promise_that_no_model_lives_on(project) -> None:
    old = table("  columns:\n    c: {null_share: 0}\n")
    assert broken(project, old, NONE) == []


def test_a_column_that_goes(project) -> None:
    new = table("  columns: {}\n", "SELECT a AS b FROM flights")
    assert broken(project, NONE, new, legs={"b": "BIGINT"}) == []
    old = table("  columns:\n    c: {null_share: 0}\n")
    assert broken(project, old, new, legs={"b": "BIGINT"}) == [("c", "`c` is gone", ())]


def test_a_column_of_another_type(project) -> None:
    new = table("  columns: {}\n", SQL.replace("a AS b", "a::INT AS b"))
    assert broken(project, NONE, new, legs={"b": "INTEGER", "c": "DOUBLE"}) == [
        ("b", "`b` was BIGINT and becomes INTEGER", ("feature.carrier",))
    ]


def test_a_contract_as_a_whole(project) -> None:
    assert broken(project, table("  on_breach: stop\n"), table("  on_breach: warn\n")) == [
        ("*", "`on_breach` was stop and becomes warn", MODEL)
    ]
    assert broken(project, table("  on_breach: warn\n"), table("  on_breach: stop\n")) == []
    assert broken(project, table("  key: [b]\n"), table("  key: [b, c]\n")) == [
        ("*", "its key was b and is b, c: more rows may be alike", MODEL)
    ]
    assert broken(project, table("  key: [b, c]\n"), table("  key: [b]\n")) == []
    assert broken(project, table("  key: []\n", more="grain: [b]\n"), table("  key: []\n")) == [
        ("*", "its grain was b and is none: more rows may be alike", MODEL)
    ]


def lost(what: str, contract: str = "contract:table.legs", *relies: str) -> Break:
    return Break(contract, AssetColumn("table.legs", "c"), what, relies)


def test_a_break_is_refused_with_what_relies_on_it_and_how_to_accept_it() -> None:
    assert str(lost("`c` is gone").refusal()) == (
        "LCH-2780: this breaks what `legs` promised: `c` is gone\n"
        "  why: others may rely on it, and nothing here knows of them\n"
        "  fix: keep the promise, or accept that it goes: --accept contract:table.legs --why '...'"
    )
    refusal = lost("`c` is gone", "contract:table.legs", "model.a", "model.b").refusal()
    assert refusal.why == "model.a, model.b rely on it"
    assert lost("`c` is gone", "contract:table.legs", "model.a").refusal().why == "model.a relies on it"


def test_what_is_accepted_is_all_of_a_contract_and_nothing_later() -> None:
    breaks = (lost("z"), lost("y"), lost("x", "contract:table.other"))
    assert meaning_of(breaks, "contract:table.legs") == "c: y\nc: z"
    assert [one.accepted for one in accepting(breaks, {"contract:table.legs": True})] == [True, True, False]
