"""What is kept of the past: the newest releases and runs with all they name, and the audit; the rest is forgotten."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

from lichen.contract.admit import quarantine_table
from lichen.graph.version import Version
from lichen.ground.files import system_failures
from lichen.ports import Forget
from lichen.run.facts import PREDICTIONS, REPLAYS, RUNS, WATCHES
from lichen.run.intervals import FACT
from lichen.run.release import VERSIONS, Releases
from lichen.run.workshop import Workshop

COLLECTED = "collected"
"""The versions that sources were collected as, by what was collected."""

KEPT = 20
"""How many releases of each environment, and how many runs, keep their versions and files."""

ASKED_OF = {WATCHES: "monitor", REPLAYS: "service"}
"""Of which kind of asset these tables keep the newest facts."""


def kept_versions(releases: Releases, workshop: Workshop) -> dict[str, Version]:
    """The versions, by `asset@name`, that the newest releases and runs name: these keep their files, too."""
    named = {entry for release in releases.newest(KEPT) for entry in release.versions.items()}
    for run in _runs(workshop)[-KEPT:]:
        named |= {(outcome["asset"], outcome["version"]) for outcome in run["outcomes"] if outcome["version"]}
    kept = _found(named, releases)
    # What a table in intervals was built of tells, beside what it reads now, which intervals changed.
    read = {entry for version in kept.values() if FACT in version.facts for entry in version.inputs.items()}
    return kept | _found(read - named, releases)


def _answered(kept: dict[str, Version], releases: Releases) -> dict[str, Version]:
    """The models that gave the answers which are kept: what they read is asked by who watches them."""
    by = [version.facts["answered_by"] for version in kept.values() if version.asset.startswith(PREDICTIONS)]
    return _found({(f"model.{model}", name) for models in by for model, name in models}, releases)


def _found(named: set[tuple[str, str]], releases: Releases) -> dict[str, Version]:
    made = ((f"{asset}@{name}", releases.version(asset, name)) for asset, name in sorted(named))
    return {key: version for key, version in made if version is not None}


def _runs(workshop: Workshop) -> list[Any]:
    """All runs there is a record of, oldest first."""
    return sorted((run for _, run in workshop.state.scan(RUNS)), key=lambda run: str(run["started"]))


def files_in_use(releases: Releases, workshop: Workshop) -> dict[str, frozenset[str]]:
    """The files that a sweep keeps, by the folder they are in: those of the versions that are kept."""
    found: dict[str, set[str]] = {}
    for version in kept_versions(releases, workshop).values():
        found.setdefault(version.relation, set()).update(file.path for file in version.files)
        aside = quarantine_table(version.relation)
        found.setdefault(aside, set()).update(file.path for file in version.quarantine)
    return {table: frozenset(paths) for table, paths in found.items()}


def forget(releases: Releases, workshop: Workshop) -> int:
    """Forget what nothing that is kept names, and delete its files; returns how many documents went.

    The caller holds the lease. Documents go first: a file that is left is swept the next time.
    """
    kept = kept_versions(releases, workshop)
    told = {**kept, **_answered(kept, releases)}
    gone = [*_versions(told, workshop), *_old_runs(releases, workshop), *_asked_of_none(releases, workshop)]
    if gone:
        releases.forget(*gone)
    workshop.tables.sweep(files_in_use(releases, workshop))
    artifacts = {str(version.facts["artifact"]) for version in kept.values() if "artifact" in version.facts}
    folder = workshop.home / "artifacts"
    with system_failures("sweep the models' files", folder):
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in artifacts and not path.name.startswith("."):
                shutil.rmtree(path)
    return len(gone)


def _versions(told: dict[str, Version], workshop: Workshop) -> Iterator[Forget]:
    names = {version.version for version in told.values()}
    for key, _ in workshop.state.scan(VERSIONS):
        if key not in told:
            yield Forget(VERSIONS, key)
    for key, collected in workshop.state.scan(COLLECTED):
        if collected["version"] not in names:
            yield Forget(COLLECTED, key)


def _old_runs(releases: Releases, workshop: Workshop) -> Iterator[Forget]:
    """Runs past the newest, but for the last one of each environment, which `status` tells of."""
    runs = _runs(workshop)
    told = [run for run in runs if run["environment"] in releases.environments() and not run.get("preview")]
    last = {run["environment"]: run["id"] for run in told}
    for run in runs[:-KEPT]:
        if last.get(run["environment"]) != run["id"]:
            yield Forget(RUNS, run["id"])


def _asked_of_none(releases: Releases, workshop: Workshop) -> Iterator[Forget]:
    """Facts of monitors and services that are in no kept release of their environment."""
    held = {(release.environment, asset) for release in releases.newest(KEPT) for asset in release.versions}
    for table, kind in ASKED_OF.items():
        for key, entry in workshop.state.scan(table):
            if (entry["environment"], f"{kind}.{entry['name']}") not in held:
                yield Forget(table, key)
