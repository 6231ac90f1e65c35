import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from arro3.core import Array, DataType, RecordBatchReader, Table
from interrupted import interrupted

from lichen.backends.duckdb import DuckDBEngine
from lichen.backends.duckdb_errors import in_our_words
from lichen.errors import FoundWrong, SystemFailed
from lichen.ground.stream import Stream
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
        (
            "SELECT n + order FROM t",
            "LCH-2301",
            "the SQL is wrong",
            (1, 12),
            'correct the statement; if `order` is a name here, write "order"',
        ),
        ("SELECT 1\nFROM tt", "LCH-2301", "the SQL is wrong", (2, 6), "did you mean `t`?"),
        ("SELECT nn\nFROM t", "LCH-2301", "the SQL is wrong", (1, 8), 'did you mean "n"?'),
        (
            "SELECT n + '2020-01-01'::DATE AS q FROM t",
            "LCH-2301",
            "the SQL is wrong",
            (1, 10),
            "cast its arguments to types that it takes",
        ),
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


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("method", ["sql", "query"])
def test_ctrl_c_stops_a_statement(tmp_path: Path, method: str, threads: str) -> None:
    code = (
        "import pathlib, sys\nfrom lichen.backends.duckdb import DuckDBEngine\n"
        "folder = pathlib.Path(sys.argv[1])\nprint('ready', flush=True)\n"
        "engine = DuckDBEngine(threads=int(sys.argv[3]), scratch=folder / 'scratch')\n"
        "select = 'SELECT sum(md5_number(range::varchar)) AS s FROM range(9000000000)'\n"
        "if sys.argv[2] == 'sql':\n    engine.sql(select, {}, folder)\n"
        "else:\n    import arro3.core; arro3.core.Table.from_arrow(engine.query(select, {}))"
    )
    assert "KeyboardInterrupt" in interrupted(code, str(tmp_path), method, threads)
    assert not list(tmp_path.glob("*.parquet"))


def _breaking(rows: int) -> Stream:
    table = Table.from_pydict({"n": Array([1] * rows, type=DataType.int64())})

    def batches() -> Iterator[Any]:
        yield from table.to_batches()
        raise FoundWrong("LCH-9999", "the source broke", why="it had to", fix="mend it")

    return Stream(table.schema, batches)


def test_an_input_that_breaks_off_gives_its_own_error(engine: DuckDBEngine, tmp_path: Path) -> None:
    for arrow in (_breaking(5), engine.query("FROM t", {"t": Relation(arrow=_breaking(5))})):
        with pytest.raises(FoundWrong) as wrong:
            engine.sql("SELECT sum(n) AS s FROM r", {"r": Relation(arrow=arrow)}, tmp_path)
        assert (wrong.value.code, wrong.value.why) == ("LCH-9999", "it had to")
    assert not list(tmp_path.glob("*.parquet"))


def test_an_error_while_a_querys_rows_are_read_is_ours(engine: DuckDBEngine, tmp_path: Path) -> None:
    rows = engine.query("SELECT CAST('x' || range AS BIGINT) AS n\nFROM range(3)", {})
    with pytest.raises(Exception, match="LCH-2303: a value does not fit\n  at SQL:1:8") as wrong:
        Table.from_arrow(rows)
    assert "Could not convert string 'x0' to INT64" in str(wrong.value)
    with pytest.raises(FoundWrong, match="a value does not fit"):
        engine.sql("FROM r", {"r": Relation(arrow=rows)}, tmp_path)


class _Foreign:
    """A stream that is none of ours, and breaks."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        def batches() -> Iterator[Any]:
            raise OSError("the cable was cut")
            yield

        schema = Table.from_pydict({"n": Array([1], type=DataType.int64())}).schema
        return RecordBatchReader.from_batches(schema, batches()).__arrow_c_stream__(requested_schema)


def test_a_foreign_stream_that_breaks_is_named(engine: DuckDBEngine, tmp_path: Path) -> None:
    with pytest.raises(FoundWrong) as wrong:
        engine.sql("FROM r", {"r": Relation(arrow=_Foreign())}, tmp_path)
    assert (wrong.value.code, wrong.value.what) == ("LCH-2305", "the rows of `r` broke off")
    assert "the cable was cut" in (wrong.value.why or "")


def test_a_number_wider_than_arrows_is_text(engine: DuckDBEngine) -> None:
    most = 2**128 - 1
    rows = engine.query(
        f"SELECT {most}::UHUGEINT AS a, n, [{most}::UHUGEINT] AS a FROM range(2) AS r(n) ORDER BY n DESC", {}
    )
    assert [column.to_pylist() for column in Table.from_arrow(rows).columns] == [
        [str(most)] * 2,
        [1, 0],
        [[str(most)]] * 2,
    ]


def test_a_querys_rows_can_be_read_twice_and_by_another_duckdb(engine: DuckDBEngine) -> None:
    rows = engine.query("SELECT range AS n FROM range(10)", {})
    assert Table.from_arrow(rows).num_rows == 10
    with duckdb.connect() as other:
        other.register("rows", rows)
        assert other.execute("SELECT sum(n) FROM rows").fetchall() == [(45,)]


def test_a_file_that_is_gone_is_the_systems_failure(engine: DuckDBEngine, tmp_path: Path) -> None:
    gone = Relation((Column("n", "BIGINT"),), (str(tmp_path / "gone.parquet"),))
    with pytest.raises(SystemFailed) as failed:
        engine.sql("FROM t", {"t": gone}, tmp_path)
    assert (failed.value.code, failed.value.what) == ("LCH-3002", "a file cannot be read or written")
    assert (str(failed.value.where), failed.value.why) == (str(tmp_path / "gone.parquet"), "it is not there")


def _in_the_lake(tmp_path: Path) -> tuple[DuckDBEngine, Path, Relation]:
    engine, folder = DuckDBEngine(threads=1, scratch=tmp_path / "scratch", lake=tmp_path / "lake"), tmp_path / "lake/x"
    folder.mkdir(parents=True)
    (file,) = engine.sql("SELECT range AS n, md5(range::VARCHAR) AS s FROM range(1000)", {}, folder)
    columns = (Column("n", "BIGINT"), Column("s", "VARCHAR"))
    return engine, folder / file.path, Relation(columns, (str(folder / file.path),))


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (10, "Variable-length int over 10 bytes."),
        (40, 'Invalid Input Error: Failed to read file "{}": ZSTD'),
        (-30, ""),
    ],
)
def test_a_damaged_file_of_the_lake_is_told_and_not_blamed_on_the_statement(tmp_path: Path, at: int, why: str) -> None:
    engine, file, rows = _in_the_lake(tmp_path)
    content = bytearray(file.read_bytes())
    content[at : at + 20] = b"\xff" * 20
    file.write_bytes(content)
    other = Relation(rows.columns, arrow=Table.from_arrow(engine.query("SELECT 1::BIGINT AS n, 'a' AS s", {})))
    for ask in (
        lambda: list(engine.query("SELECT sum(n + 1), max(s) FROM x", {"o": other, "x": rows}).batches()),
        lambda: engine.sql("SELECT n, s FROM x", {"o": other, "x": rows}, tmp_path),
    ):
        with pytest.raises(SystemFailed) as failed:
            ask()
        assert (failed.value.code, failed.value.what) == ("LCH-3004", "a file of table `x` is not what was written")
        assert str(failed.value.where) == str(file)
        assert (failed.value.why or "").startswith(why.format(file))
        assert failed.value.fix == (
            "remove it and build the table anew: lichen run; "
            "or restore the file from a copy, as recorded predictions must be"
        )


def test_a_statement_that_speaks_of_damage_damages_no_file(tmp_path: Path) -> None:
    engine, _, rows = _in_the_lake(tmp_path)
    with pytest.raises(FoundWrong) as wrong:
        engine.sql("SELECT error('a.parquet: ZSTD Decompression failure') AS e FROM x", {"x": rows}, tmp_path)
    assert (wrong.value.code, wrong.value.where) == ("LCH-2303", None)


LIMITED = """
import resource, signal, sys
from pathlib import Path
from lichen.backends.duckdb import DuckDBEngine
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
folder = Path(sys.argv[1])
memory = sys.argv[3] if sys.argv[3:] else None
try:
    DuckDBEngine(threads=1, memory=memory, scratch=folder / "scratch").sql(sys.argv[2], {}, folder)
except Exception as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("select", "memory", "place"),
    [
        ("SELECT random() AS r FROM range(1000000)", [], r"part-0\.parquet"),
        ("SELECT random() AS r, i FROM range(10000000) AS t(i) ORDER BY r", ["30MB"], r"scratch/duckdb_temp_\S+"),
    ],
)
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, select: str, memory: list[str], place: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), select, *memory], capture_output=True, text=True, check=True
    ).stdout
    assert re.fullmatch(
        rf"LCH-3002: cannot write what the statement gives\n  at {re.escape(str(tmp_path))}/{place}\n"
        r"  why: File too large\n  fix: look whether the disk is mounted and healthy, then run again\n",
        told,
    ), told


@pytest.mark.parametrize("words", ["No space left on device", "disk full", "max_temp_directory_size"])
def test_a_full_disk_is_told_from_other_failures(words: str) -> None:
    found = in_our_words(f"IO Error: Could not write: {words}", (), "", Path("lake/part-0.parquet"))
    assert str(found).startswith("LCH-3001: the disk is full: cannot write what the statement gives")


def test_a_really_full_disk_is_told(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True, check=False
    ).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        with pytest.raises(SystemFailed) as failed:
            DuckDBEngine(threads=1, scratch=tmp_path / "scratch").sql(
                "SELECT md5(range::VARCHAR) AS m FROM range(1000000)", {}, small
            )
        assert failed.value.code == "LCH-3001"
        assert failed.value.what == "the disk is full: cannot write what the statement gives"
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_second_ctrl_c_ends_even_what_hangs(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\nfrom arro3.core import Array, DataType, Table\n"
        "from lichen.backends.duckdb import DuckDBEngine\nfrom lichen.ground.stream import Stream\n"
        "from lichen.ports import Relation\nfolder = pathlib.Path(sys.argv[1])\n"
        "table = Table.from_pydict({'n': Array([1], type=DataType.int64())})\n"
        "def batches():\n    print('ready', flush=True)\n    time.sleep(60)\n    yield\n"
        "rows = Relation(arrow=Stream(table.schema, batches))\n"
        "DuckDBEngine(scratch=folder / 'scratch').sql('FROM r', {'r': rows}, folder)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    try:
        for _ in range(2):
            child.send_signal(signal.SIGINT)
            time.sleep(0.5)
        assert child.wait(timeout=10) == -signal.SIGINT
    finally:
        child.kill()
        child.stdout.close()
