"""Reads the rows of one release: every query sees one consistent set of versions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from arro3.core import Array, DataType, Table

from lichen.contract.admit import quarantine_table
from lichen.contract.quarantine import SET_ASIDE
from lichen.errors import FoundWrong, LichenError, Where, WrongUsage, did_you_mean
from lichen.graph.statement import Statement, parse_statement
from lichen.graph.version import Version
from lichen.ground.quoting import identifier, literal, sql
from lichen.ports import Arrow, Column, Relation
from lichen.run.release import Releases
from lichen.run.workshop import Workshop

QUARANTINE = "quarantine"
"""The relation of all rows that the release's tables and sources set aside."""


_ABOUT = re.compile(r"\s*(DESCRIBE|DESC|SHOW|SUMMARIZE)\b\s*(?P<what>.*?)[\s;]*", re.IGNORECASE | re.DOTALL)
_TABLES = re.compile(r"((ALL\s+)?TABLES)?", re.IGNORECASE)
_NAME = re.compile(r"(TABLE\s+)?(?P<name>\w+|\"[^\"]+\")", re.IGNORECASE)


def relations(
    versions: Mapping[str, Version], statement: Statement, workshop: Workshop, place: Callable[[int, int], Where]
) -> dict[str, Relation]:
    """The relations a statement reads, from one release."""
    known = {version.relation: version for version in versions.values() if version.columns}
    found = {}
    for name in statement.reads:
        if name == QUARANTINE and name not in known:
            continue
        if name not in known:
            hint = did_you_mean(name, [*known, QUARANTINE])
            raise FoundWrong(
                "LCH-2101",
                f"the release has no table `{name}`",
                where=place(*statement.places[name]),
                fix=f"{hint} `lichen query` alone lists all" if hint.endswith("?") else hint,
            )
        found[name] = workshop.relation(known[name])
    return found


def query(text: str | None, releases: Releases, environment: str, workshop: Workshop) -> Arrow:
    """The rows of one SELECT over an environment's release; without one, the relations there are to read.

    `SHOW TABLES` lists them too, `DESCRIBE x` gives the columns of a relation or a SELECT, `SUMMARIZE x` what is in
    them.
    """
    release = releases.current(environment)
    if release is None:
        raise WrongUsage(
            "LCH-1018", f"`{environment}` has no release yet", fix=f"build one: lichen run --env {environment}"
        )
    versions = releases.versions(release)
    about = _ABOUT.fullmatch(text or "SHOW TABLES")
    if about is None:
        return _rows(str(text), versions, workshop)
    if _TABLES.fullmatch(about["what"]) and about[1].upper() != "SUMMARIZE":
        return _listed(versions)
    select, summed = _as_select(about), about[1].upper() == "SUMMARIZE"
    opening = "SELECT * FROM (SUMMARIZE" if summed else "SELECT column_name, column_type FROM (DESCRIBE"
    return _rows(select, versions, workshop, (opening, ")"), shown=about.string)


def _as_select(about: re.Match[str]) -> str:
    """The SELECT that is asked about, each word where it stands in the user's text, so that its places are theirs."""
    keyword, what = about.span(1), about.start("what")
    if (name := _NAME.fullmatch(about["what"])) is None:
        return _blank(about.string[:what]) + about["what"]
    between = _blank(about.string[keyword[0] + len("FROM") : what + name.start("name")])
    return f"{about.string[: keyword[0]]}FROM{between}{name['name']}"


def _blank(text: str) -> str:
    return re.sub(r"\S", " ", text)


def _listed(versions: Mapping[str, Version]) -> Arrow:
    """Every relation of a release, with what made it, how many rows it holds, and its columns."""
    found = [
        (version.relation, asset.partition(".")[0], version.rows, ", ".join(column.name for column in version.columns))
        for asset, version in versions.items()
        if version.columns
    ]
    if not any(name == QUARANTINE for name, *_ in found):
        aside = sum(file.rows for version in versions.values() for file in version.quarantine)
        columns = ", ".join(("asset", *(column.name for column in SET_ASIDE)))
        found.append((QUARANTINE, "set aside", aside, columns))
    names, kinds, rows, columns_of = (list(values) for values in zip(*found, strict=True))
    text, number = DataType.utf8(), DataType.int64()
    arrays = [Array(names, text), Array(kinds, text), Array(rows, number), Array(columns_of, text)]
    table: Arrow = Table.from_arrays(arrays, names=["relation", "made_by", "rows", "columns"])
    return table


def _rows(
    text: str,
    versions: Mapping[str, Version],
    workshop: Workshop,
    around: tuple[str, str] = ("", ""),
    shown: str | None = None,
) -> Arrow:
    """The rows of one SELECT, or of what stands around it on lines of their own; `shown` is what the user wrote."""
    lines = (shown or text).splitlines() or [""]

    def place(line: int, column: int) -> Where:
        return Where("query", line, column, lines[min(line, len(lines)) - 1])

    try:
        statement = parse_statement(text, place)
    except FoundWrong as error:
        if error.code != "LCH-2002":
            raise
        raise FoundWrong(
            "LCH-2008",
            "a query is one SELECT, or SHOW TABLES, DESCRIBE or SUMMARIZE of a table or a SELECT",
            where=error.where,
            why=error.why,
            fix="ask with one of them; what a table holds is changed by its own file",
        ) from error
    inputs = relations(versions, statement, workshop, place)
    before, after = around
    aside: dict[str, Relation] = {}
    if QUARANTINE in statement.reads and QUARANTINE not in inputs:
        select, aside = _quarantine(versions, workshop)
        with_it = sql("WITH", QUARANTINE, "AS (", select, ")")
        before, after = (sql(with_it, before or "SELECT * FROM ("), after or ")")
    if not before:
        return workshop.engine.query(statement.text, inputs)
    try:
        return workshop.engine.query(sql(before, "\n", statement.text, "\n", after), {**inputs, **aside})
    except LichenError as error:
        raise _a_line_up(error) from error


def _a_line_up(error: LichenError) -> LichenError:
    """The error, placed in the user's statement, which has a line of ours in front."""
    where = error.where
    if where is not None and where.line is not None:
        where = replace(where, line=where.line - 1)
    return type(error)(error.code, error.what, where=where, why=error.why, fix=error.fix)


def _quarantine(versions: Mapping[str, Version], workshop: Workshop) -> tuple[str, dict[str, Relation]]:
    columns = (Column("asset", "VARCHAR"), *SET_ASIDE)
    nothing = ", ".join(f"CAST(NULL AS {column.type}) AS {identifier(column.name)}" for column in columns)
    parts, inputs = [sql("SELECT", nothing, "WHERE false")], {}
    for asset, version in versions.items():
        if version.quarantine:
            name = quarantine_table(version.relation)
            inputs[name] = Relation(SET_ASIDE, workshop.tables.locations(name, version.quarantine))
            parts.append(sql("SELECT", literal(asset), "AS asset, * FROM", identifier(name)))
    return " UNION ALL ".join(parts), inputs
