from __future__ import annotations

import pytest

from lichen.collect.cursor import check_cursor, newest, resume_from
from lichen.errors import FoundWrong, Where
from lichen.ports import Column, Since
from lichen.spec import Source

NOW = "2020-01-10T12:00:00.250000+00:00"
INSTANT = "TIMESTAMP WITH TIME ZONE"


def _source(cursor="c", **keys):
    return Source.model_validate({"path": "x", "cursor": cursor, "contract": {"key": ["k"]}, **keys})


def _newest(stage, engine, values, kind, cursor="c"):
    name = cursor.replace('"', '""')
    rows = stage(f'SELECT CAST(v AS {kind}) AS "{name}" FROM (VALUES {values}) AS t(v)').relation
    return newest(_source(cursor), rows, NOW, engine)


@pytest.mark.parametrize(
    ("kind", "values", "want"),
    [
        ("TIMESTAMPTZ", "('2020-01-01 00:00Z'), ('2020-01-10 12:00:00.25Z'), (NULL)", "2020-01-10 12:00:00.25+00"),
        ("TIMESTAMPTZ", "('2020-01-01 00:00Z'), ('2099-01-01 00:00Z'), ('infinity')", "2020-01-01 00:00:00+00"),
        ("TIMESTAMPTZ", "('2099-01-01 00:00Z')", None),
        ("TIMESTAMP", "('2020-01-09 23:00'), ('2020-01-10 12:01')", "2020-01-09 23:00:00"),
        ("DATE", "('2020-01-10'), ('2020-01-11')", "2020-01-10"),
        ("BIGINT", "(3), (20), (NULL)", "20"),
        ("DOUBLE", "('3'), ('nan'), ('inf'), ('4.5')", "4.5"),
        ("VARCHAR", "('a'), ('it''s')", "it's"),
        ("BIGINT", "(NULL)", None),
    ],
)
def test_the_cursor_is_the_greatest_value_that_is_not_past_now(stage, engine, kind, values, want):
    assert _newest(stage, engine, values, kind) == want


@pytest.mark.parametrize("name", ['weird ""name""', "zeit_ü", "order", "landed", "cursor"])
def test_the_cursor_may_have_any_name(stage, engine, name):
    assert _newest(stage, engine, "(1), (2)", "BIGINT", name) == "2"


@pytest.mark.parametrize(
    ("kind", "cursor", "lateness", "want"),
    [
        (INSTANT, "2020-01-09 00:00:00.5+00", "6h", "2020-01-08 18:00:00.5+00"),
        (INSTANT, "2099-01-01 00:00:00+00", "6h", "2020-01-10 06:00:00.25+00"),
        (INSTANT, "2020-01-09 00:00:00+00", None, "2020-01-09 00:00:00+00"),
        ("TIMESTAMP", "2020-01-09 00:00:00", "90s", "2020-01-08 23:58:30"),
        ("DATE", "2020-01-09", "1d", "2020-01-08 00:00:00"),
        ("BIGINT", "42", None, "42"),
        ("VARCHAR", "it's", None, "it's"),
    ],
)
def test_reading_starts_again_lateness_before_the_cursor(engine, kind, cursor, lateness, want):
    source = _source(**({"lateness": lateness} if lateness else {}))
    assert resume_from(cursor, source, (Column("c", kind),), NOW, engine) == Since("c", want, ("k",))


def _refused(source, columns):
    with pytest.raises(FoundWrong) as caught:
        check_cursor(source, columns, Where("s.yaml", 2, 9), Where("s.yaml", 3, 11))
    return str(caught.value)


def test_a_cursor_that_is_no_column_is_refused():
    assert _refused(_source("upated_at"), (Column("updated_at", INSTANT), Column("k", "BIGINT"))) == (
        "LCH-2225: the cursor is a column `upated_at` that is not there\n"
        "  at s.yaml:2:9\n"
        "  fix: did you mean `updated_at`?"
    )


def test_lateness_needs_a_cursor_of_times():
    assert _refused(_source("c", lateness="6h"), (Column("c", "BIGINT"), Column("k", "BIGINT"))) == (
        "LCH-2226: `lateness` is a span of time, and the cursor `c` is BIGINT\n"
        "  at s.yaml:3:11\n"
        "  why: only from a time can a span be taken\n"
        "  fix: take `lateness` away, or name a column of times as the cursor"
    )
    check_cursor(_source("c", lateness="6h"), (Column("c", "DATE"),), Where("s"), Where("s"))
    check_cursor(Source.model_validate({"path": "x"}), (), Where("s"), Where("s"))
