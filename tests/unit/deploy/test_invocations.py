"""What SageMaker's and MLflow's clients send, over the real server."""

import http.client
import json
from urllib.parse import urlsplit

import pytest

DEPARTURE = "2013-12-01T04:00:00-05:00"
SCORES = [1 / (1 + (3.5 + 719.0 + 9) ** 2), 1 / (1 + (3.5 + 9) ** 2)]
ROWS = [
    {"carrier": "UA", "distance": 719.0, "scheduled_departure": DEPARTURE, "stops": 1},
    {"carrier": "UA", "distance": None, "scheduled_departure": DEPARTURE, "stops": None},
]
NAMES = list(ROWS[0])
VALUES = [list(row.values()) for row in ROWS]


@pytest.fixture(scope="module")
def ask(tmp_path_factory, start):
    with start(tmp_path_factory.mktemp("invocations")) as child:
        line = http.client.HTTPConnection(urlsplit(child.url).netloc, timeout=20)

        def asked(body, kind="application/json", method="POST", path="/invocations"):
            text = body if isinstance(body, bytes) else json.dumps(body)
            line.request(method, path, text, {"content-type": kind})
            reply = line.getresponse()
            return reply.status, json.loads(reply.read())

        yield asked
        line.close()


FORMS = [
    {"dataframe_split": {"columns": NAMES, "data": VALUES}},
    {"dataframe_split": {"columns": NAMES, "index": [0, 1], "data": VALUES}, "params": {}},
    {"dataframe_records": ROWS},
    {"instances": ROWS},
    {"instances": VALUES},
    {"inputs": {name: [row[name] for row in ROWS] for name in NAMES}},
    {"inputs": VALUES},
    {"inputs": ROWS, "params": None},
]


@pytest.mark.parametrize("body", FORMS, ids=range(len(FORMS)))
def test_each_form_is_answered(ask, body):
    assert ask(body) == (200, {"predictions": SCORES})


@pytest.mark.parametrize("kind", ["text/csv", "text/csv; charset=utf-8", "text/csv; header=present", "TEXT/CSV"])
def test_csv_with_a_header(ask, kind):
    body = f"distance,carrier,scheduled_departure,stops\r\n719,UA,{DEPARTURE},1\r\n,UA,{DEPARTURE},\r\n".encode()
    assert ask(body, kind) == (200, {"predictions": SCORES})
    assert ask(b"\xef\xbb\xbf" + body, kind)[0] == 200


def test_a_column_alone_is_a_row(ask):
    assert ask({"inputs": {"distance": 3}}) == (200, {"predictions": [0.1]})


def test_ping(ask):
    status, said = ask(b"", method="GET", path="/ping")
    assert (status, said["ready"]) == (200, True)


WRONG = [
    ([], 422, "the body is a JSON array; it must be a JSON object with one of dataframe_split, dataframe_records"),
    ({}, 422, "the body has 0 of the forms; give one of dataframe_split"),
    ({"instances": ROWS, "inputs": ROWS}, 422, "the body has 2 of the forms"),
    ({"instances": ROWS, "signature_name": "x"}, 422, "the body has the key 'signature_name'"),
    (
        {"instances": ROWS, "params": {"a": 1}},
        422,
        "the body has `params` other than `contributions`",
    ),
    ({"instances": []}, 422, "the body holds 0 rows"),
    ({"instances": 1}, 422, "`instances` is 1; it must be an array of rows"),
    ({"instances": [[1]]}, 422, "row 0 of `instances` is '1 values'; it must be 4 values, for carrier, distance"),
    ({"dataframe_records": [ROWS[0], 1]}, 422, "row 1 of `dataframe_records` is 1"),
    ({"dataframe_records": [{"distence": 1}]}, 422, "'distence' is not a field of this service"),
    ({"dataframe_split": []}, 422, "`dataframe_split` is a JSON array; it must be an object of `columns` and `data`"),
    ({"dataframe_split": {"columns": ["distance"], "data": [[1], [1, 2]]}}, 422, "row 1 of `data` is a JSON array"),
    ({"dataframe_split": {"columns": ["stops", "stops"], "data": []}}, 422, "it must be an array of names, each once"),
    ({"inputs": {"distance": [1, 2], "stops": [1]}}, 422, "`inputs` is 'columns of 1 to 2 values'"),
    (b"{", 400, "the body is not JSON"),
]


@pytest.mark.parametrize(("body", "status", "why"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told(ask, body, status, why):
    got, said = ask(body)
    assert got == status, said
    assert why in said["error"]["message"]
    assert said["error"]["code"] in ("LCH-1875", "LCH-1824", "LCH-1802", "LCH-1801")


CSV = [
    (b"distence\n1\n", 422, "LCH-1802", "did you mean `distance`?"),
    (b"distance,distance\n1,2\n", 422, "LCH-1876", "the CSV's header names a column twice"),
    (b"distance,stops\n1\n", 422, "LCH-1876", "row 0 of the CSV has 1 values, its header 2"),
    (b"distance\nfar\n", 422, "LCH-1803", "`distance` is 'far'; it must be a number"),
    (b"stops\n1.5\n", 422, "LCH-1803", "`stops` is 1.5; it must be a whole number"),
    (b"distance\n", 422, "LCH-1824", "the body holds 0 rows"),
    (b"", 422, "LCH-1824", "the body holds 0 rows"),
    (b"carrier\n\xff\n", 400, "LCH-1876", "the CSV is not UTF-8"),
    (b'carrier\n"UA\n', 400, "LCH-1876", "the body is no CSV"),
    (b"distance\n" + b"1\n" * 10_001, 413, "LCH-1824", "the body holds more than 10000 rows"),
]


@pytest.mark.parametrize(("body", "status", "code", "why"), CSV, ids=range(len(CSV)))
def test_what_is_wrong_in_csv_is_told(ask, body, status, code, why):
    got, said = ask(body, "text/csv")
    assert (got, said["error"]["code"]) == (status, code), said
    assert why in said["error"]["message"]
