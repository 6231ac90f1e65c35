from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from lichen.ports import Put
from lichen.run.facts import RUNS
from lichen.run.lease import RUN, owner_name


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


def test_a_run_that_was_cut_short_is_not_running_for_ever(shop: Any) -> None:
    project = shop.open()
    state = project.workshop.state
    (name, run), *_ = state.scan(RUNS)
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    for pid, held_by, status in (
        (os.getpid(), owner_name(), "running"),
        (os.getpid(), None, "killed"),
        (child.pid, owner_name(), "killed"),
        (child.pid, owner_name().replace(str(os.getpid()), str(child.pid)), "killed"),
        (4711, "another-machine:4711:x:y", "running"),
    ):
        gone = {**run, "id": "cut-short", "status": "running", "pid": pid, "started": "2999-01-01T00:00:00"}
        state.write(Put(RUNS, "cut-short", gone))
        if held_by:
            state.lease(RUN, held_by, 60)
        assert project.status()["run"]["status"] == status
        if held_by:
            state.free(RUN, held_by)
    # Where its release came, it did what it was to do.
    state.write(Put(RUNS, name, {**run, "status": "running", "started": "2999-02-01T00:00:00"}))
    assert project.status()["run"]["status"] == "done"


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
