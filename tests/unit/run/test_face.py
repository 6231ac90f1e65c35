from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from deltalake import DeltaTable

from lichen.run.face import show_face

PUBLISH = """
import sys
from pathlib import Path
from lichen.run.face import show_face
from lichen.run.release import Releases
from lichen.run.workshop import Workshop
from lichen.spec import ProjectFile
with Workshop(Path(sys.argv[1]), ProjectFile(name="p", memory="300MB")) as workshop:
    releases = Releases(workshop.state)
    release = releases.current("prod")
    show_face(release, releases.versions(release), workshop)
"""


def _show(world, workshop=None, environment="prod"):
    release = world.releases.current(environment)
    return show_face(release, world.releases.versions(release), workshop or world.workshop)


def _face(world):
    """Each table's face: its release, and its rows as an outside reader finds them."""
    lake = world.root / ".lichen/lake"
    found = {}
    for table, release in world.workshop.tables.published().items():
        face = DeltaTable(str(lake / table))
        names = [field.name for field in face.schema().fields]
        files = sorted(face.file_uris())
        rows = world.workshop.engine.query("SELECT * FROM r ORDER BY ALL", {"r": _relation(world, table, files)})
        found[table] = (release, names, len(files), _tuples(rows))
    return found


def _relation(world, table, files):
    from lichen.ports import Relation

    (version,) = [version for version in world.versions.values() if version.relation == table]
    return Relation(version.columns, tuple(file.removeprefix("file://") for file in files))


def _tuples(rows):
    from arro3.core import Table

    table = Table.from_arrow(rows)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _expected(world, environment="prod"):
    release = world.releases.current(environment)
    return {
        version.relation: (
            release.since[asset],
            [column.name for column in version.columns],
            len(version.files),
            sorted(world.rows(version)),
        )
        for asset, version in world.releases.versions(release).items()
        if asset.partition(".")[0] in ("source", "table", "predictions")
    }


def _first(world):
    world.put("source.s", "SELECT 1 AS n")
    world.put("table.a", "SELECT 1 AS n, 'x' AS t")
    world.put("table.empty", "SELECT 1 AS n WHERE false")
    world.put("predictions.m", "SELECT 0.5::DOUBLE AS score")
    world.put("model.m", "SELECT 1 AS n")
    world.release()


def _second(world):
    world.put("source.s", "SELECT unnest([1, 2]) AS n")
    world.put("table.a", "SELECT 'x' AS t, 1.5::DOUBLE AS m")  # other columns
    world.put("table.empty", "SELECT 1 AS n")
    world.put("table.fresh", "SELECT TIMESTAMP '2020-01-01' AS clock")
    del world.versions["predictions.m"]
    world.release()


def test_the_face_is_the_release_and_showing_it_again_changes_nothing(world):
    _first(world)
    assert sorted(_show(world)) == ["a", "empty", "predictions_m", "s"]
    assert _face(world) == _expected(world)
    assert _show(world) == []
    _second(world)
    assert sorted(_show(world)) == ["a", "empty", "fresh", "predictions_m", "s"]
    assert _face(world) == _expected(world)
    assert _show(world) == []


def test_a_rollback_is_shown(world):
    _first(world)
    _show(world)
    before = dict(world.versions)
    _second(world)
    _show(world)
    world.versions = before
    world.release()
    _show(world)
    assert _face(world) == _expected(world)


def test_columns_in_another_order_are_shown_in_it(world):
    _first(world)
    _show(world)
    for select in ("SELECT 'x' AS t, 1 AS n", "SELECT 1 AS n, 'x' AS t", "SELECT 1 AS n, 'y' AS m"):
        world.put("table.a", select)
        world.release()
        assert _show(world) == ["a"]
        assert _face(world) == _expected(world)


@pytest.mark.parametrize(
    "point",
    [
        *(f"face.before_publish@{nth}" for nth in (1, 2, 4)), "lake.publishing@1", "lake.publishing@2",
        "lake.published@1", "lake.published@4", "face.before_withdraw@1", "lake.withdrawn@1",
    ],
)  # fmt: skip
def test_a_killed_publisher_is_mended_by_the_next(world, point):
    _first(world)
    _show(world)
    _second(world)
    name, _, nth = point.partition("@")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    killed = subprocess.run(
        [sys.executable, "-c", PUBLISH, str(world.root)],
        env={**environment, "LICHEN_FAILPOINTS": f"{name}=kill@{nth}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    _show(world)
    assert _face(world) == _expected(world)
    assert _show(world) == []


def test_only_the_published_environment_is_shown(world):
    _first(world)
    _show(world)
    shown = _face(world)
    world.put("table.a", "SELECT 2 AS n, 'y' AS t")
    world.release(environment="dev")
    assert _show(world, environment="dev") == []
    assert show_face(None, {}, world.workshop) == []
    assert world.workshop.tables.published() == {table: release for table, (release, *_) in shown.items()}


def test_another_environment_published_replaces_the_face_whatever_its_numbers(world):
    _first(world)
    world.release(environment="dev")
    _second(world)
    _show(world)
    with world.publishing("dev") as workshop:
        world.versions = world.releases.versions(world.releases.current("dev"))
        _show(world, workshop, "dev")
        assert _face(world) == _expected(world, "dev")
        assert _show(world, workshop, "dev") == []


def test_a_release_that_is_no_longer_current_is_not_shown(world):
    _first(world)
    old, versions = world.releases.current("prod"), dict(world.versions)
    _second(world)
    _show(world)
    assert show_face(old, versions, world.workshop) == []
    assert _face(world) == _expected(world)


def test_with_nothing_published_nothing_is_shown(world):
    _first(world)
    _show(world)
    with world.publishing(None) as workshop:
        assert _show(world, workshop) == ["a", "empty", "predictions_m", "s"]
        assert _show(world, workshop) == []
    assert world.workshop.tables.published() == {}
