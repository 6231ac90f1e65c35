"""What a request expression is, and what is said of one that cannot be: each refusal by its text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from lichen.errors import FoundWrong
from lichen.feature.request import SUPPORTED, compile_expression

COLUMNS = {
    "scheduled_departure": "TIMESTAMP WITH TIME ZONE",
    "prediction_time": "timestamptz",
    "distance": "DOUBLE",
    "seats": "INTEGER",
    "dest": "VARCHAR",
    "heavy": "BOOLEAN",
    "carrier.delay_mean_7d": "DOUBLE",
    "plane.year": "SMALLINT",
    "tags": "VARCHAR[]",
    "item.embedding": "FLOAT[8]",
    "big": "HUGEINT",
    "price": "DECIMAL(18,2)",
}


def refusal(text: str) -> str:
    with pytest.raises(FoundWrong) as caught:
        compile_expression("trip.x", text, COLUMNS)
    return str(caught.value)


def test_an_expression_says_what_it_reads_and_gives() -> None:
    text = "coalesce(carrier.delay_mean_7d, 0) / greatest(distance, 1)"
    expression = compile_expression("trip.relative_delay", text, COLUMNS)
    assert expression.name == "trip.relative_delay"
    assert expression.reads == ("carrier.delay_mean_7d", "distance")
    assert expression.type == "DOUBLE"
    assert '"carrier.delay_mean_7d"' in expression.sql
    assert expression.row({"carrier.delay_mean_7d": 6.0, "distance": 3.0}) == 2.0
    assert expression.row({"carrier.delay_mean_7d": None, "distance": None}) == 0.0


def test_expressions_of_the_same_text_are_equal() -> None:
    assert compile_expression("a", "distance + 1", COLUMNS) == compile_expression("a", "distance+1", COLUMNS)


def test_an_instant_of_any_zone_is_read_in_utc() -> None:
    hour = compile_expression("trip.hour", "date_part('hour', scheduled_departure)", COLUMNS)
    tokyo = datetime(2013, 7, 1, 3, 30, tzinfo=timezone(timedelta(hours=9)))
    assert hour.row({"scheduled_departure": tokyo}) == 18
    moved = compile_expression("trip.later", "scheduled_departure + interval 1 month", COLUMNS)
    assert moved.row({"scheduled_departure": tokyo}) == datetime(2013, 7, 30, 18, 30, tzinfo=UTC)


def test_only_the_branch_taken_is_computed() -> None:
    guarded = compile_expression("trip.share", "case when seats <> 0 then 100 // seats else -1 end", COLUMNS)
    assert [guarded.row({"seats": seats}) for seats in (0, 3, None)] == [-1, 33, -1]


def test_a_null_of_a_named_type_may_be_given() -> None:
    expression = compile_expression("trip.none", "null::double", COLUMNS)
    assert (expression.type, expression.row({})) == ("DOUBLE", None)


@pytest.mark.parametrize(
    ("text", "row", "why"),
    [
        ("seats * 9223372036854775807", {"seats": 2}, "18446744073709551614 is beyond BIGINT"),
        ("100 // seats", {"seats": 0}, "division by zero: 100 // 0"),
        ("100 % seats", {"seats": 0}, "division by zero: 100 % 0"),
        ("-9223372036854775807 % seats - 1", {"seats": 0}, "division by zero: -9223372036854775807 % 0"),
        ("distance::int", {"distance": 1e10}, "10000000000.0 is beyond INTEGER"),
        ("distance::bigint", {"distance": float("nan")}, "nan is beyond BIGINT"),
        ("seats::tinyint", {"seats": 300}, "300 is beyond TINYINT"),
        ("dest::bigint", {"dest": "LAX"}, "'LAX' cannot be read as BIGINT"),
        ("dest::double", {"dest": ""}, "'' cannot be read as DOUBLE"),
        ("dest::date", {"dest": "31.1.2013"}, "'31.1.2013' cannot be read as DATE"),
        ("dest::date", {"dest": "2013-02-30"}, "day is out of range for month"),
    ],
)
def test_a_row_without_a_value_says_why(text: str, row: dict[str, object], why: str) -> None:
    with pytest.raises(FoundWrong) as caught:
        compile_expression("trip.x", text, COLUMNS).row(row)
    assert str(caught.value) == (
        f"LCH-2410: `trip.x` has no value for this row\n  why: {why}\n"
        "  fix: guard what fails, as in `case when b <> 0 then a // b end`"
    )


def test_the_smallest_integer_divided_by_minus_one_has_no_remainder() -> None:
    with pytest.raises(FoundWrong, match="has no value") as caught:
        compile_expression("x", "a % b", {"a": "BIGINT", "b": "BIGINT"}).row({"a": -(2**63), "b": -1})
    assert caught.value.why == "9223372036854775808 is beyond BIGINT"


NOT_KNOWN = "which expressions do not know\n  why: "
ONE_ROW = "an expression sees one row and gives one value\n  fix: "


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("distance +", "LCH-2401: `trip.x` cannot be read: distance +\n  why: "),
        ("", "LCH-2401: `trip.x` cannot be read: "),
        ("1 +", "LCH-2401: `trip.x` cannot be read: 1 +\n  why: a name or a value is missing. Line 1, Col: 3."),
        (
            "1" * 10_001,
            "LCH-2401: `trip.x` is 10001 characters long\n  fix: keep it under 10000: split it into several",
        ),
        ("not " * 50 + "heavy", "LCH-2401: `trip.x` nests more than 40 deep\n  fix: split it into several expressions"),
        ("dest || 'a\x00'", "LCH-2401: `trip.x` holds a NUL character in a text\n  fix: remove it"),
        (
            "distanse * 2",
            (
                "LCH-2402: `trip.x` reads `distanse`, which is neither in the request nor a feature of another view\n"
                "  fix: did you mean `distance`?"
            ),
        ),
        ("carrier.delay_mean_7", "fix: did you mean `carrier.delay_mean_7d`?"),
        (
            "big + 1",
            (
                "LCH-2403: `trip.x` reads `big` of type HUGEINT, which an expression cannot carry\n"
                "  fix: cast it in the table it comes from, as `::double` or `::varchar`"
            ),
        ),
        ("tags", "LCH-2403: `trip.x` reads `tags` of type VARCHAR[]"),
        (
            "item.embedding",
            (
                "LCH-2403: `trip.x` reads `item.embedding` of type FLOAT[8], which an expression cannot carry\n"
                "  fix: bring the element that it needs as a column of its own, as `embedding[1] AS embedding_1` in "
                "a table"
            ),
        ),
        ("price * 2", "LCH-2403: `trip.x` reads `price` of type DECIMAL(18,2)"),
        (
            "seats + 9223372036854775808",
            (
                "LCH-2404: `trip.x` holds 9223372036854775808, which is beyond BIGINT\n"
                "  fix: write 9223372036854775808.0, a DOUBLE"
            ),
        ),
        (
            "scheduled_departure + interval (seats) hour",
            (
                "LCH-2404: `trip.x` holds `INTERVAL (seats) HOUR`, not a literal whole number and a unit\n"
                "  fix: write it as `INTERVAL 90 MINUTE`; for a span that varies, compare `epoch(a) - epoch(b)`"
            ),
        ),
        (
            "scheduled_departure > 'noon'",
            (
                "LCH-2404: `trip.x`: 'noon' is not a TIMESTAMP WITH TIME ZONE\n  why: "
                "Invalid isoformat string: 'noon'\n"
                "  fix: write it as '2013-01-31' or '2013-01-31 17:05:00'"
            ),
        ),
        ("'2013-01-01 00:00:00+00'::timestamp", "why: a TIMESTAMP has no time zone"),
        (
            "date_part('houre', scheduled_departure)",
            "LCH-2405: `trip.x` calls `date_part` with `houre`\n  fix: did you mean `hour`?",
        ),
        (
            "dest * 2",
            (
                "LCH-2405: `trip.x`: `*` does not take (VARCHAR, BIGINT)\n"
                "  why: it takes (BIGINT, BIGINT) or (DOUBLE, DOUBLE)\n  fix: cast an "
                "operand, as in `::double` or `::varchar`"
            ),
        ),
        ("left(dest, seats)", "why: it takes (VARCHAR, a literal count)"),
        ("distance // 2", "LCH-2405: `trip.x`: `//` does not take (DOUBLE, BIGINT)\n  why: it takes (BIGINT, BIGINT)"),
        (
            "heavy::date",
            (
                "LCH-2405: `trip.x` casts a BOOLEAN to DATE\n  why: a BOOLEAN becomes "
                "TINYINT, SMALLINT, INTEGER, BIGINT, DOUBLE, "
                "VARCHAR\n  fix: declare the column with the type it has to have"
            ),
        ),
        ("(scheduled_departure - prediction_time)::varchar", "why: it becomes no other type"),
        (
            "case when heavy then 1 else 'light' end",
            "LCH-2405: `trip.x`: the values of `case` are BIGINT, VARCHAR\n  fix: cast them to one type",
        ),
        (
            "heavy and seats",
            "LCH-2405: `trip.x`: `and` takes a BOOLEAN, not a BIGINT\n  fix: compare it: `a > 0`, `a is null`",
        ),
        ("heavy or null", "LCH-2405: `trip.x`: `or` takes a BOOLEAN, not NULL"),
        (
            "scheduled_departure - prediction_time",
            (
                "LCH-2406: `trip.x` gives an INTERVAL, which no feature can be\n  "
                "fix: write `epoch(...)` of it: seconds, a DOUBLE"
            ),
        ),
        ("null", "LCH-2406: `trip.x` gives a NULL, which no feature can be\n  fix: name a type: `null::double`"),
        (
            "seats + 1 // 0",
            "LCH-2407: `trip.x` fails for every row\n  why: division by zero: 1 // 0\n  fix: correct the constant",
        ),
        (
            "dest = null",
            (
                "LCH-2408: `trip.x` gives `=` a NULL, which makes it null for every row\n"
                "  fix: write `is null` or `is not null`"
            ),
        ),
        ("greatest(distance, null)", "LCH-2408: `trip.x` gives `greatest` a NULL, which makes it null for every row"),
        (
            "round(distance, 99)",
            (
                "LCH-2409: `trip.x`: `round` needs a whole number from -15 to 15 in that place\n"
                "  fix: write it out as a literal"
            ),
        ),
        ("substring(dest, 0)", "LCH-2409: `trip.x`: `substring` needs a whole number from 1 to 1000000 in that place"),
        ("left(dest, -1)", "LCH-2409: `trip.x`: `left` needs a whole number from 0 to 1000000 in that place"),
        (
            "timezone('Amerika/Boston', scheduled_departure)",
            "LCH-2409: `trip.x`: `timezone` needs the name of a time zone, as 'America/New_York' in that place",
        ),
        ("dest like '100\\%'", "LCH-2409: `trip.x`: `like` needs a text without backslashes in that place"),
        (
            "dest in ('LAX', null)",
            "LCH-2409: `trip.x`: `in` needs a list of literals without NULL\n  fix: write it as `a in (1, 2)`",
        ),
        ("roud(distance)", f"LCH-2411: `trip.x` uses `roud`, {NOT_KNOWN}{ONE_ROW}did you mean `round`?"),
        (
            "sum(distance)",
            (
                f"LCH-2411: `trip.x` uses `sum`, {NOT_KNOWN}it sums up many rows, and {ONE_ROW}"
                "make it an aggregate of a feature view, over windows, and read that here"
            ),
        ),
        (
            "epoch(now()) - epoch(scheduled_departure)",
            (
                f"LCH-2411: `trip.x` uses `now`, {NOT_KNOWN}a batch of past rows would see another time than they saw\n"
                "  fix: read `prediction_time`, the time the prediction is asked for"
            ),
        ),
        ("current_timestamp", "read `prediction_time`, the time the prediction is asked for"),
        ("row_number() over ()", f"LCH-2411: `trip.x` uses `window`, {NOT_KNOWN}{ONE_ROW}compute it in a table"),
        ("(select 1)", "LCH-2411: `trip.x` uses `subquery`"),
        ("select 1", "LCH-2411: `trip.x` uses `select`"),
        ("seats in (select 1)", "LCH-2409: `trip.x`: `in` needs a list of literals without NULL"),
        ("list_transform([1], lambda x: x)", "LCH-2411: `trip.x` uses `list_transform`"),
        (
            "strpos(dest, 'L')",
            f"LCH-2411: `trip.x` uses `strpos`, {NOT_KNOWN}{ONE_ROW}the nearest is `contains`; or compute it in a",
        ),
        ("ltrim(dest)", f"`trip.x` uses `ltrim`, {NOT_KNOWN}{ONE_ROW}the nearest is `trim`; or compute it in a table"),
        ("log1p(distance)", "the nearest is `ln(1 + a)`; or compute it in a table"),
        ("expm1(distance)", "the nearest is `exp(a) - 1`; or compute it in a table"),
        ("strlen(dest)", "the nearest is `length`, which counts characters; or compute it in a table"),
        ("tan(distance)", "the nearest is `sin(a) / cos(a)`; or compute it in a table"),
        ("dest ilike 'l%'", "the nearest is `lower(a) like 'x%'`; or compute it in a table"),
        ("regexp_matches(dest, 'L')", "the nearest is `like`, or `starts_with`, `ends_with`, `contains`; or compute"),
        ("strftime(scheduled_departure, '%Y')", "`trip.x` uses `strftime`"),
        ("md5(dest)", f"`trip.x` uses `md5`, {NOT_KNOWN}{ONE_ROW}compute it in a table; expressions know abs, ceil"),
        ("any_value(distance)", "make it an aggregate of a feature view, over windows, and read that here"),
        ("[1, 2]", "LCH-2411: `trip.x` uses `array`"),
        ("try(seats // 0)", "LCH-2411: `trip.x` uses `try`"),
        ("seats; distance", "LCH-2411: `trip.x` uses `block`"),
        ("distance d", "LCH-2411: `trip.x` uses `alias`"),
        ("*", "LCH-2411: `trip.x` uses `star`"),
        ("distance is 5", "LCH-2411: `trip.x` uses `is 5`"),
    ],
)
def test_what_cannot_be_an_expression_is_refused(text: str, said: str) -> None:
    assert said in refusal(text)


def test_every_supported_name_has_help() -> None:
    assert {"coalesce", "date_part", "timezone", "+", "case", "round"} <= set(SUPPORTED)


def test_a_name_that_is_a_word_of_sql_is_told() -> None:
    with pytest.raises(FoundWrong) as caught:
        compile_expression("trip.x", "hub.select + 1", {"hub.select": "BIGINT"})
    assert str(caught.value).endswith('\n  fix: `select` is a word of SQL too: write it as a name, "select"')
    assert compile_expression("trip.x", 'hub."select" + 1', {"hub.select": "BIGINT"}).type == "BIGINT"
    assert compile_expression("trip.x", "order + group", {"order": "BIGINT", "group": "BIGINT"}).type == "BIGINT"
