from lichen.deploy.served import Served
from lichen.ground.clock import SystemClock


def test_all_of_it_is_of_one_release(standing):
    served = Served.of(standing.deployed(release=8), SystemClock(), durable_ms=5)
    assert served.path.deployed.release == served.heading.release == 8
    assert (served.durable_ms, served.ack) == (5, False)
    assert served.views == ("carrier", "trip", "trip")
    for asked in (served.predict, served.invocations, served.inference):
        assert asked.path is served.path
