import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from lichen.deploy.fields import Fields
from lichen.deploy.openapi import openapi
from lichen.deploy.record import Record
from lichen.deploy.served import Served
from lichen.deploy.service import Service
from lichen.ground.clock import SystemClock


@pytest.fixture
def document(tmp_path, standing):
    release = standing.deployed()
    served = Served.of(release, SystemClock())
    record = Record(tmp_path, served.heading, 1)
    routes = Service(served, record).routes
    record.close()
    return lambda replay: (openapi(release, Fields(standing.REQUEST), routes, replay=replay), routes)


def test_the_document_tells_every_route_and_every_field(document):
    made, routes = document(True)
    OpenAPIV31SpecValidator(made).validate()
    assert {(path, method.upper()) for path, told in made["paths"].items() for method in told} == {
        (route.path, route.method) for route in routes.all if route.path != "/v2/"
    }
    row = made["components"]["schemas"]["Row"]
    assert set(row["properties"]) == {"carrier", "distance", "scheduled_departure", "stops", "prediction_id"}
    assert row["additionalProperties"] is False
    assert row["properties"]["scheduled_departure"]["anyOf"][0]["format"] == "date-time"
    assert made["paths"]["/predict"]["post"]["parameters"][0]["name"] == "lichen-time"


def test_only_a_replay_takes_a_time(document):
    assert [one["in"] for one in document(False)[0]["paths"]["/predict"]["post"]["parameters"]] == ["query"]


def test_examples_are_those_of_the_release_or_of_the_type(document):
    (example,) = document(False)[0]["components"]["schemas"]["Row"]["examples"]
    assert example == {
        "carrier": "UA", "distance": 719.0, "scheduled_departure": "2013-12-01T08:30:00-05:00", "stops": 1
    }  # fmt: skip


def test_errors_and_limits_are_told(document):
    made, _ = document(False)
    replies = made["paths"]["/predict"]["post"]["responses"]
    assert {"400", "403", "405", "408", "413", "415", "422", "429", "500", "503"} <= set(replies)
    assert "1048576 bytes" in replies["413"]["description"]
    assert "retry-after" in replies["429"]["headers"]
    infer = made["paths"]["/v2/models/{name}/infer"]["post"]
    assert infer["responses"]["400"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/PlainError"
    }
