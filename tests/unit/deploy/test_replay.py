import json
import socket
import threading
from datetime import UTC, datetime, timedelta

import pytest

from lichen.deploy.replay import Asked, Replayed, asked, replay
from lichen.deploy.segment import read
from lichen.errors import FoundWrong, SystemFailed

START = datetime(2013, 12, 1, tzinfo=UTC)
FIELDS = ["carrier", "distance", "scheduled_departure"]


def rows(count):
    for number in range(count):
        at = START + timedelta(minutes=number // 3)
        yield {
            "carrier": "UA", "distance": 100.0, "scheduled_departure": at + timedelta(hours=1), "at": at, "late": True,
        }  # fmt: skip


def test_each_row_is_asked_at_its_own_time_and_recorded_once(tmp_path, start):
    seen = []
    for _ in range(2):
        with start(tmp_path, "--replay") as child:
            done = replay(child.url, asked(rows(500), "at", FIELDS, series="backtest"), progress=seen.append)
        assert (done.answered, done.refused) == (500, 0)
        assert 0 < done.percentile(0.5, service=True) < done.percentile(0.5) <= done.percentile(0.99)
    assert seen[:6] == [100, 200, 300, 400, 500, 500]
    answers = [recorded.answer for _, recorded in read(tmp_path / "record")]
    assert len(answers) == 1000
    assert len({answer.prediction_id for answer in answers}) == 500
    assert {answer.out_of_time for answer in answers} == {False}
    first = {answer.prediction_id: answer.at_us for answer in answers[:500]}
    assert first == {answer.prediction_id: answer.at_us for answer in answers[500:]}


def test_names_tell_series_and_equal_rows_apart():
    def name(series):
        return [json.loads(one.body)["prediction_id"] for one in asked(rows(9), "at", FIELDS, series=series)]

    assert len(set(name("a") + name("b"))) == 18
    assert name("a") == name("a")
    assert set(json.loads(next(asked(rows(1), "at", FIELDS, series="a")).body)) == {*FIELDS, "prediction_id"}


def test_rows_out_of_order_or_without_an_instant_are_refused():
    with pytest.raises(ValueError, match="the rows are not in the order of `at`"):
        list(asked(reversed(list(rows(9))), "at", FIELDS, series="a"))
    with pytest.raises(ValueError, match="'soon' is not an instant"):
        list(asked([{"at": "soon"}], "at", [], series="a"))


def test_a_refusal_ends_it_with_the_first_text(tmp_path, start):
    with start(tmp_path, "--replay") as child, pytest.raises(FoundWrong) as wrong:
        replay(child.url, (Asked(0, b'{"late": true}') for _ in range(10_000)))
    assert wrong.value.code == "LCH-1844"
    assert wrong.value.what.startswith("the service refused 10")
    assert wrong.value.what.endswith("requests")
    assert wrong.value.why.startswith('the first: 422 {"error":{"code":"LCH-1802","message":"\'late\' is not a field')
    assert wrong.value.fix == "the label table's columns must be those the service's request takes"


def test_a_silent_service_is_told():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(SystemFailed) as failed:
            replay(url, [Asked(0, b"{}")], seconds=0.2)
    assert str(failed.value) == (
        "LCH-1843: the service stopped answering\n  why: timed out\n"
        "  fix: its log tells the cause; then replay again: nothing is recorded twice"
    )
    with pytest.raises(SystemFailed, match="the service stopped answering"):
        replay(url, [])


def test_a_service_that_cannot_answer_is_told():
    def refuse(server):
        line, _ = server.accept()
        with line:
            line.recv(65536)
            line.sendall(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=refuse, args=(server,))
        thread.start()
        with pytest.raises(SystemFailed) as failed:
            replay(f"http://127.0.0.1:{server.getsockname()[1]}", [Asked(0, b"{}")], connections=1)
        thread.join()
    assert str(failed.value) == (
        "LCH-1845: the service could not answer a request\n  why: 503 {}\n"
        "  fix: its log tells the cause; then replay again: nothing is recorded twice"
    )


def test_a_service_that_hangs_up_is_told():
    def hang_up(server):
        line, _ = server.accept()
        line.recv(1000)
        line.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        hanging = threading.Thread(target=hang_up, args=(server,))
        hanging.start()
        with pytest.raises(SystemFailed) as failed:
            replay(f"http://127.0.0.1:{server.getsockname()[1]}", [Asked(0, b"{}")], connections=1)
        hanging.join()
    assert failed.value.why == "it closed the connection"


def test_nothing_asked_is_nothing_measured():
    assert Replayed().percentile(0.5) == 0
