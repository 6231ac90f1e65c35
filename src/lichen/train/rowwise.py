"""One row at a time: a learner's single-row entry where it gives what its batch gives, else the batch of one row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from arro3.core import Array, DataType, Table

from lichen.ground.quoting import identifier, sql
from lichen.ports import Engine, Fitted, Matrix, Relation
from lichen.train.fit import compiled, score
from lichen.train.prepare import Preparation

ROWS = 1_000
"""The rows that are scored both ways."""


def agrees(preparation: Preparation, fitted: Fitted, rows: Relation, engine: Engine) -> bool:
    """Whether the single-row entry gives what the batch gives, to the bit, for the first `ROWS` of these rows."""
    named = ", ".join(identifier(name) for name in preparation.names)
    asked = engine.query(sql("SELECT", named, f"FROM rows LIMIT {ROWS}"), {"rows": rows})
    sample = Table.from_arrow(asked).combine_chunks()
    batch = score(fitted, preparation.matrix(Relation(arrow=sample), engine)).tolist()
    single = compiled(preparation, fitted)
    columns = [sample.column(name).to_pylist() for name in preparation.names]
    each = [single(values) for values in zip(*columns, strict=True)]
    return [value.hex() for value in each] == [value.hex() for value in batch]


def batch_of_one(preparation: Preparation, fitted: Fitted) -> Callable[[Sequence[float]], float]:
    """A function that scores one row, as `Preparation.row` gives it, by the call that scores many."""
    counts = {name: len(values) for name, values in preparation.categories.items()}
    types = [DataType.int32() if name in counts else DataType.float64() for name in preparation.columns]

    def score_row(row: Sequence[Any]) -> float:
        arrays = [
            Array([int(value) if kind == DataType.int32() else value], type=kind)
            for value, kind in zip(row, types, strict=True)
        ]
        table = Table.from_arrays(arrays, names=list(preparation.columns))
        return float(score(fitted, Matrix(table, preparation.columns, counts))[0])

    return score_row
