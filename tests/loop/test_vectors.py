"""An embedding from a Parquet file to a served answer and back: the same numbers wherever they are read."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pytest
from arro3.core import Table
from deltalake import DeltaTable
from facts import face_equals_release
from processes import Nursery

from lichen import Project
from lichen.run.deployed import artifact_folder
from lichen.train.artifact import load
from lichen.train.fit import score

FILES = {
    "lichen.yaml": "name: vectors\npublish: prod\nmemory: 512MB\n",
    "sources/items.yaml": """\
path: data/items.parquet
time: added_at
known: added_at
contract:
  key: [item, added_at]
  columns:
    embedding: {type: "float[8]"}
    size: {type: bigint, range: [0, 1000]}
  on_breach: quarantine
""",
    "sources/asked.yaml": """\
path: data/asked.parquet
time: asked_at
known: known
contract:
  columns:
    query: {type: "double[3]"}
""",
    "tables/plans.sql": """\
/* ---
grain: [item]
--- */
SELECT item, max_by(embedding, added_at)::DOUBLE[8] AS plan FROM items GROUP BY item
""",
    "features/item.yaml": "entity: {item: bigint}\nfrom: items\nlatest: [embedding, size]\n",
    "features/plan.yaml": "entity: {item: bigint}\nfrom: plans\nstatic: true\nlatest: [plan]\n",
    "features/asking.yaml": "on: request\ncolumns:\n  query: FLOAT[3]\n",
    "models/buys.yaml": """\
task: classification
label: {from: asked, value: bought, at: asked_at, known: known, wait: 2d}
features: [item, plan, asking]
learner: logistic
seed: 7
validate: {by: time, early_stop: 5d, test: 8d}
slices: [item.embedding]
""",
    "services/buys.yaml": "model: buys\nrecord: {durable: 5ms}\n",
    "monitors/buys.yaml": "watch: buys\nevery: 1d\nask: {drift: {severity: 0.1}, missing: {rise: 0.5}}\n",
}
ITEMS = """
SELECT i % 50 AS item, TIMESTAMPTZ '2024-01-01 00:00:00+00' + to_hours(i * 3) AS added_at,
  CASE WHEN i % 17 = 3 THEN NULL WHEN i = 21 THEN [1, 2]
    ELSE list_transform(range(8), lambda e: CASE WHEN i % 23 = 5 AND e = 2 THEN NULL
      WHEN i % 29 = 7 AND e = 3 THEN 'nan'::DOUBLE ELSE sin(i * 8 + e) END) END::FLOAT[] AS embedding,
  CASE WHEN i = 30 THEN 5000 ELSE i END AS size
FROM range(200) AS r(i)
"""
ASKED = """
SELECT i % 60 AS item, TIMESTAMPTZ '2024-01-10 00:00:00+00' + to_minutes(i * 10) AS asked_at,
  asked_at + INTERVAL 1 HOUR AS known, [sin(i), cos(i), i / 1000]::DOUBLE[3] AS query,
  query[1] + sin(i % 50) > 0 AS bought
FROM range(6000) AS r(i)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Path:
    made = tmp_path_factory.mktemp("vectors")
    for name, text in FILES.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (made / "data").mkdir()
    with duckdb.connect() as session:
        session.execute("SET TimeZone = 'UTC'")
        for name, rows in (("items", ITEMS), ("asked", ASKED)):
            session.execute(f"COPY ({rows}) TO '{made}/data/{name}.parquet' (FORMAT parquet)")
    ended = nursery.lichen(made, "run", "--json")
    assert ended.code == 0, ended
    return made


@contextmanager
def _served(root: Path) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "lichen", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())
        finally:
            server.terminate()
            server.wait(30)


def _ask(address: str, body: dict[str, Any] | None = None, path: str = "/predict") -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    try:
        text = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, text, {"content-type": "application/json"})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


def _rows(root: Path, nursery: Nursery, sql: str) -> list[list[Any]]:
    ended = nursery.lichen(root, "query", "--json", sql)
    assert ended.code == 0, ended
    rows: list[list[Any]] = ended.facts["rows"]
    return rows


def _batch(root: Path) -> dict[tuple[int, int], float]:
    """The score of each training row, by what was asked and when, as the model gives it for all rows at once."""
    with Project(root) as project:
        workshop = project.workshop
        trained = project.releases.versions(project.releases.current("prod"))["model.buys"]
        rows = {"t": workshop.relation(trained)}
        preparation, fitted = load(artifact_folder(trained, workshop), trained.facts["artifact"], workshop.learner)
        scores = score(fitted, preparation.matrix(rows["t"], workshop.engine))
        named = Table.from_arrow(workshop.engine.query("SELECT item, epoch_us(asked_at) AS at_us FROM t", rows))
    keys = zip(named.column("item").to_pylist(), named.column("at_us").to_pylist(), strict=True)
    return dict(zip(keys, scores.tolist(), strict=True))


def test_a_vector_is_a_column_of_a_table_and_of_its_face(root: Path, nursery: Nursery) -> None:
    assert _rows(root, nursery, "SELECT DISTINCT typeof(embedding) FROM items") == [["FLOAT[8]"]]
    assert _rows(root, nursery, "SELECT DISTINCT typeof(plan) FROM plans") == [["DOUBLE[8]"]]
    ((reason,), (broken,)) = _rows(root, nursery, "SELECT reason FROM quarantine ORDER BY reason")
    assert reason == "embedding: `[1.0, 2.0]` is not FLOAT[8]"
    assert broken.startswith("size: it is outside")
    face_equals_release(root)
    shown = DeltaTable(str(next(root.glob(".lichen/**/items/_delta_log")).parent)).schema().to_json()
    assert '"elementType":"float"' in shown


def test_a_model_names_a_vector_as_one_feature_and_its_elements_as_numbers(root: Path) -> None:
    with Project(root) as project:
        facts = project.releases.versions(project.releases.current("prod"))["model.buys"].facts
    assert set(facts["importances"]) == {"item.embedding", "item.size", "plan.plan", "asking.query"}
    assert sum(facts["importances"].values()) == pytest.approx(1)
    assert set(facts["missing"]) == {"item.embedding", "item.size", "plan.plan"}
    assert "| `asking.query` (3 numbers; `[" in (root / facts["card"]).read_text()


def test_what_is_served_is_what_was_trained_on_and_what_is_recorded(root: Path, nursery: Nursery) -> None:
    ended = nursery.lichen(root, "replay", "--json", "--from", "2024-02-10")
    assert (ended.code, ended.err) == (0, ""), ended
    both = """predictions_buys AS p JOIN training_buys AS t ON p.at = t.asked_at AND p."request.item" = t.item"""
    names = ("item.embedding", "plan.plan", "asking.query")
    compared = ", ".join(
        f'count(*) FILTER (p."feature.{name}" IS DISTINCT FROM t."{name}"), count(t."{name}"), '
        f'any_value(typeof(p."feature.{name}"))'
        for name in names
    )
    ((rows, *found),) = _rows(root, nursery, f"SELECT count(*), {compared} FROM {both}")
    assert rows == ended.facts["requests"] > 1000
    assert found[::3] == [0, 0, 0]
    assert found[1] < rows
    assert found[2::3] == ["FLOAT[8]", "DOUBLE[8]", "FLOAT[3]"]
    assert _rows(root, nursery, 'SELECT count(*) FROM predictions_buys WHERE "request.query" IS NULL') == [[0]]
    expected = _batch(root)
    for item, at, given in _rows(root, nursery, 'SELECT "request.item", epoch_us("at"), score FROM predictions_buys'):
        assert given == expected[item, at]

    watched = nursery.lichen(root, "monitor", "--json", "--at", "2024-03-01").facts["asked"][0]["watch"]
    drifts = {one["question"] for one in watched["unjudged"] if one["question"].startswith("drift of")}
    assert drifts == {f"drift of `{name}`" for name in names}
    assert {one["feature"] for one in watched["drifts"]} <= {"item.size"}


def test_a_request_brings_a_vector_as_an_array(root: Path, nursery: Nursery) -> None:
    with _served(root) as told:
        status, answer = _ask(told["address"], {"item": 8, "query": [0.1, 2, -0.5]})
        assert status == 200, answer
        shape = _ask(told["address"], path="/openapi.json")[1]["components"]["schemas"]["Row"]["properties"]["query"]
        assert shape["anyOf"][0] == {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
        right = "array of exactly 3 numbers between -3.4e38 and 3.4e38"
        for wrong, what, which in (
            ([1, 2], "`query` is a JSON array of 2", "it"),
            ([1, 2, 1e39], "`query[2]` is 1e+39", "`query`"),
            ([1, None, 3], "`query[1]` is a JSON null", "`query`"),
        ):
            status, refused = _ask(told["address"], {"item": 8, "query": wrong})
            assert (status, refused["error"]["field"]) == (422, "query")
            assert what in refused["error"]["message"]
            assert f"{which} must be an {right}" in refused["error"]["message"]
    assert nursery.lichen(root, "monitor", "--json").code in (0, 1)
    asked = f"SELECT \"request.query\", score FROM predictions_buys WHERE prediction_id = '{answer['prediction_id']}'"
    ((query, given),) = _rows(root, nursery, asked)
    assert given == answer["score"]
    assert query == pytest.approx([0.1, 2, -0.5], rel=1e-7)
