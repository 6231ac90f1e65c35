"""The trials of new releases, as the state store keeps them: one document for each service in an environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lichen.deploy.rollout import Breach, Outcome
from lichen.ground.instant import from_us, to_us
from lichen.ports import Conflict, Put
from lichen.run.audit import record, who
from lichen.run.lease import RUN, fence, held
from lichen.run.release import Releases
from lichen.run.rollback import roll_back
from lichen.run.workshop import Workshop

TRIALS = "trials"


def shown(trial: Mapping[str, Any]) -> dict[str, Any]:
    """A trial for people and machines: which release beside which, since when, and how it stands or ended."""
    told = {name: trial.get(name) for name in ("candidate", "stable", "state", "why", "seen")}
    times = {"began": trial["began_us"], "ended": trial.get("ended_us")}
    return {**told, **{name: None if us is None else from_us(us).isoformat() for name, us in times.items()}}


class Trials:
    """The trials of one service in one environment; workers share them, and a restart goes on with them.

    A trial is of the versions that answer with the candidate (`own`), not of its number: a release that moves anything
    else leaves it as it is.
    """

    def __init__(self, service: str, environment: str, releases: Releases, workshop: Workshop) -> None:
        self._service, self._environment = service, environment
        self._releases, self._workshop = releases, workshop
        self._key = f"{environment}/{service}"

    def begin(self, stable: int, candidate: int, own: Mapping[str, str]) -> tuple[int, Outcome]:
        """When the trial of a candidate began, in microseconds since 1970, and how it stands.

        One that is under way is gone on with, and what another worker saw to its end has ended; else it begins now.
        """
        state = self._workshop.state
        while True:
            found = state.get(TRIALS, self._key)
            same = found is not None and found["own"] == own
            if found is not None and same and (found["state"] == "running" or found["candidate"] == candidate):
                return found["began_us"], found["state"]
            began_us = to_us(self._workshop.clock.now())
            made = {
                "service": self._service,
                "environment": self._environment,
                "own": dict(own),
                "stable": stable,
                "candidate": candidate,
                "began_us": began_us,
                "state": "running",
            }
            try:
                self._write("rollout_begun", made, found)
            except Conflict:  # another worker began it at the same moment
                continue
            return began_us, "running"

    def state(self, own: Mapping[str, str]) -> Outcome | None:
        """How the trial of a candidate stands; None where there is none."""
        found = self._workshop.state.get(TRIALS, self._key)
        return found["state"] if found is not None and found["own"] == own else None

    def stable(self, own: Mapping[str, str]) -> int | None:
        """The release that answered before the one that is being tried, while it is."""
        found = self._workshop.state.get(TRIALS, self._key)
        running = found is not None and found["own"] == own and found["state"] == "running"
        return found["stable"] if found is not None and running else None

    def complete(self, seen: Mapping[str, Any], own: Mapping[str, str]) -> None:
        """Note that a candidate stood its trial; nothing where another worker did."""
        self._end("completed", "rollout_completed", own, {"seen": dict(seen)})

    def roll_back(self, seen: Mapping[str, Any], broken: Breach, own: Mapping[str, str]) -> None:
        """Roll the environment back to the stable release; nothing where it moved on already.

        Raises `LichenError` where another works on the project, or the stable release is no longer whole.
        """
        why = {"rollout": {"guard": broken.guard, "seen": broken.seen, "limit": broken.limit}}
        with held(self._workshop.state, RUN) as owner:
            releases = Releases(self._workshop.state, fence(RUN, owner))
            current = releases.current(self._environment)
            if current is None or any(current.versions.get(asset) != version for asset, version in own.items()):
                return
            roll_back(self._environment, seen["stable"], releases, self._workshop, why)
            self._end("rolled_back", "rollout_rolled_back", own, {"why": str(broken), "seen": dict(seen)})

    def _end(self, state: Outcome, act: str, own: Mapping[str, str], facts: Mapping[str, Any]) -> None:
        found = self._workshop.state.get(TRIALS, self._key)
        if found is None or found["own"] != own or found["state"] != "running":
            return
        ended = {**found, "state": state, "ended_us": to_us(self._workshop.clock.now()), **facts}
        try:
            self._write(act, ended, found)
        except Conflict:  # another worker noted it at the same moment
            return

    def _write(self, act: str, made: Mapping[str, Any], expected: Mapping[str, Any] | None) -> None:
        told = {name: value for name, value in made.items() if name != "own"}
        entry = {"act": act, "at": self._workshop.clock.now().isoformat(), "who": who(), **told}
        record(self._workshop.state, entry, Put(TRIALS, self._key, made, expect=expected))
