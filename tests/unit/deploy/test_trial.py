from collections import Counter

from lichen.deploy.answer import Answer
from lichen.deploy.rollout import Breach, Guards, Rollout
from lichen.deploy.served import Served
from lichen.deploy.trial import Trial
from lichen.ground.clock import SystemClock


def trial(standing, plan, counts=None):
    stable, candidate = (Served.of(standing.deployed(release=number), SystemClock()) for number in (1, 2))
    return Trial(plan, stable, candidate, 77, Counter() if counts is None else counts)


def answer(score, latency_us=10):
    return Answer("id", 1, 2, latency_us, None, score, (), ())


def test_a_share_of_the_requests_in_turn(standing):
    tried = trial(standing, Rollout(0.25, shadow=False, seconds=60))
    assert [tried.chooses({}) for _ in range(8)] == [False, False, False, True] * 2
    tried.stopped = Breach("error_rate", 1, 0.1)
    assert not any(tried.chooses({}) for _ in range(8))


def test_an_entity_always_goes_the_same_way(standing):
    plan = Rollout(0.5, shadow=False, seconds=60, keys=("carrier",))
    one, other = trial(standing, plan), trial(standing, plan)
    rows = [{"carrier": f"c{number}", "distance": number} for number in range(100)]
    chosen = [one.chooses(row) for row in rows]
    assert chosen == [other.chooses({"carrier": row["carrier"]}) for row in rows]
    assert 30 < sum(chosen) < 70


def test_what_the_sides_did_adds_up_over_workers(standing):
    plan = Rollout(0.5, shadow=False, seconds=60, guards=Guards(p99_ms=5, score_shift=0.1))
    counts = [Counter(), Counter()]
    workers = [trial(standing, plan, one) for one in counts]
    for worker in workers:
        worker.answered("stable", [answer(0.5)] * 30)
        worker.answered("candidate", [answer(0.7), answer(0.9, 9000)] * 15)
        worker.failed()
        assert worker.breach(counts[0]) is None, "of one worker there are too few"
    both = counts[0] + counts[1]
    assert workers[0].as_dict(both) == {
        "candidate": 2, "stable": 1, "way": "canary", "share": 0.5,
        "stable_seen": {"answers": 60, "errors": 0, "slow": 0, "mean_score": 0.5},
        "candidate_seen": {"answers": 60, "errors": 2, "slow": 30, "mean_score": 0.8},
    }  # fmt: skip
    assert workers[0].breach(both) == Breach("share of answers above p99_ms", 0.5, 0.01)


def test_a_shadow_is_compared(standing):
    counts = Counter()
    tried = trial(standing, Rollout(1.0, shadow=True, seconds=60), counts)
    assert tried.chooses({})
    tried.shadowed(answer(0.5), answer(0.5))
    tried.shadowed(answer(0.5), answer(0.52))
    tried.dropped()
    told = tried.as_dict(counts)["differences"]
    assert told["beyond"] == {"1e-09": 1, "0.001": 1, "0.01": 1, "0.1": 0}
    assert (told["compared"], told["dropped"], round(told["mean"], 6)) == (2, 1, 0.01)
