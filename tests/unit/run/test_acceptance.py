from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lichen.errors import WrongUsage
from lichen.run.acceptance import Acceptances
from lichen.run.audit import AUDIT, broken_at

AT = datetime(2026, 1, 1, tzinfo=UTC)
TABLE, LEAK = "contract:table.t", "leak:model.m"


def test_what_was_accepted_is_its_meaning(world) -> None:
    made = Acceptances(world.workshop.state)
    assert not made.accepted(TABLE, "a: its type goes")
    made.accept([TABLE], " nobody reads it ", {TABLE: "a: its type goes"}, at=AT)
    assert made.accepted(TABLE, "a: its type goes")
    assert not made.accepted(TABLE, "a: it goes")
    assert not made.accepted("contract:table.u", "a: its type goes")
    assert [one["why"] for one in made.all()] == ["nobody reads it"]


def test_an_acceptance_stands_in_the_audit_once(world) -> None:
    made = Acceptances(world.workshop.state)
    made.accept([LEAK, LEAK], "it is honest", {LEAK: "path"}, at=AT)
    made.accept([LEAK], "twice", {LEAK: "path"}, at=AT)
    made.accept([LEAK], "another way", {LEAK: "longer path"}, at=AT)
    entries = [entry for _, entry in world.workshop.state.entries(AUDIT)]
    assert [(entry["act"], entry["name"], entry["why"], entry["at"]) for entry in entries] == [
        ("accept", LEAK, "it is honest", "2026-01-01T00:00:00+00:00"),
        ("accept", LEAK, "another way", "2026-01-01T00:00:00+00:00"),
    ]
    assert broken_at(world.workshop.state, AUDIT) is None


@pytest.mark.parametrize(
    ("name", "why", "what", "fix"),
    [
        (TABLE, " ", "`--accept` needs a reason", "say it"),
        ("contract:table.u", "so", "nothing is refused by the name `contract:table.u`", f"did you mean `{TABLE}`"),
    ],
)
def test_what_cannot_be_accepted_is_refused_and_nothing_is_kept(world, name, why, what, fix) -> None:
    made = Acceptances(world.workshop.state)
    with pytest.raises(WrongUsage) as wrong:
        made.accept([TABLE, name], why, {TABLE: "path"}, at=AT)
    assert wrong.value.what == what
    assert fix in (wrong.value.fix or "")
    assert made.all() == []
