"""The list of functions that a table may not ask is held against DuckDB's own account of its functions."""

from __future__ import annotations

import re

import duckdb

from lichen.graph.volatile import VOLATILE

STOPS = {"error"}
"""Said to be volatile so that it is not folded away; it gives no answer, so none differs."""

UNTOLD = {"current_localtime", "current_localtimestamp", "version"}
"""Said to be consistent by DuckDB 2.0, and are not: two tell the clock, one the engine's own release."""

WORDS = {"localtime", "localtimestamp", "current_time", "current_timestamp"}
"""Words of the grammar that stand for functions."""

THE_USER = {"current_role", "current_user", "session_user", "user"}
"""Macros of a fixed text in DuckDB, and of who asks in every other engine."""


def _functions() -> tuple[set[str], dict[str, str]]:
    """The scalar functions that are not consistent, and every macro with its text."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT function_name, function_type, stability, macro_definition FROM duckdb_functions()"
        ).fetchall()
    loose = {name for name, kind, stability, _ in rows if kind == "scalar" and stability != "CONSISTENT"}
    return loose, {name: text for name, kind, _, text in rows if kind == "macro" and text}


def test_every_function_that_duckdb_calls_inconsistent_is_refused() -> None:
    loose, macros = _functions()
    asked = VOLATILE | loose - STOPS
    through = {name for name, text in macros.items() if asked & set(re.findall(r"\w+", text.lower()))} - loose
    assert loose - STOPS <= VOLATILE
    assert through <= VOLATILE


def test_nothing_else_is_refused() -> None:
    loose, macros = _functions()
    assert VOLATILE - loose - set(macros) == UNTOLD | WORDS
    assert set(macros) & VOLATILE - loose >= THE_USER


def test_the_clock_that_duckdb_does_not_tell_of_is_one() -> None:
    with duckdb.connect() as connection:
        for name in sorted(UNTOLD - {"version"}):
            asked = [connection.execute(f"SELECT CAST({name}() AS VARCHAR)").fetchall() for _ in range(3)]
            assert len({str(one) for one in asked}) > 1, name
