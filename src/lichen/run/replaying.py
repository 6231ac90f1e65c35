"""Asks a service about past rows as if they came now, and moves its answers to the lake."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from typing import Any

from lichen.deploy.child import Child
from lichen.deploy.personal import PERSONAL
from lichen.deploy.replay import Replayed, asked
from lichen.deploy.replay import replay as drive
from lichen.feature.featureset import FeatureSet
from lichen.graph.version import Version
from lichen.ground.instant import to_us
from lichen.run.deployed import features_of, fill_online, released_service, released_table
from lichen.run.facts import REPLAYS, kept
from lichen.run.past import PastRows
from lichen.run.pseudonym import project_key
from lichen.run.recorded import land_predictions
from lichen.run.release import Releases
from lichen.run.serving import child_command
from lichen.run.workshop import Workshop
from lichen.spec import Label

RECORD = "replay"
"""The record folder of replays' answers: one at a time is made, under the project's lease."""


def replay(
    service: str,
    releases: Releases,
    environment: str,
    workshop: Workshop,
    *,
    start: datetime,
    end: datetime | None,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    """Send past label rows asked for in [start, end) to a service of its own process; move its answers to the lake.

    Asking the same rows of the same model version again records nothing twice.
    """
    begun = workshop.clock.seconds()
    release = releases.current(environment)
    versions = releases.versions(release)
    answering, trained = released_service(service, release, versions)
    label = Label.model_validate(trained.facts["label"])
    table = released_table(label.from_, versions)
    rows = PastRows(label, workshop.relation(table), start, end, workshop.engine)
    total, first, last = rows.span()
    features = features_of(trained.facts["recipe"], workshop)
    series = f"{service}@{trained.version}"
    if PERSONAL in answering.facts:
        # Each answer is named by a hash of what was asked: without the key nobody can try values out.
        series += f" {project_key(workshop).hex()}"
    done = _drive(service, environment, series, features, rows, versions, workshop, total, progress)
    driven = workshop.clock.seconds()
    landed = land_predictions(service, releases, environment, workshop)
    facts = {
        "service": service,
        "model_version": trained.version,
        "from": first,
        "to": last,
        **_measured(done),
        "recorded": landed[1] if landed else 0,
        "release": landed[0].number if landed else release.number if release else None,
        "prepared_seconds": driven - begun - done.seconds,
        "seconds": done.seconds,
        "recorded_seconds": workshop.clock.seconds() - driven,
    }
    workshop.state.write(kept(REPLAYS, environment, service, facts))
    return facts


def _drive(
    service: str,
    environment: str,
    series: str,
    features: FeatureSet,
    rows: PastRows,
    versions: Mapping[str, Version],
    workshop: Workshop,
    total: int,
    progress: Callable[[int, int], None] | None,
) -> Replayed:
    """Start the service beside a store that holds what was ever known, and ask it row by row.

    Of what the store holds the service sees what was known at each request's instant.
    """
    folder = workshop.folder("scratch") / f"replay-{service}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    online, told = folder / "online.db", folder / "told.json"
    names = [column.name for column in features.request]
    try:
        workshop.prepare_kernels()
        with closing(workshop.open_online(online)) as store:
            fill_online(features, versions, store, workshop, since=to_us(rows.start))
        command = child_command(service, environment, workshop, record=RECORD, online=online, told=told)
        with Child(command, told=told, log=workshop.folder("logs") / f"replay-{service}.log") as child:
            requests = asked(rows.read(names), rows.label.at, names, series=series)
            done = drive(child.url, requests, progress=(lambda sent: progress(sent, total)) if progress else None)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if progress is not None:
        progress(total, total)
    return done


def _measured(done: Replayed) -> dict[str, float]:
    """The requests answered, and in how many milliseconds: seen by the client, and by the service itself."""
    return {
        "requests": done.answered,
        "p50_ms": done.percentile(0.5) / 1000,
        "p99_ms": done.percentile(0.99) / 1000,
        "service_p50_ms": done.percentile(0.5, service=True) / 1000,
        "service_p99_ms": done.percentile(0.99, service=True) / 1000,
        "requests_per_second": done.answered / done.seconds,
    }
