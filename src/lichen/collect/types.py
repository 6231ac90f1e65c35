"""Types as people write them, in the engine's own words."""

from __future__ import annotations

from collections.abc import Mapping

from lichen.errors import FoundWrong, Where
from lichen.ground.quoting import identifier
from lichen.ports import Engine


def engine_types(written: Mapping[str, str], engine: Engine, where: Mapping[str, Where]) -> dict[str, str]:
    """Each column's type in the engine's words: `timestamptz` is `TIMESTAMP WITH TIME ZONE`.

    `where` places each column's type in the user's file, for the error where it is no type.
    """
    if not written:
        return {}
    try:
        columns = ", ".join(f"CAST(NULL AS {text}) AS {identifier(name)}" for name, text in written.items())
        return {column.name: column.type for column in engine.describe("SELECT " + columns, {})}
    except FoundWrong:
        return {name: _one(name, text, engine, where.get(name)) for name, text in written.items()}


def _one(name: str, text: str, engine: Engine, where: Where | None) -> str:
    try:
        return engine.describe("SELECT CAST(NULL AS " + text + ") AS " + identifier(name), {})[0].type
    except FoundWrong as error:
        raise FoundWrong(
            "LCH-2223",
            f"`{text}` is not a type for a table's column",
            where=where,
            why=error.what,
            fix="write an SQL type: bigint, double, varchar, boolean, date, timestamptz, decimal(12, 2)",
        ) from error
