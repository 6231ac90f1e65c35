from __future__ import annotations

from lichen.run.whole import Wholeness


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
