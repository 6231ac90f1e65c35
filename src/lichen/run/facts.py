"""The facts of the release in force, gathered for people and machines alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from lichen.deploy.parity import PARITY
from lichen.graph.version import Version
from lichen.ports import Put
from lichen.run.lease import RUN, works
from lichen.run.release import Release, Releases
from lichen.run.trials import TRIALS, shown
from lichen.run.workshop import Workshop

RUNS, REPLAYS, WATCHES = "runs", "replays", "watches"
"""What the state store keeps: each run by its id; the newest replay and watch of each name in each environment."""

PREDICTIONS = "predictions."


def kept(table: str, environment: str, name: str, facts: Mapping[str, Any]) -> Put:
    """Keep the newest facts of a name in an environment, for `status` to find."""
    return Put(table, f"{environment}/{name}", {"environment": environment, "name": name, "facts": dict(facts)})


def status(releases: Releases, environment: str, project: str, workshop: Workshop) -> dict[str, Any]:
    """What is released, how good it is, what was answered, what was found, and how long each stage took."""
    release = releases.current(environment)
    versions = releases.versions(release)
    models = {v.asset.partition(".")[2]: model_facts(v) for v in versions.values() if v.asset.startswith("model.")}
    replays = _of(environment, REPLAYS, workshop)
    watches = _of(environment, WATCHES, workshop)
    trials = {one["service"]: one for _, one in workshop.state.scan(TRIALS) if one["environment"] == environment}
    run = _last_run(environment, releases, workshop)
    served = {
        v.asset.partition(".")[2]: _service_facts(v, versions, replays, watches, trials)
        for v in versions.values()
        if v.asset.startswith("service.")
    }
    findings = [finding for watch in watches.values() for finding in watch["watch"]["findings"]]
    return {
        "project": project,
        "environment": environment,
        "release": release.number if release else None,
        "released_at": release.at if release else None,
        "tables": {
            v.relation: table_facts(v, release) for v in sorted(filter(_has_rows, versions.values()), key=_by_kind)
        },
        "model": _first(models),
        "models": models,
        "service": _first(served),
        "services": served,
        "predictions": sum(v.rows for v in versions.values() if v.asset.startswith(PREDICTIONS)),
        "labelled": sum(_labelled(service, watches) for service in {w["service"] for w in watches.values()}),
        "findings": findings,
        "watches": watches,
        "seconds": _seconds(run, replays, watches),
        "run": {**{key: run[key] for key in ("id", "status", "started")}, "held": _held(run)} if run else None,
        "errors": [run["error"]] if run and run.get("error") else [],
    }


def _of(environment: str, table: str, workshop: Workshop) -> dict[str, Any]:
    """What is kept of an environment, by name."""
    found = [entry for _, entry in workshop.state.scan(table) if entry["environment"] == environment]
    return {entry["name"]: entry["facts"] for entry in found}


def _labelled(service: str, watches: Mapping[str, Any]) -> int:
    """How many of a service's predictions had their label when a monitor of it last asked; monitors share them."""
    return max((watch["labelled"] for watch in watches.values() if watch["service"] == service), default=0)


def _held(run: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {"asset": outcome["asset"], "why": "; ".join(outcome["notes"])}
        for outcome in run["outcomes"]
        if outcome["state"] == "held"
    ]


def _first(named: Mapping[str, Any]) -> Any:
    return next(iter(named.values()), None)


def _has_rows(version: Version) -> bool:
    return version.asset.partition(".")[0] in ("source", "table", "predictions")


def _by_kind(version: Version) -> int:
    return ("source", "table", "predictions").index(version.asset.partition(".")[0])


def table_facts(version: Version, release: Release | None) -> dict[str, Any]:
    """A table's rows, version, what was set aside and why, and how many rows came too late at the last reading.

    `left_out` are, by interval, the late rows that a table in intervals is without.
    """
    left = list(release.left_out.get(version.asset, ())) if release else []
    return {
        "rows": version.rows,
        "version": version.version,
        "quarantined": sum(file.rows for file in version.quarantine),
        "late": version.facts.get("balance", {}).get("late", 0) + sum(one["rows"] for one in left),
        "left_out": left,
        "breaches": list(version.facts.get("breaches", ())),
    }


def model_facts(version: Version) -> dict[str, Any]:
    """A model's metrics on its test rows beside the baseline's, its rows, gate, and heaviest features."""
    facts = version.facts
    return {
        "name": version.asset.partition(".")[2],
        "version": version.version,
        **facts["metrics"],
        "intervals": facts["intervals"],
        "baseline": facts["baseline"],
        "rows_train": facts["rows"]["train"],
        "rows_early_stop": facts["rows"]["early_stop"],
        "rows_test": facts["rows"]["test"],
        "rows_left_out": facts["rows"]["left_out"],
        "spans": facts["spans"],
        "gate": facts["gate"],
        "importances": facts["importances"],
        "missing": facts["missing"],
        "suspicions": facts["suspicions"],
        "card": facts["card"],
        "held": bool(facts.get("held")),
    }


def _service_facts(
    version: Version,
    versions: Mapping[str, Version],
    replays: Mapping[str, Any],
    watches: Mapping[str, Any],
    trials: Mapping[str, Any],
) -> dict[str, Any]:
    name = version.asset.partition(".")[2]
    last, recorded = replays.get(name) or {}, versions.get(f"{PREDICTIONS}{name}")
    return {
        "name": name,
        "model": version.facts["model"],
        "model_version": versions[f"model.{version.facts['model']}"].version,
        "parity": version.facts.get(PARITY),
        "predictions": recorded.rows if recorded else 0,
        "labelled": _labelled(name, watches),
        "requests": last.get("requests", 0),
        "p50_ms": last.get("p50_ms"),
        "p99_ms": last.get("p99_ms"),
        "requests_per_second": last.get("requests_per_second"),
        "replayed": {"from": last["from"], "to": last["to"]} if last else None,
        "rollout": shown(trials[name]) if name in trials else None,
    }


def _last_run(environment: str, releases: Releases, workshop: Workshop) -> Mapping[str, Any] | None:
    """The last run as it stands: one that is recorded as running, while no such process holds the lease, is not."""
    runs = [run for _, run in workshop.state.scan(RUNS) if run["environment"] == environment and not run.get("preview")]
    last = max(runs, key=lambda run: run["started"], default=None)
    if last is None or last["status"] != "running" or works(workshop.state, RUN, last["pid"]):
        return last
    # It may have ended since it was read, in its own words.
    return cut_short(workshop.state.get(RUNS, last["id"]) or last, releases)


def cut_short(run: Mapping[str, Any], releases: Releases) -> Mapping[str, Any]:
    """A run that is recorded as running, and is not: done, where its release came, and `killed` where it did not."""
    if run["status"] != "running":
        return run
    came = {one.facts.get("run"): one.number for one in releases.history()}
    number = came.get(run["id"])
    ended = {"status": "killed"} if number is None else {"status": "done", "release": number}
    return {**run, **ended}


def _seconds(run: Mapping[str, Any] | None, replays: Mapping[str, Any], watches: Mapping[str, Any]) -> dict[str, float]:
    spent: dict[str, float] = defaultdict(float)
    for outcome in run["outcomes"] if run else ():
        spent[outcome["stage"]] += outcome["seconds"]
    for replayed in replays.values():
        spent["replay"] += replayed["prepared_seconds"] + replayed["seconds"] + replayed["recorded_seconds"]
    for watch in watches.values():
        spent["monitor"] += watch["seconds"]
    return {stage: round(seconds, 3) for stage, seconds in spent.items()}
