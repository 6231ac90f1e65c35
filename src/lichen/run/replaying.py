"""Asks a service about past rows as if they came now, lets their labels come when they came, and asks its monitors."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

from arro3.core import RecordBatchReader

from lichen.deploy.answer import to_us
from lichen.deploy.child import Child
from lichen.deploy.replay import asked
from lichen.deploy.replay import replay as drive
from lichen.errors import FoundWrong
from lichen.ground.quoting import identifier, identifiers, literal, sql
from lichen.ports import Put
from lichen.run.deployed import features_of, fill_online, released_service
from lichen.run.recorded import land_predictions
from lichen.run.release import Releases
from lichen.run.serving import child_command
from lichen.run.workshop import Workshop
from lichen.spec import Label

REPLAYS = "replays"
ROWS = "rows"


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

    The service looks features up in a store that holds what was ever known, and sees of it what was known
    at each request's instant. Asking the same rows of the same model version again records nothing twice.
    """
    begun = workshop.clock.seconds()
    release = releases.current(environment)
    versions = releases.versions(release)
    _, trained = released_service(service, release, versions)
    label = Label.model_validate(trained.facts["label"])
    features = features_of(trained.facts["recipe"], workshop)
    rows = workshop.relation(versions.get(f"table.{label.from_}") or versions[f"source.{label.from_}"])
    total, first, last = _span(label, rows, start, end, workshop)
    if total == 0:
        raise FoundWrong(
            "LCH-2602",
            f"`{label.from_}` has no rows asked for from {start.isoformat()} on" + (f" before {end}" if end else ""),
            fix=f"its rows are asked for from {first} to {last}: choose a span in it",
        )
    folder = workshop.folder("scratch") / f"replay-{service}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        workshop.prepare_kernels()
        with closing(workshop.open_online(folder / "online.db")) as store:
            fill_online(features, versions, store, workshop, since=to_us(start))
        prepared = workshop.clock.seconds()
        told = folder / "told.json"
        command = child_command(service, environment, workshop, record="replay", online=folder / "online.db", told=told)
        names = [column.name for column in features.request]
        series = f"{service}@{trained.version}"
        with Child(command, told=told, log=workshop.folder("logs") / f"replay-{service}.log") as child:
            requests = asked(_rows(label, names, rows, start, end, workshop), label.at, names, series=series)
            done = drive(child.url, requests, progress=(lambda n: progress(n, total)) if progress else None)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if progress is not None:
        progress(total, total)
    driven = workshop.clock.seconds()
    landed = land_predictions(service, releases, environment, workshop)
    facts = {
        "service": service,
        "requests": done.answered,
        "from": first,
        "to": last,
        "p50_ms": done.percentile(0.5) / 1000,
        "p99_ms": done.percentile(0.99) / 1000,
        "service_p50_ms": done.percentile(0.5, service=True) / 1000,
        "service_p99_ms": done.percentile(0.99, service=True) / 1000,
        "requests_per_second": done.answered / done.seconds,
        "recorded": landed[1] if landed else 0,
        "release": landed[0].number if landed else release.number if release else None,
        "prepared_seconds": prepared - begun,
        "seconds": done.seconds,
        "recorded_seconds": workshop.clock.seconds() - driven,
        "model_version": trained.version,
    }
    workshop.state.write(Put(REPLAYS, service, facts))
    return facts


def _between(label: Label, start: datetime, end: datetime | None) -> str:
    at = identifier(label.at)
    until = f" AND {at} < CAST({literal(end.isoformat())} AS TIMESTAMPTZ)" if end else ""
    return f"{at} >= CAST({literal(start.isoformat())} AS TIMESTAMPTZ)" + until


def _span(label: Label, rows: Any, start: datetime, end: datetime | None, workshop: Workshop) -> tuple[int, str, str]:
    at = identifier(label.at)
    within = f"FILTER ({_between(label, start, end)})"
    wanted = [f"count(*) {within}"]
    wanted += [f"CAST({which}({at}) {span} AS VARCHAR)" for span in (within, "") for which in ("min", "max")]
    select = sql("SELECT", ", ".join(wanted), "FROM", ROWS)
    batch = next(iter(RecordBatchReader.from_arrow(workshop.engine.query(select, {ROWS: rows}))))
    total, first, last, earliest, latest = (column.to_pylist()[0] for column in batch.columns)
    return int(total), str(first if total else earliest), str(last if total else latest)


def _rows(
    label: Label, names: list[str], rows: Any, start: datetime, end: datetime | None, workshop: Workshop
) -> Iterator[dict[str, Any]]:
    wanted = list(dict.fromkeys([label.at, *names]))
    between = _between(label, start, end)
    select = sql("SELECT", identifiers(wanted), "FROM", ROWS, "WHERE", between, "ORDER BY", identifier(label.at))
    for batch in RecordBatchReader.from_arrow(workshop.engine.query(select, {ROWS: rows})):
        lists = [column.to_pylist() for column in batch.columns]
        for values in zip(*lists, strict=True):
            yield dict(zip(wanted, values, strict=True))
