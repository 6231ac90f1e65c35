from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from arro3.core import Table

from lichen.feedback.label import LABELS, PREDICTIONS, labelled
from lichen.ports import Relation
from lichen.run.workshop import Workshop
from lichen.spec import Model, ProjectFile

ANSWERS = """
SELECT id AS prediction_id, v AS model_version, CAST(asked AS TIMESTAMPTZ) AS "at", now() AS answered_at,
  0.5 AS score, who AS "request.who",
  1.0 AS "feature.f.x"
FROM (VALUES ('a', 'm1', '2026-01-01 12:00Z', 'ann'), ('b', 'm1', '2026-01-01 12:00Z', NULL),
  ('c', 'm2', '2026-01-01 12:00Z', 'ann'), ('d', 'm1', '2026-01-03 12:00Z', 'ann')) AS t(id, v, asked, who)
"""
TRUTH = """
SELECT who, CAST(w AS TIMESTAMPTZ) AS asked, CAST(known AS TIMESTAMPTZ) AS told, late
FROM (VALUES ('ann', '2026-01-01 12:05Z', '2026-01-02', true), ('ann', '2026-01-01 11:58Z', '2026-01-03', false),
  ('bob', '2026-01-01 12:00Z', '2026-01-02', true), (NULL, '2026-01-01 12:00Z', '2026-01-02', true))
  AS t(who, w, known, late)
"""


def model(**more: Any) -> Model:
    return Model.model_validate(
        {
            "task": "classification",
            "label": {"from": "truth", "value": "late", "at": "asked", "known": "told"},
            "features": ["f"],
            "validate": {"early_stop": "1d", "test": "1d"},
            **more,
        }
    )


def found(
    tmp_path: Path, asked: Model, *by: str, request: tuple[str, ...] = ("who",), forms: str = "", masked: str = ""
) -> list[tuple[Any, ...]]:
    with Workshop(tmp_path, ProjectFile(name="p")) as workshop:
        inputs = {
            name: Relation(arrow=Table.from_arrow(workshop.engine.query(select, {})))
            for name, select in ((PREDICTIONS, ANSWERS), (LABELS, TRUTH), ("forms", forms))
            if select
        }
        named = {"who": "forms"} if forms else {}
        select = labelled(asked, request, ["feature.f.x"], by, forms=named, masked={masked} - {""})
        table = Table.from_arrow(workshop.engine.query(f"SELECT * FROM ({select}) ORDER BY prediction_id", inputs))
        assert table.column_names == ["prediction_id", "at", "score", "feature.f.x", "label", "known"]
        columns = [table.column(name).to_pylist() for name in ("prediction_id", "label")]
        return list(zip(*columns, strict=True))


def test_the_nearest_label_that_says_the_same_belongs_to_a_prediction(tmp_path: Path) -> None:
    # `ann` was asked about 2 minutes and 5 minutes away; nothing stands within a day of `d`; null is the same as null.
    assert found(tmp_path, model(), "m1") == [("a", 0.0), ("b", 1.0), ("d", None)]


def test_only_the_answers_of_these_models_are_asked_about(tmp_path: Path) -> None:
    assert [name for name, _ in found(tmp_path, model(), "m2")] == ["c"]


def test_what_was_asked_twice_is_one_question(tmp_path: Path) -> None:
    # `a` and `c` asked the same of two models at the same instant.
    assert [name for name, _ in found(tmp_path, model(), "m1", "m2")] == ["a", "b", "d"]


@pytest.mark.parametrize(("tolerance", "label"), [("1m", None), ("2m", 0.0), ("3d", 0.0)])
def test_a_label_belongs_within_the_tolerance_only(tmp_path: Path, tolerance: str, label: float | None) -> None:
    asked = model(prediction_time={"from": "at", "tolerance": tolerance})
    assert dict(found(tmp_path, asked, "m1"))["a"] == label


def test_without_request_columns_time_alone_decides(tmp_path: Path) -> None:
    assert dict(found(tmp_path, model(), "m1", request=()))["a"] == 1.0


def test_a_label_is_found_in_the_form_in_which_its_value_was_recorded(tmp_path: Path) -> None:
    swapped = "SELECT * FROM (VALUES ('ann', 'xyz'), ('bob', 'ann')) AS t(value, recorded)"
    assert found(tmp_path, model(), "m1", forms=swapped) == [("a", 1.0), ("b", 1.0), ("d", None)]


def test_a_value_may_be_recorded_in_several_forms(tmp_path: Path) -> None:
    both = "SELECT * FROM (VALUES ('ann', 'xyz'), ('ann', 'ann'), ('bob', 'uvw')) AS t(value, recorded)"
    assert found(tmp_path, model(), "m1", forms=both) == found(tmp_path, model(), "m1")


def test_what_is_not_recorded_is_not_compared(tmp_path: Path) -> None:
    assert dict(found(tmp_path, model(), "m1", masked="who")) == {"a": 1.0, "b": 1.0, "d": None}
