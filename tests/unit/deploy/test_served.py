import json

from lichen.deploy.served import Served
from lichen.ground.clock import SystemClock


def test_all_of_it_is_of_one_release(standing):
    served = Served.of(standing.deployed(release=8), SystemClock(), durable_ms=5)
    assert served.path.deployed.release == served.heading.release == 8
    assert "/predict" in json.loads(served.openapi)["paths"]
    assert (served.durable_ms, served.ack) == (5, False)


def test_a_replay_describes_its_header(standing):
    assert b"lichen-time" in Served.of(standing.deployed(), SystemClock(), replay=True).openapi
    assert b"lichen-time" not in Served.of(standing.deployed(), SystemClock()).openapi
