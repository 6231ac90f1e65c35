import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lichen.backends.duckdb import DuckDBEngine
from lichen.errors import FoundWrong, SystemFailed
from lichen.ports import Column, Relation
from lichen.testing.engine import EngineSuite

N = Relation((Column("n", "BIGINT"),))


class TestDuckDBEngine(EngineSuite):
    def make(self, tmp_path: Path) -> DuckDBEngine:
        return DuckDBEngine(threads=2, scratch=tmp_path / "scratch")


@pytest.fixture
def engine(tmp_path: Path) -> DuckDBEngine:
    return DuckDBEngine(threads=1, scratch=tmp_path / "scratch")


@pytest.mark.parametrize(
    ("select", "code", "what", "place", "fix"),
    [
        ("selct 1", "LCH-2301", "the SQL is wrong", (1, 1), "correct the statement"),
        ("SELECT 1\nFROM tt", "LCH-2301", "the SQL is wrong", (2, 6), "did you mean `t`?"),
        ("SELECT nn\nFROM t", "LCH-2301", "the SQL is wrong", (1, 8), 'did you mean "n"?'),
        ("FROM t; FROM t", "LCH-2302", "one SELECT statement is wanted, not SELECT, SELECT", None, None),
        ("DROP TABLE t", "LCH-2302", "one SELECT statement is wanted, not DROP", None, None),
        ("FROM read_text('/etc/passwd')", "LCH-2304", "SQL may read its tables and nothing else", (1, 6), None),
        (
            "SELECT INTERVAL 1 DAY AS i",
            "LCH-2310",
            "column `i` has type INTERVAL, which a table cannot hold",
            None,
            None,
        ),
    ],
)
def test_bad_sql_says_where_and_why(
    engine: DuckDBEngine,
    tmp_path: Path,
    select: str,
    code: str,
    what: str,
    place: tuple[int, int] | None,
    fix: str | None,
) -> None:
    with pytest.raises(FoundWrong) as wrong:
        engine.sql(select, {"t": N}, tmp_path)
    assert (wrong.value.code, wrong.value.what) == (code, what)
    if place is not None:
        assert wrong.value.where is not None
        assert (wrong.value.where.line, wrong.value.where.column) == place
    assert wrong.value.fix == fix if fix else wrong.value.fix


def test_a_value_that_does_not_fit_is_named_and_leaves_no_file(engine: DuckDBEngine, tmp_path: Path) -> None:
    with pytest.raises(FoundWrong) as wrong:
        engine.sql("SELECT CAST('x' || range AS BIGINT) AS n FROM range(3)", {}, tmp_path)
    assert "Could not convert string 'x0' to INT64" in (wrong.value.why or "")
    assert not list(tmp_path.glob("*.parquet"))


def test_an_overflowing_sum_is_an_error(engine: DuckDBEngine, tmp_path: Path) -> None:
    with pytest.raises(FoundWrong, match="a value does not fit"):
        engine.sql(
            "SELECT CAST(range AS HUGEINT) + 170141183460469231731687303715884105700 AS h FROM range(1)", {}, tmp_path
        )


def test_memory_that_runs_out_is_the_systems_failure(tmp_path: Path) -> None:
    engine = DuckDBEngine(memory="30MB", threads=1, scratch=tmp_path / "scratch")
    with pytest.raises(SystemFailed) as failed:
        engine.sql("SELECT list(range) AS l FROM range(20000000)", {}, tmp_path)
    assert failed.value.code == "LCH-3001"


def test_sql_sees_neither_files_nor_python_variables(engine: DuckDBEngine, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for select in (f"FROM '{tmp_path}/secret.csv'", f"FROM glob('{tmp_path}/*')", "FROM engine"):
        with pytest.raises(FoundWrong):
            engine.describe(select, {})


def test_ctrl_c_stops_a_statement(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys\nfrom lichen.backends.duckdb import DuckDBEngine\n"
        "folder = pathlib.Path(sys.argv[1])\nprint('ready', flush=True)\n"
        "DuckDBEngine(scratch=folder).sql('SELECT sum(md5_number(range::varchar)) AS s FROM range(9000000000)', {}, folder)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(1)
    os.kill(child.pid, signal.SIGINT)
    try:
        _, err = child.communicate(timeout=3)
    finally:
        child.kill()
    assert "KeyboardInterrupt" in err
    assert not list(tmp_path.glob("*.parquet"))
