from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from arro3.core import Array, DataType, RecordBatchReader, Table

from lichen.errors import FoundWrong
from lichen.ground import stream
from lichen.ground.stream import Stream, each_batch

TABLE = Table.from_pydict(
    {"n": Array([1, None, 3], type=DataType.int64()), "s": Array(["a", "b", None], type=DataType.string())}
)


def _whole() -> Iterator[Any]:
    yield from TABLE.to_batches()
    yield from TABLE.to_batches()


def _broken() -> Iterator[Any]:
    yield from TABLE.to_batches()
    raise ValueError("the cable was cut")


def test_every_reading_gives_all_rows() -> None:
    rows = Stream(TABLE.schema, _whole)
    for _ in range(2):
        read = Table.from_arrow(rows)
        assert (read["n"].to_pylist(), read["s"].to_pylist()) == ([1, None, 3] * 2, ["a", "b", None] * 2)


@pytest.mark.parametrize("threads", [1, 2])
def test_duckdb_streams_what_python_streams_to_arro3(threads: int) -> None:
    with duckdb.connect(config={"threads": threads}) as session:
        session.register("t", Stream(TABLE.schema, _whole))
        assert Table.from_arrow(session.sql("FROM t")).num_rows == 6
        session.register("b", Stream(TABLE.schema, _broken))
        with pytest.raises(Exception, match="ValueError: the cable was cut"):
            Table.from_arrow(session.sql("FROM b"))
        with pytest.raises(duckdb.Error, match="ValueError: the cable was cut"):
            session.execute("SELECT sum(n) FROM b").fetchall()


def test_nothing_is_held_once_a_stream_is_read_left_or_never_begun() -> None:
    closed = []

    def batches() -> Iterator[Any]:
        try:
            yield from TABLE.to_batches()
            yield from TABLE.to_batches()
        finally:
            closed.append(True)

    rows = Stream(TABLE.schema, batches)
    Table.from_arrow(rows)
    reader = RecordBatchReader.from_stream(rows)
    next(reader)
    del reader
    rows.__arrow_c_stream__()
    assert (len(closed), stream._open, stream._held) == (2, {}, {})


def test_an_error_of_ours_is_found_again_in_the_text_that_carried_it() -> None:
    def refused() -> Iterator[Any]:
        yield from TABLE.to_batches()
        raise FoundWrong("LCH-2303", "a value does not fit", fix="leave it out")

    with pytest.raises(Exception, match="a value does not fit") as caught:
        Table.from_arrow(Stream(TABLE.schema, refused))
    found = stream.carried(caught.value)
    assert isinstance(found, FoundWrong)
    assert (found.code, found.fix, found.__traceback__) == ("LCH-2303", "leave it out", None)
    assert stream.carried(ValueError("a value does not fit")) is None


@pytest.mark.parametrize("wrap", [lambda rows: rows, RecordBatchReader.from_stream], ids=["stream", "reader"])
def test_an_exception_in_a_loop_over_batches_passes_as_it_is(wrap: Any) -> None:
    closed = []

    def batches() -> Iterator[Any]:
        try:
            yield from _whole()
        finally:
            closed.append(True)

    def loop() -> None:
        for batch in each_batch(wrap(Stream(TABLE.schema, batches))):
            raise KeyError(batch.num_rows)

    with pytest.raises(KeyError, match="3"):
        loop()
    assert (len(closed), stream._open, stream._held) == (1, {}, {})
    assert [batch.num_rows for batch in each_batch(wrap(Stream(TABLE.schema, batches)))] == [3, 3]
    assert [batch.num_rows for batch in Stream(TABLE.schema, batches)] == [3, 3]


def test_ctrl_c_is_found_again_too() -> None:
    def batches() -> Iterator[Any]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(Exception, match="KeyboardInterrupt") as caught:
        Table.from_arrow(Stream(TABLE.schema, batches))
    assert type(caught.value) is Exception
    assert isinstance(stream.carried(caught.value), KeyboardInterrupt)
