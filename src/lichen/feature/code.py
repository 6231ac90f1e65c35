"""Python code for one row, written line by line beside the SQL that means the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date
from typing import Any

from lichen.errors import FoundWrong
from lichen.feature import cast, scalar
from lichen.feature.functions import NULL, UNITS, Signature

FAILURES = (ArithmeticError, ValueError)
"""What generated code raises for a row that has no value."""

VARIABLE = object()
"""The `constant` of a term that differs from row to row."""

Row = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Term:
    """A part of an expression: its type, the Python name or literal that holds it, and its SQL."""

    type: str
    python: str
    sql: str
    nullable: bool = True
    constant: Any = VARIABLE

    @property
    def is_constant(self) -> bool:
        """Whether it is the same for every row."""
        return self.constant is not VARIABLE


@dataclass
class Slots:
    """What generated code may reach: values by position and names that are our own, never text of the user's."""

    values: list[Any] = field(default_factory=list)
    names: int = 0
    reads: list[str] = field(default_factory=list)
    """The lines that read the row, which run before all others."""

    def slot(self, value: Any) -> str:
        """A name under which the code finds a value."""
        self.values.append(value)
        return f"s{len(self.values) - 1}"

    def name(self) -> str:
        """A fresh local name."""
        self.names += 1
        return f"v{self.names}"


@dataclass
class Code:
    """Lines of Python that compute terms; a branch is a `Code` of its own that shares the slots."""

    slots: Slots = field(default_factory=Slots)
    lines: list[str] = field(default_factory=list)

    def branch(self) -> Code:
        """Code that runs only where its lines are put."""
        return Code(self.slots)

    def constant(self, value: Any, type_: str) -> Term:
        """A term that is the same for every row."""
        plain = value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))
        python = f"({value!r})" if plain else self.slots.slot(value)
        if type_ == NULL:
            return Term(NULL, "None", "NULL", constant=None)
        return Term(type_, python, cast.sql_text(value, type_), nullable=value is None, constant=value)

    def assign(self, python: str) -> str:
        """A local name that holds a Python expression's value."""
        name = self.slots.name()
        self.lines.append(f"{name} = {python}")
        return name

    def apply(self, signature: Signature, operands: list[Term]) -> Term:
        """The result of a function; computed now where every operand is constant."""
        if all(operand.is_constant for operand in operands):
            return self._fold(signature, operands)
        nullable = [operand.python for operand in operands if operand.nullable]
        held = [operand.python if signature.strict else self.held(operand.python) for operand in operands]
        python = signature.python.format(*held)
        if signature.strict and nullable:
            tests = " or ".join(f"{name} is None" for name in nullable)
            python = f"None if {tests} else {python}"
        name = self.assign(python)
        if signature.bounds is not None:
            low, high, type_ = signature.bounds
            present = f"{name} is not None and " if nullable else ""
            self.lines.append(f"if {present}not {low} <= {name} <= {high}: beyond({name}, {type_!r})")
        sql = signature.sql.format(*(operand.sql for operand in operands))
        return Term(signature.gives, name, sql, nullable=bool(nullable) or signature.makes_null)

    def held(self, python: str) -> str:
        """A literal under a name: code that tests for null says `x is None`, which Python warns of for literals."""
        return python if python.isidentifier() and python != "None" else self.assign(python)

    def _fold(self, signature: Signature, operands: list[Term]) -> Term:
        if any(operand.constant is None for operand in operands) and signature.strict:
            return self.constant(None, signature.gives)
        varying = [Term(operand.type, operand.python, operand.sql, operand.nullable) for operand in operands]
        draft = Code(Slots(list(self.slots.values), self.slots.names))
        if not varying:
            value = run(draft, signature.python, "a constant")({})
        else:
            value = run(draft, draft.apply(signature, varying).python, "a constant")({})
        return self.constant(value, signature.gives)


def run(code: Code, result: str, name: str) -> Row:
    """The function of one row that some code computes.

    The generated source knows slots by position and the whitelisted functions below; it has no builtins.
    """
    arguments = ", ".join(f"s{place}" for place in range(len(code.slots.values)))
    lines = [
        f"def make({arguments}):",
        "    def row(values):",
        "        try:",
        *("            " + line for line in (*code.slots.reads, *code.lines)),
        f"            return {result}",
        "        except FAILURES as failure:",
        "            raise failed(failure) from failure",
        "    return row",
    ]
    namespace: dict[str, Any] = {**_NAMES, "failed": _failed(name)}
    exec(compile("\n".join(lines), f"<expression {name}>", "exec"), namespace)  # noqa: S102 - our own source
    row: Row = namespace["make"](*code.slots.values)
    return row


def _failed(name: str) -> Callable[[Exception], FoundWrong]:
    def failed(failure: Exception) -> FoundWrong:
        return FoundWrong(
            "LCH-2410",
            f"`{name}` has no value for this row",
            why=str(failure),
            fix="guard what fails, as in `case when b <> 0 then a // b end`",
        )

    return failed


def _exposed(functions: Iterable[Callable[..., Any]]) -> dict[str, Any]:
    return {function.__name__: function for function in functions}


_NAMES: Mapping[str, Any] = {
    "__builtins__": {},
    "FAILURES": FAILURES,
    "PI": math.pi,
    "UTC": UTC,
    **{unit: UNITS[unit] for unit in ("second", "minute", "hour", "day")},
    **_exposed([abs, bool, float, int, len, max, repr, str, date, math.isfinite, math.isinf]),
    **_exposed(
        [
            scalar.add_months,
            scalar.beyond,
            scalar.boundaries,
            scalar.ceil,
            scalar.concat,
            scalar.cos,
            scalar.day_of_year,
            scalar.divide,
            scalar.epoch,
            scalar.epoch_local,
            scalar.exp,
            scalar.float_remainder,
            scalar.floor,
            scalar.half_away,
            scalar.instant_at,
            scalar.instant_text,
            scalar.ln,
            scalar.log10,
            scalar.lower,
            scalar.midnight,
            scalar.power,
            scalar.quotient,
            scalar.remainder,
            scalar.round_to,
            scalar.seconds,
            scalar.sign,
            scalar.sin,
            scalar.single,
            scalar.sqrt,
            scalar.start_of_day,
            scalar.start_of_week,
            scalar.upper,
            scalar.utc,
            scalar.wall_clock,
            scalar.whole,
            scalar.whole_units,
        ]
    ),
    **_exposed([cast.read_date, cast.read_double, cast.read_integer, cast.within]),
}
"""Every name that generated code may use."""
