import logging
import time

import pytest

from lichen.deploy.follower import Follower
from lichen.deploy.served import Served
from lichen.deploy.standing import NotTaken, Standing
from lichen.errors import SystemFailed
from lichen.ground.clock import FixedClock, SystemClock

BROKEN = SystemFailed("LCH-2920", "the model's files are not the ones that were trained", why="/a/place")


class World:
    """An environment whose release the test moves; one that is broken cannot be loaded."""

    def __init__(self, standing):
        self.release = self.given = 1
        self.broken, self.loaded, self._standing = False, 0, standing

    def served(self):
        return Served.of(self._standing.deployed(release=self.release), SystemClock())

    def standing(self):
        return Standing(self.release, self.given != self.release, {})

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


def test_without_an_environment_it_stays(standing):
    follower = Follower(Served.of(standing.deployed(), SystemClock()), None, SystemClock(), seconds=0.001)
    follower.start()
    follower.look()
    assert follower.standing is None
    follower.stop()
