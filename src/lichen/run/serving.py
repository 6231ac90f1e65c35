"""Answers requests with the release in force, in this process or in one of its own."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lichen.deploy.counts import Shared
from lichen.deploy.door import Door
from lichen.deploy.limits import Limits
from lichen.deploy.reach import Reach
from lichen.deploy.record import Record
from lichen.deploy.rollout import Breach, Outcome, Rollout, Tried
from lichen.deploy.served import Served
from lichen.deploy.server import listen, url_of
from lichen.deploy.server import serve as serve_app
from lichen.deploy.service import Service as App
from lichen.deploy.standing import Standing
from lichen.deploy.trial import Trial
from lichen.deploy.workers import serve_with, told_by_parent
from lichen.errors import LichenError
from lichen.ground.clock import SystemClock
from lichen.run.audit import record as write_audit
from lichen.run.audit import who
from lichen.run.deployed import Compiled, compiled
from lichen.run.lease import RUN, fence, held
from lichen.run.recorded import record_folder
from lichen.run.release import Releases
from lichen.run.rollback import ROLLED_BACK, roll_back
from lichen.run.tokens import Tokens
from lichen.run.trials import Trials
from lichen.run.workshop import Workshop
from lichen.spec import ProjectFile

COUNTS = "counts"
"""The file in a worker's record folder in which it leaves its counts."""

LIVE = "live"
"""The record folder of live answers; replays have one of their own."""


def app(
    service: str,
    releases: Releases,
    environment: str,
    workshop: Workshop,
    *,
    record: str,
    online: Path | None,
    shared: Shared | None = None,
    door: Door | None = None,
) -> App:
    """The HTTP application of a service in the release in force; `online` is a store of its own, for a replay.

    A live service follows its environment; a replay answers with one release to its end. `shared` joins the counts of
    several workers; `door` says who may ask it: this machine, if none is given.
    """
    followed = _Followed(service, releases, environment, workshop, online)
    served = followed.newest()
    folder = record_folder(service, environment, workshop) / record
    durable = Record(folder, served.heading, served.durable_ms)
    follows = followed if online is None else None
    return App(served, durable, replay=online is not None, door=door, environment=follows, shared=shared)


class _Followed:
    """A service in an environment: what its release answers with, and how what is served stands to it."""

    def __init__(
        self, service: str, releases: Releases, environment: str, workshop: Workshop, online: Path | None
    ) -> None:
        self._service, self._releases, self._environment, self._workshop = service, releases, environment, workshop
        self._store = workshop.online if online is None else workshop.open_online(online)
        self._fills = online is None
        self._keys: Mapping[str, str] = {}
        self._own: Mapping[str, str] = {}
        self._trials = Trials(service, environment, releases, workshop)

    def newest(self) -> Served:
        """What the release in force answers with, compiled; its model's files are verified before they are used."""
        made = compiled(
            self._service, self._releases, self._environment, self._workshop, self._store, fills=self._fills
        )  # fmt: skip
        if self._own:
            act = {"service": self._service, "environment": self._environment, "release": made.release.number}
            _tell_audit("service_switched", act, self._workshop)
        own = [made.answering.asset, made.trained.asset, *(f"feature.{view}" for view in made.keys)]
        self._own = {asset: made.release.versions[asset] for asset in own}
        self._keys = made.keys
        return self._served(made)

    def stable(self) -> Served | None:
        """What answered before the release that is being tried, where that goes on from before this process began."""
        number = self._trials.stable(self._own)
        if number is None:
            return None
        release = self._releases.numbered(number)
        made = compiled(
            self._service, self._releases, self._environment, self._workshop, self._store, of=release, fills=self._fills
        )
        return self._served(made)

    def begin(self, stable: int, candidate: int) -> tuple[int, Outcome]:
        """When the trial of a release began, in microseconds since 1970, and how it stands; begins it if need be."""
        return self._trials.begin(stable, candidate, self._own)

    def state(self) -> Outcome | None:
        """How the trial of the newest release stands; None where there is none."""
        return self._trials.state(self._own)

    def complete(self, trial: Trial, counts: Tried) -> None:
        """Note that a release stood its trial."""
        self._trials.complete(trial.as_dict(counts), self._own)

    def go_back(self, to: int | None, asked_by: str) -> dict[str, Any]:
        """Roll the environment back, as the holder of a token asked; raises `LichenError` where it cannot now."""
        state = self._workshop.state
        with held(state, RUN) as owner:
            releases = Releases(state, fence(RUN, owner))
            moved = roll_back(self._environment, to, releases, self._workshop, {"asked_by": asked_by})
        return {name: value for name, value in moved.as_dict().items() if name in ("environment", "release", "of")}

    def roll_back(self, trial: Trial, counts: Tried, broken: Breach) -> None:
        """Roll the environment back from a release that broke a guard; raises `LichenError` where it cannot now."""
        self._trials.roll_back(trial.as_dict(counts), broken, self._own)

    def _served(self, made: Compiled) -> Served:
        facts = made.answering.facts
        back = ROLLED_BACK in made.release.facts
        return Served.of(
            made.deployed,
            SystemClock(),
            durable_ms=facts["durable_ms"],
            ack=facts.get("ack", False),
            limits=Limits.of(facts.get("limits", {})),
            rollout=None if back else Rollout.of(facts.get("rollout"), made.deployed.keys),
        )

    def standing(self) -> Standing:
        """How the versions that are served stand to the environment's, and how new their features are."""
        release = self._releases.current(self._environment)
        assert release is not None
        found = {view: self._store.generation(key) for view, key in self._keys.items()}
        known = {view: int(generation[1]) for view, generation in found.items() if generation and generation[1]}
        behind = any(release.versions.get(asset) != version for asset, version in self._own.items())
        return Standing(release.number, behind, known)


def serve(
    service: str,
    releases: Releases,
    environment: str,
    workshop: Workshop,
    *,
    reach: Reach,
    told: Callable[[dict[str, Any]], None],
    workers: int = 1,
) -> None:
    """Answer requests over HTTP until stopped; `told` is given the address once requests can come.

    With several workers this process answers none: it starts them, starts one that dies again, and stops them all.
    Refused where `reach` needs a token and there is none. That the service started and stopped stands in the audit.
    """
    listening = listen(reach)
    try:
        if reach.needs_token and not Tokens(workshop.state, workshop.clock).any_valid("predict"):
            raise reach.refuse_without_token()
        make = partial(app, service, releases, environment, workshop, record=LIVE, online=None)
        made = make(door=_door(reach, workshop)) if workers == 1 else None
        served = made.follower.serving if made else _Followed(service, releases, environment, workshop, None).newest()
    except LichenError:
        listening.close()
        raise
    first = served.path.deployed
    facts = {
        "service": service,
        "address": url_of(listening, tls=reach.tls is not None),
        "token": reach.needs_token,
        "release": first.release,
        "model": first.model,
        "model_version": first.model_version,
        "example": json.dumps({column.name: None for column in first.request}),
    }
    act = {"service": service, "environment": environment, "release": first.release, "address": facts["address"]}
    _tell_audit("service_started", act, workshop)
    try:
        if made is None:
            tell = partial(told, {**facts, "workers": workers})
            _serve_with(workers, reach, service, environment, workshop, listening, tell)
        else:
            told(facts)
            serve_app(made, listening, reach=reach)
    finally:
        _tell_audit("service_stopped", act, workshop)


def _door(reach: Reach, workshop: Workshop) -> Door:
    tokens = Tokens(workshop.state, workshop.clock)
    return Door(reach.hosts, tokens.keyring if reach.needs_token else None, tokens.now_us)


def _tell_audit(what: str, facts: Mapping[str, Any], workshop: Workshop) -> None:
    at = workshop.clock.now().isoformat()
    write_audit(workshop.state, {"act": what, "at": at, "who": who(), "process": os.getpid(), **facts})


def _serve_with(
    workers: int,
    reach: Reach,
    service: str,
    environment: str,
    workshop: Workshop,
    listening: socket.socket,
    started: Callable[[], None],
) -> None:
    home = record_folder(service, environment, workshop)
    counts = [home / live(number) / COUNTS for number in range(1, workers + 1)]
    for path in counts:
        path.unlink(missing_ok=True)
    words = {
        "root": str(workshop.root),
        "settings": workshop.settings.model_dump(mode="json"),
        "service": service,
        "environment": environment,
        "counts": [str(path) for path in counts],
        "reach": reach.as_dict(),
    }
    with tempfile.TemporaryDirectory(dir=workshop.folder("scratch"), prefix="workers-") as scratch:

        def words_of(number: int) -> dict[str, Any]:
            return {**words, "worker": number, "told": str(Path(scratch) / f"{number}.json")}

        command = [sys.executable, "-m", "lichen.run.serving"]
        serve_with(workers, command, words_of, listening, started=started)


def live(worker: int) -> str:
    """The record folder of a worker's live answers, which `run` lands with those of the others.

    >>> live(1), live(2)
    ('live', 'live-2')
    """
    return LIVE if worker == 1 else f"{LIVE}-{worker}"


def child_command(
    service: str, environment: str, workshop: Workshop, *, record: str, online: Path, told: Path
) -> list[str]:
    """The command that serves a replay in a process of its own."""
    words = {
        "root": str(workshop.root),
        # A command line is read by everybody: the address of the online store, which may hold a password, stays out.
        "settings": workshop.settings.model_dump(mode="json", exclude={"online"}),
        "service": service,
        "environment": environment,
        "record": record,
        "online": str(online),
        "told": str(told),
    }
    return [sys.executable, "-m", "lichen.run.serving", json.dumps(words)]


def main() -> None:
    """Serve a replay, or as one worker of several, as the process that started this one said."""
    words = json.loads(sys.argv[1]) if sys.argv[1:] else told_by_parent()
    with Workshop(Path(words["root"]), ProjectFile(**words["settings"])) as workshop:
        workshop.prepare_kernels()
        make = partial(app, words["service"], Releases(workshop.state), words["environment"], workshop)
        if "worker" in words:
            listening = socket.socket(fileno=words["socket"])
            number, counts = words["worker"], [Path(path) for path in words["counts"]]
            reach = Reach.from_dict(words["reach"])
            shared, door = Shared(counts[number - 1], counts), _door(reach, workshop)
            made = make(record=live(number), online=None, shared=shared, door=door)
        else:
            reach = Reach(port=0)
            listening = listen(reach)
            made = make(record=words["record"], online=Path(words["online"]))
        serve_app(made, listening, reach=reach, told=Path(words["told"]), with_parent=True)


if __name__ == "__main__":
    try:
        main()
    except LichenError as failed:
        sys.stderr.write(f"{failed}\n")
        sys.exit(failed.exit_code)
