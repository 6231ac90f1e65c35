import asyncio
from collections import Counter

from lichen.deploy.answer import Answer
from lichen.deploy.rollout import Rollout
from lichen.deploy.served import Served
from lichen.deploy.shadow import MOST, Shadow
from lichen.deploy.trial import Trial
from lichen.ground.clock import SystemClock

ROW = {"carrier": "UA", "distance": 719, "scheduled_departure": "2013-12-01T04:00:00-05:00", "stops": 1}


def test_it_follows_what_was_answered_and_leaves_out_what_is_too_much(standing):
    counts = Counter()
    stable, candidate = (Served.of(standing.deployed(release=number), SystemClock()) for number in (1, 2))
    trial = Trial(Rollout(1.0, shadow=True, seconds=60), stable, candidate, 7, counts)
    given = stable.path.answer(dict(ROW), None, 0.0)

    async def run():
        shadow = Shadow()
        for _ in range(MOST + 3):
            shadow.follow(trial, lambda: dict(ROW), given)
        shadow.follow(trial, lambda: {"nonsense": 1}, given)
        assert counts[7, "candidate", "dropped"] == 4
        assert counts[7, "candidate", "compared"] == 0, "nobody waited for it"
        while counts[7, "candidate", "compared"] < MOST:
            await asyncio.sleep(0)
        shadow.follow(trial, lambda: {"nonsense": 1}, given)
        while not counts[7, "candidate", "errors"]:
            await asyncio.sleep(0)
        shadow.follow(trial, lambda: dict(ROW), given)
        shadow.stop()
        await asyncio.sleep(0.01)

    asyncio.run(run())
    assert isinstance(given, Answer)
    assert counts[7, "candidate", "compared"] == MOST
    assert counts[7, "candidate", "difference"] == 0
    assert counts[7, "candidate", "errors"] == 1
