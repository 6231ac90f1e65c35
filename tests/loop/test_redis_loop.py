"""A project that looks features up in a Redis server: the answers are those from a file, and no password is shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import Nursery, ask, served
from redis_there import ADDRESS, asked, clear, needs_redis, private_server
from small_project import START, SmallProject

pytestmark = needs_redis

FROM = "2024-01-18"
CENTS, SHOPS = (0, 2500, 9000), ("north", "south", "east", "west", "gone", "never")
RECORDED = 'SELECT "request.shop", "at"::VARCHAR, score FROM predictions_buys ORDER BY ALL'


@pytest.fixture
def prefix() -> Iterator[str]:
    made = f"test-loop-{os.getpid()}"
    yield made
    clear(made)


def _made(root: Path, nursery: Nursery, online: str, variables: dict[str, str] | None = None) -> SmallProject:
    small = SmallProject(root, seed=51)
    small.edit("lichen.yaml", "memory:", f"{online}memory:")
    # A window that reaches back to the rows from whenever the test runs: a live service answers as of now.
    small.edit("features/shop_visits.yaml", "[1d, 7d]", "[1d, all]")
    ended = nursery.lichen(root, "run", variables=variables)
    assert ended.code == 0, ended
    return small


def _scores(small: SmallProject) -> list[float]:
    scores = []
    with served(small.root) as (_, told):
        for shop in SHOPS:
            for cents in CENTS:
                body = {"shop": shop, "asked_at": START.isoformat(), "cents": cents}
                status, answer = ask(told["address"], body)
                assert status == 200, answer
                scores.append(answer["score"])
    return scores


def _replayed(small: SmallProject, nursery: Nursery) -> list[list[Any]]:
    ended = nursery.lichen(small.root, "replay", "--json", "--from", FROM)
    assert (ended.code, ended.err) == (0, ""), ended
    ended = nursery.lichen(small.root, "query", "--json", RECORDED)
    assert ended.code == 0, ended
    rows: list[list[Any]] = ended.facts["rows"]
    return rows


def test_answers_from_redis_are_those_from_a_file(tmp_path: Path, nursery: Nursery, prefix: str) -> None:
    one = _made(tmp_path / "one", nursery, "")
    other = _made(tmp_path / "other", nursery, f"online: {ADDRESS}?prefix={prefix}\n")
    assert not (other.root / ".lichen/online.db").exists()
    with asked() as client:
        assert {view.decode().partition("@")[0] for view in client.smembers(f"lichen:{prefix}:views")} == {
            "shop",
            "shop_visits",
        }

    first, second = _replayed(one, nursery), _replayed(other, nursery)

    assert first == second
    assert len(first) > 100
    scores = _scores(one)
    assert scores == _scores(other)
    assert len(set(scores)) > len(CENTS) * 4, "the shops' features made no difference"


def test_a_password_is_seen_nowhere(tmp_path: Path, nursery: Nursery) -> None:
    word = "canary-of-redis"
    variables = {"REDIS_WORD": word}
    (tmp_path / "redis").mkdir()
    with private_server(tmp_path / "redis", "--requirepass", word) as (url, process):
        online = f"online: {url.replace('//', '//:${REDIS_WORD}@')}\n"
        small = _made(tmp_path / "small", nursery, online, variables)
        replayed = nursery.lichen(small.root, "replay", "--from", FROM, variables=variables)
        with served(small.root, variables=variables) as (_, told):
            assert ask(told["address"], {"shop": "north", "asked_at": START.isoformat(), "cents": 1})[0] == 200
        process.kill()
        process.wait()
        small.edit("features/shop.yaml", "latest: [size, city]", "latest: [size]")
        verbs = (["run", "--json"], ["run", "--debug"], ["serve", "--port", "0"], ["check"], ["status", "--json"])
        said = [replayed, *(nursery.lichen(small.root, *verb, variables=variables) for verb in verbs)]
    assert [ended.code for ended in said] == [0, 3, 3, 3, 0, 0]
    assert said[1].error["code"] == "LCH-3031"
    assert said[1].error["where"]["file"] == url
    assert [ended for ended in said if word in ended.out + ended.err] == []
    kept = [path for path in (small.root / ".lichen").rglob("*") if path.is_file()]
    assert [path for path in kept if word.encode() in path.read_bytes()] == []
