from __future__ import annotations

from lichen.run.whole import Wholeness, is_whole


def test_a_version_is_whole_while_its_files_are_there(world):
    version = world.put("table.a", "SELECT 1 AS n", aside="SELECT 2 AS n")
    assert is_whole(version, world.workshop)
    (path,) = world.workshop.tables.locations("a__quarantine", version.quarantine)
    (world.root / path).unlink()
    assert not is_whole(version, world.workshop)
    assert not is_whole(world.put("model.m", "SELECT 1 AS n").with_facts(artifact="gone"), world.workshop)


def test_what_a_release_lacks_is_told(world):
    world.put("table.a", "SELECT 1 AS n")
    world.put("predictions.p", "SELECT 7 AS n")
    release = world.release()
    assert Wholeness(world.releases, world.workshop).lack(release) is None
    name = release.versions["table.a"]
    world.workshop.tables.sweep({})
    looked = Wholeness(world.releases, world.workshop)
    assert looked.lack(release) == f"files of version {name} of `table.a` were swept"
    world.put("table.a", "SELECT 1 AS n")
    assert looked.lack(release) == f"files of version {name} of `table.a` were swept"  # looked at once
    assert Wholeness(world.releases, world.workshop).lack(release) is None


def test_a_version_that_is_no_longer_known(world):
    world.put("table.a", "SELECT 1 AS n")
    release = world.release()
    lost = type(release)(9, "prod", {"table.a": "lost"}, {"table.a": 9}, "2020")
    assert Wholeness(world.releases, world.workshop).lack(lost) == "version lost of `table.a` was forgotten"
