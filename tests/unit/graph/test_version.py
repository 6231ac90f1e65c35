from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from lichen.graph.version import Version, relation_name, version_name
from lichen.ports import Column, DataFile

FILE = DataFile("a.parquet", 3, 100, "f" * 64, {"n": {"null_count": "0", "min": "1"}})
VERSION = Version(
    "table.legs", "v1", "f1", {"source.flights": "v0"}, (Column("n", "BIGINT"),), (FILE, FILE), (FILE,), {"read": 7}
)


def test_a_version_comes_back_through_json() -> None:
    assert Version.from_dict(json.loads(json.dumps(VERSION.as_dict()))) == VERSION


def test_what_a_version_tells() -> None:
    assert (VERSION.relation, VERSION.rows) == ("legs", 6)
    assert VERSION.with_facts(kept=6).facts == {"read": 7, "kept": 6}
    assert VERSION.facts == {"read": 7}


def test_relation_names() -> None:
    names = [relation_name(asset) for asset in ("source.a", "table.a", "model.a", "predictions.a", "feature.a")]
    assert names == ["a", "a", "training_a", "predictions_a", "feature_a"]


@given(st.dictionaries(st.text(), st.text()), st.text(), st.text())
def test_the_same_things_make_the_same_name(inputs: dict[str, str], own: str, content: str) -> None:
    assert version_name(own, inputs, content) == version_name(own, dict(reversed(inputs.items())), content)
    assert version_name(own, {**inputs, "one more": "x"}, content) != version_name(
        own, {**inputs, "one more": "y"}, content
    )
    assert version_name(own, inputs, content) != version_name(own + "x", inputs, content)
    assert version_name(own, inputs, content) != version_name(own, inputs, content + "x")
