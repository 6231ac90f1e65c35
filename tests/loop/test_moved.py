"""A project that is copied to another folder or machine: nothing is collected or trained anew, and it goes on."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from facts import audit_is_whole, face_equals_release, tables_hold_what_was_sent
from processes import Ended, Nursery
from small_project import SmallProject

ASIDE = "SELECT file, row, reason FROM quarantine ORDER BY file, row"


def _nothing_to_do(ended: Ended, release: int) -> None:
    assert (ended.code, ended.err) == (0, ""), ended
    assert ended.facts["release"] == release
    assert ended.facts["outcomes"] == []


def test_a_copied_folder_has_nothing_to_do_and_goes_on(tmp_path: Path, nursery: Nursery) -> None:
    small = SmallProject(tmp_path / "here", seed=3)
    assert nursery.lichen(small.root, "run").code == 0
    aside = nursery.lichen(small.root, "query", "--json", ASIDE)
    assert {row[0] for row in aside.facts["rows"]} == {"data/shops.csv"}
    moved = tmp_path / "elsewhere" / "there"
    moved.parent.mkdir()
    subprocess.run(["cp", "-r", str(small.root), str(moved)], check=True)  # every file gets a new time of change
    shutil.rmtree(small.root)
    small.root = moved
    _nothing_to_do(nursery.lichen(moved, "run", "--json"), 1)
    face_equals_release(moved)
    assert nursery.lichen(moved, "query", "--json", ASIDE).out == aside.out
    small.grow(10)
    assert nursery.lichen(moved, "run", "--json").facts["release"] == 2
    tables_hold_what_was_sent(small)
    face_equals_release(moved)
    audit_is_whole(moved)


def test_another_machine_keeps_the_data_elsewhere(tmp_path: Path, nursery: Nursery) -> None:
    small = SmallProject(tmp_path / "project", seed=4)
    for source in ("visits-*", "shops"):
        small.edit(f"sources/{source.partition('-')[0]}.yaml", f"data/{source}.csv", f"${{DATA}}/{source}.csv")
    small.edit("lichen.yaml", "publish", "lake: ${PLACE}\npublish")
    one, other = (tmp_path / name / "data" for name in ("one", "other"))
    shutil.copytree(small.root / "data", one)
    here = {"DATA": str(one), "PLACE": str(tmp_path / "one" / "lake")}
    assert nursery.lichen(small.root, "run", "--json", variables=here).facts["release"] == 1
    (tmp_path / "other").mkdir()
    subprocess.run(["cp", "-r", str(one), str(other)], check=True)
    shutil.move(tmp_path / "one" / "lake", tmp_path / "other" / "lake")
    shutil.rmtree(one)
    there = {"DATA": str(other), "PLACE": str(tmp_path / "other" / "lake")}
    _nothing_to_do(nursery.lichen(small.root, "run", "--json", variables=there), 1)
    told = nursery.lichen(small.root, "query", "--json", ASIDE, variables=there)
    assert {row[0] for row in told.facts["rows"]} == {"${DATA}/shops.csv"}
    text = (other / "shops.csv").read_text()
    (other / "shops.csv").write_text(text.replace("120", "121"))  # as long as before: what it holds tells
    plan = nursery.lichen(small.root, "plan", "--json", variables=there).facts
    assert [step["asset"] for step in plan["steps"]][:1] == ["source.shops"]
