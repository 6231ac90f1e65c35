"""Bodies that are wrong in every way a seed can think of, to every route: refused clearly, and the server goes on."""

from __future__ import annotations

import http.client
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from processes import Nursery, served
from small_project import SmallProject

from lichen.deploy.door import MOST_BYTES
from lichen.deploy.stream import answers_stream

FEW, MANY, HUNG = 2_000, 100_000, 10.0
ASKED = ("/predict", "/invocations", "/v2/models/buys/infer")
OTHERS = (
    "/v2/models/buys/versions/1/infer", "/v2/models/sells/infer", "/ping", "/metrics", "/openapi.json", "/v2",
    "/health/ready", "/v2/models/buys", "/nowhere", "/predict/", "/v2/models/%2e%2e/infer",
)  # fmt: skip
KINDS = (
    None, "application/json", "application/json; charset=utf-8", "text/csv", "text/csv; header=present",
    "application/vnd.apache.arrow.stream", "application/octet-stream", "text/plain", "application/json; charset=utf-16",
    "multipart/form-data; boundary=x", "", ";", "\xff",
)  # fmt: skip
ROW: dict[str, Any] = {"shop": "north", "asked_at": "2024-02-01T10:00:00+00:00", "cents": 100}
TENSORS = {
    "inputs": [
        {"name": "shop", "shape": [2], "datatype": "BYTES", "data": ["north", "gone"]},
        {"name": "cents", "shape": [2, 1], "datatype": "INT64", "data": [[1], [2]]},
    ]
}
JSON: list[Any] = [
    ROW,
    {"rows": [ROW, ROW, {**ROW, "prediction_id": "mine"}]},
    {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())] * 20}},
    {"dataframe_records": [ROW] * 20},
    {"instances": [list(ROW.values())]},
    {"inputs": {name: [value] for name, value in ROW.items()}, "params": {}},
    TENSORS,
    {**TENSORS, "id": "1", "outputs": [{"name": "score"}], "parameters": {"a": 1}},
]
CSV = b"shop,asked_at,cents\nnorth,2024-02-01T10:00:00+00:00,100\n,,\n"
ODD: list[Any] = [
    None, True, 0, -1, 1.5, 1e308, -0.0, 2**63, 2**200, "", "\x00", "\ud800", "é", "a" * 5000, "9" * 400, [], {}, [[]],
    [None], {"a": {}}, "2024-02-30T00:00:00+00:00", "9999-12-31T23:59:59-23:59", "nan", "__proto__", "; DROP TABLE x",
    "../../etc/passwd", "${jndi:x}", [1] * 1000,
]  # fmt: skip
LONG = [
    b"", b"[" * 100_000, b'{"a":' * 50_000, b'{"rows":[' + b"{}," * 20_000 + b"{}]}", b"a" * 2**20, b"a" * (2**20 + 1),
    b"cents\n" + b"1\n" * 20_000,
]  # fmt: skip
LEAKS = (b"Traceback", b'File "', b"site-packages", b"SELECT", b"lichen/", b"root:")


def _changed(value: Any, chance: random.Random) -> Any:
    """JSON with one place in it changed, anywhere."""
    if chance.random() < 0.25 or not isinstance(value, dict | list) or not value:
        return chance.choice(ODD)
    if isinstance(value, list):
        at = chance.randrange(len(value))
        return [*value[:at], _changed(value[at], chance), *value[at + 1 :]]
    key, act = chance.choice(list(value)), chance.random()
    if act < 0.1:
        return {name: one for name, one in value.items() if name != key}
    if act < 0.2:
        return {**value, chance.choice(["rows", "id", "x", "", "Shop", *value]): chance.choice(ODD)}
    return {**value, key: _changed(value[key], chance)}


def _bytes(body: bytes, chance: random.Random) -> bytes:
    """Bytes with a few of them changed, doubled or cut off."""
    made = bytearray(body)
    for _ in range(chance.choice([1, 1, 2, 8])):
        if not made:
            break
        at, act = chance.randrange(len(made)), chance.random()
        if act < 0.4:
            made[at] = chance.randrange(256)
        elif act < 0.6:
            del made[at:]
        elif act < 0.8:
            made[at:at] = made[: chance.randrange(64)]
        else:
            made[at & ~7 : (at & ~7) + 8] = chance.choice([0, 2**31 - 1, 2**62, 2**64 - 1]).to_bytes(8, "little")
    return bytes(made)


def _body(chance: random.Random, arrow: bytes) -> tuple[bytes, str | None]:
    """One body, seldom a right one, and the media type that it should have."""
    act = chance.random()
    if act < 0.5:
        said = chance.choice(JSON)
        for _ in range(chance.choice([0, 1, 1, 2, 3])):
            said = _changed(said, chance)
        return json.dumps(said).encode(), "application/json"
    if act < 0.65:
        return _bytes(json.dumps(chance.choice(JSON)).encode(), chance), None
    if act < 0.85:
        return _bytes(arrow, chance), "application/vnd.apache.arrow.stream"
    if act < 0.97:
        return _bytes(CSV, chance), "text/csv"
    return chance.choice(LONG), chance.choice(KINDS)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    folder = tmp_path_factory.mktemp("malformed")
    made, nursery = SmallProject(folder / "small", seed=71), Nursery(folder / "nursery")
    try:
        assert nursery.lichen(made.root, "run").code == 0
    finally:
        nursery.close()
    return made


@pytest.fixture
def asked(small: SmallProject) -> Iterator[Any]:
    with served(small.root) as (server, told):
        line = http.client.HTTPConnection(urlsplit(told["address"]).netloc, timeout=HUNG)
        yield server, line
        line.close()


def _ask_badly(server: Any, line: http.client.HTTPConnection, count: int) -> Counter[int]:
    chance = random.Random(20_261_201)
    arrow = answers_stream([{"shop": "north", "cents": number} for number in range(20)])
    statuses: Counter[int] = Counter()
    slowest = 0.0
    for _ in range(count):
        path = chance.choice(ASKED if chance.random() < 0.85 else OTHERS)
        body, kind = _body(chance, arrow)
        if chance.random() < 0.15:
            kind = chance.choice(KINDS)
        method = chance.choice(["POST"] * 18 + ["GET", "PUT"])
        begun = time.monotonic()
        try:
            line.request(method, path, body, {} if kind is None else {"content-type": kind.encode("latin-1")})
            reply = line.getresponse()
            said = reply.read()
        except (ConnectionResetError, BrokenPipeError):  # refused unread, while it was still being sent
            assert len(body) > MOST_BYTES
            line.close()
            statuses[413] += 1
            continue
        slowest = max(slowest, time.monotonic() - begun)
        statuses[reply.status] += 1
        case = (method, path, kind, body[:300], said[:300])
        assert reply.status < 500, case
        if reply.status >= 400:
            error = json.loads(said)["error"]
            assert error if path.startswith("/v2") else error["message"], case
            assert not any(leak in said for leak in LEAKS), case
    assert server.poll() is None
    print(f"\n{count} bodies: {dict(sorted(statuses.items()))}; slowest {slowest:.3f} s")
    return statuses


def test_no_body_makes_it_fail_or_hang(asked: Any) -> None:
    statuses = _ask_badly(*asked, FEW)
    assert {200, 400, 404, 405, 413, 415, 422} <= set(statuses)


@pytest.mark.soak
def test_no_body_of_many_makes_it_fail_or_hang(asked: Any) -> None:
    _ask_badly(*asked, int(os.environ.get("LICHEN_CASES", MANY)))
