"""Reads the rows of one release: every query sees one consistent set of versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lichen.contract.admit import quarantine_table
from lichen.contract.quarantine import SET_ASIDE
from lichen.errors import FoundWrong, LichenError, Where, WrongUsage, did_you_mean
from lichen.graph.statement import parse_statement
from lichen.graph.version import Version
from lichen.ground.quoting import identifier, literal, sql
from lichen.ports import Arrow, Column, Relation
from lichen.run.release import Releases
from lichen.run.workshop import Workshop

QUARANTINE = "quarantine"
"""The relation of all rows that the release's tables and sources set aside."""


def relations(versions: Mapping[str, Version], names: tuple[str, ...], workshop: Workshop) -> dict[str, Relation]:
    """The relations a statement reads, from one release."""
    known = {version.relation: version for version in versions.values() if version.columns}
    found = {}
    for name in names:
        if name == QUARANTINE and name not in known:
            continue
        if name not in known:
            raise FoundWrong(
                "LCH-2101",
                f"the release has no table `{name}`",
                fix=did_you_mean(name, [*known, QUARANTINE]),
            )
        found[name] = workshop.relation(known[name])
    return found


def query(text: str, releases: Releases, environment: str, workshop: Workshop) -> Arrow:
    """The rows of one SELECT over an environment's release."""
    release = releases.current(environment)
    if release is None:
        raise WrongUsage("LCH-1018", f"`{environment}` has no release yet", fix="build one: lichen run")
    lines = text.splitlines() or [""]
    statement = parse_statement(
        text, lambda line, column: Where("query", line, column, lines[min(line, len(lines)) - 1])
    )
    versions = releases.versions(release)
    inputs = relations(versions, statement.reads, workshop)
    if QUARANTINE not in statement.reads or QUARANTINE in inputs:
        return workshop.engine.query(statement.text, inputs)
    select, aside = _quarantine(versions, workshop)
    whole = sql("WITH", QUARANTINE, "AS (", select, ") SELECT * FROM (\n", statement.text, "\n)")
    try:
        return workshop.engine.query(whole, {**inputs, **aside})
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
