import pytest

from lichen.deploy.rollout import Breach
from lichen.errors import SystemFailed
from lichen.run.audit import AUDIT, broken_at
from lichen.run.lease import RUN, held
from lichen.run.release import Releases
from lichen.run.trials import Trials

OWN = {"service.s": "v2"}


@pytest.fixture
def workshop(world):
    return world.workshop


@pytest.fixture
def trials(workshop):
    return Trials("s", "prod", Releases(workshop.state), workshop)


def test_workers_and_restarts_share_one_trial(trials, workshop):
    assert (trials.state(OWN), trials.stable(OWN)) == (None, None)
    began = trials.begin(1, 2, OWN)
    assert began[1] == "running"
    again = Trials("s", "prod", Releases(workshop.state), workshop)
    assert again.begin(1, 2, OWN) == began
    assert again.begin(1, 5, OWN) == began, "a release that moved something else leaves the trial as it is"
    assert (again.state(OWN), again.stable(OWN), again.stable({"service.s": "v3"})) == ("running", 1, None)
    again.complete({"stable": 1}, OWN)
    trials.complete({"stable": 1}, OWN)
    assert (trials.state(OWN), trials.stable(OWN)) == ("completed", None)
    assert trials.begin(1, 2, OWN)[1] == "completed", "another worker saw it through"
    assert trials.begin(3, 7, OWN)[1] == "running", "the same versions, released once more, are tried once more"
    told = [entry["act"] for _, entry in workshop.state.entries(AUDIT)]
    assert told == ["rollout_begun", "rollout_completed", "rollout_begun"]
    assert broken_at(workshop.state, AUDIT) is None


def test_another_candidate_begins_anew(trials):
    first = trials.begin(1, 2, OWN)
    other = {"service.s": "v3"}
    assert trials.begin(1, 3, other)[1] == "running"
    assert (trials.state(OWN), trials.state(other)) == (None, "running")
    assert first[0] <= trials.begin(1, 3, other)[0]


def test_while_another_works_on_the_project_nothing_is_rolled_back(trials, workshop):
    trials.begin(1, 2, OWN)
    with held(workshop.state, RUN), pytest.raises(SystemFailed) as failed:
        trials.roll_back({"stable": 1}, Breach("error_rate", 0.5, 0.01), OWN)
    assert "works on this project" in str(failed.value) or failed.value.code.startswith("LCH-39")
    assert trials.state(OWN) == "running"


def test_an_environment_that_moved_on_is_left_as_it_is(trials):
    trials.begin(1, 2, OWN)
    trials.roll_back({"stable": 1}, Breach("error_rate", 0.5, 0.01), OWN)
    assert trials.state(OWN) == "running", "there is no release that holds these versions"
