from __future__ import annotations

from lichen.graph.fingerprint import fingerprint
from lichen.graph.version import Version
from lichen.plan import Trunk


def test_what_a_trunk_brings_are_sources_that_mean_the_same(build) -> None:
    graph = build()
    versions = {asset.id: Version(asset.id, "v", fingerprint(asset)) for asset in graph}
    trunk = Trunk("prod", 3, versions)
    assert [asset.id for asset in graph if trunk.brings(asset)] == ["source.flights"]
    other = build({"sources/flights.yaml": "path: y.csv\n"})
    assert not trunk.brings(other["source.flights"])
    assert not Trunk("prod", None, {}).brings(graph["source.flights"])
