"""A new release is tried beside the one before by real workers under load: taken up, or rolled back by itself."""

from __future__ import annotations

import http.client
import json
import signal
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from arro3.core import Table
from processes import Nursery, ask, served, until
from small_project import START, SmallProject
from test_switching import asked_on

from lichen import Project
from lichen.run.audit import AUDIT
from lichen.run.trials import TRIALS

BODY = {"shop": "north", "asked_at": START.isoformat(), "cents": 1000}
ROLLOUT = "rollout: {{{way}, for: {span}, roll_back_on: {{{guard}}}}}\n"


@pytest.fixture
def small(tmp_path: Path, nursery: Nursery) -> SmallProject:
    """A service in its first release; whatever comes next is tried."""
    made = SmallProject(tmp_path / "small", seed=81)
    assert nursery.lichen(made.root, "run").code == 0
    return made


def ready(address: str) -> dict[str, Any]:
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)) as connection:
        connection.request("GET", "/health/ready")
        told: dict[str, Any] = json.loads(connection.getresponse().read())
        return told


def metrics(address: str) -> str:
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)) as connection:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()


def trial(root: Path) -> Mapping[str, Any]:
    """The newest trial of the service, as the state store has it."""
    with Project(root) as project:
        return project.workshop.state.get(TRIALS, "prod/buys") or {"state": "none"}


def asks_for(small: SmallProject, way: str, span: str, guard: str = "") -> None:
    rollout = ROLLOUT.format(way=way, span=span, guard=guard)
    small.write("services/buys.yaml", f"model: buys\nrecord: {{durable: 5ms}}\n{rollout}")


def acts(project: Project) -> list[str]:
    return [entry["act"] for _, entry in project.workshop.state.entries(AUDIT)]


def test_a_release_that_breaks_a_guard_is_rolled_back_and_one_that_does_not_is_taken_up(
    small: SmallProject, nursery: Nursery
) -> None:
    with served(small.root, "--workers", "2") as (server, told):
        with asked_on(told["address"]) as clients:
            # Nobody buys any more, so say the rows that are learned from: its scores are far from what they were.
            asks_for(small, "canary: 0.5, by: entity", "10m", "score_shift: 0.1")
            small.edit("tables/purchases.sql", "v.bought, s.size", "(v.bought AND v.cents > 9000) AS bought, s.size")
            small.edit("models/buys.yaml", "gate: {roc_auc: {min: 0.55}}\n", "")
            assert nursery.lichen(small.root, "run").code == 0
            until(lambda: trial(small.root)["state"] == "rolled_back", seconds=60)
            bad = trial(small.root)
            until(lambda: all(client.last > bad["candidate"] for client in clients), seconds=60)
            # A harmless change is taken up once it stood its time.
            asks_for(small, "canary: 0.5", "2s", "error_rate: 0.1")
            small.edit("tables/purchases.sql", "(v.bought AND v.cents > 9000) AS bought", "v.bought")
            assert nursery.lichen(small.root, "run").code == 0
            until(lambda: trial(small.root)["state"] == "completed", seconds=60)
            good = trial(small.root)
            until(lambda: all(client.last >= good["candidate"] for client in clients), seconds=60)
        server.send_signal(signal.SIGTERM)
        assert server.wait(40) == 0
    assert [failed for client in clients for failed in client.failed] == []
    with Project(small.root) as project:
        (back,) = (one.facts for one in project.releases.history() if "rollout" in one.facts)
        assert (back["rolled_back_to"], back["rollout"]["guard"]) == (1, "score_shift")
        assert back["rollout"]["seen"] > 0.1
        versions = {one.number: one.versions["model.buys"] for one in project.releases.history("prod")}
        told_acts = acts(project)
        assert [act for act in told_acts if act.startswith("rollout")] == [
            "rollout_begun", "rollout_rolled_back", "rollout_begun", "rollout_completed"
        ]  # fmt: skip
        assert project.status()["services"]["buys"]["rollout"]["state"] == "completed"
    assert nursery.lichen(small.root, "run").code in (0, 1)
    answers = [answer for client in clients for answer in client.answers]
    by_release = Counter(answer["release"] for answer in answers)
    with Project(small.root) as project:
        table = Table.from_arrow(project.query("SELECT release, count(*) AS n FROM predictions_buys GROUP BY ALL"))
        assert dict(zip(*(table.column(name).to_pylist() for name in ("release", "n")), strict=True)) == by_release
    assert {bad["stable"], bad["candidate"], good["stable"], good["candidate"]} <= set(by_release)
    assert {answer["model_version"] for answer in answers if answer["release"] == bad["candidate"]} == {
        version for release, version in versions.items() if release == bad["candidate"]
    }


def test_a_shadow_is_heard_by_nobody_and_told_of(small: SmallProject, nursery: Nursery) -> None:
    with served(small.root) as (server, told):
        asks_for(small, "shadow: 1", "10m")
        small.edit("models/buys.yaml", "seed: 7", "seed: 7\nparams: {C: 0.001}")
        assert nursery.lichen(small.root, "run").code == 0
        until(lambda: "rollout" in ready(told["address"]), seconds=60)
        answers = [ask(told["address"], BODY)[1] for _ in range(20)]
        assert {answer["release"] for answer in answers} == {1}
        until(lambda: ready(told["address"])["rollout"]["differences"]["compared"] == 20, seconds=30)
        shown = ready(told["address"])["rollout"]
        assert (shown["way"], shown["stable"], shown["candidate"]) == ("shadow", 1, 2)
        assert shown["differences"]["mean"] > 0.001
        assert shown["differences"]["beyond"]["0.001"] == 20
        assert 'lichen_rollout_compared{service="buys",candidate="2",side="candidate"} 20' in metrics(told["address"])
        server.kill()
    assert trial(small.root)["state"] == "running"
    with served(small.root) as (server, told):
        assert ready(told["address"])["rollout"]["candidate"] == 2, "a restart goes on with it"
        assert ask(told["address"], BODY)[1]["release"] == 1
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    assert nursery.lichen(small.root, "run").code in (0, 1)
    with Project(small.root) as project:
        table = Table.from_arrow(project.query("SELECT DISTINCT release FROM predictions_buys"))
        assert table.column("release").to_pylist() == [1]
