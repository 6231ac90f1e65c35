"""Rows asked about as an Arrow stream, over the real server."""

import http.client
import io
import json
from urllib.parse import urlsplit

import nanoarrow.ipc
import pytest
from arro3.core import Array, DataType, Table

from lichen.deploy.arrow_stream import KIND, columns_of
from lichen.deploy.predict import accepts_arrow

DEPARTURE = 1385888400_000_000


@pytest.fixture(scope="module")
def ask(tmp_path_factory, start):
    with start(tmp_path_factory.mktemp("arrow")) as child:
        line = http.client.HTTPConnection(urlsplit(child.url).netloc, timeout=20)

        def asked(body, **headers):
            line.request("POST", "/predict", body, {"content-type": KIND, **headers})
            reply = line.getresponse()
            body = reply.read()
            kind = reply.getheader("content-type")
            return reply.status, (json.loads(body) if kind == "application/json" else columns_of(body, 10_000)[0])

        yield asked
        line.close()


def stream(rows=40, **more):
    columns = {
        "carrier": Array(["UA"] * rows, type=DataType.utf8()),
        "distance": Array([float(n) for n in range(rows)], type=DataType.float64()),
        "scheduled_departure": Array([DEPARTURE] * rows, type=DataType.int64()).cast(
            DataType.timestamp("us", tz="UTC")
        ),
        "stops": Array([1] * rows, type=DataType.int64()),
        **more,
    }
    out = io.BytesIO()
    with nanoarrow.ipc.StreamWriter.from_writable(out) as writer:
        writer.write_stream(Table.from_arrays(list(columns.values()), names=list(columns)))
    return out.getvalue()


def scores(rows):
    return [1 / (1 + (3.5 + n + 9) ** 2) for n in range(rows)]


@pytest.mark.parametrize("rows", [1, 5, 40])
def test_arrow_in_and_json_out(ask, rows):
    status, said = ask(stream(rows))
    assert status == 200
    assert [one["score"] for one in said["predictions"]] == scores(rows)


def test_arrow_in_and_out(ask):
    status, columns = ask(stream(), accept=f"{KIND}, application/json;q=0.5")
    assert status == 200
    assert columns["score"] == scores(40)
    assert len(set(columns["prediction_id"])) == 40
    assert set(columns["model_version"]) == {"a1b2c3"}
    assert columns["prediction_time"][0].tzinfo is not None
    assert columns["release"] == [7] * 40


def test_json_in_and_arrow_out(ask):
    status, columns = ask(json.dumps({"carrier": "UA"}), **{"content-type": "application/json", "accept": KIND})
    assert (status, len(columns["score"]), columns["out_of_time"]) == (200, 1, [None])


def test_types_are_checked_as_those_of_json(ask):
    status, said = ask(stream(stops=Array(["x"] * 40, type=DataType.utf8())))
    assert (status, said["error"]["field"], said["error"]["row"]) == (422, "stops", 0)
    assert said["error"]["message"] == ("`stops` is 'x'; it must be a whole number from -2147483648 to 2147483647")
    status, said = ask(stream(stop=Array([1] * 40, type=DataType.int64())))
    assert (status, said["error"]["message"]) == (422, "'stop' is not a field of this service; did you mean `stops`?")
    distance = [1.0] * 39 + [float("nan")]
    status, said = ask(stream(distance=Array(distance, type=DataType.float64())))
    assert (status, said["error"]["row"]) == (422, 39)
    assert said["error"]["message"] == "`distance` is nan; it must be a number"


def test_no_rows_and_too_many_are_refused(ask):
    status, said = ask(stream(0))
    assert (status, said["error"]["code"]) == (422, "LCH-1824")
    status, said = ask(stream(10_001))
    assert (status, said["error"]["code"]) == (413, "LCH-1824")


def test_rubbish_is_a_clear_refusal(ask):
    status, said = ask(b"rubbish")
    assert (status, said["error"]["code"]) == (400, "LCH-1871")


def test_what_a_client_accepts():
    assert accepts_arrow(KIND.upper())
    assert not accepts_arrow("*/*")
    assert not accepts_arrow("")
    assert not accepts_arrow(f"{KIND}; q=0, */*")
