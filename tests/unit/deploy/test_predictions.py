from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import msgspec

from lichen.deploy.answer import Answer
from lichen.deploy.predictions import as_arrow, batches, columns_of
from lichen.deploy.record import Record
from lichen.deploy.segment import Heading, Recorded, read
from lichen.ground.instant import to_us
from lichen.ports import Column

NOW = datetime(2013, 12, 1, 8, 0, 0, 123456, tzinfo=UTC)
EVERY = {
    "VARCHAR": "UA",
    "BOOLEAN": True,
    "TINYINT": 1,
    "SMALLINT": 2,
    "INTEGER": 3,
    "BIGINT": 2**62,
    "FLOAT": 0.5,
    "DOUBLE": 0.1,
    "TIMESTAMP WITH TIME ZONE": NOW,
    "timestamptz": NOW,
    "TIMESTAMP": NOW.replace(tzinfo=None),
    "DATE": date(2013, 12, 1),
    "UTINYINT": 255,
    "USMALLINT": 1,
    "UINTEGER": 1,
    "UBIGINT": 2**64 - 1,
    "BLOB": b"\x00\xff",
    "FLOAT[3]": [0.5, None, 2.0],
    "DOUBLE[2]": [0.1, 1e300],
    "DECIMAL(9,2)": Decimal("-12.50"),
    "DECIMAL(38, 0)": Decimal(10) ** 37,
}
HEADING = Heading(
    "s", "m", "v1", 7, tuple(Column(f"c{n}", kind) for n, kind in enumerate(EVERY)), (Column("v.f", "DOUBLE"),)
)


def answer(name, request, feature=1.5):
    return Answer(name, to_us(NOW), to_us(NOW) + 5, 42, None, 0.25, request, (feature,))


def recorded(*answers):
    return [Recorded(HEADING, one) for one in answers]


def test_every_type_comes_to_duckdb_as_itself_and_null_as_null():
    rows = recorded(answer("a", tuple(EVERY.values())), answer("b", (None,) * len(EVERY), None))
    got = duckdb.from_arrow(as_arrow(rows, HEADING))
    said = {"timestamptz": "TIMESTAMP WITH TIME ZONE", "DECIMAL(38, 0)": "DECIMAL(38,0)"}
    assert got.columns == [column.name for column in columns_of(HEADING)]
    assert [str(kind) for kind in got.types] == [said.get(column.type, column.type) for column in columns_of(HEADING)]
    assert duckdb.sql("SELECT count(*) FROM got WHERE prediction_id = 'b' AND \"request.c0\" IS NULL").fetchall() == [
        (1,)
    ]
    assert duckdb.sql('SELECT epoch_us("at"), latency_us, out_of_time, release, score FROM got').fetchall()[0] == (
        to_us(NOW),
        42,
        None,
        7,
        0.25,
    )


def test_values_are_the_same_before_and_after_the_disk(tmp_path):
    before = recorded(answer("a", tuple(EVERY.values())))
    record = Record(tmp_path, HEADING, 1)
    record.append([before[0].answer])
    record.close()
    after = [one for _, one in read(tmp_path)]
    select = "SELECT COLUMNS(*)::VARCHAR FROM rows"
    rows = duckdb.from_arrow(as_arrow(before, HEADING))
    first = duckdb.sql(select).fetchall()
    rows = duckdb.from_arrow(as_arrow(after, HEADING))  # noqa: F841
    assert duckdb.sql(select).fetchall() == first
    assert "-12.50" in first[0]


def test_batches_hold_one_set_of_columns_each_and_end_at_their_cursor(tmp_path):
    first, same = (msgspec.structs.replace(HEADING, release=release) for release in (1, 2))
    other = msgspec.structs.replace(HEADING, release=3, request=HEADING.request[1:])
    for at, heading in enumerate((first, same, other)):
        record = Record(tmp_path, heading, 1)
        given = answer("", (None,) * len(EVERY))
        request = given.request[: len(heading.request)]
        record.append([msgspec.structs.replace(given, prediction_id=f"{at}-{n}", request=request) for n in range(5)])
        record.close()
    got = [
        (position, heading.release, duckdb.from_arrow(rows).shape[0])
        for position, heading, rows in batches(tmp_path, None, 4)
    ]
    assert [(release, rows) for _, release, rows in got] == [(1, 4), (1, 4), (2, 2), (3, 4), (3, 1)]
    _, _, rows = next(iter(batches(tmp_path, None, 10)))
    assert duckdb.from_arrow(rows).aggregate("release, count(*)").order("release").fetchall() == [(1, 5), (2, 5)]
    for at, (position, _, _) in enumerate(got):
        rest = [duckdb.from_arrow(rows).shape[0] for _, _, rows in batches(tmp_path, position)]
        assert sum(rest) == sum(rows for _, _, rows in got[at + 1 :])


def test_no_answers_make_an_empty_typed_table():
    assert duckdb.from_arrow(as_arrow([], HEADING)).shape == (0, len(columns_of(HEADING)))
