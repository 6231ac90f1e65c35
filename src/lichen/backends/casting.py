"""How a value becomes the type it must have: exactly, or not at all.

DuckDB's own casts round: `12.7` as BIGINT is 13, an instant as DATE loses its hour. Here such a value is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lichen.ground.quoting import literal
from lichen.ground.types import vector_of
from lichen.ports import Column

_INTEGERS = frozenset(
    ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"]
)
_NANOSECONDS = "TIMESTAMP_NS"
_MICROSECONDS = frozenset(["TIMESTAMP", "TIMESTAMP WITH TIME ZONE"])
_DIGITS = {"UBIGINT": 20, "HUGEINT": 38}
_NEVER_EXACT = frozenset(["VARCHAR", "FLOAT", "DOUBLE"])
_WHOLE = "[+-]?(0|[1-9][0-9]*)"
_NUMBER = r"[+-]?(0|[1-9][0-9]*)?(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
_OFFSET = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)"


@dataclass(frozen=True)
class Notation:
    """How a file writes numbers and dates."""

    decimal: str = "."
    date_format: str | None = None
    timestamp_format: str | None = None


def cast(expression: str, source: str, target: str, notation: Notation) -> str:
    """The SQL that gives the value in the target type, or null where it does not fit."""
    if source == target:
        return expression
    if source == "VARCHAR":
        pattern = {"DATE": notation.date_format}.get(target) or (
            notation.timestamp_format if target.startswith("TIMESTAMP") else None
        )
        if pattern is not None:
            return f"TRY_CAST(try_strptime({expression}, {literal(pattern)}) AS {target})"
        if target in _INTEGERS | {"DOUBLE", "FLOAT"} or target.startswith("DECIMAL"):
            expression = _point(expression, notation)
    if source == _NANOSECONDS and target in _MICROSECONDS:
        return _cut(expression, target)
    return f"TRY_CAST({expression} AS {target})"


def _cut(expression: str, target: str) -> str:
    """An instant in nanoseconds at the microsecond it lies in, as a text is read; DuckDB's own cast rounds."""
    whole = f"epoch_ns({expression}) - ((epoch_ns({expression}) % 1000) + 1000) % 1000"
    finite = f"CASE WHEN isfinite({expression}) THEN make_timestamp(({whole}) // 1000)"
    return f"TRY_CAST({finite} ELSE TRY_CAST({expression} AS TIMESTAMP) END AS {target})"


def fault(expression: str, value: str, source: str, target: str, notation: Notation) -> str | None:
    """The SQL that is true where a value is there and does not fit the type exactly; None where all do."""
    if source == target or target == "VARCHAR":
        return None
    if source == _NANOSECONDS and target in _MICROSECONDS:
        return f"({expression} IS NOT NULL AND {value} IS NULL)"
    inexact = _inexact_text(_point(expression, notation), expression, value, target, notation)
    if vector_of(target):
        inexact = _lost_elements(expression, value, source)
    elif source != "VARCHAR":
        inexact = None if target in _NEVER_EXACT else f"TRY_CAST({value} AS {source}) IS DISTINCT FROM {expression}"
    lost = f"{value} IS NULL" + (f" OR ({inexact})" if inexact else "")
    return f"({expression} IS NOT NULL AND ({lost}))"


def finer(expression: str, source: str, target: str, notation: Notation) -> str | None:
    """The SQL that is true of an instant finer than a microsecond, which is cut; None where there can be none."""
    if target not in _MICROSECONDS:
        return None
    if source == _NANOSECONDS:
        return f"coalesce(epoch_ns({expression}) % 1000 <> 0, false)"
    if source != "VARCHAR" or notation.timestamp_format is not None:
        return None
    # The shortest such text, with no seconds' fraction beyond six digits, is a character longer than this.
    close = f"regexp_matches({expression}, '[.][0-9]{{6}}[0-9]*[1-9]')"
    return f"coalesce(CASE WHEN length({expression}) > 26 THEN {close} END, false)"


@dataclass(frozen=True)
class Casts:
    """The casts of one file's cells to the columns' types, as SQL: the value of the first column is `v0`.

    `cells` names each column's cell in the file, and `sources` the type it comes in.
    """

    columns: tuple[Column, ...]
    cells: tuple[str, ...]
    sources: tuple[str, ...]
    notation: Notation

    def values(self) -> str:
        """The cast cells, each under its name."""
        each = zip(self.columns, self.cells, self.sources, strict=True)
        return ", ".join(
            f"{cast(cell, source, column.type, self.notation)} AS v{at}"
            for at, (column, cell, source) in enumerate(each)
        )

    def faults(self) -> dict[int, str]:
        """For each column that can have one, by its place, the SQL that is true of a faulty cell."""
        found = {}
        for at, (column, cell, source) in enumerate(zip(self.columns, self.cells, self.sources, strict=True)):
            wrong = fault(cell, f"v{at}", source, column.type, self.notation)
            if wrong is not None:
                found[at] = wrong
        return found

    def cut(self) -> dict[str, str]:
        """For each column that can hold an instant finer than a microsecond, the SQL that is true of such a cell."""
        each = zip(self.columns, self.cells, self.sources, strict=True)
        found = {column.name: finer(cell, source, column.type, self.notation) for column, cell, source in each}
        return {name: test for name, test in found.items() if test is not None}

    def faulty(self) -> str:
        """The SQL that is true of a record with a faulty cell.

        A whole number's text is looked at closely only in records where one holds a mark (`12.0`, `1e3`): one look
        at all of them together costs a fifth of one at each. The terms are added up, for DuckDB computes a long OR by
        halves and takes longer.
        """
        close = self.faults()
        if not close:
            return "false"
        whole = [at for at in close if self.sources[at] == "VARCHAR" and self.columns[at].type in _INTEGERS]
        quick = close | {at: f"({self.cells[at]} IS NOT NULL AND v{at} IS NULL)" for at in whole}
        if not whole:
            return _any(close.values())
        together = f"concat({', '.join(self.cells[at] for at in whole)})"
        marked = " OR ".join(f"contains({together}, {literal(mark)})" for mark in (self.notation.decimal, "e", "E"))
        return f"CASE WHEN {marked} THEN {_any(close.values())} ELSE {_any(quick.values())} END"

    def wrong_columns(self) -> list[str]:
        """For each column that can be faulty, the SQL of its name in a record where it is, else null."""
        return [f"CASE WHEN {wrong} THEN {literal(self.columns[at].name)} END" for at, wrong in self.faults().items()]

    def reasons(self) -> list[str]:
        """For each column that can be faulty, the SQL of why it is, else null."""
        told = []
        for at, wrong in self.faults().items():
            before, after = literal(f"{self.columns[at].name}: `"), literal(f"` is not {self.columns[at].type}")
            told.append(f"CASE WHEN {wrong} THEN {before} || CAST({self.cells[at]} AS VARCHAR) || {after} END")
        return told


def _any(terms: Iterable[str]) -> str:
    return "coalesce(" + " + ".join(f"CAST({term} AS TINYINT)" for term in terms) + ", 1) > 0"


def _lost_elements(expression: str, value: str, source: str) -> str | None:
    """True of a vector with a null, or in a text an infinity, that was not there: an element that could not be read.

    A vector of another length is null as a whole. Elements are rounded as FLOAT and DOUBLE are.
    """
    if source != "VARCHAR":
        there = f"list_count({expression})" if source.endswith("]") else "NULL"
        return f"list_count({value}) IS DISTINCT FROM {there}"
    nulls = f"len(regexp_extract_all(lower({expression}), 'null'))"
    infinite = f"len(list_filter({value}, lambda x: isinf(x))) > 0 AND NOT contains(lower({expression}), 'inf')"
    return f"len({value}) - list_count({value}) <> {nulls} OR ({infinite})"


def _inexact_text(number: str, text: str, value: str, target: str, notation: Notation) -> str | None:
    if target in _INTEGERS:
        marked = " OR ".join(f"contains({number}, '{mark}')" for mark in ".eE")
        return f"({marked}) AND {_rounded(number, value, _DIGITS.get(target, 19), 0)}"
    if sized := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", target):
        return _rounded(number, value, int(sized[1]), int(sized[2]))
    if target in ("DOUBLE", "FLOAT"):
        return f"isinf({value}) AND NOT contains(lower({number}), 'inf')"
    if target == "DATE" and notation.date_format is None:
        return f"length({text}) > 10 AND TRY_CAST({text} AS TIMESTAMP) <> {value}"
    if target == "TIMESTAMP" and notation.timestamp_format is None:
        # A text with an offset would lose it: TIMESTAMP has none.
        return f"length({text}) > 16 AND CAST(TRY_CAST({text} AS TIMESTAMPTZ) AS TIMESTAMP) <> {value}"
    return None


def _rounded(number: str, value: str, digits: int, decimals: int) -> str:
    """True where the number has more decimals than the value: it is read again with as many as 38 digits allow.

    Where all the digits are taken, so that it is rounded again, its decimals are counted in the text.
    """
    wide = f"DECIMAL(38,{38 - min(digits - decimals, 38)})"
    distinct = f"TRY_CAST({number} AS {wide}) IS DISTINCT FROM TRY_CAST({value} AS {wide})"
    return distinct if digits < 38 else f"({distinct} OR {_decimals(number)} > {decimals})"


def _decimals(number: str) -> str:
    """The SQL of how many decimals a number's text has, written out without an exponent and zeros at its end."""
    mantissa = f"regexp_extract({number}, '^[^eE]*')"
    digits = f"regexp_replace({mantissa}, '[^0-9]', '', 'g')"
    exponent = f"coalesce(TRY_CAST(regexp_extract({number}, '[eE](.*)', 1) AS INTEGER), 0)"
    zeros = f"length({digits}) - length(rtrim({digits}, '0'))"
    written = f"length(regexp_extract({mantissa}, '[.]([0-9]*)', 1)) - ({zeros}) - {exponent}"
    return f"CASE WHEN rtrim({digits}, '0') = '' THEN 0 ELSE {written} END"


def _point(expression: str, notation: Notation) -> str:
    return expression if notation.decimal == "." else f"replace({expression}, {literal(notation.decimal)}, '.')"


def guesses(expression: str, notation: Notation) -> Mapping[str, str]:
    """For each type a text column may be found to have, the SQL that is true of a value that fits; narrowest first.

    Numbers with leading zeros are codes and stay text. Whole numbers beyond BIGINT may be ids, which a DOUBLE would
    take for one another: they are DECIMAL, or stay text where one has too many digits for that.
    """
    number = _point(expression, notation)
    whole = f"regexp_full_match({number}, '{_WHOLE}')"
    stamp = f"regexp_full_match({expression}, '{_DAY}{_TIME}"
    found = {
        "BOOLEAN": f"lower({expression}) IN ('true', 'false')",
        "BIGINT": f"{whole} AND TRY_CAST({number} AS BIGINT) IS NOT NULL",
        "DECIMAL(38,0)": f"{whole} AND TRY_CAST({number} AS DECIMAL(38,0)) IS NOT NULL",
        "VARCHAR": whole,
        "DOUBLE": f"regexp_full_match({number}, '{_NUMBER}') AND TRY_CAST({number} AS DOUBLE) IS NOT NULL",
        "DATE": f"regexp_full_match({expression}, '{_DAY}') AND TRY_CAST({expression} AS DATE) IS NOT NULL",
        "TIMESTAMP": f"{stamp}') AND TRY_CAST({expression} AS TIMESTAMP) IS NOT NULL",
        "TIMESTAMP WITH TIME ZONE": f"{stamp}{_OFFSET}') AND TRY_CAST({expression} AS TIMESTAMPTZ) IS NOT NULL",
    }
    if notation.date_format is not None:
        found["DATE"] = f"try_strptime({expression}, {literal(notation.date_format)}) IS NOT NULL"
    if notation.timestamp_format is not None:
        found["TIMESTAMP"] = f"try_strptime({expression}, {literal(notation.timestamp_format)}) IS NOT NULL"
    return found
