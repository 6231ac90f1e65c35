"""Answers requests with the release in force, in this process or in one of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lichen.deploy.record import Record
from lichen.deploy.served import Served
from lichen.deploy.server import listen, url_of
from lichen.deploy.server import serve as serve_app
from lichen.deploy.service import Service as App
from lichen.deploy.standing import Standing
from lichen.errors import LichenError
from lichen.ground.clock import SystemClock
from lichen.run.deployed import deployed, features_of, fill_online, live_since, released_service, view_keys
from lichen.run.recorded import record_folder
from lichen.run.release import Releases
from lichen.run.workshop import Workshop
from lichen.spec import ProjectFile

LIVE = "live"
"""The record folder of live answers; replays have one of their own."""


def app(
    service: str, releases: Releases, environment: str, workshop: Workshop, *, record: str, online: Path | None
) -> App:
    """The HTTP application of a service in the release in force; `online` is a store of its own, for a replay.

    A live service follows its environment; a replay answers with one release to its end.
    """
    followed = _Followed(service, releases, environment, workshop, online)
    served = followed.newest()
    folder = record_folder(service, environment, workshop) / record
    durable = Record(folder, served.heading, served.durable_ms)
    return App(served, durable, replay=online is not None, environment=followed if online is None else None)


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

    def newest(self) -> Served:
        """What the release in force answers with, compiled; its model's files are verified before they are used."""
        workshop = self._workshop
        release = self._releases.current(self._environment)
        versions = self._releases.versions(release)
        answering, trained = released_service(self._service, release, versions)
        assert release is not None
        features = features_of(trained.facts["recipe"], workshop)
        if self._fills:
            keys = fill_online(features, versions, self._store, workshop, since=live_since(workshop))
        else:
            keys = view_keys(features, versions)
        compiled = deployed(self._service, release, versions, features, workshop, self._store, keys)
        served = Served.of(
            compiled,
            SystemClock(),
            durable_ms=answering.facts["durable_ms"],
            ack=answering.facts.get("ack", False),
        )
        own = [answering.asset, trained.asset, *(f"feature.{view}" for view in keys)]
        self._own = {asset: release.versions[asset] for asset in own}
        self._keys = keys
        return served

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
    host: str,
    port: int,
    told: Callable[[dict[str, Any]], None],
) -> None:
    """Answer requests over HTTP until stopped; `told` is given the address once requests can come."""
    listening = listen(host, port)
    try:
        made = app(service, releases, environment, workshop, record=LIVE, online=None)
    except LichenError:
        listening.close()
        raise
    compiled = made.follower.serving.path.deployed
    example = {column.name: None for column in compiled.request}
    told(
        {
            "service": service,
            "address": url_of(listening),
            "release": compiled.release,
            "model": compiled.model,
            "model_version": compiled.model_version,
            "example": json.dumps(example),
        }
    )
    serve_app(made, listening)


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
    """Serve a replay, as the process that started this one said on the command line."""
    words = json.loads(sys.argv[1])
    with Workshop(Path(words["root"]), ProjectFile(**words["settings"])) as workshop:
        workshop.prepare_kernels()
        made = app(
            words["service"],
            Releases(workshop.state),
            words["environment"],
            workshop,
            record=words["record"],
            online=Path(words["online"]),
        )
        serve_app(made, listen("127.0.0.1", 0), told=Path(words["told"]), with_parent=True)


if __name__ == "__main__":
    main()
