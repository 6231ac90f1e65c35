"""From a release to answers and back: served over HTTP, recorded once, labelled, and asked about."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from facts import audit_is_whole, face_equals_release
from processes import Nursery, ask, served, until
from small_project import START, SmallProject

FROM = "2024-01-18"
RECORDED = "SELECT count(*), count(DISTINCT prediction_id) FROM predictions_buys"
ASKED = f"SELECT count(*) FROM purchases WHERE asked_at >= TIMESTAMPTZ '{FROM} 00:00:00+00'"


@pytest.fixture
def small(tmp_path: Path, nursery: Nursery) -> SmallProject:
    made = SmallProject(tmp_path / "small", seed=51)
    assert nursery.lichen(made.root, "run").code == 0
    return made


def _rows(small: SmallProject, nursery: Nursery, sql: str) -> list[list[Any]]:
    ended = nursery.lichen(small.root, "query", "--json", sql)
    assert ended.code == 0, ended
    rows: list[list[Any]] = ended.facts["rows"]
    return rows


def _replay(small: SmallProject, nursery: Nursery) -> dict[str, Any]:
    ended = nursery.lichen(small.root, "replay", "--json", "--from", FROM)
    assert (ended.code, ended.err) == (0, ""), ended
    return ended.facts


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_live_answers_land_once(end: signal.Signals, small: SmallProject, nursery: Nursery) -> None:
    with served(small.root) as (server, told):
        assert (told["verb"], told["service"], told["release"]) == ("serve", "buys", 1)
        example = json.loads(told["example"])
        assert set(example) == {"shop", "asked_at", "cents"}
        answers = {}
        for cents in range(7):
            body = {"shop": "north", "asked_at": START.isoformat(), "cents": 1000 * cents}
            status, answer = ask(told["address"], body)
            assert (status, answer["model_version"]) == (200, told["model_version"]), answer
            answers[answer["prediction_id"]] = answer["score"]
        status, refused = ask(told["address"], {"shop": "north", "cents": "many"})
        assert status == 422, refused
        time.sleep(0.1)  # far beyond the 5 ms in which the service promises an answer to be on disk
        server.send_signal(end)
        assert server.wait(30) == (0 if end == signal.SIGTERM else -end)

    for _ in range(2):
        ended = nursery.lichen(small.root, "monitor", "--json")
        assert ended.code in (0, 1), ended
        assert ended.facts["asked"][0]["predictions"] == 7
        assert dict(_rows(small, nursery, "SELECT prediction_id, score FROM predictions_buys")) == answers
    status_facts = nursery.lichen(small.root, "status", "--json").facts
    assert (status_facts["predictions"], status_facts["release"]) == (7, 2)
    face_equals_release(small.root)


def test_a_replay_repeated_records_nothing_twice(small: SmallProject, nursery: Nursery) -> None:
    first, second = _replay(small, nursery), _replay(small, nursery)
    ((asked,),) = _rows(small, nursery, ASKED)
    assert (first["requests"], first["recorded"], first["release"]) == (asked, asked, 2)
    assert (second["requests"], second["recorded"]) == (asked, 0)
    assert _rows(small, nursery, RECORDED) == [[asked, asked]]
    monitor = nursery.lichen(small.root, "monitor", "--json", "--at", "2024-03-01").facts["asked"][0]
    assert (monitor["predictions"], monitor["labelled"]) == (asked, asked)
    assert nursery.lichen(small.root, "run", "--json").facts["nothing"]
    face_equals_release(small.root)
    audit_is_whole(small.root)


def test_labels_come_when_they_came(small: SmallProject, nursery: Nursery) -> None:
    _replay(small, nursery)
    at = "2024-01-19T06:00:00+00:00"
    known = sum(
        FROM <= visit.asked_at.isoformat() < at and visit.sent_at.isoformat() <= at for visit in small.expected()
    )
    monitor = nursery.lichen(small.root, "monitor", "--json", "--at", at).facts["asked"][0]
    assert monitor["labelled"] == known


def test_a_replay_looks_up_what_training_joined(small: SmallProject, nursery: Nursery) -> None:
    _replay(small, nursery)
    names = [
        name.removeprefix("feature.")
        for name in nursery.lichen(small.root, "query", "--json", "FROM predictions_buys LIMIT 0").facts["columns"]
        if name.startswith("feature.")
    ]
    types = dict(_rows(small, nursery, _types(names)))
    both = 'predictions_buys AS p JOIN training_buys AS t ON p.at = t.asked_at AND p."request.shop" = t.shop'
    counts = []
    for name in names:
        online, offline = f'p."feature.{name}"', f't."{name}"'
        differ = f"{online} IS DISTINCT FROM {offline}"
        if types[name] == "DOUBLE":
            near = f'abs({online} - {offline}) <= 1e-12 * (SELECT avg(abs("{name}")) FROM training_buys)'
            differ = f"({differ}) AND NOT coalesce({near}, false)"
        counts.append(f"count(*) FILTER ({differ}), count({online})")
    ((rows, *found),) = _rows(small, nursery, f"SELECT count(*), {', '.join(counts)} FROM {both}")
    assert [rows] == _rows(small, nursery, ASKED)[0]
    assert dict(zip(names, found[::2], strict=True)) == dict.fromkeys(names, 0)
    assert min(found[1::2]) > rows / 2, "most values are missing: nothing was compared"
    print(f"\n{rows} rows of {len(names)} features: 0 differ")


def _types(names: list[str]) -> str:
    return " UNION ALL ".join(f"(SELECT '{name}', typeof(\"{name}\") FROM training_buys LIMIT 1)" for name in names)


def _recorded_bytes(root: Path) -> int:
    return sum(log.stat().st_size for log in root.glob(".lichen/records/**/replay/*.log"))


def test_a_replay_whose_server_is_killed(small: SmallProject, nursery: Nursery) -> None:
    told = small.root / ".lichen/scratch/replay-buys/told.json"
    replay = nursery.start(small.root, "replay", "--json", "--from", "2024-01-01")
    until(lambda: _recorded_bytes(small.root) > 20_000)
    os.kill(json.loads(told.read_text())["pid"], signal.SIGKILL)
    ended = replay.end()
    assert (ended.code, ended.err) == (3, ""), ended
    assert (ended.error["code"], ended.error["what"]) == ("LCH-1843", "the service stopped answering")
    assert "replay again: nothing is recorded twice" in str(ended.error["fix"])
    again = nursery.lichen(small.root, "replay", "--json", "--from", "2024-01-01")
    assert (again.code, again.facts["requests"]) == (0, 2000), again
    assert _rows(small, nursery, RECORDED) == [[2000, 2000]]
    face_equals_release(small.root)


def test_a_replay_that_is_killed_leaves_no_server(small: SmallProject, nursery: Nursery) -> None:
    told = small.root / ".lichen/scratch/replay-buys/told.json"
    replay = nursery.start(small.root, "replay", "--json", "--from", "2024-01-01")
    until(lambda: _recorded_bytes(small.root) > 20_000)
    server = json.loads(told.read_text())["pid"]
    replay.kill()
    until(lambda: not Path(f"/proc/{server}").exists(), seconds=20)
    again = nursery.lichen(small.root, "replay", "--json", "--from", "2024-01-01")
    assert (again.code, again.facts["requests"]) == (0, 2000), again
    assert _rows(small, nursery, RECORDED) == [[2000, 2000]]


def test_a_span_without_rows(small: SmallProject, nursery: Nursery) -> None:
    ended = nursery.lichen(small.root, "replay", "--json", "--from", "2030-01-01")
    assert (ended.code, ended.error["code"]) == (1, "LCH-3202")
    assert "choose a span in it" in ended.error["fix"]


def test_nothing_to_ask_about(small: SmallProject, nursery: Nursery) -> None:
    ended = nursery.lichen(small.root, "monitor", "--json")
    assert (ended.code, ended.error["code"]) == (1, "LCH-3201")
    assert "lichen replay" in ended.error["fix"]
