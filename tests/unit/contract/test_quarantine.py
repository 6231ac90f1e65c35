from __future__ import annotations

import json

import pytest
from arro3.core import Array, DataType, Table

from lichen.contract.check import judge, promises
from lichen.contract.quarantine import SET_ASIDE, commonest, gather, keep, row_promises, set_aside, unreadable
from lichen.ports import Relation
from lichen.spec import Contract


@pytest.fixture
def divide(stage, engine, tables, fetch):
    """The rows kept and set aside of a source's rows: tuples, and (row, column, reason, raw)."""

    def run(select, key=(), numbered=True, **contract):
        staged = stage(select, numbered=numbered)
        columns = staged.columns[:-2] if numbered else staged.columns
        promised = promises(Contract.model_validate(contract), key, columns)
        broken = row_promises(promised, judge(promised, staged, engine))
        sides = []
        for write in (
            lambda into: keep(columns, broken, staged.relation, engine, into),
            lambda into: set_aside(columns, broken, staged.relation, None, engine, into),
        ):
            folder = tables.staging("t")
            sides.append(tuple(str(folder / file.path) for file in write(folder)))
        kept, aside = fetch(Relation(columns, sides[0])), fetch(Relation(SET_ASIDE, sides[1]))
        assert len(kept) + len(aside) == staged.rows
        return kept, [(row, column, reason, json.loads(raw)) for _, row, column, reason, raw in aside]

    return run


def test_a_row_is_set_aside_once_with_all_its_reasons(divide):
    rows = "SELECT * FROM (VALUES (1, 5, 'a'), (NULL, 99, 'z'), (2, 6, 'b')) AS t(k, n, t)"
    columns = {"k": {"null_share": 0}, "n": {"range": [0, 10]}, "t": {"accepted": ["a", "b"]}}
    kept, aside = divide(rows, key=("k",), columns=columns)
    assert kept == [(1, 5, "a"), (2, 6, "b")]
    assert aside == [
        (
            2,
            "k; k; n; t",
            "k: the key is null; k: it is null; n: it is outside [0, 10]; t: it is none of: a, b",
            {"k": None, "n": 99, "t": "z"},
        )
    ]


def test_of_rows_with_one_key_the_first_good_one_is_kept(divide):
    rows = "SELECT * FROM (VALUES (1, 99), (1, 5), (1, 6), (2, 7)) AS t(k, n)"
    kept, aside = divide(rows, key=("k",), columns={"n": {"range": [0, 10]}})
    assert kept == [(1, 5), (2, 7)]
    assert [(row, reason) for row, _, reason, _ in aside] == [
        (1, "n: it is outside [0, 10]"),
        (3, "k: the key is there before"),
    ]


def test_rows_with_null_keys_are_not_repetitions(divide):
    kept, aside = divide("SELECT * FROM (VALUES (NULL, 1), (NULL, 1), (1, 1)) AS t(a, b)", key=("a", "b"))
    assert kept == [(1, 1)]
    assert {reason for _, _, reason, _ in aside} == {"a: the key is null"}


def test_a_share_that_is_broken_blames_no_row(divide):
    kept, aside = divide("SELECT NULL::INT AS n", columns={"n": {"null_share": 0.5}})
    assert (kept, aside) == ([(None,)], [])


@pytest.mark.parametrize(
    "name",
    ['weird ""name""', "order", "rows", "group", "_place", "_CLEAN", "_columns", "_reasons", "zeit_ü", "it's", "file"],
)
def test_any_column_name_will_do(divide, name):
    quoted = '"' + name.replace('"', '""') + '"'
    rows = f"SELECT v AS {quoted} FROM (VALUES (1), (1), (9)) AS t(v)"
    kept, aside = divide(rows, key=(name,), columns={name: {"range": [0, 5]}})
    assert kept == [(1,)]
    assert aside == [
        (2, name, f"{name}: the key is there before", {name: 1}),
        (3, name, f"{name}: it is outside [0, 5]", {name: 9}),
    ]


def test_a_tables_own_columns_row_and_file_are_not_its_provenance(divide):
    rows = "SELECT * FROM (VALUES ('x', 1, 7), ('y', 99, 8)) AS t(_row, n, _file)"
    kept, aside = divide(rows, numbered=False, columns={"n": {"range": [0, 10]}})
    assert kept == [("x", 1, 7)]
    assert aside == [(2, "n", "n: it is outside [0, 10]", {"_row": "y", "n": 99, "_file": 8})]


def test_the_raw_row_is_json_whatever_its_values(divide):
    rows = (
        "SELECT 'nan'::DOUBLE AS d, '-inf'::FLOAT AS f, TIMESTAMPTZ '2020-01-01 00:00Z' AS at, "
        "DATE '2020-01-01' AS day, "
        "'\\xAA'::BLOB AS b, [1, NULL] AS list, {'a': 'q\"'} AS struct, MAP {'k': 1} AS map, "
        "12345678901234567890::DECIMAL(38,0) AS big, "
        "'tab\t\n\"ü' AS text, true AS flag, NULL::VARCHAR AS nothing, 2.5::DOUBLE AS half, NULL::DOUBLE AS none"
    )
    _, ((_, _, _, raw),) = divide(rows, columns={"flag": {"accepted": [False]}})
    assert raw == {
        "d": "nan", "f": "-inf", "at": "2020-01-01 00:00:00+00", "day": "2020-01-01", "b": "\\xAA", "list": [1, None],
        "struct": {"a": 'q"'}, "map": {"k": 1}, "big": 12345678901234567890, "text": 'tab\t\n"ü', "flag": True,
        "nothing": None, "half": 2.5, "none": None,
    }  # fmt: skip


def test_rejects_and_broken_rows_stand_in_the_order_of_the_source(stage, engine, tables, fetch):
    staged = stage("SELECT * FROM (VALUES (1), (99), (2)) AS t(n)", numbered=True)
    rejects = Table.from_arrow(
        engine.query(
            "SELECT 'f.csv' AS _file, 1::BIGINT AS _row, 'n' AS \"column\", 'no number' AS reason, 'x' AS raw", {}
        )
    )
    promised = promises(Contract.model_validate({"columns": {"n": {"range": [0, 10]}}}), (), staged.columns)
    folder = tables.staging("t")
    files = set_aside(staged.columns[:1], promised, staged.relation, Relation(arrow=rejects), engine, folder)
    assert fetch(Relation(SET_ASIDE, tuple(str(folder / file.path) for file in files))) == [
        ("f.csv", 1, "n", "no number", "x"),
        ("f.csv", 2, "n", "n: it is outside [0, 10]", '{"n":99}'),
    ]
    assert set_aside(staged.columns[:1], [], staged.relation, None, engine, folder) == ()


def test_rows_met_again_are_gathered_once(stage, engine, tables, fetch):
    def aside(values):
        return stage(f'SELECT * FROM (VALUES {values}) AS t(file, row, "column", reason, raw)').relation

    first, again = "('f', 1, 'n', 'bad', 'x')", "('f', 1, 'n', 'bad', 'x'), ('f', 2, NULL, 'bad', 'y')"
    folder = tables.staging("t")
    files, repeated = gather(aside(first), aside(again), engine, folder)
    rows = fetch(Relation(SET_ASIDE, tuple(str(folder / file.path) for file in files)))
    assert (rows, repeated) == ([("f", 1, "n", "bad", "x"), ("f", 2, None, "bad", "y")], 1)


def test_the_commonest_reason_passes_by_the_values_it_names(stage, engine):
    told = [
        ("a.csv", 4, "n: `x` is not BIGINT"),
        ("a.csv", 3, "n: `y` is not BIGINT"),
        ("a.csv", 1, "it is null; m: `a; b` is z"),
    ]
    rows = ", ".join(f"('{file}', {row}, NULL, '{reason}', '')" for file, row, reason in told)
    names = 'AS t("file", "row", "column", reason, raw)'
    aside = stage(f"SELECT * FROM (VALUES {rows}) {names}").relation
    assert commonest(aside, engine) == ("n: a value is not BIGINT", 2, "record 3 of a.csv: n: `y` is not BIGINT")
    aside = stage(f"SELECT * FROM (VALUES (NULL::VARCHAR, 2, 'n', 'it is null', '{{}}')) {names}").relation
    assert commonest(aside, engine) == ("it is null", 1, "row 2: it is null")


@pytest.mark.parametrize(
    ("reasons", "text"),
    [
        (["n: `x` is not BIGINT", "n: `y` is not BIGINT"], "n: a value is not BIGINT"),
        (["n: `x` is not BIGINT; m: `z` is not DATE"], "m: a value is not DATE (1), n: a value is not BIGINT (1)"),
        (["a", "b", "b", "c", "d", "e"], "b (2), a (1), c (1) and 2 other reasons"),
        (["a", "b", "c", "d"], "a (1), b (1), c (1) and 1 other reason"),
    ],
)
def test_why_records_cannot_be_read(engine, reasons, text):
    assert unreadable(Table.from_pydict({"reason": Array(reasons, type=DataType.utf8())}), engine) == text


def test_a_vector_that_json_cannot_say_is_told_as_text(divide):
    rows = "SELECT k, v::FLOAT[2] AS v FROM (VALUES (1, [0.5, 1]), (2, [1, 'nan'::FLOAT]), (3, NULL)) AS t(k, v)"
    kept, aside = divide(rows, columns={"k": {"range": [5, 6]}, "v": {"type": "float[2]"}})
    assert kept == []
    assert [raw for *_, raw in aside] == [{"k": 1, "v": [0.5, 1.0]}, {"k": 2, "v": "[1.0, nan]"}, {"k": 3, "v": None}]
