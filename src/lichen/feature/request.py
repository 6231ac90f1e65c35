"""Row expressions: the text a user writes, as Python for one row and as DuckDB SQL for many, with one meaning.

The text is parsed as DuckDB's dialect; each construct and function becomes a line of Python and a piece of SQL
side by side (`code`), from one table (`functions`). What the table does not hold is refused here, never at request
time. A row that has no value (an overflow, `1 // 0`, an impossible cast) raises LCH-2410 in Python and fails the query
in SQL. One thing differs: DuckDB may tell from its statistics that something is never null, and then `is null` of it
is false even where computing it would have failed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import sqlglot
from sqlglot import exp

from lichen.errors import FoundWrong, LichenError, Where, did_you_mean
from lichen.feature import cast
from lichen.feature import functions as f
from lichen.feature.code import FAILURES, Code, Row, Term, run
from lichen.feature.functions import SUPPORTED, Signature
from lichen.feature.grammar import call_of, unsupported
from lichen.graph.dialect import DIALECT
from lichen.ground.quoting import identifier, written_as_a_name
from lichen.ground.types import vector_of

__all__ = ["SUPPORTED", "Expression", "compile_expression"]

_LONGEST = 10_000
_DEEPEST = 40
_LACKING = re.compile(r"Required keyword: '\w+' missing for <class '[\w.]+'>")


def not_there(expression: str, name: str, known: Iterable[str], where: Where | None = None) -> FoundWrong:
    """The error for a name that an expression reads, and that nothing brings."""
    return FoundWrong(
        "LCH-2402",
        f"`{expression}` reads `{name}`, which is neither in the request nor a feature of another view",
        where=where,
        fix=did_you_mean(name, known),
    )


@dataclass(frozen=True)
class Expression:
    """A row expression, compiled.

    `sql` names what it reads as quoted columns (`"carrier.delay_mean_7d"`); `row` gives the same value for one
    row as a mapping of those names, with instants as aware datetimes. `type` is BOOLEAN, BIGINT, DOUBLE, VARCHAR,
    DATE, TIMESTAMP or TIMESTAMP WITH TIME ZONE.
    """

    name: str
    sql: str
    type: str
    reads: tuple[str, ...]
    row: Row = field(compare=False, repr=False)


def compile_expression(name: str, text: str, columns: Mapping[str, str]) -> Expression:
    r"""An expression over columns given with their DuckDB types; raises FoundWrong where it cannot be one.

    >>> hours = compile_expression("trip.hours", "minutes / 60", {"minutes": "BIGINT"})
    >>> hours.sql, hours.type, hours.row({"minutes": 90})
    ('(CAST(CAST("minutes" AS BIGINT) AS DOUBLE) / CAST(\'60.0\' AS DOUBLE))', 'DOUBLE', 1.5)
    """
    tree = _parse(name, text, columns)
    translator = _Translator(name, columns)
    result = translator.term(tree)
    if result.type not in f.RESULTS:
        fix = "write `epoch(...)` of it: seconds, a DOUBLE" if result.type != f.NULL else "name a type: `null::double`"
        raise FoundWrong("LCH-2406", f"`{name}` gives {_a(result.type)}, which no feature can be", fix=fix)
    return Expression(
        name=name,
        sql=result.sql,
        type=result.type,
        reads=tuple(translator.columns_read),
        row=run(translator.code, result.python, name),
    )


def _a(type_: str) -> str:
    return f"an {type_}" if type_[0] in "AEIO" else f"a {type_}"


def _parse(name: str, text: str, columns: Iterable[str]) -> exp.Expr:
    if len(text) > _LONGEST:
        raise FoundWrong(
            "LCH-2401",
            f"`{name}` is {len(text)} characters long",
            fix=f"keep it under {_LONGEST}: split it into several expressions",
        )
    try:
        tree = sqlglot.parse_one(text, dialect=DIALECT)
    except (sqlglot.errors.SqlglotError, RecursionError) as failure:
        why = re.sub(r"\x1b\[\d+m", "", str(failure)).splitlines()[0] if str(failure) else "it nests too deep"
        words = (name.rpartition(".")[2] for name in columns)
        word = next((word for word in words if _taken_for_sql(word, text)), None)
        raise FoundWrong(
            "LCH-2401",
            f"`{name}` cannot be read: {text}",
            why=_LACKING.sub("a name or a value is missing", why),
            fix=written_as_a_name(word) if word else "write one expression, as in `coalesce(distance, 0) / 2`",
        ) from failure
    return tree


def _taken_for_sql(word: str, text: str) -> bool:
    """Whether a text has a word without quotes that cannot stand for a name."""
    if not re.search(rf'(?<!["\w]){re.escape(word)}(?!["\w])', text):
        return False
    try:
        each = (sqlglot.parse_one(one, dialect=DIALECT) for one in (word, f"x.{word}"))
        return not all(isinstance(one, exp.Column) for one in each)
    except sqlglot.errors.SqlglotError:
        return True


class _Translator:
    """Walks one expression's tree, writing Python and SQL side by side."""

    def __init__(self, name: str, columns: Mapping[str, str]) -> None:
        self.name = name
        self.columns = columns
        self.code = Code()
        self.columns_read: dict[str, Term] = {}
        self.depth = 0
        self._constructs: Mapping[type[exp.Expr], Callable[[Any], Term]] = {
            exp.Paren: lambda node: self.term(node.this),
            exp.Column: self._column,
            exp.Literal: self._literal,
            exp.Boolean: lambda node: self.code.constant(node.this, f.BOOLEAN),
            exp.Null: lambda _: self.code.constant(None, f.NULL),
            exp.Interval: self._interval,
            exp.Neg: lambda node: self._call("negative", [node.this]),
            exp.Not: lambda node: self._call("not", [node.this]),
            exp.And: lambda node: self._logical(node, decides=False),
            exp.Or: lambda node: self._logical(node, decides=True),
            exp.Is: self._is,
            exp.In: self._in,
            exp.Between: self._between,
            exp.Case: self._case,
            exp.If: self._case,
            exp.Coalesce: lambda node: self._coalesce([node.this, *node.expressions]),
            exp.Cast: lambda node: self.cast(self.term(node.this), node.to.sql("duckdb")),
            exp.TryCast: self._try_cast,
            exp.Concat: self._concat,
            exp.Greatest: lambda node: self._pairwise("greatest", node),
            exp.Least: lambda node: self._pairwise("least", node),
        }

    def term(self, node: exp.Expr) -> Term:
        """The term of a node of the tree."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise FoundWrong(
                "LCH-2401", f"`{self.name}` nests more than {_DEEPEST} deep", fix="split it into several expressions"
            )
        construct = self._constructs.get(type(node))
        found = construct(node) if construct else self._call(*call_of(node, self.name))
        self.depth -= 1
        return found

    # -------------------------------------------------------------------------------------------- leaves

    def _column(self, node: exp.Column) -> Term:
        name = ".".join(part.name for part in node.parts)
        if name in self.columns_read:
            return self.columns_read[name]
        if name not in self.columns:
            raise not_there(self.name, name, self.columns)
        entering = cast.column(self.columns[name])
        if entering is None:
            column = name.rpartition(".")[2]
            raise FoundWrong(
                "LCH-2403",
                f"`{self.name}` reads `{name}` of type {self.columns[name]}, which an expression cannot carry",
                fix=f"bring the element that it needs as a column of its own, as `{column}[1] AS {column}_1` in a table"
                if vector_of(self.columns[name])
                else "cast it in the table it comes from, as `::double` or `::varchar`",
            )
        return self._read(name, entering)

    def _read(self, name: str, entering: Signature) -> Term:
        # A column is read before anything else, so that a branch never leaves it unread for a later one.
        local, slot = self.code.slots.name(), self.code.slots.slot(name)
        lines = [f"{local} = values[{slot}]"]
        if entering.python != "{0}":
            lines.append(f"if {local} is not None: {local} = {entering.python.format(local)}")
        self.code.slots.reads.extend(lines)
        term = Term(entering.gives, local, entering.sql.format(identifier(name)))
        self.columns_read[name] = term
        return term

    def _literal(self, node: exp.Literal) -> Term:
        if node.is_string:
            if "\x00" in node.this:
                raise FoundWrong("LCH-2401", f"`{self.name}` holds a NUL character in a text", fix="remove it")
            return self.code.constant(node.this, f.VARCHAR)
        if not node.this.isdigit():
            return self.code.constant(float(node.this), f.DOUBLE)
        if int(node.this) > f.GREATEST:
            raise FoundWrong(
                "LCH-2404",
                f"`{self.name}` holds {node.this}, which is beyond BIGINT",
                fix=f"write {node.this}.0, a DOUBLE",
            )
        return self.code.constant(int(node.this), f.BIGINT)

    def _interval(self, node: exp.Interval) -> Term:
        count, unit = node.this, node.args.get("unit")
        digits = count.this if isinstance(count, exp.Literal) else ""
        made = cast.interval(int(digits), unit.name) if re.fullmatch(r"-?\d{1,9}", digits) and unit else None
        if made is None:
            raise FoundWrong(
                "LCH-2404",
                f"`{self.name}` holds `{node.sql('duckdb')}`, not a literal whole number and a unit",
                fix="write it as `INTERVAL 90 MINUTE`; for a span that varies, compare `epoch(a) - epoch(b)`",
            )
        return self.code.constant(made[1], made[0])

    # ----------------------------------------------------------------------------------- functions, casts

    def _call(self, name: str, nodes: Sequence[exp.Expr]) -> Term:
        function = f.OPERATORS.get(name) or f.FUNCTIONS[name]
        if not function.choices:
            return self.choose(name, function.signatures, [self.term(node) for node in nodes])
        unit, rest = (nodes[0].name.lower(), nodes[1:]) if nodes else ("", [])
        unit = unit.rstrip("s") if unit.rstrip("s") in function.choices else unit
        if unit not in function.choices:
            raise FoundWrong(
                "LCH-2405",
                f"`{self.name}` calls `{name}` with `{unit}`",
                fix=did_you_mean(unit, function.choices),
            )
        return self.choose(f"{name} '{unit}'", function.choices[unit], [self.term(node) for node in rest])

    def choose(self, name: str, signatures: Sequence[Signature], operands: list[Term]) -> Term:
        """The result of the first signature that takes these operands."""
        for signature in signatures:
            if len(signature.takes) == len(operands) and all(map(_fits, operands, signature.takes)):
                self._refuse_nulls(name, signature, operands)
                given = zip(operands, signature.takes, strict=True)
                return self._apply(signature, [self._become(operand, type_, name) for operand, type_ in given])
        types = ", ".join(operand.type for operand in operands) or "nothing"
        takes = sorted({f"({', '.join(map(_parameter_name, signature.takes))})" for signature in signatures})
        raise FoundWrong(
            "LCH-2405",
            f"`{self.name}`: `{name}` does not take ({types})",
            why=f"it takes {' or '.join(takes)}",
            fix="cast an operand, as in `::double` or `::varchar`",
        )

    def _apply(self, signature: Signature, operands: list[Term]) -> Term:
        try:
            return self.code.apply(signature, operands)
        except LichenError as failure:
            raise FoundWrong(
                "LCH-2407", f"`{self.name}` fails for every row", why=failure.why, fix="correct the constant"
            ) from failure

    def _refuse_nulls(self, name: str, signature: Signature, operands: list[Term]) -> None:
        passed_over = name not in ("greatest", "least", "nullif") and not signature.strict
        if any(operand.constant is None for operand in operands) and not passed_over:
            fix = "write `is null` or `is not null`" if name in ("=", "<>") else "leave it out"
            raise FoundWrong(
                "LCH-2408", f"`{self.name}` gives `{name}` a NULL, which makes it null for every row", fix=fix
            )

    def _become(self, operand: Term, type_: str, name: str = "cast") -> Term:
        """The operand as a parameter's type; a parameter that is a literal is read as what it means."""
        if operand.type == type_:
            return operand
        if type_ in f.LITERALS:
            return self._parameter(operand, type_, name)
        if operand.type == f.NULL:
            return self.code.constant(None, type_)
        if operand.type == f.VARCHAR and type_ in f.TIMES:
            return self._time(operand, type_)
        return self._apply(cast.CASTS[operand.type, type_], [operand])

    def _parameter(self, operand: Term, kind: str, name: str) -> Term:
        try:
            value = f.LITERALS[kind](operand.constant)
        except ValueError as expected:
            raise FoundWrong(
                "LCH-2409", f"`{self.name}`: `{name}` needs {expected} in that place", fix="write it out as a literal"
            ) from expected
        return Term(operand.type, self.code.slots.slot(value), operand.sql, nullable=False, constant=operand.constant)

    def _time(self, operand: Term, type_: str) -> Term:
        try:
            value = cast.read_time(operand.constant, type_)
        except FAILURES as failure:
            raise FoundWrong(
                "LCH-2404",
                f"`{self.name}`: '{operand.constant}' is not {_a(type_)}",
                why=str(failure),
                fix="write it as '2013-01-31' or '2013-01-31 17:05:00'",
            ) from failure
        return self.code.constant(value, type_)

    def cast(self, operand: Term, target: str) -> Term:
        """The operand cast to the type a user named."""
        type_ = cast.type_name(target)
        carried = f.BIGINT if type_ in f.RANGES else type_
        if carried in f.RESULTS and operand.constant is None:
            return self.code.constant(None, carried)
        if operand.type == f.VARCHAR and operand.is_constant and type_ in f.TIMES:
            return self._time(operand, type_)
        if operand.type == carried and type_ in (carried, f.BIGINT):
            return operand
        signature = cast.CASTS.get((operand.type, type_))
        if signature is None:
            possible = [to for source, to in cast.CASTS if source == operand.type]
            raise FoundWrong(
                "LCH-2405",
                f"`{self.name}` casts {_a(operand.type)} to {type_}",
                why=f"{_a(operand.type)} becomes {', '.join(possible)}" if possible else "it becomes no other type",
                fix="declare the column with the type it has to have",
            )
        return self._apply(signature, [operand])

    # ------------------------------------------------------------------------------------------- constructs

    def _same_type(self, operands: Sequence[Term], construct: str) -> str:
        """The narrowest type that every operand can become."""
        for type_ in f.RESULTS:
            if all(operand.type == f.NULL or _fits(operand, type_) for operand in operands):
                return type_
        types = ", ".join(dict.fromkeys(operand.type for operand in operands))
        raise FoundWrong(
            "LCH-2405", f"`{self.name}`: the values of `{construct}` are {types}", fix="cast them to one type"
        )

    def _logical(self, node: exp.And | exp.Or, *, decides: bool) -> Term:
        """AND, which one false decides, or OR, which one true decides; both sides are always computed."""
        name = "or" if decides else "and"
        left, right = self._boolean(node.this, name), self._boolean(node.expression, name)
        for constant, other in ((left, right), (right, left)):
            if constant.is_constant:
                return self.code.constant(decides, f.BOOLEAN) if constant.constant is decides else other
        a, b = self.code.held(left.python), self.code.held(right.python)
        python = f"{decides} if {a} is {decides} or {b} is {decides} else "
        python += f"None if {a} is None or {b} is None else {not decides}"
        sql = "(" + left.sql + " " + name.upper() + " " + right.sql + ")"
        return Term(f.BOOLEAN, self.code.assign(python), sql, nullable=left.nullable or right.nullable)

    def _boolean(self, node: exp.Expr, construct: str) -> Term:
        term = self.term(node)
        if term.type != f.BOOLEAN or term.constant is None:
            given = "NULL" if term.constant is None else _a(term.type)
            raise FoundWrong(
                "LCH-2405",
                f"`{self.name}`: `{construct}` takes a BOOLEAN, not {given}",
                fix="compare it: `a > 0`, `a is null`",
            )
        return term

    def _is(self, node: exp.Is) -> Term:
        operand, what = self.term(node.this), node.expression
        if isinstance(what, exp.Boolean):
            operand = self._boolean(node.this, "is")
            test, word = str(bool(what.this)), "TRUE" if what.this else "FALSE"
        elif isinstance(what, exp.Null):
            test, word = "None", "NULL"
        else:
            raise unsupported(self.name, f"is {what.sql('duckdb')}")
        signature = Signature(("any",), f.BOOLEAN, "{0} is " + test, "({0} IS " + word + ")", strict=False)
        return self._apply(signature, [operand])

    def _in(self, node: exp.In) -> Term:
        items = [self.term(item) for item in node.expressions]
        operand = self.term(node.this)
        if not items or not all(item.is_constant and item.constant is not None for item in items):
            raise FoundWrong(
                "LCH-2409",
                f"`{self.name}`: `in` needs a list of literals without NULL",
                fix="write it as `a in (1, 2)`",
            )
        type_ = self._same_type([operand, *items], "in")
        items = [self._become(item, type_) for item in items]
        operand = self._become(operand, type_)
        values = self.code.slots.slot(frozenset(item.constant for item in items))
        sql = "({0} IN (" + ", ".join(_escaped(item.sql) for item in items) + "))"
        return self._apply(Signature((type_,), f.BOOLEAN, "{0} in " + values, sql), [operand])

    def _between(self, node: exp.Between) -> Term:
        operands = [self.term(node.this), self.term(node.args["low"]), self.term(node.args["high"])]
        type_ = self._same_type(operands, "between")
        operand, low, high = (self._become(part, type_) for part in operands)
        above = self.choose(">=", f.OPERATORS[">="].signatures, [operand, low])
        below = self.choose("<=", f.OPERATORS["<="].signatures, [operand, high])
        if above.is_constant and below.is_constant:
            return self.code.constant(above.constant and below.constant, f.BOOLEAN)
        a, b = self.code.held(above.python), self.code.held(below.python)
        python = f"False if {a} is False or {b} is False else None if {a} is None or {b} is None else True"
        sql = "(" + operand.sql + " BETWEEN " + low.sql + " AND " + high.sql + ")"
        return Term(f.BOOLEAN, self.code.assign(python), sql, nullable=above.nullable or below.nullable)

    def _case(self, node: exp.Case | exp.If) -> Term:
        whens = node.args["ifs"] if isinstance(node, exp.Case) else [node]
        default = node.args.get("default") if isinstance(node, exp.Case) else node.args.get("false")
        tests, head, conditions = self._tests(node, [when.this for when in whens])
        values = [self._aside(partial(self.term, when.args["true"])) for when in whens]
        values.append(self._aside(lambda: self.term(default if default is not None else exp.Null())))
        type_ = self._same_type([value for _, value in values], "case")
        values = [self._aside(partial(self._become, value, type_), code) for code, value in values]
        target = self.code.slots.name()
        lines = [*values[-1][0].lines, f"{target} = {values[-1][1].python}"]
        for (test_code, test), (value_code, value) in zip(reversed(tests), reversed(values[:-1]), strict=True):
            taken = [*value_code.lines, f"{target} = {value.python}"]
            lines = [*test_code.lines, f"if {test.python}:", *_indent(taken), "else:", *_indent(lines)]
        self.code.lines.extend(lines)
        pieces = [f"WHEN {sql} THEN {value.sql}" for sql, (_, value) in zip(conditions, values[:-1], strict=True)]
        sql = " ".join([head, *pieces, "ELSE", values[-1][1].sql, "END)"])
        return Term(type_, target, sql, nullable=any(value.nullable for _, value in values))

    def _tests(
        self, node: exp.Case | exp.If, conditions: Sequence[exp.Expr]
    ) -> tuple[list[tuple[Code, Term]], str, list[str]]:
        """The tests of a CASE, each apart, and the SQL of its head and of each WHEN."""
        if isinstance(node, exp.If) or node.this is None:
            tests = [self._aside(partial(self._boolean, part, "case when")) for part in conditions]
            return tests, "(CASE", [test.sql for _, test in tests]
        subject = self.term(node.this)
        parts = [self._aside(partial(self.term, part)) for part in conditions]
        type_ = self._same_type([subject, *(part for _, part in parts)], "case")
        subject = self._become(subject, type_)
        parts = [self._aside(partial(self._become, part, type_), code) for code, part in parts]
        equal = f.OPERATORS["="].signatures
        tests = [self._aside(partial(self.choose, "=", equal, [subject, part]), code) for code, part in parts]
        return tests, "(CASE " + subject.sql, [part.sql for _, part in parts]

    def _aside(self, make: Callable[[], Term], code: Code | None = None) -> tuple[Code, Term]:
        """A term whose lines are kept apart, to be put in a branch."""
        outer, self.code = self.code, code or self.code.branch()
        try:
            return self.code, make()
        finally:
            self.code = outer

    def _coalesce(self, nodes: Sequence[exp.Expr]) -> Term:
        parts = [self._aside(partial(self.term, node)) for node in nodes]
        type_ = self._same_type([term for _, term in parts], "coalesce")
        parts = [self._aside(partial(self._become, term, type_), code) for code, term in parts]
        target = self.code.slots.name()
        lines = [*parts[-1][0].lines, f"{target} = {parts[-1][1].python}"]
        for code, term in reversed(parts[:-1]):
            lines = [*code.lines, f"{target} = {term.python}", f"if {target} is None:", *_indent(lines)]
        self.code.lines.extend(lines)
        sql = "coalesce(" + ", ".join(term.sql for _, term in parts) + ")"
        return Term(type_, target, sql, nullable=all(term.nullable for _, term in parts))

    def _try_cast(self, node: exp.TryCast) -> Term:
        operand, target = self.term(node.this), node.to.sql("duckdb")
        code, term = self._aside(lambda: self.cast(operand, target))
        if term is operand or term.is_constant:
            return term
        name = self.code.slots.name()
        taken = [*code.lines, f"{name} = {term.python}"]
        self.code.lines.extend(["try:", *_indent(taken), "except FAILURES:", f"    {name} = None"])
        return Term(term.type, name, cast.tried(operand.type, cast.type_name(target)).format(operand.sql))

    def _concat(self, node: exp.Concat) -> Term:
        texts = [self.cast(self.term(part), f.VARCHAR) for part in node.expressions]
        places = ", ".join("{" + str(place) + "}" for place in range(len(texts)))
        signature = Signature(
            (f.VARCHAR,) * len(texts), f.VARCHAR, f"concat({places})", f"concat({places})", strict=False
        )
        return self._apply(signature, texts)

    def _pairwise(self, name: str, node: exp.Greatest | exp.Least) -> Term:
        terms = [self.term(part) for part in (node.this, *node.expressions)]
        type_ = self._same_type(terms, name)
        found = self._become(terms[0], type_)
        for term in terms[1:]:
            found = self.choose(name, f.FUNCTIONS[name].signatures, [found, self._become(term, type_)])
        return found


def _indent(lines: Sequence[str]) -> list[str]:
    return ["    " + line for line in lines]


def _parameter_name(type_: str) -> str:
    return f"a literal {type_}" if type_ in f.LITERALS else type_


def _escaped(sql: str) -> str:
    """SQL as part of a signature's template."""
    return sql.replace("{", "{{").replace("}", "}}")


def _fits(operand: Term, type_: str) -> bool:
    """Whether an operand is of a type or becomes it by itself."""
    if type_ in f.LITERALS:
        return operand.is_constant
    if operand.type in (type_, f.NULL) or type_ in f.WIDENS.get(operand.type, ()):
        return True
    return operand.type == f.VARCHAR and operand.is_constant and type_ in f.TIMES
