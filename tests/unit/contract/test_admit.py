from __future__ import annotations

import pytest
from arro3.core import Table

from lichen.contract.admit import Admission, Admitted, merged, quarantine_table
from lichen.contract.check import Breach
from lichen.contract.quarantine import SET_ASIDE
from lichen.errors import FoundWrong, SystemFailed, Where
from lichen.ports import DataFile, Relation
from lichen.spec import Contract


@pytest.fixture
def rejects(engine):
    def make(count):
        select = (
            f"SELECT 'f.csv' AS _file, i::BIGINT AS _row, NULL::VARCHAR AS \"column\", 'torn' AS reason, 'x' AS raw "
            f"FROM range(1, {count + 1}) AS t(i)"
        )
        return Table.from_arrow(engine.query(select, {}))

    return make


@pytest.fixture
def admit(stage, engine, tables, rejects):
    def run(select, on_breach="quarantine", count=0, *, key=("k",), numbered=True, **contract):
        staged = stage(select, numbered=numbered)
        columns = staged.columns[:-2] if numbered else staged.columns
        contract = Contract.model_validate({"on_breach": on_breach, **contract})
        admission = Admission("t", columns, contract, key, Where("sources/t.yaml", 5, 3))
        return admission.admit(staged, engine, tables, rejects=rejects(count), rejected=count)

    return run


def _left(tables):
    return sorted(path.name for path in tables._root.rglob("*") if path.is_file())


RANGE = {"columns": {"n": {"range": [0, 10], "null_share": 0}}}
SELECT = "SELECT k::BIGINT AS k, n::DOUBLE AS n FROM (VALUES (1, '5'), (1, '6'), (NULL, '7'), (NULL, '99'), (2, '99'), (3, 'nan'), (4, '8')) AS t(k, n)"  # noqa: E501
EMPTY = SELECT + " WHERE false"
ALL_BAD = "SELECT 1::BIGINT AS k, 99::DOUBLE AS n FROM range(3)"


@pytest.mark.parametrize("on_breach", ["warn", "quarantine"])
@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("select", [SELECT, EMPTY, ALL_BAD], ids=["mixed", "empty", "all bad"])
@pytest.mark.parametrize("numbered", [True, False], ids=["source", "table"])
def test_rows_in_are_rows_kept_and_quarantined(admit, tables, fetch, on_breach, count, select, numbered):
    if not numbered and count:
        pytest.skip("only a source has records that cannot be read")
    got = admit(select, on_breach, count, numbered=numbered, **RANGE)
    read = {SELECT: 7, EMPTY: 0, ALL_BAD: 3}[select]
    bad = {SELECT: 5, EMPTY: 0, ALL_BAD: 3}[select] if on_breach == "quarantine" else 0
    assert (got.read, got.kept, got.quarantined, got.deduplicated) == (read + count, read - bad, bad + count, 0)
    assert got.facts("source.t")["balance"] == {
        "read": read + count, "kept": read - bad, "quarantined": bad + count, "deduplicated": 0, "late": 0,
    }  # fmt: skip
    aside = Relation(SET_ASIDE, tables.locations(quarantine_table("t"), got.quarantine))
    assert len(fetch(aside)) == bad + count
    broken = {SELECT: [2, 3, 1], EMPTY: [], ALL_BAD: [3, 2]}[select]
    assert [breach.rows for breach in got.breaches] == [*broken, *([count] if count else [])]
    assert not list((tables._root / ".staging").iterdir())


def test_stop_leaves_nothing_behind(admit, tables):
    with pytest.raises(FoundWrong) as caught:
        admit(SELECT, "stop", **RANGE)
    assert str(caught.value) == (
        "LCH-2222: `t` breaks its contract: n: it is outside [0, 10], in 3 of 7 rows\n"
        "  at sources/t.yaml:5:3\n"
        "  why: on_breach is stop, and 3 of 4 promises are broken\n"
        "  fix: mend the rows at their source, or set them aside with `on_breach: quarantine`"
    )
    assert _left(tables) == []
    assert not list((tables._root / ".staging").iterdir())


def test_stop_stops_for_records_that_cannot_be_read(admit, tables):
    with pytest.raises(FoundWrong) as caught:
        admit(EMPTY, "stop", 2)
    assert str(caught.value) == (
        "LCH-2228: `t` breaks its contract: 2 of 2 records cannot be read\n"
        "  at sources/t.yaml:5:3\n"
        "  why: on_breach is stop; record 1 of f.csv: torn\n"
        "  fix: mend the records at their source, or set them aside with `on_breach: quarantine`"
    )
    assert _left(tables) == []


def test_stop_lets_good_rows_in(admit):
    assert admit("SELECT 1::BIGINT AS k, 5::DOUBLE AS n", "stop", **RANGE).kept == 1


def test_rows_that_do_not_balance_are_a_defect():
    file = DataFile("f.parquet", 3, 10, "0" * 64)
    lost = Admitted((file,), (), (), 4)
    with pytest.raises(SystemFailed) as caught:
        lost.facts("source.t")
    assert str(caught.value) == (
        "LCH-3901: the rows of `source.t` do not balance: "
        "{'read': 4, 'kept': 3, 'quarantined': 0, 'deduplicated': 0, 'late': 0}\n"
        "  why: rows would be lost or doubled; nothing was released\n"
        "  fix: this is a defect of Lichen: report it with the command and the log"
    )
    whole = merged(
        Admitted((), (), (Breach("n", "bad", 1, 2, True),), 4),
        (file, file),
        (),
        deduplicated=3,
        late=2,
        already_there=5,
    )
    assert whole.facts("source.t") == {
        "balance": {"read": 11, "kept": 6, "quarantined": 0, "deduplicated": 3, "late": 2},
        "breaches": [{"column": "n", "reason": "bad", "rows": 1, "of": 2}],
        "unique": [],
        "notes": [],
    }


def test_where_nothing_is_kept_the_commonest_reason_is_told(admit, engine, tables):
    admission = Admission("t", (), Contract(), ("k",), Where("tables/t.sql", 5, 3))
    for select, numbered in ((SELECT, True), (EMPTY, True)):
        admission.refuse_nothing_kept(admit(select, numbered=numbered, **RANGE), engine, tables)
    with pytest.raises(FoundWrong) as caught:
        admission.refuse_nothing_kept(admit(ALL_BAD, numbered=False, **RANGE), engine, tables)
    assert str(caught.value) == (
        "LCH-2229: not one row of `t` was kept: all 3 were set aside, 3 of them because n: it is outside [0, 10]\n"
        "  at tables/t.sql:5:3\n"
        "  why: row 1: n: it is outside [0, 10]; an empty table would have taken the place of what is there, so "
        "nothing was released\n"
        "  fix: mend the rows where they come from, or the contract: a promise, or a column's type, written there"
    )
    with pytest.raises(FoundWrong) as caught:
        admission.refuse_nothing_kept(admit(ALL_BAD, numbered=False, **RANGE), engine, tables, first=True)
    assert caught.value.why == ("row 1: n: it is outside [0, 10]; an empty table is no result, so nothing was released")


@pytest.mark.parametrize(("bad", "shouts"), [(2, False), (3, True)])
def test_more_than_half_set_aside_is_told_loudly(admit, bad, shouts):
    got = admit(f"SELECT i AS k, CASE WHEN i < {bad} THEN 99 ELSE 1 END::DOUBLE AS n FROM range(4) r(i)", **RANGE)
    assert got.facts("t")["notes"] == ([f"MORE THAN HALF SET ASIDE: {bad} of the 4 rows read"] if shouts else [])
