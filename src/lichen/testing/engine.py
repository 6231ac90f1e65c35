"""The conformance suite of the Engine port: subclass it, give `make`, and run it with pytest."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from arro3.core import Array, DataType, Table

from lichen.errors import FoundWrong
from lichen.ports import Arrow, Column, Engine, Relation


class EngineSuite:
    """What every engine does; `make` gives the engine under test."""

    def make(self, tmp_path: Path) -> Engine:
        """An engine whose scratch files, if any, are under `tmp_path`."""
        raise NotImplementedError

    def _into(self, tmp_path: Path) -> Path:
        into = tmp_path / "into"
        into.mkdir(exist_ok=True)
        return into

    def _rows(self, arrow: Arrow) -> list[tuple[object, ...]]:
        columns = Table.from_arrow(arrow)
        return list(zip(*(columns[name].to_pylist() for name in columns.column_names), strict=True))

    def test_a_statement_is_described(self, tmp_path: Path) -> None:
        """Names and types come in the statement's order."""
        described = self.make(tmp_path).describe(
            "SELECT n, n > 1 AS big FROM t", {"t": Relation((Column("n", "BIGINT"),))}
        )
        assert described == (Column("n", "BIGINT"), Column("big", "BOOLEAN"))

    def test_a_statement_that_only_computes_keeps_the_order_of_its_rows(self, tmp_path: Path) -> None:
        """So it does of more rows than an engine reads at once."""
        rows = Table.from_pydict({"n": Array(range(300_000, 0, -1), type=DataType.int64())})
        computed = self.make(tmp_path).query(
            "SELECT n + 1 AS n FROM (SELECT *, n * 2 AS m FROM t)", {"t": Relation(arrow=rows)}
        )
        assert Table.from_arrow(computed)["n"].to_pylist() == list(range(300_001, 1, -1))

    def test_several_threads_ask_at_once(self, tmp_path: Path) -> None:
        """Each gets the answer to its own question."""
        engine = self.make(tmp_path)

        def ask(number: int) -> list[tuple[object, ...]]:
            rows = Table.from_pydict({"n": Array([number] * 1000, type=DataType.int64())})
            return self._rows(engine.query("SELECT sum(n)::BIGINT AS s FROM t", {"t": Relation(arrow=rows)}))

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(ask, range(20))) == [[(number * 1000,)] for number in range(20)]

    def test_what_sql_writes_query_reads_in_order(self, tmp_path: Path) -> None:
        """Rows come back as they were written, in their order."""
        engine, into = self.make(tmp_path), self._into(tmp_path)
        files = engine.sql("SELECT range AS n FROM range(5) ORDER BY n DESC", {}, into)
        table = Relation((Column("n", "BIGINT"),), tuple(str(into / file.path) for file in files))
        assert self._rows(engine.query("SELECT n FROM t", {"t": table})) == [(4,), (3,), (2,), (1,), (0,)]
        assert sum(file.rows for file in files) == 5
        assert files[0].stats["n"] == {"null_count": "0", "min": "0", "max": "4"}

    def test_no_rows_give_no_file(self, tmp_path: Path) -> None:
        """An empty result leaves nothing behind."""
        into = self._into(tmp_path)
        assert self.make(tmp_path).sql("SELECT 1 AS n WHERE false", {}, into) == ()
        assert list(into.iterdir()) == []

    def test_a_table_without_files_is_a_table(self, tmp_path: Path) -> None:
        """Its columns are there and its rows are none."""
        empty = Relation((Column("n", "BIGINT"),))
        assert self._rows(self.make(tmp_path).query("SELECT count(n) AS c FROM t", {"t": empty})) == [(0,)]

    def test_each_partition_is_mapped_on_its_own(self, tmp_path: Path) -> None:
        """The function sees one relation at a time; each result is a file."""
        engine, into = self.make(tmp_path), self._into(tmp_path)
        parts = [Relation(arrow=Table.from_pydict(_numbers(start))) for start in (0, 10)]
        files = engine.map_partitions(lambda rows: rows, parts, into)
        assert [file.rows for file in files] == [2, 2]
        assert len({file.path for file in files}) == 2

    def test_a_session_leaves_no_name_behind(self, tmp_path: Path) -> None:
        """A name of one call is unknown in the next."""
        engine = self.make(tmp_path)
        engine.describe("FROM t", {"t": Relation((Column("n", "BIGINT"),))})
        with pytest.raises(FoundWrong, match="the SQL is wrong"):
            engine.describe("FROM t", {})
        other = (Column("n", "VARCHAR"),)
        assert engine.describe("FROM t", {"T": Relation(other)}) == other

    def test_it_tells_what_it_is(self, tmp_path: Path) -> None:
        """Its name and version: what it described is remembered under them."""
        assert re.fullmatch(r"\w+ \d+\..+", self.make(tmp_path).version)

    def test_a_file_tells_its_columns(self, tmp_path: Path) -> None:
        """The types are those stored."""
        engine, into = self.make(tmp_path), self._into(tmp_path)
        (file,) = engine.sql("SELECT CAST(1 AS HUGEINT) AS h", {}, into)
        assert engine.file_columns(str(into / file.path)) == (Column("h", "DECIMAL(38,0)"),)


def _numbers(start: int) -> dict[str, object]:
    return {"n": Array([start, start + 1], type=DataType.int64())}
