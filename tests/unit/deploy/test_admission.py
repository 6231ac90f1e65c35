from dataclasses import dataclass

import pytest

from lichen.deploy.admission import CALM_SECONDS, Admission
from lichen.deploy.limits import Limits
from lichen.ground.instant import from_us


@dataclass
class Ticking:
    """A clock that goes as the test says."""

    at: float = 0.0

    def seconds(self):
        return self.at

    def now(self):
        return from_us(int(1e6 * self.at))


@pytest.fixture
def clock():
    return Ticking()


def let_in(admission, most):
    """How many of so many are let in at once."""
    found = 0
    for _ in range(most):
        if admission.admits():
            admission.entered()
            found += 1
    return found


def work(admission, clock, *, rate, offered, seconds):
    """A server of so many answers a second, to which `offered` come; gives how many it sent away, the most waiting."""
    sent_away, most, due, step = 0, 0, 0.0, 0.001
    credit = 0.0
    for _ in range(int(seconds / step)):
        clock.at += step
        due += offered * step
        while due >= 1:
            due -= 1
            if admission.admits():
                admission.entered()
            else:
                sent_away += 1
        most = max(most, admission.waiting)
        credit = min(credit + rate * step, 20)
        while credit >= 1 and admission.waiting:
            credit -= 1
            admission.left()
    return sent_away, most


def test_in_calm_as_many_as_declared_are_let_in_however_long_it_takes(clock):
    admission = Admission(Limits(requests=64), clock)
    for _ in range(50):
        assert let_in(admission, 64) == 64
        for _ in range(64):
            clock.at += 0.1
            admission.left()
    assert not admission.overloaded


def test_one_more_than_that_is_an_overload(clock):
    admission = Admission(Limits(requests=64), clock)
    assert let_in(admission, 65) == 64
    assert admission.overloaded


@pytest.mark.parametrize("rate", [200, 5_000])
def test_in_an_overload_what_waits_is_answered_soon_and_the_server_is_never_idle(clock, rate):
    limits = Limits(requests=64, wait_seconds=0.004)
    admission = Admission(limits, clock)
    work(admission, clock, rate=rate, offered=3 * rate, seconds=1)
    sent_away, most = work(admission, clock, rate=rate, offered=3 * rate, seconds=4)
    assert admission.overloaded
    assert sent_away == pytest.approx(8 * rate, rel=0.05)
    assert most <= max(3, 1.5 * rate * limits.wait_seconds + 1)


def test_it_ends_once_nobody_was_sent_away_for_a_while(clock):
    admission = Admission(Limits(), clock)
    work(admission, clock, rate=1000, offered=3000, seconds=1)
    assert admission.overloaded
    work(admission, clock, rate=1000, offered=300, seconds=CALM_SECONDS + 0.2)
    assert not admission.overloaded
    assert let_in(admission, 60) == 60


def test_with_no_request_allowed_every_one_is_sent_away(clock):
    admission = Admission(Limits(requests=0), clock)
    assert let_in(admission, 3) == 0


def test_who_waits_for_the_disk_keeps_nobody_out(clock):
    admission = Admission(Limits(requests=2), clock)
    assert let_in(admission, 2) == 2
    with admission.elsewhere():
        assert let_in(admission, 2) == 1
    assert admission.waiting == 3
