"""When rows happened and when they became known: the `time` and `known` of sources and tables."""

from __future__ import annotations

from lichen.errors import FoundWrong, LichenError
from lichen.graph.build import Asset
from lichen.graph.volatile import refuse_volatile_value
from lichen.ground.quoting import identifier, sql
from lichen.ports import Column, Engine, Relation
from lichen.spec import ProjectSpec, Source, Table

INSTANT = "TIMESTAMP WITH TIME ZONE"


def check_instants(asset: Asset, columns: tuple[Column, ...], engine: Engine, project: ProjectSpec) -> None:
    """Refuse a `time` or `known` that is no instant, and a `time` without a `known`."""
    spec = asset.spec
    assert isinstance(spec, Source | Table)
    for key, text in (("time", spec.time), ("known", spec.known)):
        if text is not None:
            _check_instant(asset, key, text, columns, engine, project)
    if spec.time is not None and spec.known is None:
        raise FoundWrong(
            "LCH-2232",
            f"`{asset.name}` has a `time` and does not say when its rows became known",
            where=project.where(asset.id, "time", key=True),
            fix=f"add `known:`; it is `known: {spec.time}` if a row is known the moment it happens",
        )


def _check_instant(
    asset: Asset, key: str, text: str, columns: tuple[Column, ...], engine: Engine, project: ProjectSpec
) -> None:
    where = project.where(asset.id, key)
    refuse_volatile_value(text, where)
    try:
        found = engine.describe(sql("SELECT (", text, "\n) AS instant FROM rows"), {"rows": Relation(columns)})
    except LichenError as error:
        fix = error.fix
        if text in {column.name for column in columns}:
            fix = f"`{text}` is a word of SQL too: write it as a name, {key}: '{identifier(text)}'"
        raise type(error)(
            "LCH-2233", f"`{key}: {text}` cannot be computed: {error.what}", where=where, why=error.why, fix=fix
        ) from error
    if found[0].type != INSTANT:
        raise FoundWrong(
            "LCH-2234",
            f"`{key}: {text}` is {found[0].type}, and has to be an instant ({INSTANT})",
            where=where,
            why="a clock's reading without its zone is no instant",
            fix=f"convert it: timezone('Europe/Berlin', {text}) for a local clock, timezone('UTC', {text}) for UTC",
        )
