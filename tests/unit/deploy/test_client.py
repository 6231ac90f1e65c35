import http.server
import json
import threading
from contextlib import contextmanager

import pytest
from arro3.core import Array, DataType, Table

import lichen
from lichen.deploy.client import Client, Refusal
from lichen.errors import SystemFailed, WrongUsage

DEPARTURE = "2013-12-01T04:00:00-05:00"
ROW = {"carrier": "UA", "distance": 719, "scheduled_departure": DEPARTURE, "stops": 1}


def score(distance):
    return 1 / (1 + (3.5 + distance + 9) ** 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("client")


@pytest.fixture(scope="module")
def service(folder, start):
    with start(folder) as child, lichen.Client(child.url) as client:
        yield client


def test_one_row(service):
    answer = service.predict(ROW)
    assert (answer["score"], answer["model_version"]) == (score(719), "a1b2c3")
    assert service.predict({**ROW, "prediction_id": "mine"})["prediction_id"] == "mine"


def test_many_rows_in_order(service):
    answers = service.predict([{**ROW, "distance": number} for number in range(50)])
    assert [answer["score"] for answer in answers] == [score(number) for number in range(50)]
    assert service.predict([]) == []


def test_more_rows_than_a_request_may_hold(service):
    rows = [{**ROW, "distance": number} for number in range(12_000)]
    assert [answer["score"] for answer in service.predict(rows)] == [score(number) for number in range(12_000)]
    rows[11_000] = {**ROW, "distance": "far"}
    with pytest.raises(Refusal) as refused:
        service.predict(rows)
    assert (refused.value.row, refused.value.field, refused.value.code) == (11_000, "distance", "LCH-1803")


@pytest.mark.parametrize("rows", [3, 40, 12_000])
def test_a_table(service, rows):
    table = Table.from_arrays(
        [
            Array(["UA"] * rows, type=DataType.utf8()),
            Array([float(n) for n in range(rows)], type=DataType.float64()),
            Array([1385888400_000_000] * rows, type=DataType.int64()).cast(DataType.timestamp("us", tz="UTC")),
        ],
        names=["carrier", "distance", "scheduled_departure"],
    )
    answers = Table.from_arrow(service.predict(table))
    assert answers.column("score").to_pylist() == [score(number) for number in range(rows)]


def test_a_refusal_carries_code_field_and_row(service):
    with pytest.raises(Refusal) as refused:
        service.predict([ROW, {**ROW, "distance": "far"}])
    error = refused.value
    assert (error.status, error.code, error.field, error.row) == (422, "LCH-1803", "distance", 1)
    assert error.what == "`distance` is 'far'; it must be a number"
    with pytest.raises(Refusal, match="did you mean `distance`"):
        service.predict({"distence": 1})


def test_an_address_that_is_none():
    for wrong in ("127.0.0.1:8000", "ftp://x", "http://", "http://x/predict", "http://x?y"):
        with pytest.raises(WrongUsage) as told:
            Client(wrong)
        assert str(told.value) == (
            f"LCH-1878: `{wrong}` is no address of a service\n  fix: write it as `lichen serve` shows it"
        )


def test_a_token_shows_nowhere():
    client = Client("http://127.0.0.1:1", token="secret")
    assert repr(client) == "Client('http://127.0.0.1:1')"


def test_nobody_there():
    client = Client("http://127.0.0.1:1", seconds=0.2)
    with pytest.raises(SystemFailed) as told:
        client.predict(ROW)
    assert told.value.code == "LCH-1877"
    assert told.value.what == "the service at http://127.0.0.1:1 did not answer within 0.2 s"


@contextmanager
def answering(*replies):
    """A real server that gives these replies in turn: a status, headers and a body, or None to hang up."""
    coming, bodies = iter(replies), []

    class Says(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            bodies.append((json.loads(self.rfile.read(int(self.headers["content-length"]))), self.headers))
            reply = next(coming)
            if reply is None:
                self.close_connection = True
                return
            status, headers, body = reply
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Says)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", bodies
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


GOOD = (200, {}, b'{"score": 0.5}')
BUSY = (429, {"retry-after": "0"}, b'{"error":{"code":"LCH-1814","message":"the service is busy","id":"a"}}')


def test_a_busy_service_is_asked_again_about_the_same_named_row():
    with answering(BUSY, None, (503, {}, b"no"), GOOD) as (url, bodies), Client(url, token="let-me-in") as client:
        assert client.predict(ROW) == {"score": 0.5}
    assert len(bodies) == 4
    assert len({body["prediction_id"] for body, _ in bodies}) == 1
    assert {headers["authorization"] for _, headers in bodies} == {"Bearer let-me-in"}


def test_a_service_that_stays_busy_is_told_of_in_time():
    later = (429, {"retry-after": "5"}, BUSY[2])
    with answering(later) as (url, _), Client(url, seconds=1) as client, pytest.raises(Refusal) as refused:
        client.predict(ROW)
    assert (refused.value.status, refused.value.code, refused.value.what) == (429, "LCH-1814", "the service is busy")


def test_what_is_no_service_of_lichens():
    with answering((404, {}, b"<html>")) as (url, _), Client(url) as client, pytest.raises(Refusal) as refused:
        client.predict(ROW)
    assert (refused.value.code, refused.value.what) == ("LCH-1879", "the service answered 404, and not as Lichen does")
