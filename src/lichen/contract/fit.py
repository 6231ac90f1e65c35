"""Whether a promise's values fit the type of the column they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from arro3.core import Table as ArrowTable

from lichen.errors import FoundWrong, Where
from lichen.ground.quoting import literal, sql
from lichen.ports import Column, Engine
from lichen.spec import Contract

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL")


def check_values(contract: Contract, columns: Sequence[Column], engine: Engine, where: Mapping[str, Where]) -> None:
    """Refuse a range or a list of values that the column's type cannot be compared with."""
    types = {column.name: column.type for column in columns}
    for name, promise in contract.columns.items():
        for key, values in (("range", promise.range), ("accepted", promise.accepted)):
            for value in values or ():
                wanted = _misfit(key, value, types[name], engine)
                if wanted is not None:
                    raise FoundWrong(
                        "LCH-2227",
                        f"`{name}` is {types[name]}, and its `{key}` has {_written(value)}",
                        where=where.get(name),
                        fix=wanted,
                    )


def _misfit(key: str, value: str | float | bool, kind: str, engine: Engine) -> str | None:
    """What to write instead, or None where the value fits."""
    if kind.startswith(_NUMBERS) and not kind.endswith("]"):
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        return None if fits else "write numbers, without quotes"
    if kind == "BOOLEAN":
        fits = isinstance(value, bool) and key == "accepted"
        return None if fits else "say which values may be: `accepted: [true]`"
    if not isinstance(value, str):
        return f"write it in quotes: '{_written(value)}', or give the column a type of numbers"
    if kind == "VARCHAR":
        return None
    asked = engine.query(sql("SELECT TRY_CAST(", literal(value), "AS", kind, ") IS NOT NULL AS fits"), {})
    return None if ArrowTable.from_arrow(asked).column("fits").to_pylist()[0] else f"write what can be read as {kind}"


def _written(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"`{value}`" if isinstance(value, str) else f"{value:g}"
