"""Personal data in requests: it is answered with, and written nowhere; labels and the monitor find the answers."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from facts import audit_is_whole
from processes import Nursery, ask, until
from small_project import START, SmallProject

FROM = "2024-01-18"
NOBODY = "ann-7319@example.org"
SHOPS = {"north", "south", "east", "west", "gone"}
CLASSES = [
    ("sources/visits.yaml", "shop: {type: varchar}", "shop: {type: varchar, pii: direct}"),
    ("sources/visits.yaml", "range: [0, 100000]", "range: [0, 100000], pii: quasi"),
    ("sources/shops.yaml", "accepted: [Ulm, Bonn]", "accepted: [Ulm, Bonn], pii: sensitive"),
]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> SmallProject:
    made = SmallProject(tmp_path_factory.mktemp("personal") / "small", seed=51)
    for file, old, new in CLASSES:
        made.edit(file, old, new)
    assert nursery.lichen(made.root, "run").code == 0
    return made


def _rows(small: SmallProject, nursery: Nursery, sql: str) -> list[list[Any]]:
    ended = nursery.lichen(small.root, "query", "--json", sql)
    assert ended.code == 0, ended
    rows: list[list[Any]] = ended.facts["rows"]
    return rows


def _holding(root: Path, value: str) -> list[str]:
    """The files below a folder that hold a text, as it is."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return [str(path.relative_to(root)) for path in files if value.encode() in path.read_bytes()]


def test_what_identifies_a_person_is_written_nowhere(small: SmallProject, nursery: Nursery) -> None:
    row = {"asked_at": START.isoformat(), "cents": 5678}
    server = nursery.start(small.root, "serve", "--port", "0", "--json")
    out = Path(f"{server.out}.out")
    until(lambda: out.read_text().endswith("\n"))
    address = json.loads(out.read_text())["address"]
    for shop in (NOBODY, "north", NOBODY):
        status, answer = ask(address, {"shop": shop, **row})
        assert status == 200, answer
    status, refused = ask(address, {"shop": [NOBODY], **row})
    assert (status, NOBODY in str(refused)) == (422, False), refused
    status, refused = ask(address, {"shop": "north", "asked_at": START.isoformat(), "cents": "5678 each"})
    assert (status, "5678" in str(refused)) == (422, False), refused
    os.kill(server.pid, signal.SIGTERM)
    assert server.end().code == 0
    assert _holding(small.root, NOBODY) == []
    assert _holding(small.root / ".lichen" / "records", "north") == []

    _replayed_and_judged(small, nursery)
    assert _holding(small.root, NOBODY) == []
    for name in ("records", "logs", "state.db", "state.db-wal", "audit"):
        path = small.root / ".lichen" / name
        assert not [one for one in (path, *path.rglob("*")) if one.is_file() and b"north" in one.read_bytes()], name
    audit_is_whole(small.root)


def _replayed_and_judged(small: SmallProject, nursery: Nursery) -> None:
    """Past rows are asked again: every answer finds its label by what was recorded of its key."""
    ended = nursery.lichen(small.root, "replay", "--json", "--from", FROM)
    assert (ended.code, ended.err) == (0, ""), ended
    ended = nursery.lichen(small.root, "monitor", "--json", "--at", "2024-03-01")
    assert ended.code == 0, ended
    (asked,) = ended.facts["asked"]
    ((rows,),) = _rows(small, nursery, f"SELECT count(*) FROM purchases WHERE asked_at >= TIMESTAMPTZ '{FROM} 00:00Z'")
    assert (asked["predictions"], asked["labelled"]) == (rows, rows)
    assert {cohort["state"] for cohort in asked["watch"]["cohorts"] if cohort["predictions"]} == {"mature"}
    assert all(cohort["scores"]["metrics"]["roc_auc"] for cohort in asked["watch"]["cohorts"] if cohort["predictions"])
    skew = asked["watch"]["skew"]
    assert (skew["compared"] > 200, skew["differ"], skew["lost"]) == (True, 0, 0)
    assert any(note.startswith("missing not asked of shop_visits.spent_1d") for note in asked["notes"])
    assert any(note.startswith("skew was not looked at in shop.city, ") for note in asked["notes"])

    kept = '"request.shop", "feature.asking.shop", "request.cents", "feature.shop.city"'
    recorded = _rows(small, nursery, f"SELECT DISTINCT {kept} FROM predictions_buys")
    assert len({shop for shop, *_ in recorded}) == len(SHOPS) + 1
    for shop, feature, cents, city in recorded:
        assert (len(shop), shop, city) == (32, feature, None)
        assert int(str(cents)[1:] or 0) == 0


def test_another_class_makes_the_service_anew_and_nothing_else(small: SmallProject, nursery: Nursery) -> None:
    small.edit("sources/visits.yaml", "pii: quasi", "pii: sensitive")
    planned = nursery.lichen(small.root, "plan", "--json").facts
    assert [(step["asset"], step["reason"]) for step in planned["steps"]] == [
        ("service.buys", "pii.visits.cents (quasi -> sensitive) changed"),
        ("monitor.buys", "service.buys may change"),
    ]
