import asyncio
import http.client
import json
import logging
import os
import socket
import time
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lichen.deploy.limits import Limits
from lichen.deploy.record import Record
from lichen.deploy.segment import Heading, read
from lichen.deploy.served import Served
from lichen.deploy.service import Service
from lichen.deploy.standing import Standing
from lichen.errors import SystemFailed
from lichen.ground.clock import SystemClock

ROW = {"carrier": "UA", "distance": 719, "scheduled_departure": "2013-12-01T04:00:00-05:00", "stops": 1}


@pytest.fixture(scope="module")
def child(tmp_path_factory, start):
    folder = tmp_path_factory.mktemp("served")
    with start(folder) as child:
        yield child


@pytest.fixture(scope="module")
def replaying(tmp_path_factory, start):
    with start(tmp_path_factory.mktemp("replaying"), "--replay") as child:
        yield child


def ask(child, method, path, body=None, headers=()):
    line = http.client.HTTPConnection(urlsplit(child.url).netloc, timeout=20)
    try:
        if isinstance(body, dict):
            body = json.dumps(body)
        line.request(method, path, body, dict(headers))
        reply = line.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()
    finally:
        line.close()


def raw(child, text):
    parts = urlsplit(child.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as line:
        line.sendall(text)
        line.shutdown(socket.SHUT_WR)
        got = b""
        while piece := line.recv(65536):
            got += piece
    return got


def refused(reply, status):
    got, _, body = reply
    assert got == status, body
    error = json.loads(body)["error"]
    assert set(error) <= {"code", "message", "field", "row", "id"}
    assert len(error["id"]) == 16
    for leak in (b"Traceback", b'File "', b"site-packages", b"/work", b"/tmp", b"SELECT", b"lichen/"):
        assert leak not in body
    return error


def test_one_row(child):
    status, headers, body = ask(child, "POST", "/predict", {**ROW, "prediction_id": "mine"})
    told = json.loads(body)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert told["score"] == 1 / (1 + (3.5 + 719.0 + 9) ** 2)
    assert (told["prediction_id"], told["model_version"], told["release"]) == ("mine", "a1b2c3", 7)
    assert told["out_of_time"] is True
    assert "server" not in headers


def test_many_rows_in_order(child):
    rows = [{**ROW, "distance": number} for number in range(250)]
    status, _, body = ask(child, "POST", "/predict", {"rows": rows})
    told = json.loads(body)["predictions"]
    assert status == 200
    assert [one["score"] for one in told] == [1 / (1 + (3.5 + number + 9) ** 2) for number in range(250)]
    assert len({one["prediction_id"] for one in told}) == 250
    names = [one["prediction_id"] for one in told]
    assert names == sorted(names)


def test_health_metrics_and_description(child):
    assert ask(child, "GET", "/health/live")[2] == b'{"live":true}'
    assert json.loads(ask(child, "GET", "/health/ready")[2]) == {"ready": True, "model_version": "a1b2c3", "release": 7}
    status, headers, body = ask(child, "GET", "/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4")
    assert b'lichen_requests_total{service="late_arrival",route="/health/live",status="200"}' in body
    assert json.loads(ask(child, "GET", "/openapi.json")[2])["openapi"] == "3.1.0"


def test_a_wrong_field_is_named(child):
    error = refused(ask(child, "POST", "/predict", {"distence": 1}), 422)
    assert (error["code"], error["field"]) == ("LCH-1802", "distence")
    assert error["message"] == "'distence' is not a field of this service; did you mean `distance`?"
    error = refused(ask(child, "POST", "/predict", {"rows": 3}), 422)
    assert (error["code"], error["field"]) == ("LCH-1803", "rows")
    assert error["message"] == '`rows` is 3; it must be an array of objects, {"rows": [...]}'
    error = refused(ask(child, "POST", "/predict", {"rows": [ROW, {"distance": "far"}]}), 422)
    assert (error["field"], error["row"]) == ("distance", 1)
    assert error["message"] == "`distance` is 'far'; it must be a number"


TRAVERSAL = [
    "/../etc/passwd",
    "/predict/../metrics",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..%2f..%2fetc/passwd",
    "/predict%00",
    "/predict/",
    "//predict",
    "/./predict",
    "/predict;x",
    "/..\\windows",
    "/%c0%ae%c0%ae/",
    "/static/x",
    "/docs",
    "/%252e%252e/",
    "/health/",
    "/",
    "*",
]


def test_an_unknown_address_names_those_there_are(child):
    error = refused(ask(child, "GET", "/nowhere"), 404)
    assert error["code"] == "LCH-1809"
    assert error["message"].startswith("there is nothing at this address; it is one of: ")
    assert "/predict" in error["message"]


@pytest.mark.parametrize("path", TRAVERSAL)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_other_address_answers(child, method, path):
    got = raw(child, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert got.split(b" ", 2)[1] in (b"400", b"404")
    assert b"root:" not in got
    assert b"Traceback" not in got


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_predict_takes_post_only(child, method):
    status, headers, body = ask(child, method, "/predict")
    assert (status, headers["allow"]) == (405, "POST")
    if method != "HEAD":
        assert json.loads(body)["error"]["code"] == "LCH-1810"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/openapi.json"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_the_others_take_get_only(child, method, path):
    status, headers, _ = ask(child, method, path)
    assert (status, headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/predict", "/health/live", "/metrics", "/openapi.json", "/none"])
def test_other_hosts_and_origins_are_refused_everywhere(child, path):
    method = "POST" if path == "/predict" else "GET"
    assert refused(ask(child, method, path, headers={"Host": "evil.example"}), 403)["code"] == "LCH-1811"
    assert refused(ask(child, method, path, headers={"Origin": "http://evil.example"}), 403)["code"] == "LCH-1812"
    assert raw(child, f"{method} {path} HTTP/1.0\r\n\r\n".encode()).startswith(b"HTTP/1.1 403 ")
    twice = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert raw(child, twice.encode()).startswith(b"HTTP/1.1 400 ")


HOSTILE = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'{"a":1,"a":2}',
    b'{"carrier":NaN}',
    b'{"distance":Infinity}',
    b'{"distance":1e400}',
    b"\xff\xfe{}",
    b'{"carrier":"\xff"}',
    b'{"carrier":"\\ud800"}',
    b"[" * 500_000,
    b'{"a":' * 150_000,
    b'{"rows":[]}',
    b'{"rows":[[]]}',
    b'{"carrier":{"$ne":1}}',
    b'{"carrier":["a"]}',
    b'{"carrier":"a\\u0000b"}',
    b'{"stops":9223372036854775808}',
    b'{"stops":true}',
    b'{"__proto__":{}}',
    b'{"carrier":"x","carrier":"y"}',
    b'{"prediction_id":"../../x"}',
    b'{"prediction_id":""}',
    b'{"":1}',
    b'{"scheduled_departure":"2013-12-01"}',
    b'{"scheduled_departure":"9999-12-31T23:59:59-23:59"}',
    b'{"distance":"' + b"9" * 9999 + b'"}',
]


@pytest.mark.parametrize("body", HOSTILE, ids=[str(n) for n in range(len(HOSTILE))])
def test_a_hostile_body_is_a_clear_4xx(child, body):
    reply = ask(child, "POST", "/predict", body)
    assert 400 <= reply[0] < 500
    assert refused(reply, reply[0])["message"]


def test_a_body_over_the_limit_is_refused_unread(child):
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
    assert raw(child, head).startswith(b"HTTP/1.1 413 ")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    chunked = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 16
    assert raw(child, chunked + b"1\r\n \r\n0\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    assert refused(ask(child, "POST", "/predict", b"{}", {"Content-Encoding": "gzip"}), 415)["code"] == "LCH-1813"


def test_bad_http_never_shows_a_traceback(child):
    for text in (
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ):
        got = raw(child, text)
        assert b" 500 " not in got.split(b"\r\n", 1)[0]
        assert b"Traceback" not in got
    assert ask(child, "GET", "/health/ready")[0] == 200


@given(
    body=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.sampled_from([*ROW, "rows", "prediction_id"]) | st.text(), c),
    ).map(lambda value: json.dumps(value).encode())
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_makes_it_fail(child, body):
    assert ask(child, "POST", "/predict", body)[0] < 500


def test_an_unexpected_failure_shows_an_id_and_nothing_else(tmp_path, start):
    with start(tmp_path) as child:
        error = refused(ask(child, "POST", "/predict", {"carrier": "boom"}), 500)
        assert error["code"] == "LCH-1816"
        assert error["message"] == "the service failed to answer; give its operator the id: the log tells the cause"
        assert ask(child, "POST", "/predict", ROW)[0] == 200
    log = (tmp_path / "log").read_text()
    assert error["id"] in log
    assert "ZeroDivisionError" in log
    assert len(list(read(tmp_path / "record"))) == 1


def test_only_a_replay_says_another_time(child, replaying):
    when = {"lichen-time": "2013-12-01T08:00:00+00:00"}
    error = refused(ask(child, "POST", "/predict", ROW, when), 400)
    assert error["code"] == "LCH-1808"
    assert error["message"] == (
        "the header `lichen-time` is given, and the prediction time is now; "
        "leave it out: only a replay says another time"
    )
    told = json.loads(ask(replaying, "POST", "/predict", ROW, when)[2])
    assert (told["prediction_time"], told["out_of_time"]) == ("2013-12-01T08:00:00Z", False)
    assert refused(ask(replaying, "POST", "/predict", ROW), 400)["message"] == (
        "the header `lichen-time` is missing; say the prediction time: this service was started for a replay"
    )
    for wrong in ("now", "2013-12-01T08:00:00", "1385884800"):
        error = refused(ask(replaying, "POST", "/predict", ROW, {"lichen-time": wrong}), 400)
        assert error["message"].startswith(f"the header `lichen-time` is '{wrong}'; it must be an instant in ISO 8601")


@pytest.fixture
def service(tmp_path, standing):
    def make(record=None, **changes):
        limits = changes.pop("limits", None)
        served = Served.of(standing.deployed(**changes), SystemClock(), limits=limits)
        return Service(served, record or Record(tmp_path, served.heading, 1))

    return make


def call(service, messages, path="/predict", method="POST", *, whole=False):
    """One request to the ASGI callable itself, whose body comes as `messages` says: bytes, or seconds to wait."""
    sent = []

    async def run():
        coming = iter(messages)

        async def receive():
            piece = next(coming)
            if isinstance(piece, float):
                await asyncio.sleep(piece)
                piece = b""
            return (
                {"type": "http.disconnect"}
                if piece is None
                else {"type": "http.request", "body": piece, "more_body": piece != b"{}" and not whole}
            )

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "path": path, "method": method, "headers": [(b"host", b"localhost")]}
        await service(scope, receive, send)

    asyncio.run(run())
    return (sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]) if sent else None


def test_a_slow_body_is_not_waited_for(service):
    slow = service(limits=Limits(arrival_seconds=0.05))
    error = refused(call(slow, [5.0]), 408)
    assert error["code"] == "LCH-1815"
    assert error["message"] == "the body did not come within 0.05 s; send the body right after the headers"
    slow.record.close()


def test_limits_are_those_of_the_release_that_answers(tmp_path, standing):
    class Moved:
        moved = False

        def standing(self):
            return Standing(2, not self.moved, {})

        def newest(self):
            self.moved = True
            return Served.of(standing.deployed(release=2), SystemClock(), limits=Limits(body_bytes=4))

    served = Served.of(standing.deployed(), SystemClock())
    following = Service(served, Record(tmp_path, served.heading, 1), environment=Moved())
    assert following.asks("POST", "/predict") is not None
    assert call(following, [b"{      "], whole=True)[0] == 400
    following.follower.look()
    assert (following.limits, following.admission.limits) == (Limits(body_bytes=4), Limits(body_bytes=4))
    assert refused(call(following, [b"{      "], whole=True), 413)["code"] == "LCH-1805"
    following.record.close()


def test_rows_that_take_too_long_are_given_up(service):
    def slow(_row):
        time.sleep(0.001)
        return 0.5

    patient = service(limits=Limits(answer_seconds=0.05), score=slow, score_many=None)
    rows = json.dumps({"rows": [{}] * 4000}).encode()
    status, headers, body = call(patient, [rows], whole=True)
    error = json.loads(body)["error"]
    assert (status, error["code"], headers[b"retry-after"]) == (503, "LCH-1910", b"1")
    assert error["message"] == "4000 rows were not answered within 0.05 s; send fewer rows at a time"
    assert call(patient, [b"{}"])[0] == 200
    patient.record.close()


def test_a_client_that_left_gets_nothing(service):
    left = service()
    assert call(left, [b'{"carr', None]) is None
    left.record.close()


def test_it_sheds_while_the_disk_is_behind_and_refuses_while_it_fails(tmp_path, standing, service):
    record = Record(tmp_path, Heading.of(standing.deployed()), 1, waiting_bytes=0)
    behind = service(record)
    error = refused(call(behind, [b"{}"]), 429)
    assert (
        error["message"] == "the service is busy: answers come faster than the disk takes them; ask again in a second"
    )
    record.failure = SystemFailed("LCH-3001", "the disk is full")
    for path, method in (("/predict", "POST"), ("/health/ready", "GET")):
        error = refused(call(behind, [b"{}"], path, method), 503)
        assert error["code"] == "LCH-1817"
        assert error["message"] == "answers cannot be recorded now, so none is given; ask again later"
    record.close()


def test_it_follows_the_online_store_and_tells_when_it_cannot(service, caplog):
    turns = []

    def refresh():
        turns.append(len(turns))
        if len(turns) < 3:
            raise SystemFailed("LCH-3002", "cannot read the online store")

    async def run(following):
        sent, coming = asyncio.Queue(), asyncio.Queue()
        life = asyncio.create_task(following({"type": "lifespan"}, coming.get, sent.put))
        await coming.put({"type": "lifespan.startup"})
        assert (await sent.get())["type"] == "lifespan.startup.complete"
        states = []
        while len(turns) < 5:
            await asyncio.sleep(0.005)
            states.append((len(turns), following.follower.stale is None))
        await coming.put({"type": "lifespan.shutdown"})
        assert (await sent.get())["type"] == "lifespan.shutdown.complete"
        await life
        return states

    following = service(refresh=refresh, limits=Limits(refresh_seconds=0.02))
    with caplog.at_level(logging.ERROR):
        states = asyncio.run(run(following))
    assert (1, False) in states
    assert states[-1] == (5, True)
    assert caplog.text.count("cannot read the online store") == 1


def test_while_the_online_store_is_unreadable_it_is_not_ready(service):
    stale = service()
    stale.follower.stale = SystemFailed("LCH-3002", "cannot read the online store", fix=os.devnull)
    error = refused(call(stale, [], "/health/ready", "GET"), 503)
    assert (error["code"], error["message"]) == ("LCH-1819", "the online store cannot be read now; ask again later")
    stale.record.close()
