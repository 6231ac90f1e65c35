"""What is suspected of rows made by hand; honest and leaking projects stand in tests/loop/test_leaks.py."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from arro3.core import Table

from lichen.backends.duckdb import DuckDBEngine
from lichen.evaluate.single import singles
from lichen.evaluate.suspicion import Suspicion, suspicions
from lichen.ports import Column, Matrix, Relation
from lichen.spec import Model
from lichen.train.prepare import prepare
from lichen.train.split import labelled, split

MODEL = Model.model_validate(
    {
        "task": "classification",
        "label": {"from": "l", "value": "late", "at": "at", "known": "known"},
        "features": ["v"],
        "learner": "logistic",
        "validate": {"test": "40d"},
    }
)
START = datetime(2026, 1, 1, tzinfo=UTC)


def rows(number: int = 1_000, seed: int = 3) -> list[dict[str, Any]]:
    """Honest rows: a label of one in three, a number that tells a little of it, an id that grows with the asking."""
    draw = random.Random(seed)
    found = []
    for place in range(number):
        late = draw.random() < 1 / 3
        at = START + timedelta(hours=4 * place)
        known = at + timedelta(hours=draw.randrange(1, 200))
        value = draw.gauss(1.0 * late, 1) if draw.random() < 0.9 else None
        found.append({"id": place, "late": late, "at": at, "known": known, "value": value, "size": draw.random()})
    return found


def suspected(
    found: list[dict[str, Any]], tmp_path: Any, value: str = "value", kind: str = "DOUBLE"
) -> dict[str, Suspicion]:
    engine = DuckDBEngine(scratch=tmp_path, memory="256MB")
    listed = [
        f"({r['id']}, {r['late']}, TIMESTAMPTZ '{r['at'].isoformat()}', TIMESTAMPTZ '{r['known'].isoformat()}', "
        f"{'NULL' if r['value'] is None else r['value']}::DOUBLE, {r['size']}::DOUBLE)"
        for r in found
    ]
    select = 'SELECT id, late, "at", "known", size, ' + value + ' AS "v.value" FROM (VALUES '
    select += ", ".join(listed) + ') AS t(id, late, "at", "known", value, size)'
    table = Table.from_arrow(engine.query(select, {}))
    relation = Relation(engine.describe(select, {}), arrow=table)
    columns = labelled(MODEL, relation, engine)
    cuts = split(MODEL, relation, columns, engine)
    features = (Column("v.value", kind),)
    part = columns.part(cuts.early_stop, cuts.test)
    preparation = prepare(features, relation, engine)
    parts: dict[str, Matrix] = {
        name: preparation.matrix(relation, engine, where=f"({part}) = '{name}'", label=columns.label)
        for name in ("train", "early_stop", "test")
    }
    trained: Any = SimpleNamespace(parts=parts, split=cuts, preparation=preparation)
    asked: Any = SimpleNamespace(request=(Column("id", "INTEGER"), Column("size", "DOUBLE")))
    alone = singles(MODEL.task, trained)
    return {one.kind: one for one in suspicions(MODEL, trained, alone, asked, relation, engine)}


def test_honest_rows_are_not_suspected(tmp_path: Any) -> None:
    assert suspected(rows(), tmp_path) == {}


def test_a_feature_that_tells_the_label_alone(tmp_path: Any) -> None:
    found = rows()
    for row in found:
        row["value"] = 10.0 * row["late"] + row["size"]
    one = suspected(found, tmp_path)["alone"]
    assert one.column == "v.value"
    assert one.evidence["roc_auc"] > 0.98


@pytest.mark.parametrize("word", ["missing", "there"])
def test_a_feature_that_is_missing_or_there_for_one_answer_alone(tmp_path: Any, word: str) -> None:
    found = rows()
    for row in found:
        gone = row["late"] and row["size"] < 0.5
        row["value"] = None if gone == (word == "missing") else row["size"]
    one = suspected(found, tmp_path)["missing"]
    assert f"where `v.value` is {word} the label is true in 100.0% of" in one.what


def test_a_vector_is_missing_as_one_feature_and_tells_by_its_elements(tmp_path: Any) -> None:
    found = rows()
    for row in found:
        row["value"] = None if row["late"] and row["size"] < 0.5 else row["size"]
    vector = "CASE WHEN value IS NOT NULL THEN [value, late::INT]::FLOAT[2] END"
    told = suspected(found, tmp_path, vector, "FLOAT[2]")
    assert told["missing"].column == "v.value"
    assert told["alone"].column == "v.value[1]"


def test_few_missing_rows_of_one_answer_may_be_chance(tmp_path: Any) -> None:
    found = rows()
    for row in found:
        row["value"] = row["size"]
    for row in [row for row in found if row["late"]][:20]:
        row["value"] = None
    assert suspected(found, tmp_path) == {}


def test_an_id_that_is_given_when_the_label_is_known(tmp_path: Any) -> None:
    found = rows()
    for place, row in enumerate(sorted(found, key=lambda row: row["known"])):
        row["id"] = 7_000 + place
    one = suspected(found, tmp_path)["order"]
    assert one.column == "id"
    assert one.evidence["grows_with_known"] == 1.0
    assert one.evidence["grows_with_at"] < 0.9


def test_rows_that_come_again_across_the_cut(tmp_path: Any) -> None:
    found = rows()
    for row in found:
        row["id"] = 1
    for old, new in zip(found[:200], found[-200:], strict=True):
        new["size"], new["late"] = old["size"], old["late"]
    one = suspected(found, tmp_path)["repeated"]
    assert "200 of 238 test rows stand among the training rows, equal in id, size: 100.0%" in one.what
