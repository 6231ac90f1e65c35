from lichen.deploy.limits import Limits
from lichen.spec.service import Limits as Written


def test_the_defaults_are_those_of_a_file_that_says_nothing():
    assert Limits.of(Written().kept()) == Limits()
    assert Limits.of({}) == Limits()


def test_every_key_arrives():
    said = {"body_bytes": 9, "rows": 8, "depth": 7, "headers": 6, "header_bytes": 600, "requests": 5, "connections": 4}
    written = Written(**said, arrival="3s", answer="2s", wait="5ms")
    assert Limits.of(written.kept()) == Limits(
        **said, arrival_seconds=3.0, answer_seconds=2.0, wait_seconds=0.005, refresh_seconds=1.0
    )
