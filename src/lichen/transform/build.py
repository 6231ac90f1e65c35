"""Builds the rows of a table from the versions it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lichen.collect.staged import Staged, staging
from lichen.errors import FoundWrong, LichenError, Where, did_you_mean
from lichen.graph.build import Asset
from lichen.ground.failpoint import fp
from lichen.ground.quoting import sql
from lichen.ports import Column, Engine, Relation, TableStore
from lichen.spec import ProjectSpec, Table
from lichen.spec.score import ADDED, MODEL_VERSION, SCORE
from lichen.transform.instants import INSTANT

Describe = Callable[[str, Mapping[str, Relation]], tuple[Column, ...]]
"""How the columns of a statement are found: asked of the engine, or remembered."""


def build(
    asset: Asset,
    inputs: Mapping[str, Relation],
    engine: Engine,
    tables: TableStore,
    project: ProjectSpec,
    *,
    within: str | None = None,
) -> Staged:
    """Run a table's statement over these relations and stage its rows; those alone of which `within` is true."""
    assert asset.statement is not None
    select, above = asset.statement.text, 0
    if within is not None:
        select, above = sql("SELECT * FROM (\n", select, "\n) AS built WHERE", within), 1
    columns = describe(asset, {name: given.columns for name, given in inputs.items()}, engine.describe, project)
    with staging(tables.staging(asset.name)) as folder:
        try:
            files = engine.sql(select, inputs, folder)
        except LichenError as error:
            raise placed(error, asset, project, above=above) from error
        fp("transform.staged")
    return Staged(folder, files, columns)


def describe(
    asset: Asset, inputs: Mapping[str, tuple[Column, ...]], ask: Describe, project: ProjectSpec
) -> tuple[Column, ...]:
    """The columns a table's statement gives over inputs with these columns; nothing is read.

    Also refuses a grain, a `time` or a `known` that speaks of a column the statement does not give.
    """
    table = asset.spec
    assert isinstance(table, Table)
    assert asset.statement is not None
    try:
        columns = ask(asset.statement.text, {name: Relation(given) for name, given in inputs.items()})
    except LichenError as error:
        raise placed(error, asset, project) from error
    known = [column.name for column in columns]
    _refuse_repeated(asset, known, project)
    for place, name in enumerate(table.grain):
        if name not in known:
            raise FoundWrong(
                "LCH-2231",
                f"the grain names a column `{name}` that the table does not have",
                where=project.where(asset.id, "grain", place),
                fix=did_you_mean(name, known),
            )
    return (*columns, *_scored(table, columns, asset, project))


def _scored(table: Table, columns: tuple[Column, ...], asset: Asset, project: ProjectSpec) -> tuple[Column, ...]:
    """The columns that scoring adds; refuses a name that the statement gives already, and an `at` that it does not."""
    if table.score is None:
        return ()
    kinds = {column.name: column.type for column in columns}
    for name in kinds:
        if name.casefold() in ADDED:
            raise FoundWrong(
                "LCH-2237",
                f"the statement gives a column `{name}`, which scoring adds",
                where=project.where(asset.id, "score"),
                fix="give the statement's column another name",
            )
    at = table.score.at
    if kinds.get(at) != INSTANT:
        instants = [name for name, kind in kinds.items() if kind == INSTANT]
        convert = f"convert it in the statement: timezone('UTC', {at}) AS {at}"
        raise FoundWrong(
            "LCH-2236",
            f"`score.at: {at}` is no column of instants ({INSTANT})",
            where=project.where(asset.id, "score", "at"),
            why=f"the statement gives it as {kinds[at]}" if at in kinds else "the statement does not give it",
            fix=convert if at in kinds else did_you_mean(at, instants or kinds),
        )
    if table.intervals is not None:
        raise FoundWrong(
            "LCH-2238",
            "a table in intervals cannot be scored",
            where=project.where(asset.id, "score"),
            why="another version of the model scores all of its rows anew, whatever intervals changed",
            fix="score a table that reads this one",
        )
    return (Column(SCORE, "DOUBLE"), Column(MODEL_VERSION, "VARCHAR"))


def _refuse_repeated(asset: Asset, names: list[str], project: ProjectSpec) -> None:
    """Two columns of one name: SQL would read one of them, and which is anybody's guess."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            file = project.files[asset.id]
            raise FoundWrong(
                "LCH-2235",
                f"the statement gives two columns called `{name}`",
                where=file.line(file.sql_line),
                why="names that differ only in case are one name in SQL",
                fix="name each with AS, or list the columns instead of *; in a join USING gives the key once",
            )
        seen.add(name.casefold())


def placed(error: LichenError, asset: Asset, project: ProjectSpec, *, above: int = 0) -> LichenError:
    """An engine's error about a statement, with its place in the user's file; `above` lines stood before it.

    An error about a file of its own, as one that cannot be written, keeps that place.
    """
    if error.where is not None and error.where.line is None:
        return error
    file = project.files[asset.id]
    # The statement's text starts at its first word, which may stand some lines below the front matter, or behind it.
    start = len(file.text) - len(file.sql.lstrip())
    first, indent = file.text.count("\n", 0, start) + 1, start - (file.text.rfind("\n", 0, start) + 1)
    line, column = first, None
    if error.where is not None and error.where.line is not None:
        line, column = first + max(error.where.line - above, 1) - 1, error.where.column
        if line == first and column is not None:
            column += indent
    where = file.line(line, column) if error.exit_code == 1 else Where(file.shown, line)
    return type(error)(error.code, error.what, where=where, why=error.why, fix=error.fix)
