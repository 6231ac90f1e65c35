from collections import Counter

import pytest

from lichen.deploy.rollout import Breach, Guards, Rollout, Seen, at_least, breach, differences, share_of

KEPT = {"canary": 0.1, "shadow": None, "by": "entity", "for_ms": 1500, "roll_back_on": {"error_rate": 0.01}}


def test_as_a_release_keeps_it():
    found = Rollout.of(KEPT, ["carrier"])
    assert found == Rollout(0.1, shadow=False, seconds=1.5, keys=("carrier",), guards=Guards(error_rate=0.01))
    assert Rollout.of({**KEPT, "canary": None, "shadow": 1.0, "by": "request"}, ["carrier"]) == Rollout(
        1.0, shadow=True, seconds=1.5, guards=Guards(error_rate=0.01)
    )
    assert Rollout.of(None, []) is None


def test_the_share_that_is_surely_reached():
    assert at_least(0, 50) == 0
    assert at_least(50, 50) == pytest.approx(0.9287, abs=1e-4)
    assert at_least(1, 100) < 0.01 < at_least(3, 100)


def test_too_few_answers_are_not_judged():
    assert breach(Guards(error_rate=0.01), Seen(1000), Seen(answers=0, errors=49)) is None
    assert breach(Guards(error_rate=0.01), Seen(1000), Seen(answers=0, errors=50)) == Breach("error_rate", 1.0, 0.01)


def test_failures_slow_answers_and_a_shift_of_the_mean():
    guards = Guards(error_rate=0.01, p99_ms=20, score_shift=0.05)
    even = Seen(answers=1000, score=500.0, squares=500.0)
    assert breach(guards, even, even) is None
    assert breach(guards, even, even._replace(errors=20)) == Breach("error_rate", 20 / 1020, 0.01)
    assert breach(guards, even, even._replace(errors=12)) is None, "that may be chance"
    assert breach(guards, even, even._replace(slow=30)) == Breach("share of answers above p99_ms", 0.03, 0.01)
    higher = Seen(answers=1000, score=650.0, squares=650.0)
    assert breach(guards, even, higher) == Breach("score_shift", pytest.approx(0.15), 0.05)
    assert breach(guards, even, Seen(answers=1000, score=560.0, squares=560.0)) is None, "it is not sure"
    assert breach(guards, Seen(answers=49), higher) is None
    assert breach(Guards(), even, Seen(answers=1000, errors=1000, slow=1000)) is None
    assert str(Breach("score_shift", 0.15, 0.05)) == "score_shift is 0.15, and 0.05 is the most"


def test_differences_of_a_shadow():
    counts = Counter({(7, "candidate", "compared"): 4, (7, "candidate", "difference"): 0.2})
    counts[7, "candidate", "beyond 0.01"] = 3
    told = differences(counts, 7)
    assert told == {
        "compared": 4, "dropped": 0, "mean": 0.05, "beyond": {"1e-09": 0, "0.001": 0, "0.01": 3, "0.1": 0}
    }  # fmt: skip
    assert differences(counts, 8)["mean"] == 0.0


def test_an_entity_stands_where_it_stood():
    places = [share_of([f"n{number}"]) for number in range(4000)]
    assert share_of(["n1"]) == places[1]
    assert share_of([17]) == share_of([17.0]) != share_of(["17"])
    assert 0.07 < sum(place < 0.1 for place in places) / 4000 < 0.13
