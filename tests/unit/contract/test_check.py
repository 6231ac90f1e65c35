from __future__ import annotations

import pytest

from lichen.contract.check import check_columns, check_types, judge, promises
from lichen.errors import FoundWrong, Where
from lichen.ports import Column
from lichen.spec import Contract


def _contract(**keys):
    return Contract.model_validate(keys)


@pytest.fixture
def broken(stage, engine):
    """What a contract finds in the rows of a SELECT: (column, reason, rows, of)."""

    def run(select, key=(), **contract):
        rows = stage(select)
        found = judge(promises(_contract(**contract), key, rows.columns), rows, engine)
        return [(breach.column, breach.reason, breach.rows, breach.of) for breach in found]

    return run


def _one(name, **promise):
    return {"columns": {name: promise}}


@pytest.mark.parametrize(("nulls", "rows", "share"), [(29, 100, 0.29), (7, 100, 0.07), (1, 1000, 0.001), (0, 5, 0)])
def test_a_null_share_at_its_bound_is_kept_and_one_more_breaks_it(broken, nulls, rows, share):
    def select(count):
        return f"SELECT CASE WHEN i >= {count} THEN i END AS n FROM range({rows}) AS t(i)"

    assert broken(select(nulls), **_one("n", null_share=share)) == []
    ((_, _, found, of),) = broken(select(nulls + 1), **_one("n", null_share=share))
    assert (found, of) == (nulls + 1, rows)


def test_a_null_share_is_told_with_its_bound(broken):
    rows = "SELECT NULL::INT AS n"
    assert broken(rows, **_one("n", null_share=0.005)) == [("n", "it is null in more than 0.5 % of the rows", 1, 1)]
    assert broken(rows, **_one("n", null_share=0)) == [("n", "it is null", 1, 1)]


@pytest.mark.parametrize(
    ("kind", "good", "bad", "bounds", "reason"),
    [
        ("BIGINT", "(0), (10), (NULL)", "(-1), (11)", [0, 10], "[0, 10]"),
        ("DOUBLE", "(0.5), (2.5)", "(0.49), ('inf')", [0.5, 2.5], "[0.5, 2.5]"),
        ("DOUBLE", "(0), (1)", "('nan')", [0, 1], "[0, 1]"),
        ("DOUBLE", "(1), ('inf')", "('nan'), (-1)", [0, float("inf")], "[0, inf]"),
        ("FLOAT", "(0.1), (0.2)", "(0.21)", [0.1, 0.2], "[0.1, 0.2]"),
        ("DECIMAL(38,0)", "('99999999999999999999999999999999999999')", "(-1)", [0, 1e40], "[0, 1e+40]"),
        ("DECIMAL(12,2)", "(0.10)", "(0.09)", [0.1, 9], "[0.1, 9]"),
        ("VARCHAR", "('b'), ('c')", "('a'), ('d')", ["b", "c"], "[b, c]"),
        ("VARCHAR", "('it''s')", "('is')", ["it's", "it's"], "[it's, it's]"),
        ("TIMESTAMPTZ", "('2020-01-01 00:00Z')", "('2019-12-31 23:59Z')", ["2020-01-01", "2021-01-01"],
         "[2020-01-01, 2021-01-01]"),
        ("DATE", "('2020-01-01')", "('2019-12-31')", ["2020-01-01", "2021-01-01"], "[2020-01-01, 2021-01-01]"),
        ("BIGINT", "(1234567)", "(1234568)", [0, 1234567], "[0, 1234567]"),
    ],
)  # fmt: skip
def test_a_range_is_kept_at_both_ends_and_broken_beyond(broken, kind, good, bad, bounds, reason):
    def select(values):
        texts = " UNION ALL ".join(f"SELECT CAST({value} AS VARCHAR) AS v" for value in values.split(", "))
        return f"SELECT CAST(v AS {kind}) AS n FROM ({texts})"

    count = len(bad.split(", "))
    assert broken(select(good), **_one("n", range=bounds)) == []
    assert broken(select(bad), **_one("n", range=bounds)) == [("n", f"it is outside {reason}", count, count)]


def test_only_accepted_values_are_kept_and_null_is_none_of_them(broken):
    rows = "SELECT unnest(['a', 'b', 'c', NULL, 'it''s']) AS t"
    assert broken(rows, **_one("t", accepted=["a", "b", "it's"])) == [("t", "it is none of: a, b, it's", 1, 5)]
    flags = "SELECT unnest([true, false, NULL]) AS f"
    assert broken(flags, **_one("f", accepted=[True])) == [("f", "it is none of: true", 1, 3)]
    numbers = "SELECT unnest(range(9)) AS n"
    assert broken(numbers, **_one("n", accepted=list(range(8)))) == [
        ("n", "it is none of: 0, 1, 2, 3, 4, 5 and 2 more", 1, 9)
    ]


def test_keys_are_whole_and_come_once(broken):
    rows = "SELECT * FROM (VALUES (1, 1), (1, 1), (1, 2), (NULL, 1), (NULL, 1), (1, 1)) AS t(a, b)"
    assert broken(rows, key=("a", "b")) == [("a", "the key is null", 2, 6), ("a, b", "the key is there before", 2, 6)]
    assert broken(rows, **_one("b", unique=True)) == [("b", "the value is there before", 4, 6)]


def test_a_grain_and_another_key_are_both_kept(stage, engine):
    rows = stage("SELECT * FROM (VALUES (1, 1), (2, 1)) AS t(a, b)")
    (found,) = judge(promises(_contract(key=["b"]), ("a",), rows.columns), rows, engine)
    assert (found.column, found.reason) == ("b", "the key is there before")


def test_no_rows_break_nothing(broken):
    rows = "SELECT 1 AS n, 'a' AS t WHERE false"
    assert broken(rows, key=("n",), columns={"n": {"null_share": 0, "range": [5, 6], "unique": True}}) == []
    assert broken("SELECT 1 AS n") == []


@pytest.mark.parametrize(
    "name", ['weird ""name""', "order", "rows", "group", "zeit_ü", "select", "более", "_row_place", "total"]
)
def test_any_column_name_will_do(broken, name):
    quoted = '"' + name.replace('"', '""') + '"'
    rows = f"SELECT v AS {quoted} FROM (VALUES (1), (1), (NULL), (9)) AS t(v)"
    assert broken(rows, key=(name,), **_one(name, null_share=0, range=[0, 5], accepted=[1], unique=True)) == [
        (name, "the key is null", 1, 4),
        (name, "it is null", 1, 4),
        (name, "it is outside [0, 5]", 1, 4),
        (name, "it is none of: 1", 1, 4),
        (name, "the value is there before", 1, 4),
        (name, "the key is there before", 1, 4),
    ]


def test_where_rows_are_merged_a_key_may_come_again():
    told = promises(_contract(key=["k"]), ("k",), (), merged=True)
    assert [promise.reason for promise in told] == ["the key is null"]


WHERE = {"a": Where("tables/t.sql", 4, 5, "    a: {type: int}")}


def test_a_column_that_is_not_there_is_refused_with_near_names():
    with pytest.raises(FoundWrong) as caught:
        check_columns(_contract(columns={"a": {}}), ("b",), [Column("b", "INT"), Column("aa", "INT")], WHERE)
    assert str(caught.value) == (
        "LCH-2221: the contract speaks of a column `a` that is not there\n"
        "  at tables/t.sql:4:5\n"
        "        a: {type: int}\n"
        "        ^\n"
        "  fix: did you mean `aa`?"
    )
    with pytest.raises(FoundWrong) as caught:
        check_columns(_contract(columns={"a": {}}), ("b",), [Column("b", "INT"), Column("A", "INT")], WHERE)
    assert caught.value.why == "the column is `A`: a contract names it letter by letter, though SQL takes both for one"
    assert caught.value.fix == "did you mean `A`?"
    with pytest.raises(FoundWrong, match="a column `orgin` that is not there"):
        check_columns(_contract(), ("orgin",), [Column("origin", "VARCHAR")], {})


def test_another_type_than_the_columns_is_refused(engine):
    check_types(_contract(**_one("a", type="int4")), [Column("a", "INTEGER")], engine, WHERE)
    with pytest.raises(FoundWrong) as caught:
        check_types(_contract(**_one("a", type="int")), [Column("a", "BIGINT")], engine, WHERE)
    assert str(caught.value) == (
        "LCH-2224: the contract says that `a` is INTEGER, and it is BIGINT\n"
        "  at tables/t.sql:4:5\n"
        "        a: {type: int}\n"
        "        ^\n"
        "  fix: write CAST(a AS INTEGER) where it is made, or `type: bigint`"
    )
