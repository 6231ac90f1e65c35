import logging
import time
from collections import Counter

import pytest

from lichen.deploy.follower import Follower
from lichen.deploy.rollout import Guards, Rollout
from lichen.deploy.served import Served
from lichen.deploy.standing import NotTaken, Standing
from lichen.errors import SystemFailed, WrongUsage
from lichen.ground.clock import FixedClock, SystemClock

BROKEN = SystemFailed("LCH-2920", "the model's files are not the ones that were trained", why="/a/place")


class World:
    """An environment whose release the test moves; one that is broken cannot be loaded."""

    def __init__(self, standing):
        self.release = self.given = 1
        self.broken, self.loaded, self._standing = False, 0, standing
        self.outcome, self.busy, self.changes = "running", False, {}
        self.began_us = int(1e6 * time.time())

    def served(self):
        deployed = self._standing.deployed(release=self.release, **self.changes)
        return Served.of(deployed, SystemClock(), rollout=self.rollout)

    def standing(self):
        return Standing(self.release, self.given != self.release, {})

    rollout = None
    before = None

    def stable(self):
        return self.before

    def begin(self, stable, candidate):
        self.began = (stable, candidate)
        return self.began_us, self.outcome

    def state(self):
        return self.outcome

    def complete(self, trial, counts):
        self.outcome = "completed"

    def roll_back(self, trial, counts, broken):
        if self.busy:
            raise BROKEN
        self.outcome, self.release, self.rollout = "rolled_back", self.release + 1, None

    def newest(self):
        self.loaded += 1
        if self.broken:
            raise BROKEN
        self.given = self.release
        return self.served()


@pytest.fixture
def world(standing):
    return World(standing)


def test_a_newer_release_takes_its_place(world):
    heard = []
    follower = Follower(world.served(), world, SystemClock(), seconds=1, taken=heard.append)
    first = follower.serving
    follower.look()
    assert follower.serving is first
    world.release = 2
    follower.look()
    assert follower.serving.path.deployed.release == 2
    assert (follower.standing, heard) == (Standing(2, False, {}), [follower.serving])
    assert first.path.deployed.release == 1, "a request that began with it keeps it"


def test_one_that_cannot_be_loaded_is_told_of_and_tried_again_ever_later(world, caplog):
    clock = FixedClock(SystemClock().now())
    follower = Follower(world.served(), world, clock, seconds=1)
    world.release, world.broken = 2, True
    waits = []
    with caplog.at_level(logging.ERROR):
        for second in range(16):
            before = world.loaded
            follower.look()
            waits += [second] if world.loaded > before else []
            assert follower.serving.path.deployed.release == 1
            assert follower.standing.not_taken == NotTaken(2, "LCH-2920", BROKEN.what)
            clock.instant = clock.instant.fromtimestamp(clock.instant.timestamp() + 1, clock.instant.tzinfo)
    assert waits == [0, 1, 3, 7, 15]
    assert caplog.text.count("release 2 is not taken up, release 1 answers on") == 1
    world.release = 3
    follower.look()
    assert follower.standing.not_taken.release == 3, "another release is tried at once"
    world.broken, world.release = False, 4
    follower.look()
    assert (follower.serving.path.deployed.release, follower.standing.not_taken) == (4, None)


def test_it_follows_in_a_thread_of_its_own(world):
    follower = Follower(world.served(), world, SystemClock(), seconds=0.005)
    follower.start()
    try:
        world.release = 2
        until = time.monotonic() + 10
        while follower.serving.path.deployed.release != 2:
            assert time.monotonic() < until
            time.sleep(0.005)
    finally:
        follower.stop()
    world.release = 3
    time.sleep(0.05)
    assert follower.serving.path.deployed.release == 2


def test_a_replay_goes_back_nowhere(standing):
    follower = Follower(Served.of(standing.deployed(), SystemClock()), None, SystemClock(), seconds=1)
    with pytest.raises(WrongUsage) as refused:
        follower.go_back(None, "ops")
    assert str(refused.value) == "LCH-1921: a replay answers with one release to its end\n  fix: ask a live service"


def test_without_an_environment_it_stays(standing):
    follower = Follower(Served.of(standing.deployed(), SystemClock()), None, SystemClock(), seconds=0.001)
    follower.start()
    follower.look()
    assert follower.standing is None
    follower.stop()


@pytest.fixture
def tried(world):
    """A follower whose environment moved to a release that asks to be tried."""

    def make(seconds=3600.0, **guards):
        counts = Counter()
        follower = Follower(world.served(), world, SystemClock(), seconds=1, own=counts)
        world.release, world.rollout = 2, Rollout(0.5, shadow=False, seconds=seconds, guards=Guards(**guards))
        follower.look()
        return follower, counts

    return make


def test_one_that_asks_for_it_is_tried_beside_the_one_before(world, tried):
    follower, _ = tried()
    assert (follower.serving.path.deployed.release, follower.trial.release, world.began) == (1, 2, (1, 2))
    assert follower.trial.began_us == world.began_us
    first = follower.trial
    follower.look()
    assert follower.trial is first
    assert world.loaded == 1
    world.release = 3
    follower.look()
    assert (follower.serving.path.deployed.release, follower.trial.release) == (1, 3), (
        "a newer one is tried in its place"
    )


def test_it_takes_the_place_once_it_stood_its_time(world, tried):
    follower, _ = tried(seconds=0.0)
    follower.look()
    assert (follower.serving.path.deployed.release, follower.trial, world.outcome) == (2, None, "completed")


def test_another_worker_may_see_it_through(world, tried):
    follower, _ = tried()
    world.outcome = "completed"
    follower.look()
    assert (follower.serving.path.deployed.release, follower.trial) == (2, None)


def test_a_broken_guard_rolls_back_once_that_can_be(world, tried, caplog):
    follower, counts = tried(error_rate=0.01)
    counts[world.began_us, "candidate", "errors"] = 60
    world.busy = True
    caplog.set_level(logging.CRITICAL)
    follower.look()
    assert follower.trial.stopped.guard == "error_rate"
    assert not follower.trial.chooses({}), "it answers nobody any more, though the project is busy"
    world.busy = False
    counts.clear()
    with caplog.at_level(logging.ERROR):
        follower.look()
    assert caplog.messages == ["release 2 is rolled back: error_rate is 1, and 0.01 is the most"]
    follower.look()
    assert (follower.serving.path.deployed.release, follower.trial) == (3, None)


def test_one_whose_requests_differ_is_not_tried(world, tried, caplog):
    world.changes = {"request": ()}
    follower = Follower(world.served(), world, SystemClock(), seconds=1)
    world.changes, world.release, world.rollout = {}, 2, Rollout(0.5, shadow=False, seconds=60)
    follower.look()
    assert (follower.serving.path.deployed.release, follower.trial) == (2, None)
    assert caplog.messages == ["release 2 is not tried: its requests have other fields"]


def test_a_restart_goes_on_with_the_trial(world):
    world.before = world.served()
    world.release, world.rollout = 2, Rollout(0.5, shadow=False, seconds=3600)
    world.given = 2
    follower = Follower(world.served(), world, SystemClock(), seconds=60)
    follower.start()
    follower.stop()
    assert (follower.serving.path.deployed.release, follower.trial.release) == (1, 2)
