from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal

import pytest
from arro3.core import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.errors import FoundWrong, Where
from lichen.ports import Column, Engine, Matrix, Relation
from lichen.train.prepare import Preparation, check_features, is_encodable, prepare

from .conftest import FEATURES, feature_set, model

Held = Callable[..., Relation]


def as_rows(matrix: Matrix) -> list[list[float]]:
    table = Table.from_arrow(matrix.rows)
    return [list(row) for row in zip(*(table.column(name).to_pylist() for name in matrix.names), strict=True)]


def same(first: list[float], second: list[float]) -> bool:
    return all(a == b or (a != a and b != b) for a, b in zip(first, second, strict=True))


def test_a_batch_and_its_rows_are_encoded_alike(engine: Engine, held: Held) -> None:
    rows = held()
    made = prepare(FEATURES, rows, engine)
    names = ", ".join(f'"{name}"' for name in made.names)
    table = Table.from_arrow(engine.query(f"SELECT {names} FROM rows ORDER BY i", {"rows": rows}))
    raw = zip(*(table.column(name).to_pylist() for name in made.names), strict=True)
    batch = as_rows(made.matrix(rows, engine))
    assert len(batch) == 2400
    assert all(same(made.row(values), expected) for values, expected in zip(raw, batch, strict=True))


VECTORS = (Column("v.x", "DOUBLE"), Column("v.e", "FLOAT[3]"), Column("v.n", "BIGINT"), Column("v.d", "DOUBLE[2]"))
WITH_VECTORS = """
SELECT *, CASE WHEN i % 5 = 1 THEN NULL WHEN i % 5 = 2 THEN [NULL, i, 'nan'::DOUBLE]
  WHEN i % 5 = 3 THEN ['-inf'::DOUBLE, 1e-45, -0.0]
  ELSE [i / 10, hash(i) % 1000 / 7, -i] END::FLOAT[3] AS "v.e", [i / 3, sin(i)]::DOUBLE[2] AS "v.d" FROM rows
"""


def test_a_vector_is_as_many_columns_for_a_batch_and_for_a_row(engine: Engine, held: Held) -> None:
    rows = held(400, WITH_VECTORS)
    made = prepare(VECTORS, rows, engine)
    assert made.columns == made.numeric == ("v.x", "v.e[0]", "v.e[1]", "v.e[2]", "v.n", "v.d[0]", "v.d[1]")
    names = ", ".join(f'"{name}"' for name in made.names)
    table = Table.from_arrow(engine.query(f"SELECT {names} FROM rows ORDER BY i", {"rows": rows}))
    raw = [*zip(*(table.column(name).to_pylist() for name in made.names), strict=True)]
    matrix = made.matrix(rows, engine)
    assert matrix.names == made.columns
    batch = as_rows(matrix)
    assert all(same(made.row(values), expected) for values, expected in zip(raw, batch, strict=True))
    assert all(math.isnan(value) for value in batch[1][1:4])
    assert [math.isnan(value) for value in batch[2][1:4]] == [True, False, True]
    assert Preparation.from_dict(json.loads(json.dumps(made.as_dict()))) == made


def test_importances_of_a_vector_are_added_up() -> None:
    made = Preparation(VECTORS, {}, {})
    shares = dict(zip(made.columns, (0.5, 0.125, 0.0, 0.125, 0.0, 0.25, 0.0), strict=True))
    assert made.by_feature(shares) == {"v.x": 0.5, "v.e": 0.25, "v.n": 0.0, "v.d": 0.25}


def test_values_become_numbers_and_texts_their_places(engine: Engine, held: Held) -> None:
    made = prepare(FEATURES, held(), engine)
    assert made.numeric == ("v.x", "v.n", "v.flag", "v.price")
    place = made.categories["v.carrier"].index("c'3")
    assert made.row([1.5, 2, True, Decimal("2.25"), "c'3"]) == [1.5, 2.0, 1.0, 2.25, place]
    blank = made.row([None, None, None, None, None])
    assert [math.isnan(value) for value in blank] == [True, True, True, True, False]
    assert blank[4] == made.row([0, 0, 0, 0, "never seen"])[4] == -1


def test_categories_come_from_the_rows_asked_for_most_frequent_first(engine: Engine, held: Held) -> None:
    rows = held(
        100,
        "SELECT CASE WHEN i < 5 THEN 'rare' WHEN i < 15 THEN '' WHEN i < 50 THEN 'often' ELSE 'later' END "
        'AS "v.carrier", i FROM rows',
    )
    made = prepare((FEATURES[4],), rows, engine, where="i < 50")
    assert made.categories == {"v.carrier": ("often", "", "rare")}
    assert as_rows(made.matrix(rows, engine, where="i IN (0, 7, 20, 70)")) == [[2], [1], [0], [-1]]


def test_more_categories_than_are_kept_are_counted(engine: Engine, held: Held) -> None:
    more = "UNION ALL SELECT 'top', -1 UNION ALL SELECT 'top', -2"
    rows = held(10_500, f"SELECT 't' || i AS \"v.carrier\", i FROM rows {more}")
    made = prepare((FEATURES[4],), rows, engine)
    assert made.cut == {"v.carrier": 501}
    assert made.categories["v.carrier"][0] == "top"
    assert [row[0] for row in as_rows(made.matrix(rows, engine, where="i = -1"))] == [0]


def test_a_column_without_texts_is_all_missing(engine: Engine, held: Held) -> None:
    rows = held(3, 'SELECT NULL::VARCHAR AS "v.carrier" FROM rows')
    made = prepare((FEATURES[4],), rows, engine)
    assert as_rows(made.matrix(rows, engine)) == [[-1], [-1], [-1]]
    assert made.row(["a"]) == [-1]


def test_a_preparation_comes_back_from_json(engine: Engine, held: Held) -> None:
    made = prepare(FEATURES, held(), engine)
    assert Preparation.from_dict(json.loads(json.dumps(made.as_dict()))) == made


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=8))
def test_any_text_is_a_category(engine: Engine, texts: list[str | None]) -> None:
    from arro3.core import Array, DataType

    arrow = Table.from_arrays([Array(texts, DataType.utf8())], names=["t"])
    rows = Relation(columns=(Column("t", "VARCHAR"),), arrow=arrow)
    made = prepare(rows.columns, rows, engine)
    assert as_rows(made.matrix(rows, engine)) == [made.row([text]) for text in texts]


def test_a_model_reads_its_views_features_without_what_it_excludes() -> None:
    kept = check_features(model(exclude=["v.n"]), feature_set())
    assert [column.name for column in kept] == ["v.x", "v.flag", "v.price", "v.carrier"]


@pytest.mark.parametrize(
    ("exclude", "features", "said"),
    [
        (
            ["v.flog"],
            FEATURES,
            (
                "LCH-2910: `exclude` names `v.flog`, which is no feature\n  at models/m.yaml:3\n"
                "  fix: did you mean `v.flag`?"
            ),
        ),
        (
            ["v.x"],
            FEATURES[:1],
            "LCH-2911: no feature is left to learn from\n  at models/m.yaml:3\n  fix: exclude fewer features",
        ),
        (
            [],
            (Column("v.seen", "TIMESTAMP WITH TIME ZONE"),),
            (
                "LCH-2912: the feature `v.seen` is TIMESTAMP WITH TIME ZONE, and a model reads numbers, "
                "booleans, texts and vectors\n"
                "  at models/m.yaml:5\n  why: an instant or a list has no size that a model could compare\n"
                "  fix: name `v.seen` in `exclude`, and where it matters compute a number of it in an expression, "
                "as in `date_part('hour', ...)`"
            ),
        ),
        (
            [],
            (Column("v.embedding", "FLOAT[]"),),
            (
                "LCH-2912: the feature `v.embedding` is FLOAT[], and a model reads numbers, booleans, texts and "
                "vectors\n"
                "  at models/m.yaml:5\n"
                "  why: a list has another length in each row, and a model reads the same numbers of each\n"
                "  fix: give it its length where it is declared, as in `FLOAT[384]`"
            ),
        ),
        (
            [],
            (Column("v.e[1]", "DOUBLE"), Column("v.e", "FLOAT[2]")),
            (
                "LCH-2913: the features `v.e[1]` and `v.e` both have a column `v.e[1]`\n"
                "  at models/m.yaml:5\n  why: a vector's elements are columns of what a model reads, named so\n"
                "  fix: rename the column in its table"
            ),
        ),
    ],
)
def test_features_that_do_not_fit_are_refused(exclude: list[str], features: tuple[Column, ...], said: str) -> None:
    with pytest.raises(FoundWrong) as refusal:
        check_features(
            model(exclude=exclude), feature_set(features), Where("models/m.yaml", 3), Where("models/m.yaml", 5)
        )
    assert str(refusal.value) == said


def test_what_can_be_a_feature() -> None:
    assert all(is_encodable(kind) for kind in ("BOOLEAN", "HUGEINT", "DECIMAL(18,3)", "VARCHAR", "FLOAT[2]"))
    assert not any(
        is_encodable(kind) for kind in ("DATE", "TIMESTAMP", "INTEGER[]", "STRUCT(a INTEGER)", "BLOB", "DECIMAL(9,2)[]")
    )
