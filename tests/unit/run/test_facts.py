from __future__ import annotations

import json
from typing import Any


def test_before_the_first_run(fresh: Any) -> None:
    facts = fresh.open().status()
    assert (facts["release"], facts["tables"], facts["model"], facts["run"], facts["errors"]) == (
        None,
        {},
        None,
        None,
        [],
    )


def test_the_facts_of_a_loop_are_plain_json(answered: Any) -> None:
    facts = answered.open().status()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["release"] == 2
    assert list(facts["tables"])[-1] == "predictions_late_payment"
    assert facts["labelled"] == facts["predictions"] == facts["service"]["predictions"] > 300
    assert {"collect", "train", "replay", "monitor"} <= set(facts["seconds"])
    assert facts["run"]["status"] == "done"


def test_two_services_and_two_monitors_are_counted_apart(answered: Any) -> None:
    answered.write("services/other.yaml", "model: late_payment\n")
    text = (answered.root / "monitors/late_payment.yaml").read_text()
    answered.write("monitors/again.yaml", text)
    assert answered.open().run().release is not None
    before = answered.open().status()
    for name in ("again", "late_payment"):
        answered.open().monitor(name)
    facts = answered.open().status()
    assert set(facts["services"]) == {"late_payment", "other"}
    assert facts["services"]["other"]["predictions"] == facts["services"]["other"]["labelled"] == 0
    assert facts["labelled"] == before["labelled"] == facts["services"]["late_payment"]["labelled"]
    assert set(facts["watches"]) == {"again", "late_payment"}


def test_each_environment_has_facts_of_its_own(answered: Any) -> None:
    answered.open("trial").run()
    facts = answered.open("trial").status()
    assert (facts["watches"], facts["findings"], facts["predictions"]) == ({}, [], 0)
    assert not {"replay", "monitor"} & {stage for stage, spent in facts["seconds"].items() if spent > 1}
    assert answered.open().status()["predictions"] > 300
