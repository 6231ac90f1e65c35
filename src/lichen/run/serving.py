"""Answers requests with the release in force, in this process or in one of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lichen.deploy.answer import RowPath
from lichen.deploy.record import Record
from lichen.deploy.segment import Heading
from lichen.deploy.server import listen, url_of
from lichen.deploy.server import serve as serve_app
from lichen.deploy.service import Service as App
from lichen.deploy.standing import Standing
from lichen.errors import LichenError
from lichen.ground.clock import SystemClock
from lichen.ports import OnlineStore
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
    """The HTTP application of a service in the release in force; `online` is a store of its own, for a replay."""
    release = releases.current(environment)
    versions = releases.versions(release)
    answering, trained = released_service(service, release, versions)
    assert release is not None
    features = features_of(trained.facts["recipe"], workshop)
    if online is None:
        store = workshop.online
        keys = fill_online(features, versions, store, workshop, since=live_since(workshop))
    else:
        store, keys = workshop.open_online(online), view_keys(features, versions)
    compiled = deployed(service, release, versions, workshop, store, keys)
    folder = record_folder(service, environment, workshop) / record
    durable = Record(folder, Heading.of(compiled), answering.facts["durable_ms"])
    standing = None
    if online is None:
        own = [answering.asset, trained.asset, *(f"feature.{view}" for view in keys)]
        standing = partial(
            _standing, {asset: release.versions[asset] for asset in own}, releases, environment, store, keys
        )
    return App(RowPath(compiled, SystemClock()), durable, replay=online is not None, standing=standing)


def _standing(
    served: Mapping[str, str], releases: Releases, environment: str, store: OnlineStore, keys: Mapping[str, str]
) -> Standing:
    """How these served versions, with the features kept under these names, stand to the environment now."""
    release = releases.current(environment)
    assert release is not None
    found = {view: store.generation(key) for view, key in keys.items()}
    known = {view: int(generation[1]) for view, generation in found.items() if generation and generation[1]}
    behind = any(release.versions.get(asset) != version for asset, version in served.items())
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
    compiled = made.path.deployed
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
