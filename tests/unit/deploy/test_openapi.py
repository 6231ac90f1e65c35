from lichen.deploy.fields import Fields
from lichen.deploy.openapi import openapi


def test_the_document_tells_every_route_and_every_field(standing):
    document = openapi(standing.deployed(), Fields(standing.REQUEST), replay=True)
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {"/predict", "/health/live", "/health/ready", "/metrics", "/openapi.json"}
    row = document["components"]["schemas"]["Row"]
    assert set(row["properties"]) == {"carrier", "distance", "scheduled_departure", "stops", "prediction_id"}
    assert row["additionalProperties"] is False
    assert row["properties"]["scheduled_departure"]["anyOf"] == [
        {"type": "string", "format": "date-time"},
        {"type": "null"},
    ]
    assert document["paths"]["/predict"]["post"]["parameters"][0]["name"] == "lichen-time"


def test_only_a_replay_takes_a_time(standing):
    document = openapi(standing.deployed(), Fields(standing.REQUEST), replay=False)
    assert "parameters" not in document["paths"]["/predict"]["post"]
