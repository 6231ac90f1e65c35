from __future__ import annotations

from typing import Any

import duckdb
import pytest

from lichen.project import Project

FILE = "name: p\nmemory: 512MB\n"


@pytest.fixture
def project(tmp_path: Any) -> Any:
    """Opens a project of one source as its files say now; every word given is written first."""

    def write(rows: str, source: str = "path: s.csv\n", environment: str = "prod") -> Project:
        (tmp_path / "sources").mkdir(exist_ok=True)
        (tmp_path / "lichen.yaml").write_text(FILE)
        (tmp_path / "sources/s.yaml").write_text(source)
        (tmp_path / "s.csv").write_text(rows)
        opened.append(Project(tmp_path, environment=environment))
        return opened[-1]

    opened: list[Project] = []
    yield write
    for one in opened:
        one.close()


def types(project: Project) -> dict[str, str]:
    return {column.name: column.type for column in project.check().columns["s"]}


LOOKS = (
    "`s`: `v` is read as BIGINT, which the first rows settled, and now looks VARCHAR, or holds no value: what does not "
    "fit is set aside; to read it otherwise write its type, as in `contract: {columns: {v: {type: varchar}}}`"
)


def test_a_check_before_any_run_says_nothing_of_before(project: Any, tmp_path: Any) -> None:
    found = project("id,v\n1,2\n").check()
    assert found.arriving == []
    assert not (tmp_path / ".lichen/state.db").exists()


def test_a_type_that_looks_otherwise_is_told_by_check_and_plan_and_the_fix_helps(project: Any) -> None:
    project("id,v\n1,2\n").run()
    later = project("id,v\n1,2\n2,x\n")
    assert types(later) == {"id": "BIGINT", "v": "BIGINT"}
    assert later.check().arriving == [LOOKS]
    assert later.plan().notes == (LOOKS,)
    assert later.plan().as_dict()["notes"] == [LOOKS]
    mended = project("id,v\n1,2\n2,x\n", "path: s.csv\ncontract: {columns: {v: {type: varchar}}}\n")
    assert types(mended) == {"id": "BIGINT", "v": "VARCHAR"}
    assert mended.check().arriving == []
    (outcome,) = mended.run().outcomes
    assert (outcome.rows, outcome.quarantined, outcome.notes) == (2, 0, ())


def test_columns_that_come_and_go_are_told_by_check_and_plan_and_are_in_the_plans_columns(project: Any) -> None:
    project("id,v\n1,2\n").run()
    later = project("id,w\n1,2\n")
    assert later.check().arriving == ["`s`: NEW: `w`", "`s`: GONE: `v`"]
    changes = {str(one.column): one.kind for one in later.plan().columns}
    assert changes == {"s.w": "added", "s.v": "removed", "s.*": "rows"}
    (outcome,) = later.run().outcomes
    assert outcome.notes == ("NEW: `w`", "GONE: `v`")
    assert later.check().arriving == []


def test_a_column_that_the_contract_names_may_not_go(project: Any) -> None:
    source = "path: s.csv\ncontract: {columns: {v: {type: bigint}}}\n"
    project("id,v\n1,2\n", source).run()
    (error,) = project("id,w\n1,2\n", source).check().errors
    assert str(error).startswith("LCH-2201: `s.csv` has no column `v`\n  at sources/s.yaml:2:22\n")


def test_an_environment_that_shares_a_source_has_its_columns_as_they_are(project: Any) -> None:
    project("id,v\n1,2\n").run()
    other = project("id,w\n1,2\n", environment="dev")
    assert types(other) == {"id": "BIGINT", "v": "BIGINT"}
    assert other.check().arriving == []


def test_nanoseconds_are_told_by_check_and_counted_by_run(project: Any, tmp_path: Any) -> None:
    with duckdb.connect() as session:
        session.execute(f"COPY (SELECT TIMESTAMP_NS '2020-01-01 00:00:00.123456789' AS t) TO '{tmp_path}/s.parquet'")
    opened = project("", "path: s.parquet\n")
    said = "`s`: `t` comes in nanoseconds and is kept to the microsecond; as `{type: varchar}` it is kept whole"
    assert opened.check().arriving == [said]
    (outcome,) = opened.run().outcomes
    assert (outcome.rows, outcome.notes) == (1, ("`t`: 1 value cut to the microsecond",))
    assert opened.check().arriving == []
    whole = project("", "path: s.parquet\ncontract: {columns: {t: {type: varchar}}}\n")
    (outcome,) = whole.run().outcomes
    assert (outcome.notes, whole.check().arriving) == ((), [])


def test_a_type_that_no_table_holds_is_no_failure_where_texts_were_settled(project: Any, tmp_path: Any) -> None:
    with duckdb.connect() as session:
        session.execute(f"COPY (SELECT 'a' AS t, 1 AS n) TO '{tmp_path}/s.parquet'")
        project("", "path: s.parquet\n").run()
        session.execute(f"COPY (SELECT TIME '10:00' AS t, TIME '10:00' AS n) TO '{tmp_path}/s.parquet'")
    found = project("", "path: s.parquet\n").check()
    assert found.arriving == [
        (
            "`s`: `n` is read as INTEGER, which the first rows settled, and now looks TIME: what does not fit is set "
            "aside; to read it otherwise write its type, as in `contract: {columns: {n: {type: time}}}`"
        )
    ]
