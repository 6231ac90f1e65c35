"""A service that would answer with other values than were learned from is not released, and one that did is found."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from planted import plant
from processes import Nursery, ask, served
from small_project import SmallProject

from lichen.project import Project

REMADE = ("services/buys.yaml", "durable: 5ms", "durable: 6ms")


@pytest.fixture
def fresh(tmp_path: Path, nursery: Nursery) -> SmallProject:
    """A project whose visits are of these three weeks, so that a service's windows hold some of them now."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    made = SmallProject(tmp_path / "small", seed=51, start=today - timedelta(days=21))
    made.edit("models/buys.yaml", "features:", "prediction_time: {from: asked_at, tolerance: 5m}\nfeatures:")
    ended = nursery.lichen(made.root, "run", "--json")
    assert ended.code == 0, ended
    (deployed,) = (one for one in ended.facts["outcomes"] if one["asset"] == "service.buys")
    assert deployed["notes"][1] == "parity: 1,000 rows x 14 values equal"
    return made


def _plant(small: SmallProject, environment: str = "prod") -> str:
    with Project(small.root, environment=environment) as project:
        return plant(project, "shop_visits", "cents", "cents + 1", environment)


def _refused(error: dict[str, Any], key: str) -> None:
    """That an error names the view, the feature, the row and the two values."""
    assert error["code"] == "LCH-2971"
    spent = re.fullmatch(
        r"the online store gives `buys` another `shop_visits\.spent_[17]d` than the tables say", error["what"]
    )
    assert spent, error
    assert "for shop = " in error["why"]
    assert f"and `{key}` in the store gives " in error["why"]
    said, gave = (error["why"].partition(f"{of} ")[2].split(",")[0].split(";")[0] for of in ("say", "gives"))
    assert int(gave) > int(said) > 0


def _answered(small: SmallProject) -> list[str]:
    """Ask a live server in time and long out of it; the answers' names."""
    with served(small.root) as (_, told):
        names = []
        for shop in ("north", "south", "nowhere"):
            for asked_at, late in ((datetime.now(UTC), False), (datetime(2020, 1, 1, tzinfo=UTC), True)):
                body = {"shop": shop, "asked_at": asked_at.isoformat(), "cents": 700}
                status, answer = ask(told["address"], body)
                assert (status, answer["out_of_time"]) == (200, late), answer
                names.append(answer["prediction_id"])
        time.sleep(0.1)  # far beyond the 5 ms in which the service promises an answer to be on disk
    return names


def test_a_planted_skew_is_refused_when_the_service_is_made_anew(fresh: SmallProject, nursery: Nursery) -> None:
    key = _plant(fresh)
    fresh.edit(*REMADE)
    ended = nursery.lichen(fresh.root, "run", "--json")
    assert ended.code == 1, ended
    _refused(ended.error, key)
    status = nursery.lichen(fresh.root, "status", "--json").facts
    assert (status["release"], status["run"]["status"]) == (1, "failed")
    (fresh.root / ".lichen/online.db").unlink()
    assert nursery.lichen(fresh.root, "run", "--json").facts["release"] == 2


def test_a_planted_skew_is_refused_when_it_is_promoted(fresh: SmallProject, nursery: Nursery) -> None:
    fresh.edit(*REMADE)
    assert nursery.lichen(fresh.root, "run", "--json", "--env", "dev").code == 0
    key = _plant(fresh, "dev")
    ended = nursery.lichen(fresh.root, "promote", "dev", "prod", "--json")
    assert ended.code == 1, ended
    _refused(ended.error, key)
    assert nursery.lichen(fresh.root, "status", "--json").facts["release"] == 1
    (fresh.root / ".lichen/online.db").unlink()
    assert nursery.lichen(fresh.root, "promote", "dev", "prod", "--json").facts["release"] == 3


def test_answers_of_a_planted_skew_are_found_by_the_monitor(fresh: SmallProject, nursery: Nursery) -> None:
    _plant(fresh)
    names = _answered(fresh)
    ended = nursery.lichen(fresh.root, "monitor", "--json")
    assert ended.code == 1, ended
    (asked,) = ended.facts["asked"]
    assert asked["watch"]["skew"] == {"compared": 6, "values": 14, "differ": 4, "lost": 0}
    (found,) = [one for one in asked["watch"]["findings"] if one["kind"] == "skew"]
    assert (found["subject"], found["evidence"]["rows"]) == ("shop_visits", 6)
    assert found["severity"] > 0
    assert set(found["evidence"]["features"]) <= {"shop_visits.spent_1d", "shop_visits.spent_7d"}
    example = found["evidence"]["example"]
    assert example["prediction_id"] in names
    assert int(example["used"]) > int(example["offline"]) > 0
    assert found["message"].startswith("`shop_visits` (spent_")
    assert (
        f": {example['prediction_id']} was given with {example['feature']} {example['used']}, and the tables of "
        f"release 1 give {example['offline']}. It carries "
    ) in found["message"]
    shown = nursery.lichen(fresh.root, "monitor").out
    assert "skew: 6 answers x 14 values computed again: 4 answers used what the tables do not say" in shown


def test_late_rows_and_answers_out_of_time_are_no_skew(fresh: SmallProject, nursery: Nursery) -> None:
    _answered(fresh)
    # What lands now says that it was known before those answers; the release that gave them did not have it.
    fresh.send(fresh.visits(8))
    assert max(visit.sent_at for visit in fresh.sent) < datetime.now(UTC)
    assert nursery.lichen(fresh.root, "run", "--json").facts["release"] == 3
    assert nursery.lichen(fresh.root, "status", "--json").facts["tables"]["purchases"]["rows"] == 2008
    assert (
        nursery.lichen(fresh.root, "replay", "--json", "--from", f"{fresh.now - timedelta(days=3):%Y-%m-%d}").code == 0
    )
    ended = nursery.lichen(fresh.root, "monitor", "--json")
    (asked,) = ended.facts["asked"]
    assert [one for one in asked["watch"]["findings"] if one["kind"] == "skew"] == []
    skew = asked["watch"]["skew"]
    assert skew["compared"] > 100
    assert (skew["differ"], skew["lost"]) == (0, 0)
    shown = nursery.lichen(fresh.root, "monitor").out
    assert "x 14 values computed again: the service used what the tables say" in shown
    before = "before it was released: parity: 1,000 rows x 14 values equal"
    assert before in nursery.lichen(fresh.root, "status").out


def test_answers_whose_tables_were_swept_are_counted(fresh: SmallProject, nursery: Nursery) -> None:
    _answered(fresh)
    fresh.send(fresh.visits(8))
    assert nursery.lichen(fresh.root, "run", "--json").facts["release"] == 3
    with Project(fresh.root) as project:
        releases = project.releases
        first, now = (
            releases.version("table.purchases", releases.numbered(n).versions["table.purchases"]) for n in (1, 3)
        )
        gone = {file.path for file in first.files} - {file.path for file in now.files}
    for path in gone:
        (fresh.root / ".lichen/lake/purchases" / path).unlink()
    (asked,) = nursery.lichen(fresh.root, "monitor", "--json").facts["asked"]
    assert asked["watch"]["skew"] == {"compared": 0, "values": 0, "differ": 0, "lost": 6}
    assert (
        "skew was not looked at in 6 of 6 answers: the tables of the release that gave them are no longer kept"
    ) in asked["notes"]
    assert json.dumps(asked)
