from __future__ import annotations

from lichen.run.acceptance import Acceptances
from lichen.run.audit import broken_at
from lichen.run.release import AUDIT


def test_what_was_accepted_is_its_meaning(world) -> None:
    made = Acceptances(world.workshop.state)
    assert not made.accepted("contract:table.t", "a: its type goes")
    made.record("contract:table.t", "nobody reads it", "a: its type goes", "ann", "2026-01-01T00:00:00+00:00")
    assert made.accepted("contract:table.t", "a: its type goes")
    assert not made.accepted("contract:table.t", "a: it goes")
    assert not made.accepted("contract:table.u", "a: its type goes")
    assert [one["why"] for one in made.all()] == ["nobody reads it"]


def test_an_acceptance_stands_in_the_audit(world) -> None:
    made = Acceptances(world.workshop.state)
    made.record("leak:model.m", "it is honest", "path", None, "2026-01-02T00:00:00+00:00")
    made.record("leak:model.m", "twice", "path", None, "2026-01-03T00:00:00+00:00")
    entries = [entry for _, entry in world.workshop.state.entries(AUDIT)]
    assert [(entry["act"], entry["name"], entry["why"]) for entry in entries] == [
        ("accept", "leak:model.m", "it is honest"),
        ("accept", "leak:model.m", "twice"),
    ]
    assert broken_at(world.workshop.state, AUDIT) is None
