"""The Open Inference Protocol over the real server, sentence by sentence of its specification."""

import http.client
import json
from urllib.parse import urlsplit

import pytest

DEPARTURE = "2013-12-01T04:00:00-05:00"


@pytest.fixture(scope="module")
def ask(tmp_path_factory, start):
    with start(tmp_path_factory.mktemp("v2")) as child:
        line = http.client.HTTPConnection(urlsplit(child.url).netloc, timeout=20)

        def asked(method, path, body=None, **headers):
            line.request(method, path, body if body is None else json.dumps(body), headers)
            reply = line.getresponse()
            assert reply.getheader("content-type") == "application/json"
            return reply.status, json.loads(reply.read())

        yield asked
        line.close()


def tensor(name, datatype, data, shape=None):
    return {"name": name, "shape": shape or [len(data)], "datatype": datatype, "data": data}


INPUTS = [
    tensor("carrier", "BYTES", ["UA", "AA"]),
    tensor("distance", "FP64", [719.0, 3.5]),
    tensor("scheduled_departure", "BYTES", [DEPARTURE, DEPARTURE]),
]
SCORES = [1 / (1 + (3.5 + 719.0 + 9) ** 2), 1 / (1 + (-1.25 + 3.5 + 9) ** 2)]


def refused(reply, status=400):
    got, said = reply
    assert (got, set(said)) == (status, {"error"}), said
    assert isinstance(said["error"], str)
    return said["error"]


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_server_metadata(ask, path):
    status, said = ask("GET", path)
    assert status == 200
    assert (set(said), said["name"], said["extensions"]) == ({"name", "version", "extensions"}, "lichen", [])
    assert isinstance(said["version"], str)


def test_health(ask):
    assert ask("GET", "/v2/health/live") == (200, {"live": True})
    status, said = ask("GET", "/v2/health/ready")
    assert (status, said["live"]) == (200, True)


@pytest.mark.parametrize("path", ["/v2/models/late_arrival", "/v2/models/late_arrival/versions/a1b2c3"])
def test_model_ready_and_metadata(ask, path):
    assert ask("GET", f"{path}/ready") == (200, {"name": "late_arrival", "ready": True})
    status, said = ask("GET", path)
    assert status == 200
    assert said == {
        "name": "late_arrival",
        "versions": ["a1b2c3"],
        "platform": "lichen",
        "inputs": [
            {"name": "carrier", "datatype": "BYTES", "shape": [-1]},
            {"name": "distance", "datatype": "FP64", "shape": [-1]},
            {"name": "scheduled_departure", "datatype": "BYTES", "shape": [-1]},
            {"name": "stops", "datatype": "INT32", "shape": [-1]},
        ],
        "outputs": [
            {"name": "score", "datatype": "FP64", "shape": [-1]},
            {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
        ],
    }


@pytest.mark.parametrize("path", ["/v2/models/late_arrival", "/v2/models/late_arrival/versions/a1b2c3"])
def test_inference(ask, path):
    status, said = ask("POST", f"{path}/infer", {"id": "42", "inputs": INPUTS, "outputs": [{"name": "score"}]})
    assert status == 200
    assert said == {
        "model_name": "late_arrival",
        "model_version": "a1b2c3",
        "id": "42",
        "outputs": [{"name": "score", "datatype": "FP64", "shape": [2], "data": SCORES}],
    }


def test_without_outputs_all_are_returned_and_without_an_id_none_is(ask):
    _, said = ask("POST", "/v2/models/late_arrival/infer", {"inputs": INPUTS, "parameters": {"priority": 1}})
    assert "id" not in said
    assert [output["name"] for output in said["outputs"]] == ["score", "prediction_id"]
    assert [output["shape"] for output in said["outputs"]] == [[2], [2]]


def test_tensors_nested_or_flat_in_row_major_order(ask):
    inputs = [tensor("carrier", "BYTES", [["UA"], ["AA"]], [2, 1]), tensor("distance", "INT64", [719, 3], [2, 1])]
    _, said = ask("POST", "/v2/models/late_arrival/infer", {"inputs": inputs})
    flat = [tensor("carrier", "BYTES", ["UA", "AA"], [2, 1]), tensor("distance", "INT64", [719, 3])]
    _, again = ask("POST", "/v2/models/late_arrival/infer", {"inputs": flat})
    assert said["outputs"][0] == again["outputs"][0]


def test_an_element_has_its_datatypes_precision(ask):
    _, single = ask("POST", "/v2/models/late_arrival/infer", {"inputs": [tensor("distance", "FP32", [0.1])]})
    assert single["outputs"][0]["data"] == [1 / (1 + 0.10000000149011612**2)]


def test_a_missing_value_is_null_and_an_input_left_out_is_missing(ask):
    inputs = [tensor("distance", "FP64", [None, 2.0])]
    _, said = ask("POST", "/v2/models/late_arrival/infer", {"inputs": inputs})
    assert said["outputs"][0]["data"] == [1.0, 0.2]


def test_many_rows_are_scored_alike(ask):
    inputs = [tensor("distance", "FP64", [float(n) for n in range(200)])]
    _, said = ask("POST", "/v2/models/late_arrival/infer", {"inputs": inputs})
    assert said["outputs"][0]["data"] == [1 / (1 + float(n) ** 2) for n in range(200)]


def one(**changes):
    return {"inputs": [{**tensor("distance", "FP64", [1.0]), **changes}]}


WRONG = [
    ([], "the body is a JSON array; it must be a JSON object"),
    ({"inputs": INPUTS, "output": []}, "the body has the key 'output'; did you mean `outputs`?"),
    ({"id": 42, "inputs": INPUTS}, "`id` is 42; it must be a text"),
    ({"inputs": {}}, "`inputs` is a JSON object; it must be a JSON array"),
    ({"inputs": []}, "LCH-1873: `inputs` is empty; give at least one input"),
    ({"inputs": [1]}, "`inputs[0]` is 1; it must be a JSON object"),
    ({"inputs": INPUTS, "parameters": []}, "`parameters` of the body is a JSON array; it must be a JSON object"),
    ({"inputs": INPUTS, "outputs": [{"name": "label"}]}, "it must be one of score, prediction_id, each once"),
    (one(name="distence"), "'distence' is not a field of this service; did you mean `distance`?"),
    (one(name=None), "`name` of `inputs[0]` is a JSON null; it must be the name of an input"),
    (one(datatype="FLOAT"), "`datatype` of the input `distance` is 'FLOAT'; it must be one of BOOL, INT8"),
    (one(shape=[2]), "`data` of the input `distance` is '1 values'; it must be as many as `shape` says: 2"),
    (one(shape=[1, 2]), "`shape` of the input `distance` is '[1, 2]'; it must be [rows], or [rows, 1]"),
    (one(shape=[]), "`shape` of the input `distance` is '[]'"),
    (one(shape=[-1]), "the body holds -1 rows; send between 1 and 10000 rows"),
    (one(shape="x"), "`shape` of the input `distance` is 'x'"),
    (one(data=1), "`data` of the input `distance` is 1; it must be an array of the tensor's elements"),
    (one(data=["x"]), "`data[0]` of the input `distance` is 'x' (row 0); it must be a value of FP64"),
    (one(data=[True]), "`data[0]` of the input `distance` is True (row 0); it must be a value of FP64"),
    (one(datatype="INT8", data=[128]), "is 128 (row 0); it must be a value of INT8"),
    (one(datatype="UINT8", data=[-1]), "is -1 (row 0); it must be a value of UINT8"),
    (one(datatype="FP16", data=[1e9]), "is 1000000000.0 (row 0); it must be a value of FP16"),
    (one(datatype="BYTES", data=["1"]), "`distance` is '1' (row 0); it must be a number"),
    ({"inputs": [*INPUTS, INPUTS[0]]}, "`name` of `inputs[3]` is 'carrier'; it must be given once"),
    (
        {"inputs": [INPUTS[0], tensor("distance", "FP64", [1.0])]},
        "the inputs have different numbers of rows: `carrier` 2, `distance` 1",
    ),
    (
        {"inputs": INPUTS, "outputs": [{"name": "score", "parameters": {"binary_data": True}}]},
        "asks for `binary_data`; send and take tensors as JSON: the binary extension is not spoken here",
    ),
]


@pytest.mark.parametrize(("body", "why"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told_as_the_protocol_says(ask, body, why):
    error = refused(ask("POST", "/v2/models/late_arrival/infer", body))
    assert why in error, error


def test_other_models_versions_and_addresses(ask):
    error = refused(ask("GET", "/v2/models/late_arival"), 404)
    assert error.startswith("LCH-1874: there is no model 'late_arival' here; did you mean `late_arrival`?")
    error = refused(ask("POST", "/v2/models/late_arrival/versions/1/infer", {"inputs": INPUTS}), 404)
    assert "the version '1' of the model 'late_arrival' is not served; ask for a1b2c3" in error
    assert "there is nothing at this address" in refused(ask("GET", "/v2/repository/index"), 404)
    assert "use POST" in refused(ask("GET", "/v2/models/late_arrival/infer"), 405)
    assert "send application/json" in refused(
        ask("POST", "/v2/models/late_arrival/infer", {}, **{"content-type": "text/plain"}), 415
    )
