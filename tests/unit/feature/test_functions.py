"""The law of request expressions: one row in Python gives what DuckDB gives, for every function and cast there is."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lichen.errors import FoundWrong
from lichen.feature import cast
from lichen.feature import functions as f
from lichen.feature.request import Expression, compile_expression

TYPES = (*f.RESULTS, "DECIMAL(15,4)", "FLOAT", "TINYINT")
COLUMNS = {f"{type_.split('(')[0].replace(' ', '_').lower()}_{n}": type_ for type_ in TYPES for n in (1, 2, 3)}
INTEGERS = (0, 1, -1, 2, -2, 3, 7, 10, 24, 127, 128, 2013, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**53 + 1, 2**62)
INTEGERS = (*INTEGERS, f.GREATEST, f.SMALLEST, f.SMALLEST + 1)
DOUBLES = (
    0.0,
    -0.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    0.1,
    1.0,
    3.0,
    -1.0,
    1e-5,
    1e15,
    1e16,
    1e20,
    1e300,
    -1e300,
    2.675,
    1.005,
)
DOUBLES = (*DOUBLES, 5e-324, 127.5, 2147483647.4, 2147483647.5, -2147483648.5, 2.0**63, -(2.0**63), 0.49999999999999994)
DOUBLES = (*DOUBLES, float("nan"), float("inf"), float("-inf"), 4503599627370497.5, 1234.5, 720.0, -745.0)
TEXTS = (
    "",
    "a",
    "A",
    "LAX",
    "straße",
    "ŉ İ ᾀ",
    " pad ",
    "\tx\n",
    "12",
    "-7",
    "007",
    "1.5",
    "1e5",
    "-2.5E-3",
    "nan",
    "1_0",
    "+1",
)
TEXTS = (
    *TEXTS,
    "99999999999999999999",
    "2013-01-31",
    "2013-02-30",
    "0000-01-01",
    "aLAXa",
    "日本語",
    "%",
    "it's",
    "{0}",
    "x" * 40,
)
SINGLES = (0.0, 0.10000000149011612, -2.5, 1e30)
UNIT = timedelta(microseconds=1)


def drawn(type_: str, rng: random.Random) -> Any:
    """A value of a type, often one at an edge."""
    if rng.random() < 0.12:
        return None
    if type_ == f.BOOLEAN:
        return rng.random() < 0.5
    if type_ == "TINYINT":
        return rng.randint(-128, 127)
    if type_ == f.BIGINT:
        return rng.choice([rng.choice(INTEGERS), rng.randint(-50, 50), rng.randint(-(10**12), 10**12)])
    if type_ == f.DOUBLE:
        return rng.choice([rng.choice(DOUBLES), rng.uniform(-100, 100), rng.randint(-400, 400) / 8, rng.gauss(0, 1e9)])
    if type_ == "FLOAT":
        return rng.choice(SINGLES)
    if type_.startswith("DECIMAL"):
        return rng.randint(-(10**15) + 1, 10**15 - 1)
    if type_ == f.VARCHAR:
        return rng.choice(TEXTS)
    instant = datetime(1900, 1, 1, tzinfo=UTC) + rng.randint(0, 130 * 365 * 86_400_000_000) * UNIT
    instant = rng.choice([instant, instant.replace(microsecond=0), instant.replace(microsecond=120000)])
    instant = rng.choice([instant, datetime(2013, 3, 31, 23, 59, tzinfo=UTC), datetime(2013, 11, 3, 1, 30, tzinfo=UTC)])
    instant = rng.choice([instant, instant, datetime(2013, 3, 10, 2, 30, tzinfo=UTC)])
    if type_ == f.DATE:
        return instant.date()
    return instant if type_ == f.INSTANT else instant.replace(tzinfo=None)


class Table:
    """Rows of every type in DuckDB and the same in Python."""

    def __init__(self, rows: int) -> None:
        rng = random.Random(20131103)
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        names = ", ".join(f'"{name}" {type_}' for name, type_ in COLUMNS.items())
        self.connection.execute(f"CREATE TABLE t (_row BIGINT, {names})")
        self.rows: list[dict[str, Any]] = []
        for number in range(rows):
            raw = {name: drawn(type_, rng) for name, type_ in COLUMNS.items()}
            marks = ", ".join("(? / 10000)::DECIMAL(15,4)" if t.startswith("DEC") else "?" for t in COLUMNS.values())
            marks = marks.replace("(? / 10000)", "(?::VARCHAR)")
            given = [number]
            for name, type_ in COLUMNS.items():
                value = raw[name]
                if type_.startswith("DECIMAL") and value is not None:
                    value = f"{'-' if value < 0 else ''}{abs(value) // 10000}.{abs(value) % 10000:04d}"
                given.append(value)
                raw[name] = float(value) if type_.startswith("DECIMAL") and value is not None else value
            self.connection.execute(f"INSERT INTO t VALUES (?, {marks})", given)
            self.rows.append(raw)

    def engine(self, expression: Expression, sql: str, where: str = "") -> list[Any]:
        if expression.type in (f.TIMESTAMP, f.INSTANT):
            sql = f"epoch_us({sql})"
        found = self.connection.execute(f"SELECT {sql} FROM t {where} ORDER BY _row").fetchall()
        return [value for (value,) in found]

    def agree(self, text: str) -> None:
        """Both ways give the same for every row; where one refuses a row, so does the other."""
        expression = compile_expression("x", text, COLUMNS)
        outcomes = [outcome(expression, row) for row in self.rows]
        failed = [number for number, value in enumerate(outcomes) if value == "failed"]
        kept = [number for number, value in enumerate(outcomes) if value != "failed"]
        engine = self.engine(expression, expression.sql, f"WHERE NOT list_contains({failed}::INTEGER[], _row::INTEGER)")
        for number, theirs in zip(kept, engine, strict=True):
            assert shown(theirs) == outcomes[number], (text, expression.sql, self.read(expression, number))
        for number in failed[:4]:
            with pytest.raises(duckdb.Error):
                self.engine(expression, expression.sql, f"WHERE _row = {number}")

    def read(self, expression: Expression, number: int) -> dict[str, Any]:
        return {name: self.rows[number][name] for name in expression.reads}


def outcome(expression: Expression, row: Mapping[str, Any]) -> str:
    try:
        value = expression.row(row)
    except FoundWrong as failure:
        return "failed" if failure.code == "LCH-2410" else failure.code
    if isinstance(value, datetime):
        assert (value.tzinfo is UTC) == (expression.type == f.INSTANT)
        value = (value.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // UNIT
    return shown(value)


def shown(value: Any) -> str:
    return "nan" if value != value else repr(value)


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    made = Table(400)
    yield made
    made.connection.close()


# ------------------------------------------------------------------------------------------ each signature

PARAMETERS = {
    "count": ("0", "2", "50"),
    "start": ("1", "2", "30"),
    "digits": ("2", "0", "-2", "15"),
    "zone": ("'America/New_York'", "'Asia/Kolkata'", "'UTC'"),
    "pattern": ("'%AX'", "'_A%'", "'a'", "'%.%'"),
    f.INTERVAL: ("INTERVAL 90 MINUTE", "INTERVAL 3 DAY", "INTERVAL 1 MICROSECOND"),
    f.MONTHS: ("INTERVAL 1 MONTH", "INTERVAL 2 YEAR", "INTERVAL 1 QUARTER"),
}


def columns_of(type_: str) -> tuple[str, str, str]:
    names = [name for name, kind in COLUMNS.items() if kind == type_]
    return names[0], names[1], names[2]


def written(name: str, operands: list[str]) -> str:
    """A call as a user writes it."""
    if name == "negative":
        return f"(-{operands[0]})"
    if name == "not":
        return f"(not {operands[0]})"
    if name in f.OPERATORS:
        return f"({operands[0]} {name} {operands[1]})"
    return f"{name}({', '.join(operands)})"


def every_call() -> Iterator[str]:
    for name, function in {**f.OPERATORS, **f.FUNCTIONS}.items():
        signatures = [("", signature) for signature in function.signatures]
        signatures += [(f"'{choice}'", s) for choice, many in function.choices.items() for s in many]
        for choice, signature in signatures:
            options = [
                PARAMETERS.get(type_) or (columns_of(type_)[place],) for place, type_ in enumerate(signature.takes)
            ]
            for operands in itertools.product(*options):
                text = written(name, [choice, *operands] if choice else list(operands))
                yield f"epoch{text}" if signature.gives == f.INTERVAL else text


@pytest.mark.parametrize("text", list(dict.fromkeys(every_call())))
def test_every_function_gives_in_python_what_it_gives_in_duckdb(table: Table, text: str) -> None:
    table.agree(text)


@pytest.mark.parametrize(("source", "target"), list(cast.CASTS))
def test_every_cast_gives_in_python_what_it_gives_in_duckdb(table: Table, source: str, target: str) -> None:
    table.agree(f"{columns_of(source)[0]}::{target}")
    table.agree(f"try_cast({columns_of(source)[0]} as {target})")


@pytest.mark.parametrize("name", list(COLUMNS))
def test_every_column_type_enters_an_expression_as_duckdb_casts_it(table: Table, name: str) -> None:
    table.agree(name)
    table.agree(f"{name} is null")


CONSTRUCTS = (
    "case when boolean_1 then bigint_1 when boolean_2 then double_1 end",
    "case bigint_1 when 1 then 'one' when tinyint_1 then 'same' else varchar_1 end",
    "case when bigint_2 <> 0 then bigint_1 // bigint_2 else -1 end",
    "coalesce(bigint_1, tinyint_1, 0)",
    "coalesce(tinyint_1 // tinyint_2, double_1)",
    "ifnull(varchar_1, 'none')",
    "if(boolean_1, date_1, timestamp_1)",
    "nullif(double_1, double_2)",
    "nullif(bigint_1, 1.0)",
    "bigint_1 in (1, 2, 7)",
    "double_1 not in (0, 0.5)",
    "varchar_1 in ('a', '{0}', 'it''s')",
    "bigint_1 between bigint_2 and double_1",
    "double_1 not between double_2 and double_3",
    "boolean_1 and boolean_2 or not boolean_3",
    "boolean_1 is not true",
    "boolean_1 is false",
    "double_1 is not null",
    "greatest(bigint_1, double_1, tinyint_1)",
    "least(date_1, timestamp_1, timestamp_with_time_zone_1)",
    "concat(varchar_1, bigint_1, '-', double_1, boolean_1, timestamp_with_time_zone_1)",
    "varchar_1 not like '%a%'",
    "try_cast(double_1 as int) + try_cast(varchar_1 as int)",
    "0 = bigint_1 + 1",
    "date_sub('hour', timestamp_with_time_zone_1 + interval 3 day, timestamp_with_time_zone_1)",
    "(1 + (bigint_1 + bigint_3)) + 1",
    "case when bigint_2 <> 0 then bigint_1 // bigint_2 + bigint_1 // bigint_2 end",
    "epoch(timestamp_with_time_zone_1) - epoch(timestamp_with_time_zone_2)",
    "timestamp_with_time_zone_1 - timestamp_with_time_zone_2 > interval 3 hour",
    "extract(dow from timestamp_with_time_zone_1 at time zone 'America/New_York')",
    "timestamp_1 at time zone 'America/New_York'",
    "timestamp_with_time_zone_1 >= '2013-01-01'",
    "date_1 < '2013-01-31'",
    "(double_1 > 0) and tinyint_1 // tinyint_2 > 1",
    "decimal_1 / float_1",
    "hour(timestamp_1) + year(date_1) + dayofyear(date_1)",
    "double_1 ^ 2",
    "log(double_1)",
    *(f"{alias}(double_1)" for alias in ("ceiling", "signum")),
    *(f"{alias}(varchar_1)" for alias in ("len", "char_length", "lcase", "ucase")),
    *(f"{alias}(timestamp_1)" for alias in ("dayofmonth", "dayofweek", "dayofyear", "weekofyear", "isodow", "quarter")),
    "pow(double_1, 2)",
    "bigint_1 ** 2",
    "bigint_1 != tinyint_1",
    "prefix(varchar_1, 'a') or suffix(varchar_2, 'x')",
    "substr(varchar_1, 2, 3)",
    "nvl(bigint_1, 0)",
    "datediff('day', timestamp_1, timestamp_2)",
    "datepart('hour', timestamp_1)",
    "datetrunc('week', timestamp_with_time_zone_1)",
    "cast(varchar_1 as bigint) between -5 and 5",
    "interval 90 minute < timestamp_1 - timestamp_2",
    "coalesce(float_1, decimal_1, tinyint_1) * bigint_1",
    "case when varchar_1 is null then null when double_1 > bigint_1 then tinyint_1 else decimal_1 end",
)


def test_everything_that_is_listed_is_held_equal() -> None:
    """Each name of the page is a function or an operator, which `every_call` calls, or stands among the constructs."""
    called = {*f.OPERATORS, *f.FUNCTIONS}
    assert set(f.SUPPORTED) == {*called, *f.CONSTRUCTS}
    for name in f.CONSTRUCTS:
        assert re.search(rf"\b{name}\b", "\n".join(CONSTRUCTS)), name


@pytest.mark.parametrize("text", CONSTRUCTS)
def test_every_construct_gives_in_python_what_it_gives_in_duckdb(table: Table, text: str) -> None:
    table.agree(text)


# -------------------------------------------------------------------------------------- any of them together


def literal_of(type_: str) -> st.SearchStrategy[str]:
    if type_ == f.BOOLEAN:
        return st.sampled_from(["true", "false"])
    if type_ == f.BIGINT:
        return st.sampled_from(["0", "1", "(-1)", "2", "60", "9223372036854775807"])
    if type_ == f.DOUBLE:
        return st.sampled_from(["0.0", "1.5", "(-2.5)", "1e300", "'0.1'::double"])
    if type_ == f.VARCHAR:
        return st.sampled_from(["''", "'a'", "'ß'", "'12'", "'{1}'"])
    return st.sampled_from(["2013-03-31", "1970-01-01", "2000-02-29"]).map(lambda day: f"('{day}'::{type_})")


def expression_of(type_: str, depth: int) -> st.SearchStrategy[str]:
    leaves = st.one_of(st.sampled_from(columns_of(type_)), literal_of(type_))
    return leaves if depth == 0 else st.one_of(leaves, st.deferred(lambda: call_of(type_, depth - 1)))


@st.composite
def call_of(draw: st.DrawFn, type_: str, depth: int) -> str:
    """A call that gives a type, of operands that are calls themselves."""
    part = lambda kind: draw(expression_of(kind, depth))  # noqa: E731
    forms = ["call", "call", "call", "cast", "try_cast", "case", "switch", "coalesce", "if", "ifnull", "extreme"]
    forms += ["logic", "in", "is", "between"] if type_ == f.BOOLEAN else ["concat"] if type_ == f.VARCHAR else []
    form = draw(st.sampled_from(forms))
    if form == "if":
        return f"if({part(f.BOOLEAN)}, {part(type_)}, {part(type_)})"
    if form == "ifnull":
        return f"ifnull({part(type_)}, {part(type_)})"
    if form == "extreme":
        return f"{draw(st.sampled_from(['greatest', 'least']))}({part(type_)}, {part(type_)}, {part(type_)})"
    if form == "concat":
        return f"concat({part(type_)}, {part(f.BIGINT)}, {part(type_)})"
    if form == "between":
        kind = draw(st.sampled_from(f.RESULTS))
        return f"({part(kind)} between {part(kind)} and {part(kind)})"
    if form == "case":
        return f"(case when {part(f.BOOLEAN)} then {part(type_)} else {part(type_)} end)"
    if form == "switch":
        kind = draw(st.sampled_from(f.RESULTS))
        return f"(case {part(kind)} when {part(kind)} then {part(type_)} end)"
    if form == "coalesce":
        return f"coalesce({part(type_)}, {part(type_)})"
    if form == "logic":
        return f"({part(type_)} {draw(st.sampled_from(['and', 'or']))} {part(type_)})"
    if form in ("in", "is"):
        kind = draw(st.sampled_from(f.RESULTS))
        test = f"in ({draw(literal_of(kind))}, {draw(literal_of(kind))})" if form == "in" else "is null"
        return f"({part(kind)} {test})"
    if form in ("cast", "try_cast"):
        source, target = draw(st.sampled_from([key for key, s in cast.CASTS.items() if s.gives == type_]))
        return f"{form}({part(source)} as {target})"
    name, choice, signature = draw(st.sampled_from(CALLS[type_]))
    operands = [
        draw(st.sampled_from(PARAMETERS[kind])) if kind in PARAMETERS else part(kind) for kind in signature.takes
    ]
    return written(name, [choice, *operands] if choice else operands)


CALLS: dict[str, list[tuple[str, str, f.Signature]]] = {type_: [] for type_ in (*f.RESULTS, f.INTERVAL)}
for _name, _function in {**f.OPERATORS, **f.FUNCTIONS}.items():
    for _signature in _function.signatures:
        CALLS[_signature.gives].append((_name, "", _signature))
    for _choice, _many in _function.choices.items():
        for _signature in _many:
            CALLS[_signature.gives].append((_name, f"'{_choice}'", _signature))


@settings(max_examples=200, deadline=None)
@given(text=st.sampled_from(f.RESULTS).flatmap(lambda type_: expression_of(type_, 3)))
def test_any_expression_gives_in_python_what_it_gives_in_duckdb(table: Table, text: str) -> None:
    try:
        compile_expression("x", text, COLUMNS)
    except FoundWrong as refused:
        # A constant part that fails, is null, or is a text no cast reads: refused before any row is seen.
        assume(refused.code not in ("LCH-2404", "LCH-2405", "LCH-2407", "LCH-2408"))
        raise
    table.agree(text)


# ------------------------------------------------------------------------------------------------- the table


def test_every_line_of_help_is_one_line_that_says_something() -> None:
    assert list(f.SUPPORTED) == sorted(f.SUPPORTED)
    for name, line in f.SUPPORTED.items():
        assert len(line) > 5, name
        assert "\n" not in line, name
        assert not line.endswith("."), name


def test_upper_and_lower_change_every_character_as_duckdb_does(table: Table) -> None:
    points = [point for point in range(1, 0x110000) if not 0xD800 <= point <= 0xDFFF]
    query = "SELECT i, upper(chr(i::INTEGER)), lower(chr(i::INTEGER)) FROM (SELECT unnest(?::INTEGER[]) AS i)"
    upper = compile_expression("x", "upper(varchar_1)", COLUMNS).row
    lower = compile_expression("x", "lower(varchar_1)", COLUMNS).row
    for point, above, below in table.connection.execute(query, [points]).fetchall():
        assert upper({"varchar_1": chr(point)}) == above, hex(point)
        assert lower({"varchar_1": chr(point)}) == below, hex(point)


def test_times_that_clocks_show_twice_or_never_are_what_icu_makes_of_them(table: Table) -> None:
    days = [datetime.fromisoformat(day) for day in ("2013-03-10", "2013-03-31", "2013-10-27", "2013-11-03")]
    hours = [day + timedelta(minutes=30 + 60 * hour) for day in days for hour in range(5)]
    for zone in ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe"):
        expression = compile_expression("x", f"timezone('{zone}', timestamp_1)", COLUMNS)
        for hour in hours:
            query = f"SELECT epoch_us({expression.sql}) FROM (SELECT ?::TIMESTAMP AS timestamp_1)"
            found = table.connection.execute(query, [hour]).fetchone()
            assert repr(found[0]) == outcome(expression, {"timestamp_1": hour}), (zone, hour)


def test_clocks_show_in_every_zone_what_icu_says_they_show(table: Table) -> None:
    days = [datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in ("2013-03-10", "2013-03-31", "2013-10-27")]
    instants = [day + timedelta(minutes=15 * step) for day in days for step in range(96)]
    for zone in ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo"):
        for text in (
            f"timezone('{zone}', timestamp_with_time_zone_1)",
            f"hour(timestamp_with_time_zone_1 AT TIME ZONE '{zone}')",
            f"date_trunc('day', timezone('{zone}', timestamp_with_time_zone_1))",
            f"epoch(timezone('{zone}', date_trunc('day', timezone('{zone}', timestamp_with_time_zone_1))))",
        ):
            expression = compile_expression("x", text, COLUMNS)
            sql = f"epoch_us({expression.sql})" if expression.type in (f.TIMESTAMP, f.INSTANT) else expression.sql
            query = f"SELECT {sql} FROM (SELECT unnest(?::TIMESTAMPTZ[]) AS timestamp_with_time_zone_1)"
            found = table.connection.execute(query, [instants]).fetchall()
            for instant, (theirs,) in zip(instants, found, strict=True):
                assert shown(theirs) == outcome(expression, {"timestamp_with_time_zone_1": instant}), (text, instant)


def test_doubles_near_a_half_are_rounded_as_duckdb_rounds_them(table: Table) -> None:
    rng = random.Random(8)
    halves = [n / 2 + d for n in range(-9, 10) for d in (0.0, 1e-16, -1e-16, 4e-15, -4e-15)]
    halves += [round(rng.uniform(-1000, 1000), rng.randint(0, 6)) for _ in range(2000)]
    halves += [rng.uniform(-1, 1) * 10.0 ** rng.randint(-18, 18) for _ in range(1000)]
    texts = [f"round(double_1, {digits})" for digits in (-3, -1, 0, 1, 2, 3, 6, 12)]
    for text in ("round(double_1)", "double_1::bigint", "floor(double_1)", "ceil(double_1)", *texts):
        expression = compile_expression("x", text, COLUMNS)
        query = f"SELECT {expression.sql} FROM (SELECT unnest(?::DOUBLE[]) AS double_1)"
        given = [one for one in halves if abs(one) < 2**62]
        for one, (theirs,) in zip(given, table.connection.execute(query, [given]).fetchall(), strict=True):
            assert shown(theirs) == outcome(expression, {"double_1": one}), (text, one)


def test_generated_code_reaches_no_builtin_and_no_text_of_the_user() -> None:
    expression = compile_expression("x", '"a\'] or exit() #" || \'b"""\'', {"a'] or exit() #": "VARCHAR"})
    assert expression.row({"a'] or exit() #": "1"}) == '1b"""'
    assert expression.row.__globals__["__builtins__"] == {}
    names = "".join(map(str, expression.row.__code__.co_names + expression.row.__code__.co_consts))
    assert not re.search("exit", names)


def test_dates_and_datetimes_come_out_as_their_types() -> None:
    tomorrow = compile_expression("x", "a + interval 1 day", {"a": "DATE"})
    assert tomorrow.row({"a": date(2013, 1, 31)}) == datetime.fromisoformat("2013-02-01")
