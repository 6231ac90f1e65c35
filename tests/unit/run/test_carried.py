from __future__ import annotations

import os
from pathlib import Path

import pytest

from lichen.graph.build import build_graph
from lichen.run.carried import WAS, carry
from lichen.run.workshop import connector_options
from lichen.spec import read_project

SOURCE = """\
path: s.csv
cursor: at
contract:
  key: [id]
  columns:
    id: {type: bigint, range: [0, 9]}
    at: {type: timestamptz}
"""
ROWS = "id,at\n1,2020-01-01T00:00:00Z\n2,2020-01-02T00:00:00Z\n99,2020-01-03T00:00:00Z\n"


def _carried(world, asset, former):
    project = read_project(world.root, {}, connector_options())
    graph = build_graph(project)
    version = carry(graph[asset], former, graph, world.versions, project, world.workshop)
    world.versions[asset] = version
    return version


@pytest.fixture
def world(world):
    world.write("s.csv", ROWS)
    world.write("sources/s.yaml", SOURCE)
    world.write("tables/t.sql", "SELECT id, id + 1 AS more FROM s")
    world.collect()
    world.build("t")
    return world


def _inode(world, version, table):
    return [Path(place).stat().st_ino for place in world.workshop.tables.locations(table, version.files)]


def test_a_source_goes_on_under_its_new_name_with_rows_quarantine_and_cursor(world):
    former = world.versions.pop("source.s")
    (world.root / "sources/s.yaml").rename(world.root / "sources/r.yaml")
    world.write("tables/t.sql", "SELECT id, id + 1 AS more FROM r")
    version = _carried(world, "source.r", former)
    assert world.rows(version) == world.rows(former)
    assert len(world.aside(version)) == len(version.quarantine) == 1
    assert _inode(world, version, "r") == _inode(world, former, "s")
    assert (version.facts["cursor"], version.facts[WAS]) == (former.facts["cursor"], ["source.s", former.version])
    world.write("s.csv", ROWS + "3,2020-01-04T00:00:00Z\n")
    more = world.collect("r")
    assert [row[0] for row in world.rows(more, "FROM r ORDER BY 1")] == [1, 2, 3]
    world.write("s.csv", ROWS)
    assert version.version == _anew(world).version


def _anew(world):
    """The source as it is collected under its new name with nothing there before."""
    del world.versions["source.r"]
    return world.collect("r")


def test_a_table_is_the_same_rows_by_another_name(world):
    former = world.versions.pop("table.t")
    (world.root / "tables/t.sql").rename(world.root / "tables/u.sql")
    version = _carried(world, "table.u", former)
    assert (version.relation, world.rows(version)) == ("u", world.rows(former))
    assert version.version == world.build("u").version
    assert not list((world.root / ".lichen/lake/.staging").glob("*"))


def test_where_files_cannot_be_linked_they_are_copied(world, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    former = world.versions.pop("table.t")
    (world.root / "tables/t.sql").rename(world.root / "tables/u.sql")
    version = _carried(world, "table.u", former)
    assert world.rows(version) == world.rows(former)
    assert _inode(world, version, "u") != _inode(world, former, "t")
