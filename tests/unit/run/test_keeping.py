from __future__ import annotations

from collections import Counter
from typing import Any

from lichen.ports import Put
from lichen.run.audit import AUDIT
from lichen.run.facts import RUNS, WATCHES, kept
from lichen.run.keeping import COLLECTED, KEPT, files_in_use, forget
from lichen.run.release import RELEASES, VERSIONS

SHOWN = (VERSIONS, COLLECTED, RUNS, WATCHES)


def documents(world: Any) -> Counter[str]:
    return Counter(name for name in SHOWN for _ in world.workshop.state.scan(name))


def run(world: Any, number: int, *, environment: str = "prod") -> None:
    """What a run leaves: versions, what was collected, a release, and its record."""
    source = world.put("source.s", f"SELECT {number} AS n", f"SELECT {number}")
    world.put("table.t", f"SELECT {number} + 1 AS n")
    world.release(environment=environment)
    world.workshop.state.write(
        Put(COLLECTED, f"{number:064}", {"version": source.version}),
        Put(
            RUNS,
            f"{number:04}",
            {
                "id": f"{number:04}",
                "environment": environment,
                "status": "done",
                "started": f"{number:04}",
                "outcomes": [{"asset": v.asset, "version": v.version} for v in world.versions.values()],
            },
        ),
    )


def test_the_files_of_every_version_are_in_use(shop: Any) -> None:
    found = files_in_use(shop.open().releases, shop.open().workshop)
    assert {"invoices", "customers", "payments", "training_late_payment"} <= set(found)


def test_what_no_kept_release_or_run_names_is_forgotten(world: Any) -> None:
    for number in range(3 * KEPT):
        run(world, number)
        forget(world.releases, world.workshop)
    state = world.workshop.state
    assert documents(world) == {VERSIONS: 2 * KEPT, COLLECTED: KEPT, RUNS: KEPT}
    assert len(state.entries(AUDIT)) == len(list(state.scan(RELEASES))) == 3 * KEPT
    for release in world.releases.newest(KEPT):
        assert set(world.releases.versions(release)) == {"source.s", "table.t"}
    assert forget(world.releases, world.workshop) == 0


def test_the_last_run_and_release_of_every_environment_stay(world: Any) -> None:
    run(world, 0, environment="dev")
    for number in range(1, KEPT + 5):
        run(world, number)
    forget(world.releases, world.workshop)
    assert world.workshop.state.get(RUNS, "0000") is not None
    assert set(world.releases.versions(world.releases.current("dev"))) == {"source.s", "table.t"}
    assert documents(world)[RUNS] == KEPT + 1


def test_a_model_stays_while_answers_of_it_do(world: Any) -> None:
    model = world.put("model.m", "SELECT 1 AS n")
    world.release()
    del world.versions["model.m"]
    answers = world.put("predictions.s", "SELECT 1 AS n").with_facts(answered_by=[["m", model.version]])
    world.versions["predictions.s"] = answers
    for number in range(KEPT + 1):
        run(world, number)
    forget(world.releases, world.workshop)
    assert world.releases.version("model.m", model.version) == model
    assert "training_m" not in files_in_use(world.releases, world.workshop)


def test_the_files_of_forgotten_models_go(world: Any) -> None:
    artifacts = world.workshop.folder("artifacts")
    for name in ("old", "new"):
        (artifacts / name).mkdir()
    world.versions["model.m"] = world.put("model.m", "SELECT 1 AS n").with_facts(artifact="new")
    world.release()
    forget(world.releases, world.workshop)
    assert [path.name for path in artifacts.iterdir()] == ["new"]


def test_what_a_dropped_monitor_found_last_is_forgotten_with_its_releases(world: Any) -> None:
    world.put("monitor.m", "SELECT 1 AS n")
    world.release()
    world.workshop.state.write(kept(WATCHES, "prod", "m", {}), kept(WATCHES, "prod", "gone", {}))
    forget(world.releases, world.workshop)
    assert [key for key, _ in world.workshop.state.scan(WATCHES)] == ["prod/m"]
