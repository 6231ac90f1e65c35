"""Recorded answers as rows of the `predictions` table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from arro3.core import Array, DataType, Table, fixed_size_list_array

from lichen.deploy.answer import Answer
from lichen.deploy.fields import kind_of
from lichen.deploy.segment import Heading, Position, Recorded, read
from lichen.ground.instant import told_us
from lichen.ground.types import vector_of
from lichen.ports import Arrow, Column

_INSTANT = "TIMESTAMP WITH TIME ZONE"
_OWN: tuple[tuple[Column, Callable[[Recorded], Any]], ...] = (
    (Column("prediction_id", "VARCHAR"), lambda r: r.answer.prediction_id),
    (Column("service", "VARCHAR"), lambda r: r.heading.service),
    (Column("model", "VARCHAR"), lambda r: r.heading.model),
    (Column("model_version", "VARCHAR"), lambda r: r.heading.model_version),
    (Column("release", "BIGINT"), lambda r: r.heading.release),
    (Column("at", _INSTANT), lambda r: r.answer.at_us),
    (Column("answered_at", _INSTANT), lambda r: r.answer.answered_us),
    (Column("latency_us", "BIGINT"), lambda r: r.answer.latency_us),
    (Column("out_of_time", "BOOLEAN"), lambda r: r.answer.out_of_time),
    (Column("score", "DOUBLE"), lambda r: r.answer.score),
    (Column("probability", "DOUBLE"), lambda r: r.answer.probability),
    (Column("interval_low", "DOUBLE"), lambda r: r.answer.interval and r.answer.interval[0]),
    (Column("interval_high", "DOUBLE"), lambda r: r.answer.interval and r.answer.interval[1]),
)


def columns_of(heading: Heading) -> tuple[Column, ...]:
    """The columns of a release's predictions: what the service adds, `request.<name>`, `feature.<view>.<name>`."""
    return (
        *(column for column, _ in _OWN),
        *(Column(f"request.{column.name}", column.type) for column in heading.request),
        *(Column(f"feature.{column.name}", column.type) for column in heading.features),
    )


def batches(
    folder: Path, after: Position | None = None, most: int = 50_000
) -> Iterator[tuple[Position, Heading, Arrow]]:
    """What was recorded after a position, as Arrow batches of answers in the same columns, whichever release's.

    The heading of a batch is its first answer's: releases that answer in turn, as in a rollout, share one. The position
    behind a batch is the cursor to commit together with its rows. Of two rows with one `prediction_id` the first
    counts.
    """
    frames = read(folder, after)
    held = next(frames, None)
    while held is not None:
        end, first = held
        group = [first]
        held = None
        for position, recorded in islice(frames, most - 1):
            if not _same_columns(recorded.heading, first.heading):
                held = (position, recorded)
                break
            group.append(recorded)
            end = position
        yield end, first.heading, as_arrow(group, first.heading)
        held = held or next(frames, None)


def _same_columns(one: Heading, other: Heading) -> bool:
    return one is other or (one.request == other.request and one.features == other.features)


def as_arrow(recorded: Sequence[Recorded], heading: Heading) -> Arrow:
    """Answers as rows of `columns_of(heading)`, whose columns are those of all."""
    arrays = [array_of((value(row) for row in recorded), kind_of(column)) for column, value in _OWN]
    arrays += _values([row.answer for row in recorded], heading)
    names = [column.name for column in columns_of(heading)]
    table: Arrow = Table.from_arrays(arrays, names=names)
    return table


def _values(answers: Sequence[Answer], heading: Heading) -> list[Array]:
    request = [array_of((answer.request[at] for answer in answers), kind_of(c)) for at, c in enumerate(heading.request)]
    features = [
        array_of((answer.features[at] for answer in answers), kind_of(c)) for at, c in enumerate(heading.features)
    ]
    return request + features


def array_of(values: Iterable[Any], kind: str) -> Array:
    """A column of nullable values as Arrow, in the type DuckDB reads as `kind`."""
    plain = _PLAIN.get(kind)
    if plain is not None:
        return Array(list(values), type=plain)
    if kind == _INSTANT:
        return Array([_us(value) for value in values], type=DataType.int64()).cast(DataType.timestamp("us", tz="UTC"))
    if kind == "TIMESTAMP":
        return Array([_us(value) for value in values], type=DataType.int64()).cast(DataType.timestamp("us"))
    vector = vector_of(kind)
    if vector is not None:
        return _vectors(list(values), *vector)
    if kind == "DATE":
        return Array([_days(value) for value in values], type=DataType.int32()).cast(DataType.date32())
    texts = Array([None if value is None else str(value) for value in values], type=DataType.utf8())
    if kind.startswith("DECIMAL("):
        precision, scale = kind[len("DECIMAL(") : -1].split(",")
        return texts.cast(DataType.decimal128(int(precision), int(scale)))
    return texts


def _vectors(values: Sequence[Sequence[float | None] | None], element: str, size: int) -> Array:
    nothing = [None] * size
    elements = Array([one for value in values for one in (nothing if value is None else value)], type=_PLAIN[element])
    missing = Array.from_numpy(np.array([value is None for value in values], np.bool_))
    return fixed_size_list_array(elements, size, mask=missing)


def _us(value: Any) -> int | None:
    return None if value is None else told_us(value)


def _days(value: Any) -> int | None:
    if value is None:
        return None
    return (value if isinstance(value, date) else date.fromisoformat(value)).toordinal() - date(1970, 1, 1).toordinal()


_PLAIN = {
    "VARCHAR": DataType.utf8(),
    "BLOB": DataType.binary(),
    "BOOLEAN": DataType.bool(),
    "DOUBLE": DataType.float64(),
    "FLOAT": DataType.float32(),
    "TINYINT": DataType.int8(),
    "SMALLINT": DataType.int16(),
    "INTEGER": DataType.int32(),
    "BIGINT": DataType.int64(),
    "UTINYINT": DataType.uint8(),
    "USMALLINT": DataType.uint16(),
    "UINTEGER": DataType.uint32(),
    "UBIGINT": DataType.uint64(),
}
